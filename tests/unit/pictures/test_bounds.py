"""The most expensive pictures that are accepted: memory and time, measured in a process of their own."""

import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from shared.pictures.formats import MAX_BYTES, MAX_PARTS, MAX_SCANS
from tests.unit.pictures import files as files
from tests.unit.pictures.corpus import PLAIN
from tests.unit.pictures.cost import MOST_MEGABYTES, MOST_SECONDS, cost_of_rendering
from tests.unit.pictures.drawings import saved
from tests.unit.pictures.files import png_chunk, png_with


def photo() -> bytes:
    return saved(Image.new("RGB", (4000, 3000), (9, 99, 199)), "JPEG")


def progressive_photo() -> bytes:
    return saved(Image.new("RGB", (4000, 3000), (9, 99, 199)), "JPEG", progressive=True, subsampling="4:4:4")


def progressive_inks() -> bytes:
    return saved(Image.new("CMYK", (3900, 3900), (9, 99, 199, 0)), "JPEG", progressive=True)


def interlaced_png() -> bytes:
    return files.interlaced_png(5000, 4000)


def transparent_palette() -> bytes:
    return saved(Image.new("P", (5000, 4000)), "PNG", transparency=b"\x80")


def webp() -> bytes:
    return saved(Image.new("RGBA", (2820, 2820), (9, 99, 199, 128)), "WEBP", lossless=True, method=0)


def scans() -> bytes:
    return files.jpeg_of_scans(5000, 4000, MAX_SCANS)


def expensive_profile() -> bytes:
    return png_with(PLAIN["PNG"], png_chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(80_000_000), 1)))


def segments() -> bytes:
    return files.jpeg_with(PLAIN["JPEG"], *[(0xDD, b"\0\0")] * (MAX_PARTS - 20)).ljust(MAX_BYTES)


@pytest.mark.parametrize(
    ("made", "megabytes"),
    [
        pytest.param(photo, 40, id="12-megapixel jpeg"),  # decoded whole, it would be 48 MB
        pytest.param(progressive_photo, 100, id="12-megapixel progressive jpeg"),
        pytest.param(progressive_inks, MOST_MEGABYTES, id="15-megapixel progressive jpeg of four inks"),
        pytest.param(scans, MOST_MEGABYTES, id="20-megapixel jpeg with a flood of scans"),
        pytest.param(interlaced_png, MOST_MEGABYTES, id="20-megapixel png of 16 bits, interlaced"),
        # One byte a pixel is 20 MB; all of them at once in colour with alpha would be 80 MB more, twice.
        pytest.param(transparent_palette, 50, id="20-megapixel png with a clear palette"),
        pytest.param(webp, MOST_MEGABYTES, id="8-megapixel webp"),
        pytest.param(expensive_profile, 50, id="png whose profile inflates to 80 MB"),
        pytest.param(segments, 50, id="jpeg of thousands of segments"),
    ],
)
def test_the_most_expensive_pictures_stay_within_their_memory_and_time(
    made: Callable[[], bytes], megabytes: int
) -> None:
    end, taken, seconds = cost_of_rendering(made())

    assert end == "rendered"
    assert taken < megabytes
    assert seconds < MOST_SECONDS
