"""Pages of a collection: opaque `$skiptoken`s that expire, and the `@odata.nextLink` that carries them.

learn.microsoft.com/graph/paging: a client follows the link as it is. So a token is valid only
with the parameters it was issued with.
"""

import secrets
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from local.tenant.directory.world import World
from local.tenant.graph.wire import ROOT, GraphRefusal

TOKEN = "$skiptoken"  # noqa: S105 - the name of a query parameter


class Pages:
    """The issued page tokens. A client whose request got no answer may use a token again."""

    def __init__(self, world: World) -> None:
        self._world = world
        # What each token was issued for: collection and query, then position and time.
        self._places: dict[str, tuple[tuple[str, dict[str, str]], int, datetime]] = {}

    def reset(self) -> None:
        """Forget every token."""
        self._places.clear()

    def link(self, collection: str, query: dict[str, str], position: int) -> str:
        """Return the address of the page of `collection` that begins at `position`."""
        rest = {name: value for name, value in query.items() if name != TOKEN}
        token = secrets.token_urlsafe(48)
        self._places[token] = ((collection, rest), position, self._world.clock.now())
        return f"{ROOT}/{collection}?{urlencode({**rest, TOKEN: token}, quote_via=quote, safe='$')}"

    def position(self, collection: str, query: dict[str, str]) -> int:
        """Return where the page that `query` asks for begins; 0 without a token."""
        if TOKEN not in query:
            return 0
        rest = {name: value for name, value in query.items() if name != TOKEN}
        purpose, position, issued = self._places.get(query[TOKEN], (None, 0, self._world.clock.now()))
        if purpose != (collection, rest):
            raise GraphRefusal(400, "BadRequest", "Invalid Skip Token")
        # github.com/microsoftgraph/msgraph-sdk-dotnet/issues/2254; how long a token lives is not published.
        if self._world.clock.now() - issued > timedelta(seconds=self._world.knobs.page_token_life):
            text = "The specified page token value has expired and can no longer be included in your request."
            raise GraphRefusal(400, "Directory_ExpiredPageToken", text)
        return position
