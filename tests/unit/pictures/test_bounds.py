"""The most expensive pictures that are accepted: memory and time, measured in a process of their own."""

import zlib
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from shared.pictures.formats import MAX_BYTES, MAX_PARTS, MAX_SCANS
from tests.unit.pictures import files as files
from tests.unit.pictures.corpus import PLAIN
from tests.unit.pictures.cost import MOST_MEGABYTES, MOST_SECONDS, cost_of_rendering
from tests.unit.pictures.drawings import saved
from tests.unit.pictures.files import jpeg_with, png_chunk, png_with


def solid(mode: str, size: tuple[int, int], colour: Any, form: str, **options: Any) -> bytes:
    return saved(Image.new(mode, size, colour), form, **options)


BLUE, LARGE = (9, 99, 199), (4000, 3000)
FULL, CLEAR = {"progressive": True, "subsampling": "4:4:4"}, {"transparency": b"\x80"}
FLAT = {"lossless": True, "method": 0}
EXPENSIVE_PROFILE = png_chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(80_000_000), 1))
SEGMENTS = [(0xDD, b"\0\0")] * (MAX_PARTS - 20)
MADE: dict[str, tuple[int, Callable[[], bytes]]] = {
    "12-megapixel jpeg": (40, lambda: solid("RGB", LARGE, BLUE, "JPEG")),  # decoded whole, it would be 48 MB
    "12-megapixel progressive jpeg": (100, lambda: solid("RGB", LARGE, BLUE, "JPEG", **FULL)),
    "15-megapixel progressive jpeg of four inks": (
        MOST_MEGABYTES,
        lambda: solid("CMYK", (3900, 3900), (*BLUE, 0), "JPEG", progressive=True),
    ),
    "20-megapixel jpeg of many scans": (MOST_MEGABYTES, lambda: files.jpeg_of_scans(5000, 4000, MAX_SCANS)),
    "20-megapixel png of 16 bits, interlaced": (MOST_MEGABYTES, lambda: files.interlaced_png(5000, 4000)),
    # One byte a pixel is 20 MB; all of them at once in colour with alpha would be 80 MB more, twice.
    "20-megapixel png with a clear palette": (50, lambda: solid("P", (5000, 4000), 0, "PNG", **CLEAR)),
    "8-megapixel webp": (MOST_MEGABYTES, lambda: solid("RGBA", (2820, 2820), (*BLUE, 128), "WEBP", **FLAT)),
    "png whose profile inflates to 80 MB": (50, lambda: png_with(PLAIN["PNG"], EXPENSIVE_PROFILE)),
    "jpeg of thousands of segments": (50, lambda: jpeg_with(PLAIN["JPEG"], *SEGMENTS).ljust(MAX_BYTES)),
}


@pytest.mark.parametrize(("megabytes", "made"), MADE.values(), ids=MADE)
def test_the_most_expensive_pictures_stay_within_their_memory_and_time(
    megabytes: int, made: Callable[[], bytes]
) -> None:
    end, taken, seconds = cost_of_rendering(made())

    assert end == "rendered"
    assert taken < megabytes
    assert seconds < MOST_SECONDS
