"""Photos to upload, and whether what SharePoint shows is one of them."""

import io

from PIL import Image, ImageChops, ImageOps, ImageStat

THUMBNAILS = {"S": 48, "M": 72, "L": 300}  # pixels each way, by the letter in the file's name
ALIKE = 12.0  # mean difference a channel, of 255, below which two renderings are the same photograph


def jpeg(color: str, size: tuple[int, int] = (320, 320)) -> bytes:
    """A photo of one colour, which distinguishes it from all others."""
    stream = io.BytesIO()
    Image.new("RGB", size, color).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def size_of(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as image:
        return image.size


def alike(one: bytes, other: bytes) -> bool:
    """Whether both show the same photograph, cropped to a square, whatever their sizes."""
    difference = ImageChops.difference(_small(one), _small(other))
    return max(ImageStat.Stat(difference).mean) < ALIKE


def _small(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return ImageOps.fit(ImageOps.exif_transpose(image).convert("RGB"), (48, 48))
