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
        """Return the address of the page of `collection` that begins at `position`.

        While a knob has lists come back to a page, that page has one address.
        """
        rest = {name: value for name, value in query.items() if name != TOKEN}
        place, token = (collection, rest), secrets.token_urlsafe(48)
        if (following := self._world.knobs.next_page) != "next":
            here = self.position(collection, query)
            position = here if following == "same" else 0 if here else position
            known = (each for each, (of, at, _) in self._places.items() if (of, at) == (place, position))
            token = next(known, token)
        self._places[token] = (place, position, self._world.clock.now())
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
