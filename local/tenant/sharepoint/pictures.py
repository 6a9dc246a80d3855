"""The inspection of a picture's bytes, and the pictures that SharePoint draws itself. Pure.

Sizes: S 48, M 72, L 200 pixels on the longer side, ratio kept, never enlarged: the known
sizes of SharePoint's own thumbnails. A tool may write others; SharePoint is not known to refuse them.
"""

import io
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Literal

from PIL import Image, ImageDraw

PictureSize = Literal["S", "M", "L"]

SIZES: dict[PictureSize, int] = {"S": 48, "M": 72, "L": 200}  # pixels
_MAX_PIXELS = 20_000_000  # far above any thumbnail; more is an attack on the decoder
_BASELINE = 0xC0  # SOF0
# Pillow's exceptions for the various kinds of broken bytes.
_UNREADABLE = (Image.DecompressionBombError, OSError, ValueError, SyntaxError, IndexError)
_PLAIN = {0xE0, 0xEE}  # JFIF's APP0 and Adobe's APP14 concern decoding only


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG's size in pixels, whether it is baseline, and whether it has metadata.

    Metadata is every application segment that decoding does not need (EXIF, XMP, ICC, Photoshop) and every
    comment.
    """

    width: int
    height: int
    baseline: bool
    metadata: bool


def inspect_jpeg(data: bytes) -> Picture | None:
    """Describe a JPEG; None if the bytes are not a complete JPEG."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            if image.width * image.height > _MAX_PIXELS:
                return None
            image.load()
            markers = set(_list_markers(data))
            metadata = any(0xE0 <= marker <= 0xEF or marker == 0xFE for marker in markers - _PLAIN)
            return Picture(image.width, image.height, _BASELINE in markers, metadata)
    except _UNREADABLE:
        return None


def _list_markers(data: bytes) -> list[int]:
    """Return the segment markers up to the first scan."""
    markers: list[int] = []
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        markers.append(data[at + 1])
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return markers


def make_thumbnail(data: bytes, size: PictureSize) -> bytes:
    """Return a picture (any format Pillow reads) as SharePoint's own JPEG thumbnail.

    Raises:
        ValueError: the bytes are not a picture.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            small = image.convert("RGB")
    except _UNREADABLE as error:
        raise ValueError("the bytes are not a picture") from error
    small.thumbnail((SIZES[size], SIZES[size]))
    return _encode(small)


@cache
def draw_silhouette(size: PictureSize) -> bytes:
    """Return the grey figure that is shown without a picture."""
    image = Image.new("RGB", (200, 200), (225, 225, 225))
    draw = ImageDraw.Draw(image)
    draw.ellipse((65, 40, 135, 110), fill=(160, 160, 160))
    draw.ellipse((35, 120, 165, 260), fill=(160, 160, 160))
    return _encode(image.resize((SIZES[size], SIZES[size])))


def draw_old_picture(name: str) -> bytes:
    """Return a picture as from years ago: the same for the same name, 200 pixels square."""
    number = zlib.crc32(name.encode())
    image = Image.new("RGB", (200, 200), (150 + number % 60, 130, 95))
    draw = ImageDraw.Draw(image)
    draw.ellipse((60, 35, 140, 125), fill=(215, 190, 150))
    draw.ellipse((30, 130, 170, 280), fill=(90 + number // 60 % 60, 70, 50))
    draw.text((70, 165), "OLD", fill=(245, 235, 215), font_size=34)
    return _encode(image)


def _encode(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    return stream.getvalue()
