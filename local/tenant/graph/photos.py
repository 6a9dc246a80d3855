"""Profile photos: metadata, the sizes, the bytes.

learn.microsoft.com/graph/api/profilephoto-get and learn.microsoft.com/graph/api/resources/profilephoto.

The largest photo (`/photo`) is the stored one unchanged, of any shape and even if no decoder reads it: so
invalid sources can be played. The sizes are drawn from it. `If-None-Match` is not honoured
(github.com/microsoftgraph/microsoft-graph-docs/issues/5012). Writing is not played: people change photos in
the world.
"""

import base64
import hashlib
import io
import json
from functools import lru_cache

from PIL import Image, ImageOps

from local.tenant.directory.world import Person, Photo, World
from local.tenant.graph.users import absent
from local.tenant.graph.wire import CONTEXT, ROOT, GraphAnswer, GraphCall, GraphRefusal, NoPhoto

SIZES = (48, 64, 96, 120, 240, 360, 432, 504, 648)  # pixels; learn.microsoft.com/graph/api/profilephoto-get
# The smallest possible GIF, which Graph may answer if a photo does not exist.
DOT = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
PLACEHOLDER = Photo(DOT, "", 1, 1, "image/gif")


class PhotoOperations:
    """The operations that read photos."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._draw = lru_cache(maxsize=256)(_draw)

    def show(self, call: GraphCall, user: str, size: str = "") -> GraphAnswer:
        """Answer the metadata of the largest photo, or of one size."""
        call.allow()
        person, photo = self._photo(user)
        size = self._size(photo, size)
        part = f"photos/{size}" if "photos" in call.path.lower() else "photo"
        width, height = size.split("x")
        return GraphAnswer(
            200,
            {
                "@odata.context": f"{CONTEXT}users('{user}')/{part.partition('/')[0]}/$entity",
                "@odata.id": f"{ROOT}/users('{person.id}@{self._world.tenant_id}')/{part}",
                "@odata.mediaContentType": photo.content_type if size == _own(photo) else "image/jpeg",
                "@odata.mediaEtag": self._label(photo, size),
                "id": size,
                "width": int(width),
                "height": int(height),
            },
        )

    def value(self, call: GraphCall, user: str, size: str = "") -> GraphAnswer:
        """Answer the bytes of the largest photo, or of one size."""
        call.allow()
        _, photo = self._photo(user)
        size = self._size(photo, size)
        data, kind = photo.data, photo.content_type
        if size != _own(photo):
            data, kind = self._draw(photo, size), "image/jpeg"
            if not data:
                raise self._missing()
        etag = _etag(photo, size)
        return GraphAnswer(200, data, {"Content-Type": kind, **({"ETag": etag} if etag else {})})

    def _label(self, photo: Photo, size: str) -> str:
        """Return the etag that the metadata name: by knob another one than that of the bytes."""
        etag = _etag(photo, size)
        return etag[::-1] if self._world.knobs.photo_labels == "two" else etag

    def _photo(self, user: str) -> tuple[Person, Photo]:
        """Return the user and their photo; its bytes may not be drawn yet."""
        knobs = self._world.knobs
        with self._world.lock:
            person = self._world.find(user)
            if person is None:
                raise _unresolved(user) if knobs.photo_user_gone == "UnknownError" else absent(user)
            if not person.mailbox and knobs.no_mailbox != "entra-photo":
                raise self._no_mailbox(user)
            if person.photo:
                return person, person.photo
        if knobs.no_photo == "1x1" and person.mailbox:
            return person, PLACEHOLDER
        raise self._missing()

    def _missing(self) -> NoPhoto:
        # One message, several codes over the years:
        # github.com/Azure-Samples/ms-identity-dotnetcore-b2c-account-management/issues/23,
        # github.com/microsoftgraph/msgraph-sdk-dotnet-core/issues/851
        name = "Microsoft.Fast.Profile.Core.Exception.ImageNotFoundException"
        return NoPhoto(404, self._world.knobs.no_photo_code, f"Exception of type '{name}' was thrown.")

    def _no_mailbox(self, user: str) -> GraphRefusal:
        knobs = self._world.knobs
        if knobs.no_mailbox == "unresolved":
            return _unresolved(user)
        if knobs.no_mailbox == "400":  # github.com/microsoftgraph/microsoft-graph-docs/issues/8877
            return GraphRefusal(400, "AuthenticationError", "Error authenticating with resource")
        # learn.microsoft.com/graph/known-issues, "Photo restrictions" (2021)
        return GraphRefusal(404, knobs.no_mailbox_code, "The SMTP address has no mailbox associated with it.")

    def _size(self, photo: Photo, asked: str) -> str:
        """Return the size to answer for the one asked for; "" asks for the largest.

        Refuses a size that does not exist: larger than the upload, or not one of Microsoft 365's.
        """
        size = asked.lower()
        if not size or photo is PLACEHOLDER:
            return _own(photo)
        drawn = {f"{edge}x{edge}" for edge in SIZES if edge <= min(photo.width, photo.height)}
        if size != _own(photo) and size not in drawn:
            raise self._missing()
        return size


def _own(photo: Photo) -> str:
    return f"{photo.width}x{photo.height}"


def _etag(photo: Photo, size: str) -> str:
    """Return the tag of one size. It is not known whether the sizes share one; here each has its own."""
    if size == _own(photo) or not photo.etag:
        return photo.etag
    return f'"{hashlib.sha256(f"{photo.etag} {size}".encode()).hexdigest()[:8].upper()}"'


def _draw(photo: Photo, size: str) -> bytes:
    """Return `photo` as a square JPEG of `size` (`48x48`), or no bytes if its own are not a picture."""
    edge = int(size.partition("x")[0])
    try:
        with Image.open(io.BytesIO(photo.data)) as image:
            square = ImageOps.fit(image.convert("RGB"), (edge, edge), Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError):
        return b""
    out = io.BytesIO()
    square.save(out, "JPEG", quality=90)
    return out.getvalue()


def _unresolved(user: str) -> GraphRefusal:
    """Return the error of a photo store that cannot resolve the user: JSON inside the message.

    github.com/microsoftgraph/msgraph-beta-sdk-dotnet/issues/388
    """
    name = "Microsoft.Fast.Profile.Core.Exception.ProfileNotFoundException"
    inner = {
        "errorCode": "ErrorUserResolutionFailedUserDoesNotExist",
        "message": f"Exception of type '{name}' was thrown.",
        "target": user,
        "details": None,
        "innerError": None,
    }
    return GraphRefusal(404, "UnknownError", json.dumps(inner))
