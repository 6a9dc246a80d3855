"""/_layouts/15/userphoto.aspx: what a reader in SharePoint sees.

Documented: `size=S|M|L`, `accountname=` (an account or a UPN); a silhouette without a picture; for
a while a redirect to a time-limited address (github.com/SharePoint/sp-dev-docs/issues/7909). Inferred: the
other sizes are found beside `PictureURL` by their names.

Not played: SharePoint's own pull from Exchange, which the *owner's* request for the L thumbnail triggers at
most once every 24 hours (support.microsoft.com, "Information about profile picture synchronization in
Microsoft 365"); people without an Exchange licence, for which SharePoint is said to show Graph's picture.
"""

import hashlib
import hmac
import secrets
from urllib.parse import quote, unquote, urlencode, urlsplit

from werkzeug.wrappers import Request, Response

from local.tenant.directory.world import World
from local.tenant.sharepoint import properties
from local.tenant.sharepoint.calls import SharePointCall
from local.tenant.sharepoint.errors import access_denied, wrong_method
from local.tenant.sharepoint.hosts import find_site, name_host
from local.tenant.sharepoint.library import File, Library
from local.tenant.sharepoint.pictures import SIZES, PictureSize, draw_silhouette, inspect_jpeg
from local.tenant.sharepoint.profiles import CLAIM, Profile, Profiles

PAGE = "/_layouts/15/userphoto.aspx"
TIME_LIMITED = "/_vti_bin/afdcache.ashx/_userprofile/userphoto.jpg"

_LINK_LIFE = 300  # seconds; the real life of the address is not published


class UserPhotos:
    """The tenant's pictures as readers see them. `libraries` are by geo."""

    def __init__(self, world: World, profiles: Profiles, libraries: dict[str, Library]) -> None:
        self._world = world
        self._profiles = profiles
        self._libraries = libraries
        self._key = secrets.token_bytes(16)

    def respond(self, call: SharePointCall) -> Response:
        """Answer userphoto.aspx; any valid token is enough."""
        request = call.request
        if request.method != "GET":
            raise wrong_method(request.method, PAGE)
        query = {name.lower(): value for name, value in request.args.items()}
        account = query.get("accountname", query.get("username", ""))
        size = query.get("size", "S").upper()
        if self._world.knobs.userphoto_redirects:
            until = int(self._world.clock.now().timestamp()) + _LINK_LIFE
            signed = f"{until}_{self._sign(until, account, size)}"
            limited = {"_oat_": signed, "size": size, "accountName": account}
            return Response(status=302, headers={"Location": f"{TIME_LIMITED}?{urlencode(limited)}"})
        return self._serve(account, size)

    def respond_limited(self, request: Request) -> Response:
        """Answer the address that userphoto.aspx redirects to: no token, but a signature and an expiry."""
        account, size = request.args.get("accountName", ""), request.args.get("size", "")
        until, _, signature = request.args.get("_oat_", "").partition("_")
        late = not until.isdecimal() or int(until) < self._world.clock.now().timestamp()
        if late or not hmac.compare_digest(
            signature.encode(), self._sign(int(until), account, size).encode()
        ):
            raise access_denied("Time-Limited URL validation failed")
        return self._serve(account, size)

    def find_shown(self, profile: Profile | None, size: PictureSize) -> File | None:
        """Return the file a reader sees, None for the silhouette. Call under `World.lock`."""
        if profile is None or profile.get(properties.PLACEHOLDER) == "1":
            return None
        found = locate(profile.get(properties.PICTURE_URL), size)
        site = found and find_site(found[0], self._world.domain, self._libraries)
        if not found or site is None or site.kind != "my":
            return None
        file = self._libraries[site.geo].find_file(found[1])
        return file and file[1]

    def keep(self, profile: Profile, thumbnails: dict[PictureSize, bytes], stem: str) -> None:
        """Write thumbnails where SharePoint itself would, and point the profile at them.

        The URL does not change when the picture does. `stem` is the file name up to `_MThumb.jpg`: "" for the
        object id, unless the caller plays an older SharePoint. Call under `World.lock`.
        """
        library = self._libraries[profile.geo]
        stem = stem or profile.object_id or profile.person.id
        for size, data in thumbnails.items():
            library.current.save(f"{stem}_{size}Thumb.jpg", data, inspect_jpeg(data), self._world.clock.now())
        host = name_host(self._world.domain.written, profile.geo, "my")
        path = quote(f"{library.current.path}/{stem}_MThumb.jpg")
        profile.set(properties.PICTURE_URL, f"https://{host}:443{path}")

    def _serve(self, account: str, size: str) -> Response:
        wanted: PictureSize = next((each for each in SIZES if each == size), "S")
        claim = account if "|" in account else CLAIM + account
        with self._world.lock:
            file = self.find_shown(self._profiles.find(claim), wanted)
            data = file.data if file else draw_silhouette(wanted)
        return Response(data, content_type="image/jpeg")

    def _sign(self, until: int, account: str, size: str) -> str:
        return hmac.digest(self._key, f"{until} {account} {size}".encode(), hashlib.sha256).hex()


def locate(picture_url: str, size: PictureSize) -> tuple[str, str] | None:
    """Return host and decoded path of a thumbnail beside a `PictureURL`, None for an empty one."""
    parts = urlsplit(picture_url)
    if not parts.netloc:
        return None
    before, mark, after = unquote(parts.path).rpartition("_MThumb")
    return parts.netloc, f"{before}_{size}Thumb{after}" if mark else unquote(parts.path)
