"""The handler of each path, and the permissions (any one of them) that it needs."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from local.tenant.graph.wire import GraphAnswer, GraphCall, GraphRefusal

type Operation = Callable[..., GraphAnswer]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `path` is a template such as `/users/{user}/photo`; `{…}` never spans a slash.

    The handler is called with the `GraphCall` and the template's parts by name. A token needs one of
    `permissions` and one of `besides`, if those are not empty.
    """

    method: str
    path: str
    handler: Operation
    permissions: frozenset[str]
    besides: frozenset[str] = frozenset()


def _compile(path: str) -> re.Pattern[str]:
    """Return the pattern of a template. Graph ignores the case of the fixed parts."""
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)), re.IGNORECASE)


class Router:
    """All operations of the emulated Graph."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes: dict[int, list[tuple[re.Pattern[str], Route]]] = {}  # by how many slashes there are
        for route in routes:
            self._routes.setdefault(route.path.count("/"), []).append((_compile(route.path), route))

    def answer(self, call: GraphCall) -> GraphAnswer:
        """Return the answer of the operation.

        Raises:
            GraphRefusal: the operation does not exist, is not permitted, or refuses.
        """
        routes = self._routes.get(call.path.count("/"), [])
        matches = [(route, found) for path, route in routes if (found := path.fullmatch(call.path))]
        if not matches:
            segment = call.path.strip("/").rpartition("/")[2]
            raise GraphRefusal(400, "BadRequest", f"Resource not found for the segment '{segment}'.")
        for route, found in matches:
            if route.method == call.method:
                _admit(route, call)
                return route.handler(call, **found.groupdict())
        raise GraphRefusal(
            405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."
        )


def _admit(route: Route, call: GraphCall) -> None:
    """Refuse a caller whose token lacks the permissions of the route."""
    for needed in (route.permissions, route.besides):
        if needed and not needed & call.claims.roles:
            raise GraphRefusal(
                403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
            )
