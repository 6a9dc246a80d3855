"""The sizes in which Microsoft 365 offers a photo, drawn from the stored one."""

import io

from PIL import Image, ImageOps

from local.tenant.directory.world import Photo

SIZES = (48, 64, 96, 120, 240, 360, 432, 504, 648)  # pixels; learn.microsoft.com/graph/api/profilephoto-get


def draw(photo: Photo, size: str) -> bytes | None:
    """Return `photo` as a square JPEG of `size` (`48x48`), or None if its bytes are not a picture."""
    edge = int(size.partition("x")[0])
    try:
        with Image.open(io.BytesIO(photo.data)) as image:
            square = ImageOps.fit(image.convert("RGB"), (edge, edge), Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError):
        return None
    out = io.BytesIO()
    square.save(out, "JPEG", quality=90)
    return out.getvalue()
