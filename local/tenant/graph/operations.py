"""Every operation of the emulated Graph: its path, its handler, and the permissions that it needs."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from local.tenant.graph.groups import GroupOperations
from local.tenant.graph.photos import PhotoOperations
from local.tenant.graph.principals import PrincipalOperations
from local.tenant.graph.subscriptions.operations import SubscriptionOperations
from local.tenant.graph.users import UserOperations
from local.tenant.graph.wire import GraphAnswer, GraphCall, GraphRefusal, bad_request, denied

# Application permissions, any one of which is enough; learn.microsoft.com/graph/permissions-reference
SUBSCRIBE = frozenset({"User.Read.All"})
READ_USERS = frozenset({"User.Read.All", "User.ReadBasic.All"})
READ_PHOTOS = READ_USERS | {"ProfilePhoto.Read.All", "ProfilePhoto.ReadWrite.All"}
# learn.microsoft.com/graph/api/directoryobject-checkmembergroups: for a user, nothing besides users is needed
CHECK_MEMBERS = frozenset({"User.Read.All", "Directory.Read.All"})
READ_MEMBERS = frozenset(
    {
        "GroupMember.ReadBasic.All",
        "GroupMember.Read.All",
        "GroupMember.ReadWrite.All",
        "Group.Read.All",
        "Group.ReadWrite.All",
        "Directory.Read.All",
    }
)
MEMBERS = "/groups/{group}/transitiveMembers/microsoft.graph.user"
PRINCIPAL = "/servicePrincipals/{principal}"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `path` is a template such as `/users/{user}/photo`; `{…}` never spans a slash.

    The handler is called with the `GraphCall` and the template's parts by name. A token needs one of
    `permissions`, if there are any.
    """

    method: str
    path: str
    handler: Callable[..., GraphAnswer]
    permissions: frozenset[str]


class Router:
    """The operations, found by path and method."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes: dict[int, list[tuple[re.Pattern[str], Route]]] = {}  # by number of slashes
        for route in routes:
            template = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(route.path))
            path = re.compile(template, re.IGNORECASE)  # Graph ignores the case of the fixed parts
            self._routes.setdefault(route.path.count("/"), []).append((path, route))

    def answer(self, call: GraphCall) -> GraphAnswer:
        """Return the answer of the operation, if it exists and is permitted."""
        routes = self._routes.get(call.path.count("/"), [])
        matches = [(route, found) for path, route in routes if (found := path.fullmatch(call.path))]
        if not matches:
            segment = call.path.strip("/").rpartition("/")[2]
            raise bad_request(f"Resource not found for the segment '{segment}'.")
        for route, found in matches:
            if route.method == call.method:
                if route.permissions and not call.claims.roles & route.permissions:
                    raise denied()
                return route.handler(call, **found.groupdict())
        text = "Specified HTTP method is not allowed for the request target."
        raise GraphRefusal(405, "Request_BadRequest", text)


def route(
    subscriptions: SubscriptionOperations,
    users: UserOperations,
    photos: PhotoOperations,
    groups: GroupOperations,
    principals: PrincipalOperations,
) -> Router:
    """Return the router of all operations but `$batch`, which runs them."""
    return Router(
        [
            Route("POST", "/subscriptions", subscriptions.create, SUBSCRIBE),
            Route("GET", "/subscriptions", subscriptions.page, SUBSCRIBE),
            Route("PATCH", "/subscriptions/{subscription}", subscriptions.update, SUBSCRIBE),
            Route("DELETE", "/subscriptions/{subscription}", subscriptions.delete, SUBSCRIBE),
            Route("POST", "/subscriptions/{subscription}/reauthorize", subscriptions.reauthorize, SUBSCRIBE),
            Route("GET", "/users", users.page, READ_USERS),
            Route("GET", "/users/{user}", users.get, READ_USERS),
            Route("POST", "/users/{user}/checkMemberGroups", groups.check, CHECK_MEMBERS),
            Route("GET", MEMBERS, groups.page, READ_MEMBERS),
            Route("GET", "/users/{user}/photo", photos.show, READ_PHOTOS),
            Route("GET", "/users/{user}/photo/$value", photos.value, READ_PHOTOS),
            Route("GET", "/users/{user}/photos/{size}", photos.show, READ_PHOTOS),
            Route("GET", "/users/{user}/photos/{size}/$value", photos.value, READ_PHOTOS),
            *_list_principals(principals),
        ]
    )


def _list_principals(principals: PrincipalOperations) -> list[Route]:
    """Return the operations that check the caller themselves: a person's token has no roles."""
    assigned = f"{PRINCIPAL}/appRoleAssignedTo"
    return [
        Route("GET", "/servicePrincipals", principals.page, frozenset()),
        Route("GET", "/servicePrincipals(appId='{app}')", principals.get_by_app, frozenset()),
        Route("GET", PRINCIPAL, principals.get, frozenset()),
        Route("GET", f"{PRINCIPAL}/appRoleAssignments", principals.assignments, frozenset()),
        Route("POST", assigned, principals.assign, frozenset()),
        Route("DELETE", f"{assigned}/{{assignment}}", principals.unassign, frozenset()),
    ]
