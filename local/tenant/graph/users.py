"""`GET /users` and `GET /users/{id | userPrincipalName}`.

learn.microsoft.com/graph/api/user-list, learn.microsoft.com/graph/api/user-get and
learn.microsoft.com/graph/api/resources/users (which properties come only with `$select`).

Of `$filter` only `accountEnabled eq true` or `false` is played. Other filters are refused: they partly need
`ConsistencyLevel: eventual` and `$count` (learn.microsoft.com/graph/aad-advanced-queries).
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice

from local.tenant.directory.world import Person, World
from local.tenant.graph.pages import TOKEN, Pages
from local.tenant.graph.wire import (
    CONTEXT,
    GraphAnswer,
    GraphCall,
    GraphRefusal,
    Json,
    bad_request,
    denied,
    unsupported_query,
)

PAGE, PAGE_MAX = 100, 999  # learn.microsoft.com/graph/api/user-list

# fmt: off
DEFAULT = (
    "businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone", "officeLocation",
    "preferredLanguage", "surname", "userPrincipalName",
)
# fmt: on
# learn.microsoft.com/graph/api/resources/users: what User.ReadBasic.All shows to an application
BASIC = frozenset(
    {"displayName", "givenName", "id", "mail", "photo", "securityIdentifier", "surname", "userPrincipalName"}
)
_FILTER = re.compile(r"\s*accountEnabled\s+eq\s+(true|false)\s*")


def absent(key: str) -> GraphRefusal:
    """Return the refusal for a user who is not in the directory."""
    text = "does not exist or one of its queried reference-property objects are not present."
    return GraphRefusal(404, "Request_ResourceNotFound", f"Resource '{key}' {text}")


class UserOperations:
    """The operations on users."""

    def __init__(self, world: World, pages: Pages) -> None:
        self._world = world
        self._pages = pages

    def page(self, call: GraphCall) -> GraphAnswer:
        """Answer one page, in the order in which people were added."""
        call.allow("$top", "$select", "$filter", TOKEN)
        top, selected, enabled = read_top(call), read_select(call), _read_filter(call)
        _admit(call, {*selected, *({"accountEnabled"} if "$filter" in call.query else ())})
        with self._world.lock:
            start = self._pages.position("users", call.query)
            wanted = find_people(self._world, start, lambda person: enabled in (None, person.enabled))
            found = list(islice(wanted, top + 1))
            body: Json = {"@odata.context": f"{CONTEXT}users{name_context(call, selected)}"}
            if len(found) > top:
                body["@odata.nextLink"] = self._pages.link("users", call.query, found[top][0])
            body["value"] = [show(person, selected) for _, person in found[:top]]
        return GraphAnswer(200, body)

    def get(self, call: GraphCall, user: str) -> GraphAnswer:
        """Answer one user."""
        call.allow("$select")
        selected = read_select(call)
        _admit(call, set(selected))
        with self._world.lock:
            person = self._world.find(user)
            if person is None:
                raise absent(user)
            context = f"{CONTEXT}users{name_context(call, selected)}/$entity"
            return GraphAnswer(200, {"@odata.context": context, **show(person, selected)})


def find_people(world: World, start: int, wanted: Callable[[Person], bool]) -> Iterator[tuple[int, Person]]:
    """Yield position and person for all wanted, from position `start`; a position never changes.

    Deleted people are left out. Call under `World.lock`.
    """
    for position, person in islice(enumerate(world.people.values()), start, None):
        if not person.gone and wanted(person):
            yield position, person


def properties(person: Person) -> Json:
    """Return every property of `person` in this directory."""
    given, _, surname = person.display_name.partition(" ")
    mail = person.upn if person.mailbox else None
    unset = ("jobTitle", "mobilePhone", "officeLocation", "preferredLanguage", "securityIdentifier")
    return dict.fromkeys(unset) | {
        "accountEnabled": person.enabled,
        # A licence proves neither a mailbox nor the lack of one.
        "assignedLicenses": [],
        "businessPhones": [],
        "displayName": person.display_name,
        "givenName": given or None,
        "id": person.id,
        "mail": mail,
        "preferredDataLocation": person.geo.upper() or None,
        "proxyAddresses": [f"SMTP:{mail}"] if mail else [],
        "surname": surname or None,
        "userPrincipalName": person.upn,
        "userType": "Guest" if person.guest else "Member",
    }


KNOWN = frozenset(properties(Person("", "", ""))) | {"photo"}


def show(person: Person, selected: list[str]) -> Json:
    """Return the selected properties. `photo` can be selected but never shows.

    github.com/microsoftgraph/msgraph-sdk-dotnet/issues/1173
    """
    every = properties(person)
    return {name: every[name] for name in selected if name in every}


def read_top(call: GraphCall) -> int:
    """Return how many users a page has."""
    top = call.query.get("$top", str(PAGE))
    if not top.isdecimal() or not 1 <= int(top) <= PAGE_MAX:
        limits = f"Must be between 1 and {PAGE_MAX} inclusive."
        raise unsupported_query(f"Invalid page size specified: '{top}'. {limits}")
    return int(top)


def read_select(call: GraphCall) -> list[str]:
    """Return the properties asked for: those of `$select`, else the default ones that the token may see."""
    if "$select" not in call.query:
        basic = "User.Read.All" not in call.claims.roles
        return [name for name in DEFAULT if name in BASIC or not basic]
    selected = [name.strip() for name in call.query["$select"].split(",")]
    for name in selected:
        if name not in KNOWN:
            text = f"Could not find a property named '{name}' on type 'microsoft.graph.user'."
            raise bad_request(f"Parsing OData Select and Expand failed: {text}")
    return selected


def name_context(call: GraphCall, selected: list[str]) -> str:
    """Return the list of properties in the context of an answer."""
    return f"({','.join(selected)})" if "$select" in call.query else ""


def _read_filter(call: GraphCall) -> bool | None:
    """Return which value of `accountEnabled` is wanted, None for both."""
    text = call.query.get("$filter")
    if text is None:
        return None
    if not (found := _FILTER.fullmatch(text)):
        raise unsupported_query(f"Unsupported or invalid query filter clause: {text}")
    return found[1] == "true"


def _admit(call: GraphCall, touched: set[str]) -> None:
    """Refuse to show, or to filter by, properties that need User.Read.All, to a token without that role."""
    if "User.Read.All" not in call.claims.roles and not touched <= BASIC:
        raise denied()
