"""A reader's look at a picture in SharePoint: the request that a browser would send."""

from urllib.parse import urlsplit

from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from local.tenant.directory.world import World
from local.tenant.entra.tokens import Tokens
from local.tenant.sharepoint.service import SharePoint

PAGE = "/_layouts/15/userphoto.aspx"
SIZES = ("S", "M", "L")


class PictureReader:
    """Open `userphoto.aspx` without a network, so that a look does not count as a request received."""

    def __init__(self, world: World, tokens: Tokens, sharepoint: SharePoint) -> None:
        self._sharepoint = sharepoint
        self._origin = f"https://{world.organisation}.sharepoint.com"
        self._token = tokens.issue(self._origin, (), lifetime=10 * 365 * 24 * 3600)

    def look(self, account: str, size: str) -> Response:
        """Return what SharePoint shows of an account, after a redirect, if any."""
        response = self._get(PAGE, {"size": size, "accountname": account})
        if response.status_code != 302:
            return response
        target = urlsplit(response.headers["Location"])
        return self._get(target.path, target.query)

    def _get(self, path: str, query: str | dict[str, str]) -> Response:
        builder = EnvironBuilder(path, self._origin, query_string=query)
        builder.headers["Authorization"] = f"Bearer {self._token}"
        try:
            return self._sharepoint.respond(Request(builder.get_environ()))
        finally:
            builder.close()
