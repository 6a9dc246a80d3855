"""What Exchange Online does with an uploaded photo: refuse it, or keep it under a new etag.

learn.microsoft.com/graph/api/profilephoto-update: at most 4 MB, `image/jpeg`.
"""

import functools
import io

from PIL import Image, UnidentifiedImageError

from local.tenant.directory import portraits
from local.tenant.directory.world import Person, Photo, World

MAX_BYTES = 4 * 1024 * 1024
MIN_PIXELS = 48  # pixels; the smallest square that Microsoft 365 gives out
UNREADABLE = (UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning)


class Exchange:
    """The mailbox side of the tenant: photos as their owners upload or remove them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._versions: dict[str, int] = {}  # object id -> how many portraits were drawn

    def accept(self, data: bytes) -> Photo:
        """Return `data` as the photo that Exchange would keep.

        Raises:
            ValueError: Exchange would refuse it; the text gives the reason.
        """
        if len(data) > MAX_BYTES:
            raise ValueError(f"a photo has at most {MAX_BYTES} bytes, this one {len(data)}")
        try:
            with Image.open(io.BytesIO(data)) as image:
                kind, (width, height) = image.format, image.size
                image.load()
        except (OSError, *UNREADABLE) as error:
            raise ValueError(f"not a picture that can be read: {error}") from error
        if kind != "JPEG":
            raise ValueError(f"a photo is a JPEG, this is {kind} (?raw=true stores it all the same)")
        if min(width, height) < MIN_PIXELS:
            raise ValueError(f"a photo is at least {MIN_PIXELS} pixels each way, this one {width}x{height}")
        return Photo(data, self._world.new_etag(), width, height)

    def accept_raw(self, data: bytes, content_type: str = "image/jpeg") -> Photo:
        """Return `data` as a photo of any kind; if its size cannot be read, it counts as a large one."""
        try:
            with Image.open(io.BytesIO(data)) as image:
                width, height = image.size
        except (OSError, *UNREADABLE):
            width = height = portraits.SIZE
        return Photo(data, self._world.new_etag(), width, height, content_type)

    def draw(self, person: Person) -> Photo:
        """Return a portrait of `person`, a different one each time, drawn when its bytes are read."""
        version = self._versions[person.id] = self._versions.get(person.id, 0) + 1
        picture = functools.partial(portraits.draw, person.display_name, version)
        return Photo(picture, self._world.new_etag(), portraits.SIZE, portraits.SIZE)

    def draw_shared(self) -> Photo:
        """Return the one shared portrait under a new etag: it is drawn once for any number of people."""
        return Photo(_draw_shared, self._world.new_etag(), portraits.SIZE, portraits.SIZE)

    def reset(self) -> None:
        """Forget how many portraits were drawn."""
        self._versions.clear()


@functools.cache
def _draw_shared() -> bytes:
    return portraits.draw("Every Body")
