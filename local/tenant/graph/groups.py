"""Groups as far as a scope of users needs them: the users in a group, and the groups of a user.

learn.microsoft.com/graph/api/group-list-transitivemembers and
learn.microsoft.com/graph/api/directoryobject-checkmembergroups.

Stricter than the service is said to be: the members of one type are an advanced query
(learn.microsoft.com/graph/aad-advanced-queries), so each page needs `ConsistencyLevel: eventual` and
`$count=true`, though many report answers without them. Only members of the type `microsoft.graph.user` are
played, and no `$filter`.
"""

import re
from itertools import islice

from local.tenant.directory.groups import Group
from local.tenant.directory.world import World
from local.tenant.graph.pages import TOKEN, Pages
from local.tenant.graph.users import (
    BASIC,
    KNOWN,
    absent,
    find_people,
    name_context,
    read_select,
    read_top,
    show,
)
from local.tenant.graph.wire import (
    CONTEXT,
    GraphAnswer,
    GraphCall,
    GraphRefusal,
    Json,
    bad_directory_request,
    unsupported_query,
)

CHECKED_MAX = 20  # learn.microsoft.com/graph/api/directoryobject-checkmembergroups

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class GroupOperations:
    """The directory's groups as Graph shows them."""

    def __init__(self, world: World, pages: Pages) -> None:
        self._world = world
        self._pages = pages

    def page(self, call: GraphCall, group: str) -> GraphAnswer:
        """Answer one page of the people in a group and its nested groups, each once."""
        call.allow("$top", "$select", "$count", TOKEN)
        _demand_advanced(call)
        top, selected = read_top(call), read_select(call)
        with self._world.lock:
            return GraphAnswer(200, self._list(call, self._find(group), selected, top))

    def check(self, call: GraphCall, user: str) -> GraphAnswer:
        """Answer which of the given groups the user is in, directly or through other groups."""
        call.allow()
        asked = _read_ids(call.json())
        with self._world.lock:
            person = self._world.find(user)
            if person is None:
                raise absent(user)
            groups = [group for each in asked if (group := self._world.groups.find(each))]
            value = [group.id for group in groups if person.id in self._world.groups.people(group)]
        return GraphAnswer(200, {"@odata.context": f"{CONTEXT}Collection(Edm.String)", "value": value})

    def _find(self, key: str) -> Group:
        if not _ID.fullmatch(key):
            raise _invalid_id(key)
        group = self._world.groups.find(key)
        if group is None:
            raise absent(key)
        return group

    def _list(self, call: GraphCall, group: Group, selected: list[str], top: int) -> Json:
        collection = f"groups/{group.id}/transitiveMembers/microsoft.graph.user"
        start = self._pages.position(collection, call.query)
        members = self._world.groups.people(group)
        found = list(islice(find_people(self._world, start, lambda each: each.id in members), top + 1))
        body: Json = {"@odata.context": f"{CONTEXT}users{name_context(call, selected)}"}
        if TOKEN not in call.query:  # only the first page has it: learn.microsoft.com/graph/known-issues
            body["@odata.count"] = sum(not self._world.people[each].gone for each in members)
        if len(found) > top:
            body["@odata.nextLink"] = self._pages.link(collection, call.query, found[top][0])
        visible = _list_visible(call)
        body["value"] = [_hide(show(person, selected), visible) for _, person in found[:top]]
        return body


def _demand_advanced(call: GraphCall) -> None:
    if call.consistency.lower() == "eventual" and call.query.get("$count", "").lower() == "true":
        return
    if TOKEN in call.query:  # github.com/microsoftgraph/msgraph-sdk-java-core/issues/203
        raise unsupported_query("Unsupported Query.")
    raise unsupported_query("Members of one type take $count=true and the header ConsistencyLevel: eventual.")


def _list_visible(call: GraphCall) -> frozenset[str]:
    """Return the properties of users that the token may see.

    Members of a type that it may not read are listed too, with their id only:
    learn.microsoft.com/graph/permissions-overview, "Limited information returned".
    """
    if call.claims.roles & {"User.Read.All", "Directory.Read.All"}:
        return KNOWN
    return BASIC if "User.ReadBasic.All" in call.claims.roles else frozenset({"id"})


def _hide(shown: Json, visible: frozenset[str]) -> Json:
    return {name: value if name in visible else None for name, value in shown.items()}


def _read_ids(body: Json) -> list[str]:
    """Return the ids to check, each once. The texts of the refusals are not published."""
    ids = body.get("groupIds")
    if body.keys() != {"groupIds"} or not isinstance(ids, list) or not ids:
        raise bad_directory_request("The body must have one property, 'groupIds': an array of ids.")
    if len(ids) > CHECKED_MAX:
        raise bad_directory_request(f"No more than {CHECKED_MAX} groups can be checked at once.")
    for each in ids:
        if not isinstance(each, str) or not _ID.fullmatch(each):
            raise _invalid_id(each)
    return list(dict.fromkeys(each.lower() for each in ids))


def _invalid_id(key: object) -> GraphRefusal:
    # github.com/microsoftgraph/microsoft-graph-docs/issues/11724
    return bad_directory_request(f"Invalid object identifier '{key}'.")
