"""Colours, structure and quality of thumbnails, for the tests of `shared.pictures`."""

import math
import re
import struct
from io import BytesIO

from PIL import Image, ImageChops, ImageStat

from shared.pictures.thumbnails import SIZES, Thumbnails, UnreadableImage, render

type Colour = tuple[int, int, int]

JFIF, TABLES, BASELINE, HUFFMAN, SCAN = 0xE0, 0xDB, 0xC0, 0xC4, 0xDA


def opened(data: bytes, form: str = "JPEG") -> Image.Image:
    image = Image.open(BytesIO(data), formats=[form])
    image.load()
    return image


def corners(thumbnail: bytes) -> list[Colour]:
    """Return the colour in the middle of each quarter: above left, above right, below left, below right."""
    image = opened(thumbnail)
    near, far = image.width // 4, image.width * 3 // 4
    return [image.getpixel(at) for at in ((near, near), (far, near), (near, far), (far, far))]


def centre(data: bytes) -> Colour:
    """Render a picture, and return the colour in the middle of its large thumbnail."""
    return opened(render(data).large).getpixel((150, 150))


def alike(seen: Colour, wanted: Colour, tolerance: int = 10) -> bool:
    return all(abs(one - other) <= tolerance for one, other in zip(seen, wanted, strict=True))


def decibels(image: Image.Image, wanted: Image.Image) -> float:
    """Return the signal-to-noise ratio to the wanted image, in dB; a trained eye can just see one more."""
    return 20 * math.log10(255 / max(ImageStat.Stat(ImageChops.difference(image, wanted)).rms))


def segments(jpeg: bytes) -> list[tuple[int, bytes]]:
    """Split a JPEG completely into marker and body of each segment; coded pixels belong to their scan."""
    assert jpeg[:2] == b"\xff\xd8"
    found, at = [], 2
    while jpeg[at:] != b"\xff\xd9":
        marker, length = struct.unpack_from(">HH", jpeg, at)
        assert marker >> 8 == 0xFF
        end = at + 2 + length
        if marker == 0xFF00 | SCAN:
            end = re.compile(rb"\xff[^\0]").search(jpeg, end).start()
        found.append((marker & 0xFF, jpeg[at + 4 : end]))
        at = end
    return found


def assert_three_plain_jpegs(thumbnails: Thumbnails) -> None:
    """Assert that they are baseline JPEGs of the right size without any metadata."""
    for size, data in thumbnails.items():
        side, parts = SIZES[size], segments(data)
        assert [marker for marker, _ in parts if marker not in {TABLES, HUFFMAN}] == [JFIF, BASELINE, SCAN]
        jfif, frame = dict(parts)[JFIF], dict(parts)[BASELINE]
        assert (jfif[:5], jfif[12:]) == (b"JFIF\0", b"\0\0")  # no preview
        assert struct.unpack_from(">BHHB", frame) == (8, side, side, 3)
        image = opened(data)
        assert (image.mode, image.size) == ("RGB", (side, side))


def assert_thumbnails_or_a_refusal(data: bytes) -> bool:
    """Assert that rendering gives thumbnails or a refusal; return whether it gave thumbnails."""
    try:
        thumbnails = render(data)
    except UnreadableImage as refusal:
        assert not isinstance(refusal.__cause__, Warning)  # noqa: PT017 - a refusal is one of the two expected results
        return False
    assert_three_plain_jpegs(thumbnails)
    return True
