"""Metadata turns a picture and sets its colours, and otherwise changes nothing."""

import zlib

import pytest

from shared.pictures.thumbnails import render
from tests.unit.pictures.assertions import alike, assert_three_plain_jpegs, centre, corners
from tests.unit.pictures.corpus import FRAMES, PLAIN, QUARTERS, SWAPPED
from tests.unit.pictures.drawings import BLUE, GREEN, RED, YELLOW, saved
from tests.unit.pictures.files import exif, jpeg_with, png_chunk, png_with

# Where the quarters of the stored picture must go for each Orientation of the EXIF standard.
HELD = {
    1: (RED, GREEN, BLUE, YELLOW),
    2: (GREEN, RED, YELLOW, BLUE),
    3: (YELLOW, BLUE, GREEN, RED),
    4: (BLUE, YELLOW, RED, GREEN),
    5: (RED, BLUE, GREEN, YELLOW),
    6: (BLUE, RED, YELLOW, GREEN),
    7: (YELLOW, GREEN, BLUE, RED),
    8: (GREEN, YELLOW, RED, BLUE),
}


@pytest.mark.parametrize("order", [pytest.param("<", id="little-endian"), pytest.param(">", id="big-endian")])
@pytest.mark.parametrize("orientation", [pytest.param(number, id=f"orientation {number}") for number in HELD])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_turned_upright(form: str, orientation: int, order: str) -> None:
    data = saved(QUARTERS, form, quality=95, exif=exif(orientation, order))

    assert all(map(alike, corners(render(data).large), HELD[orientation]))


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"Exif\0\0", id="empty"),
        pytest.param(b"Exif\0\0garbage that is no TIFF", id="garbage"),
        pytest.param(exif(6)[:20], id="cut short in the directory"),
        pytest.param(b"Exif\0\0II*\0\xff\xff\xff\x7f", id="a directory beyond the end"),
        pytest.param(exif(6).replace(b"\x12\x01\x03", b"\x12\x01\x07"), id="of the wrong type"),
        pytest.param(exif(0), id="0"),
        pytest.param(exif(9), id="9"),
    ],
)
def test_an_invalid_exif_block_turns_nothing(block: bytes) -> None:
    data = jpeg_with(saved(QUARTERS, "JPEG", quality=95), (0xE1, block))
    without_resolution = data.replace(b"JFIF", b"JUNK")

    assert all(map(alike, corners(render(without_resolution).large), HELD[1]))


SECRET = b"Taken at home, 48.2082 N 16.3738 E"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            jpeg_with(
                saved(QUARTERS, "JPEG", comment=SECRET, icc_profile=SWAPPED + SECRET),
                (0xE1, exif(6) + saved(QUARTERS, "JPEG", comment=SECRET)),
                (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + SECRET),
                (0xE1, b"http://ns.adobe.com/xmp/extension/\0" + SECRET * 1800),
                (0xE0, b"JFXX\0\x10" + saved(QUARTERS, "JPEG", comment=SECRET)),
                (0xE2, b"MPF\0" + SECRET),
                (0xED, b"Photoshop 3.0\0008BIM\4\4\0\0\0\0\0\x22" + SECRET),
            ),
            id="jpeg",
        ),
        pytest.param(
            jpeg_with(saved(QUARTERS, "JPEG"), (0xE1, (exif(6) + SECRET).ljust(65_533, b"\1"))),
            id="jpeg with as much exif as there can be",
        ),
        pytest.param(
            saved(QUARTERS, "PNG", exif=exif(6) + SECRET, icc_profile=SWAPPED + SECRET)[:-12] + SECRET,
            id="png without an end",
        ),
        pytest.param(
            png_with(saved(QUARTERS, "PNG"), png_chunk(b"tEXt", b"Comment\0" + SECRET)), id="png with a text"
        ),
        pytest.param(saved(QUARTERS.quantize(8), "GIF", comment=SECRET), id="gif"),
        pytest.param(saved(QUARTERS, "BMP") + SECRET, id="bmp with a tail"),
        pytest.param(
            saved(QUARTERS, "WEBP", exif=exif(1) + SECRET, xmp=SECRET, icc_profile=SWAPPED), id="webp"
        ),
    ],
)
def test_no_metadata_reaches_the_thumbnails(data: bytes) -> None:
    assert SECRET in data
    thumbnails = render(data)

    assert_three_plain_jpegs(thumbnails)
    for size, thumbnail in thumbnails.items():
        assert SECRET not in thumbnail, size


JPEG, PNG, GIF = PLAIN["JPEG"], PLAIN["PNG"], saved(FRAMES[0].quantize(2), "GIF")
TWO_PICTURES_ANNOUNCED = b"MPF\0MM\0*\0\0\0\x08\0\0"
BOMB = b"k\0\0" + zlib.compress(bytes(5_000_000))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(jpeg_with(JPEG, (0xE0, b"JFIF\0")), id="jpeg: a short JFIF segment"),
        pytest.param(jpeg_with(JPEG, (0xEE, b"Adobe")), id="jpeg: a short Adobe segment"),
        pytest.param(jpeg_with(JPEG, (0xED, b"Photoshop 3.0\0008BIM")), id="jpeg: a cut Photoshop segment"),
        pytest.param(jpeg_with(JPEG, (0xE2, TWO_PICTURES_ANNOUNCED)), id="jpeg: a broken list of pictures"),
        pytest.param(JPEG[:20] + b"\0\0\xff\xff\xff\x01" + JPEG[20:], id="jpeg: filled up"),
        pytest.param(JPEG + b"\xff\xda video" * 9, id="jpeg: a video after the picture"),
        pytest.param(png_with(PNG, png_chunk(b"zTXt", BOMB)), id="png: a bomb"),
        pytest.param(png_with(PNG, png_chunk(b"tEXt", b"k\0v", crc=1)), id="png: a bad checksum"),
        pytest.param(png_with(PNG, png_chunk(b"acTL", bytes(8))), id="png: an animation of no frames"),
        pytest.param(png_with(PNG, png_chunk(b"gAMA", b"")), id="png: an empty gamma"),
        pytest.param(GIF.replace(b",\0\0\0\0", b"!\xfe\0!\xff\0,\0\0\0\0", 1), id="gif: empty extensions"),
    ],
)
def test_damaged_metadata_does_not_change_the_picture(data: bytes) -> None:
    assert alike(centre(data), RED)
