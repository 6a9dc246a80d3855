"""Any photo becomes three honest thumbnails, or an `UnreadableImage`; never anything else."""

import math
import struct
import subprocess
import sys
import textwrap
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFile, ImageStat

from shared.pictures import MAX_PIXELS, MAX_SCANS, QUALITY, SIZES, Thumbnails, UnreadableImage, render
from tests.unit import pictures_drawn as draw
from tests.unit.pictures_drawn import BLUE, GREEN, RED, WHITE, YELLOW, jpeg_with, png_chunk, png_with, saved

type Colour = tuple[int, int, int]


def opened(data: bytes, form: str = "JPEG") -> Image.Image:
    image = Image.open(BytesIO(data), formats=[form])
    image.load()
    return image


def corners(thumbnail: bytes) -> list[Colour]:
    """Look at the middle of each quarter: above left, above right, below left, below right."""
    image = opened(thumbnail)
    near, far = image.width // 4, image.width * 3 // 4
    return [image.getpixel(at) for at in ((near, near), (far, near), (near, far), (far, far))]


def centre(data: bytes) -> Colour:
    """Render a picture, and look at the middle of its large thumbnail."""
    return opened(render(data).large).getpixel((150, 150))


def alike(seen: Colour, wanted: Colour, tolerance: int = 10) -> bool:
    return all(abs(one - other) <= tolerance for one, other in zip(seen, wanted, strict=True))


def segments(jpeg: bytes) -> list[int]:
    """List the markers of a JPEG up to its pixels."""
    markers, at = [], 2
    while True:
        markers.append(jpeg[at + 1])
        if jpeg[at + 1] == 0xDA:
            return markers
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4])


def assert_three_plain_jpegs(thumbnails: Thumbnails) -> None:
    jfif, tables, baseline, huffman, pixels = 0xE0, 0xDB, 0xC0, 0xC4, 0xDA
    for size, data in thumbnails.items():
        image = opened(data)
        assert (image.mode, image.size) == ("RGB", (SIZES[size], SIZES[size]))
        assert set(segments(data)) == {jfif, tables, baseline, huffman, pixels}
        assert data.endswith(b"\xff\xd9")


QUARTERS = draw.quarters()
FILES = [
    pytest.param(saved(QUARTERS, "JPEG", quality=95), id="jpeg"),
    pytest.param(saved(QUARTERS, "JPEG", quality=95, progressive=True), id="progressive jpeg"),
    pytest.param(saved(QUARTERS, "JPEG", quality=95, subsampling=0, keep_rgb=True), id="jpeg coded as rgb"),
    pytest.param(
        saved(QUARTERS, "MPO", save_all=True, append_images=[QUARTERS.rotate(90)]), id="two in one jpeg"
    ),
    pytest.param(saved(QUARTERS, "PNG"), id="png"),
    pytest.param(saved(QUARTERS.convert("RGBA"), "PNG"), id="png with alpha"),
    pytest.param(saved(QUARTERS.quantize(8), "PNG"), id="png with a palette"),
    pytest.param(saved(QUARTERS.quantize(4), "PNG", bits=2), id="png with two bits a pixel"),
    pytest.param(saved(QUARTERS.quantize(8), "GIF"), id="gif"),
    pytest.param(saved(QUARTERS, "BMP"), id="bmp"),
    pytest.param(saved(QUARTERS.convert("RGBA"), "BMP"), id="bmp with alpha"),
    pytest.param(saved(QUARTERS.quantize(8), "BMP"), id="bmp with a palette"),
    pytest.param(saved(QUARTERS, "WEBP", quality=95), id="webp"),
    pytest.param(saved(QUARTERS, "WEBP", lossless=True), id="lossless webp"),
    pytest.param(saved(draw.quarters(4000, 4000).quantize(8), "PNG"), id="png that needs strips"),
]


@pytest.mark.parametrize("data", FILES)
def test_every_format_gives_three_plain_jpegs_of_the_same_picture(data: bytes) -> None:
    thumbnails = render(data)

    assert_three_plain_jpegs(thumbnails)
    for size, thumbnail in thumbnails.items():
        seen = corners(thumbnail)
        assert all(map(alike, seen, (RED, GREEN, BLUE, YELLOW))), (size, seen)


def test_thumbnails_come_with_the_letters_of_sharepoints_file_names() -> None:
    thumbnails = Thumbnails(b"s", b"m", b"l")

    assert list(thumbnails.items()) == [("S", b"s"), ("M", b"m"), ("L", b"l")]
    assert SIZES == {"S": 48, "M": 72, "L": 300}


GREY_STEPS = Image.new("L", (120, 120))
for step, grey in enumerate((0, 90, 180, 255)):
    GREY_STEPS.paste(grey, (step % 2 * 60, step // 2 * 60, step % 2 * 60 + 60, step // 2 * 60 + 60))
SIXTEEN_BITS = Image.frombytes(
    "I;16", (120, 120), bytes(byte for grey in GREY_STEPS.tobytes() for byte in (37, grey))
)


@pytest.mark.parametrize(
    ("data", "greys"),
    [
        pytest.param(saved(GREY_STEPS, "JPEG"), (0, 90, 180, 255), id="grey jpeg"),
        pytest.param(saved(GREY_STEPS, "PNG"), (0, 90, 180, 255), id="grey png"),
        pytest.param(saved(GREY_STEPS.convert("LA"), "PNG"), (0, 90, 180, 255), id="grey png with alpha"),
        pytest.param(saved(SIXTEEN_BITS, "PNG"), (0, 90, 180, 255), id="sixteen bits"),
        # Its transparent colour has sixteen bits too: 0x005A, which in eight bits would be all of 0x5A..
        pytest.param(
            png_with(saved(SIXTEEN_BITS, "PNG"), png_chunk(b"tRNS", b"\x00\x5a")),
            (0, 90, 180, 255),
            id="sixteen bits with a transparent colour",
        ),
        pytest.param(saved(GREY_STEPS.convert("1", dither=0), "PNG"), (0, 0, 255, 255), id="one bit png"),
        pytest.param(saved(GREY_STEPS.convert("1", dither=0), "BMP"), (0, 0, 255, 255), id="one bit bmp"),
        pytest.param(saved(GREY_STEPS, "GIF"), (0, 90, 180, 255), id="grey gif"),
    ],
)
def test_grey_pictures_of_any_depth_keep_their_greys(data: bytes, greys: tuple[int, ...]) -> None:
    seen = corners(render(data).large)

    assert all(alike(colour, (grey, grey, grey), 2) for colour, grey in zip(seen, greys, strict=True)), seen


def see_through(mode: str) -> Image.Image:
    """Draw the quarters with nothing above left and half of a green above right."""
    image = draw.quarters().convert("RGBA")
    image.paste((*RED, 0), (0, 0, 60, 60))
    image.paste((*GREEN, 128), (60, 0, 120, 60))
    return image.convert(mode)


CLEAR_INDEX = Image.new("P", (120, 120), 1)
CLEAR_INDEX.putpalette([*BLUE, *RED, *GREEN])
CLEAR_INDEX.paste(0, (0, 0, 60, 60))
CLEAR_RED = saved(draw.quarters(), "PNG", transparency=RED)
CLEAR_BLACK = saved(GREY_STEPS, "PNG", transparency=0)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(saved(see_through("RGBA"), "PNG"), id="png with alpha"),
        pytest.param(saved(see_through("LA"), "PNG"), id="grey png with alpha"),
        pytest.param(saved(see_through("RGBA"), "WEBP", lossless=True, exact=True), id="webp with alpha"),
        pytest.param(saved(CLEAR_INDEX, "PNG", transparency=0), id="png with a transparent index"),
        pytest.param(
            saved(CLEAR_INDEX, "PNG", transparency=b"\x00\xff\x80"), id="png with a half-clear palette"
        ),
        pytest.param(saved(CLEAR_INDEX, "GIF", transparency=0), id="gif with a transparent index"),
        pytest.param(CLEAR_RED, id="png with a transparent colour"),
        pytest.param(CLEAR_BLACK, id="png with a transparent grey"),
    ],
)
def test_what_is_transparent_becomes_white(data: bytes) -> None:
    above_left, above_right, *_ = corners(render(data).large)

    assert alike(above_left, WHITE, 3)
    assert not alike(above_right, WHITE, 30)


def test_what_is_half_transparent_is_mixed_with_white() -> None:
    _, above_right, _, below_right = corners(render(saved(see_through("RGBA"), "PNG")).large)

    assert alike(above_right, tuple((channel + 255) // 2 for channel in GREEN), 6)
    assert alike(below_right, YELLOW)


def test_the_hidden_colour_of_transparent_pixels_does_not_bleed_into_a_reduced_picture() -> None:
    checks = Image.new("RGBA", (1800, 1800), (255, 0, 0, 0))  # every second pixel: red that nobody shall see
    checks.paste((0, 0, 255, 255), mask=Image.frombytes("L", (1800, 1800), b"\x00\xff" * 1620000))

    assert alike(centre(saved(checks, "PNG")), (128, 128, 255), 4)


CYAN = Image.new("CMYK", (64, 64), (255, 0, 0, 0))


def test_cmyk_as_adobe_inverts_it_is_read_the_right_way_round() -> None:
    assert alike(centre(saved(CYAN, "JPEG")), (0, 255, 255))


def test_the_adobe_marker_that_says_ycck_is_heeded() -> None:
    cyan = Image.new("CMYK", (64, 64), (255 - 76, 255 - 85, 255 - 255, 0))  # Y, Cb, Cr of 255 cyan; no black
    plain = saved(cyan, "JPEG", quality=100)
    at = plain.index(b"Adobe") + 11

    assert plain[at] == 0
    assert alike(centre(plain[:at] + b"\x02" + plain[at + 1 :]), (0, 255, 255))


SWAPPED = draw.profile_with_red_and_blue_swapped()
LINEAR = draw.profile_of_linear_grey()
LINEAR_RGB = draw.profile_with_red_and_blue_swapped(gamma=1)
ODD_PRESS = draw.profile_with_red_for_cyan()
PLAIN = {form: saved(Image.new("RGB", (64, 64), RED), form) for form in ("JPEG", "PNG")}


def in_parts(profile: bytes) -> list[tuple[int, bytes]]:
    """Cut a profile in three, in the wrong order, as a JPEG may hold it."""
    third = len(profile) // 3 + 1
    parts = [profile[start : start + third] for start in range(0, len(profile), third)]
    bodies = [b"ICC_PROFILE\0" + bytes([number, len(parts)]) + part for number, part in enumerate(parts, 1)]
    return [(0xE2, body) for body in reversed(bodies)]


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        pytest.param(
            saved(Image.new("RGB", (9, 9), RED), "JPEG", icc_profile=SWAPPED), (40, 30, 220), id="jpeg"
        ),
        pytest.param(jpeg_with(PLAIN["JPEG"], *in_parts(SWAPPED)), (40, 30, 220), id="jpeg, in three parts"),
        pytest.param(
            saved(Image.new("RGB", (9, 9), RED), "PNG", icc_profile=SWAPPED), (40, 30, 220), id="png"
        ),
        pytest.param(
            saved(Image.new("RGB", (9, 9), RED), "WEBP", lossless=True, icc_profile=SWAPPED),
            (40, 30, 220),
            id="webp",
        ),
        pytest.param(
            saved(Image.new("RGB", (9, 9), RED).quantize(2), "PNG", icc_profile=SWAPPED),
            (40, 30, 220),
            id="palette",
        ),
        # A linear 55 of 255 is 22 % of white's light; in sRGB that is 128.
        pytest.param(
            saved(Image.new("L", (9, 9), 55), "PNG", icc_profile=LINEAR), (128, 128, 128), id="grey"
        ),
        pytest.param(
            saved(Image.new("LA", (9, 9), (55, 255)), "PNG", icc_profile=LINEAR), (128,) * 3, id="grey, alpha"
        ),
        pytest.param(
            saved(Image.new("L", (9, 9), 55), "PNG", icc_profile=LINEAR_RGB),
            (128,) * 3,
            id="grey, RGB profile",
        ),
        pytest.param(saved(CYAN, "JPEG", icc_profile=ODD_PRESS), (255, 0, 0), id="cmyk"),
    ],
)
def test_colours_are_converted_from_the_profile_to_srgb(data: bytes, wanted: Colour) -> None:
    seen = centre(data)

    assert alike(seen, wanted), seen


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            saved(Image.new("RGB", (64, 64), RED), "JPEG", icc_profile=b"no profile"), id="nonsense"
        ),
        pytest.param(
            saved(Image.new("RGB", (64, 64), RED), "JPEG", icc_profile=SWAPPED[:200]), id="cut short"
        ),
        pytest.param(saved(Image.new("RGB", (64, 64), RED), "JPEG", icc_profile=LINEAR), id="for grey"),
        pytest.param(saved(Image.new("RGB", (64, 64), RED), "JPEG", icc_profile=ODD_PRESS), id="for CMYK"),
        pytest.param(jpeg_with(PLAIN["JPEG"], (0xE2, b"ICC_PROFILE\0")), id="an empty part"),
        pytest.param(jpeg_with(PLAIN["JPEG"], in_parts(SWAPPED)[0]), id="one part of three"),
        pytest.param(png_with(PLAIN["PNG"], png_chunk(b"iCCP", b"name\0\0no zlib")), id="not compressed"),
        pytest.param(png_with(PLAIN["PNG"], png_chunk(b"iCCP", b"name")), id="only a name"),
        pytest.param(
            png_with(PLAIN["PNG"], png_chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(50_000_000)))),
            id="a bomb",
        ),
    ],
)
def test_a_broken_or_unfit_profile_is_ignored(data: bytes) -> None:
    assert alike(centre(data), RED)


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
    data = saved(QUARTERS, form, quality=95, exif=draw.exif(orientation, order))

    assert all(map(alike, corners(render(data).large), HELD[orientation]))


@pytest.mark.parametrize(
    "exif",
    [
        pytest.param(b"Exif\0\0", id="empty"),
        pytest.param(b"Exif\0\0garbage that is no TIFF", id="garbage"),
        pytest.param(draw.exif(6)[:20], id="cut short in the directory"),
        pytest.param(b"Exif\0\0II*\0\xff\xff\xff\x7f", id="a directory beyond the end"),
        pytest.param(draw.exif(6).replace(b"\x12\x01\x03", b"\x12\x01\x07"), id="of the wrong type"),
        pytest.param(draw.exif(0), id="0"),
        pytest.param(draw.exif(9), id="9"),
    ],
)
def test_an_exif_block_that_makes_no_sense_turns_nothing(exif: bytes) -> None:
    without_resolution = jpeg_with(saved(QUARTERS, "JPEG", quality=95), (0xE1, exif)).replace(
        b"JFIF", b"JUNK"
    )

    assert all(map(alike, corners(render(without_resolution).large), (RED, GREEN, BLUE, YELLOW)))


@pytest.mark.parametrize("size", [pytest.param((360, 120), id="wide"), pytest.param((120, 360), id="tall")])
@pytest.mark.parametrize("scale", [pytest.param(1, id="small"), pytest.param(9, id="large")])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_the_central_square_is_shown(form: str, scale: int, size: tuple[int, int]) -> None:
    width, height = (length * scale for length in size)
    short = min(width, height)
    image = Image.new("RGB", (width, height), "black")
    image.paste(draw.quarters(short, short), ((width - short) // 2, (height - short) // 2))
    thumbnail = render(saved(image, form)).large
    large = opened(thumbnail)

    assert all(map(alike, corners(thumbnail), (RED, GREEN, BLUE, YELLOW)))
    edges = [large.getpixel(at) for at in ((3, 3), (296, 3), (3, 296), (296, 296))]
    assert all(
        alike(edge, colour, 25) for edge, colour in zip(edges, (RED, GREEN, BLUE, YELLOW), strict=True)
    ), edges


@pytest.mark.parametrize(
    "size",
    [(1, 1), (2, 3), (47, 48), (301, 299), (599, 601), (1199, 1200), (3000, 1), (1, 3000), (2401, 1801)],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_pictures_of_any_size_fill_their_thumbnails(form: str, size: tuple[int, int]) -> None:
    thumbnails = render(saved(Image.new("RGB", size, BLUE), form))

    assert_three_plain_jpegs(thumbnails)
    for name, thumbnail in thumbnails.items():
        assert alike(ImageStat.Stat(opened(thumbnail)).mean, BLUE, 3), name


FRAMES = [Image.new("RGB", (64, 64), colour) for colour in (RED, GREEN, BLUE)]


@pytest.mark.parametrize("form", [pytest.param("PNG", id="apng"), pytest.param("GIF", id="gif"), "WEBP"])
def test_an_animation_shows_its_first_frame(form: str) -> None:
    data = saved(FRAMES[0], form, save_all=True, append_images=FRAMES[1:], duration=100)

    assert alike(centre(data), RED)


def test_a_gifs_frame_that_is_larger_than_its_screen_is_shown_whole() -> None:
    data = bytearray(saved(QUARTERS.quantize(8), "GIF"))
    struct.pack_into("<HH", data, 6, 10, 10)

    assert all(map(alike, corners(render(bytes(data)).large), (RED, GREEN, BLUE, YELLOW)))


SECRET = b"Taken at home, 48.2082 N 16.3738 E"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            jpeg_with(
                saved(QUARTERS, "JPEG", comment=SECRET, icc_profile=SWAPPED),
                (0xE1, draw.exif(1) + SECRET),
                (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + SECRET),
                (0xED, b"Photoshop 3.0\0" + SECRET),
            ),
            id="jpeg",
        ),
        pytest.param(
            png_with(saved(QUARTERS, "PNG", icc_profile=SWAPPED), png_chunk(b"tEXt", b"Comment\0" + SECRET)),
            id="png",
        ),
        pytest.param(saved(QUARTERS.quantize(8), "GIF", comment=SECRET), id="gif"),
        pytest.param(
            saved(QUARTERS, "WEBP", exif=draw.exif(1) + SECRET, xmp=SECRET, icc_profile=SWAPPED), id="webp"
        ),
    ],
)
def test_nothing_beside_the_pixels_reaches_the_thumbnails(data: bytes) -> None:
    assert SECRET in data
    thumbnails = render(data)

    assert_three_plain_jpegs(thumbnails)
    for size, thumbnail in thumbnails.items():
        assert SECRET not in thumbnail, size


TWO_PICTURES_ANNOUNCED = b"MPF\0MM\0*\0\0\0\x08\0\0"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(jpeg_with(PLAIN["JPEG"], (0xE0, b"JFIF\0")), id="jpeg: a short JFIF segment"),
        pytest.param(jpeg_with(PLAIN["JPEG"], (0xEE, b"Adobe")), id="jpeg: a short Adobe segment"),
        pytest.param(
            jpeg_with(PLAIN["JPEG"], (0xED, b"Photoshop 3.0\0008BIM")), id="jpeg: a cut Photoshop segment"
        ),
        pytest.param(
            jpeg_with(PLAIN["JPEG"], (0xE2, TWO_PICTURES_ANNOUNCED)), id="jpeg: a broken list of pictures"
        ),
        pytest.param(PLAIN["JPEG"][:20] + b"\0\0\xff\xff\xff\x01" + PLAIN["JPEG"][20:], id="jpeg: filled up"),
        pytest.param(PLAIN["JPEG"] + b"\xff\xda video" * 9, id="jpeg: a video after the picture"),
        pytest.param(
            png_with(PLAIN["PNG"], png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000)))),
            id="png: a bomb",
        ),
        pytest.param(
            png_with(PLAIN["PNG"], png_chunk(b"tEXt", b"k\0v", crc=1)), id="png: a bad checksum beside"
        ),
        pytest.param(
            png_with(PLAIN["PNG"], png_chunk(b"acTL", bytes(8))), id="png: an animation of no frames"
        ),
        pytest.param(png_with(PLAIN["PNG"], png_chunk(b"gAMA", b"")), id="png: an empty gamma"),
        pytest.param(
            saved(FRAMES[0].quantize(2), "GIF").replace(b",\0\0\0\0", b"!\xfe\0!\xff\0,\0\0\0\0", 1),
            id="gif: empty extensions",
        ),
    ],
)
def test_damage_beside_the_pixels_spoils_nothing(data: bytes) -> None:
    assert alike(centre(data), RED)


def bmp_of(width: int, height: int) -> bytes:
    return (
        b"BM"
        + struct.pack("<LLL", 100, 0, 54)
        + struct.pack("<LllHHLLllLL", 40, width, height, 1, 24, *[0] * 6)
    )


def png_of(width: int, height: int) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(b"")) + png_chunk(b"IEND", b"")


def gif_of(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    picture = b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x4c\x01\0;"
    return b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6) + picture


def jpeg_of(width: int, height: int) -> bytes:
    data = bytearray(saved(Image.new("L", (8, 8)), "JPEG"))
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(jpeg_of(5000, 4001), id="jpeg"),
        pytest.param(jpeg_of(65500, 65500), id="jpeg, as large as can be"),
        pytest.param(png_of(5000, 4001), id="png"),
        pytest.param(png_of(10_000, 9_999), id="png of 100 megapixels"),
        pytest.param(png_of(2**31 - 1, 2**31 - 1), id="png, as large as can be"),
        pytest.param(gif_of((5000, 4001), (10, 10)), id="gif"),
        pytest.param(gif_of((10, 10), (10_000, 10_000)), id="gif with a larger frame"),
        pytest.param(bmp_of(5000, 4001), id="bmp"),
        pytest.param(bmp_of(10_000, -9_999), id="bmp of 100 megapixels, upside down"),
        pytest.param(saved(Image.new("RGB", (5000, 4001)), "WEBP", lossless=True, method=0), id="webp"),
    ],
)
def test_a_picture_of_more_than_20_megapixels_is_refused_by_its_header(data: bytes) -> None:
    with pytest.raises(UnreadableImage, match=f"more than {MAX_PIXELS}"):
        render(data)


def test_a_picture_of_exactly_20_megapixels_is_rendered() -> None:
    assert_three_plain_jpegs(render(saved(Image.new("L", (5000, 4000), 77), "PNG")))


def test_a_jpeg_with_a_flood_of_scans_is_refused() -> None:
    calm = saved(QUARTERS, "JPEG", progressive=True)
    refinement = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x10"

    assert_three_plain_jpegs(render(calm[:-2] + refinement * 20 + calm[-2:]))
    with pytest.raises(UnreadableImage, match="scans"):
        render(calm[:-2] + refinement * MAX_SCANS + calm[-2:])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xd8\xff", id="only the first bytes of a JPEG"),
        pytest.param(b"<html><body>Sign in</body></html>", id="a page"),
        pytest.param(b'{"error": {"code": "ImageNotFound"}}', id="an error"),
        pytest.param(b'<svg xmlns="http://www.w3.org/2000/svg"/>', id="svg"),
        pytest.param(saved(QUARTERS, "TIFF"), id="tiff"),
        pytest.param(saved(QUARTERS, "PPM"), id="ppm"),
        pytest.param(saved(QUARTERS, "ICO"), id="ico"),
        pytest.param(saved(QUARTERS, "EPS"), id="eps"),
        pytest.param(saved(QUARTERS, "JPEG2000"), id="jpeg 2000"),
        pytest.param(jpeg_of(0, 8), id="a JPEG without width"),
        pytest.param(png_of(0, 8), id="a PNG without width"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + png_chunk(b"IEND", b""), id="a PNG without a picture"),
        pytest.param(b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0) + b";", id="a GIF without a picture"),
        # Pillow would skip the stray byte, see a frame of 100 megapixels, and warn.
        pytest.param(gif_of((10, 10), (10_000, 10_000)).replace(b",", b"\0,"), id="a GIF with a stray byte"),
    ],
)
def test_what_is_no_accepted_picture_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableImage) as refusal:
        render(data)
    assert not isinstance(refusal.value.__cause__, Warning)


@pytest.mark.parametrize("data", [param for param in FILES if param.id != "two in one jpeg"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_picture_that_ends_early_is_unreadable(data: bytes, share: float) -> None:
    with pytest.raises(UnreadableImage):
        render(data[: int(len(data) * share)])


def test_the_text_of_a_refusal_quotes_nothing_from_the_bytes() -> None:
    data = png_with(PLAIN["PNG"], png_chunk(b"SECR", b"", crc=1))

    with pytest.raises(UnreadableImage) as refusal:
        render(data)
    assert "SECR" in str(refusal.value.__cause__)
    assert "SECR" not in str(refusal.value)


@pytest.mark.parametrize(
    ("form", "size", "options"),
    [
        pytest.param("JPEG", (4000, 3000), {"quality": 92}, id="baseline jpeg"),
        pytest.param("JPEG", (4000, 3000), {"quality": 92, "progressive": True}, id="progressive jpeg"),
        pytest.param("PNG", (2500, 1900), {"compress_level": 1}, id="png"),
    ],
)
def test_the_short_cuts_for_large_pictures_cost_no_quality(
    form: str, size: tuple[int, int], options: dict[str, int | bool]
) -> None:
    data = saved(draw.grain(*size), form, **options)
    short = min(size)
    left, top = ((length - short) // 2 for length in size)
    square = opened(data, form).crop((left, top, left + short, top + short))
    for name, thumbnail in render(data).items():
        best = square.resize((SIZES[name], SIZES[name]), Image.Resampling.LANCZOS)
        encoded = opened(saved(best, "JPEG", quality=QUALITY, subsampling="4:4:4"))
        loss = decibels(encoded, best) - decibels(opened(thumbnail), best)
        assert loss < 0.35, f"{name}: {loss:.2f} dB worse than from all the pixels"


def decibels(image: Image.Image, wanted: Image.Image) -> float:
    """Say how like the wanted image it is; one more or less is what a keen eye can just see."""
    return 20 * math.log10(255 / max(ImageStat.Stat(ImageChops.difference(image, wanted)).rms))


def test_a_picture_full_of_noise_is_written_whole() -> None:
    noise = Image.merge("RGB", [Image.effect_noise((300, 300), 255) for _ in "RGB"])
    thumbnails = render(saved(noise, "PNG"))

    assert_three_plain_jpegs(thumbnails)
    assert len(thumbnails.large) > 90_000  # longer than Pillow's guess, a byte a pixel


def test_the_same_bytes_give_the_same_thumbnails_in_many_threads_at_once() -> None:
    files = [param.values[0] for param in FILES]
    alone = [render(data) for data in files]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(render, files * 4))

    assert together == alone * 4


def test_pillows_switches_and_the_warning_filters_stay_as_they_are() -> None:
    def switches() -> tuple[object, ...]:
        return (
            Image.MAX_IMAGE_PIXELS,
            ImageFile.LOAD_TRUNCATED_IMAGES,
            ImageFile.MAXBLOCK,
            list(warnings.filters),
        )

    before = switches()
    render(PLAIN["JPEG"])
    with pytest.raises(UnreadableImage):
        render(PLAIN["JPEG"][:-100])
    assert switches() == before


THROUGH_A_SMALL_PROCESS = (
    "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
)


def peak_of_rendering(data: bytes) -> float:
    """Render in a new process, and return by how many megabytes that raised the most memory it ever held.

    A process inherits that mark from the one that started it, and pytest's is high: hence one between.
    """
    done = subprocess.run(
        [sys.executable, "-c", THROUGH_A_SMALL_PROCESS, textwrap.dedent(PEAK)],
        input=data,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return float(done.stdout)


PEAK = """
    import resource, sys
    from shared.pictures import render

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux, bytes on macOS

    data = sys.stdin.buffer.read()
    before = peak()
    render(data)
    print((peak() - before) * (1024 if sys.platform == "linux" else 1) / 1e6)
"""


def baseline_photo() -> bytes:
    return saved(draw.grain(4000, 3000), "JPEG", quality=88)


def progressive_photo() -> bytes:
    return saved(draw.grain(4000, 3000), "JPEG", quality=88, progressive=True)


def clear_palette() -> bytes:
    return saved(Image.new("P", (5000, 4000)), "PNG", transparency=b"\x80")


def profile_bomb() -> bytes:
    return png_with(PLAIN["PNG"], png_chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(200_000_000), 1)))


@pytest.mark.parametrize(
    ("made", "limit"),
    [
        pytest.param(baseline_photo, 40, id="12-megapixel baseline jpeg"),  # decoded whole, it would be 48 MB
        pytest.param(progressive_photo, 100, id="12-megapixel progressive jpeg"),
        # One byte a pixel is 20 MB; all of them at once in colour with alpha would be 80 MB more, twice.
        pytest.param(clear_palette, 50, id="20-megapixel png with a clear palette"),
        pytest.param(profile_bomb, 50, id="png whose profile inflates to 200 MB"),
    ],
)
def test_rendering_takes_no_more_megabytes_than_this(made: Callable[[], bytes], limit: int) -> None:
    assert peak_of_rendering(made()) < limit


class Unaffordable(bytes):
    """Bytes that the machine has no memory to look at."""

    def startswith(self, *_: object) -> bool:
        raise MemoryError


def test_a_machine_short_of_memory_is_not_blamed_on_the_picture() -> None:
    with pytest.raises(MemoryError):
        render(Unaffordable(PLAIN["JPEG"]))


# Small enough that hundreds are rendered in seconds, and everything a file can carry is there to be damaged.
RICH = [
    jpeg_with(saved(QUARTERS.resize((40, 30)), "JPEG", icc_profile=SWAPPED), (0xE1, draw.exif(6))),
    saved(QUARTERS.resize((40, 30)), "JPEG", progressive=True),
    saved(QUARTERS.resize((40, 30)).convert("CMYK"), "JPEG", icc_profile=ODD_PRESS),
    saved(QUARTERS.resize((40, 30)).convert("RGBA"), "PNG", icc_profile=SWAPPED, exif=draw.exif(8)),
    saved(QUARTERS.resize((40, 30)).quantize(8), "PNG", transparency=b"\0\x80"),
    saved(SIXTEEN_BITS.crop((40, 40, 80, 70)), "PNG"),
    saved(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:]),
    saved(
        FRAMES[0].quantize(4),
        "GIF",
        save_all=True,
        append_images=FRAMES[1:],
        transparency=0,
        comment=b"hello",
    ),
    saved(QUARTERS.resize((40, 30)).quantize(8), "BMP"),
    saved(QUARTERS.resize((40, 30)).convert("RGBA"), "BMP"),
    saved(QUARTERS.resize((40, 30)), "WEBP", exif=draw.exif(6), icc_profile=SWAPPED),
    saved(QUARTERS.resize((40, 30)).convert("RGBA"), "WEBP", lossless=True),
]


@st.composite
def damaged(choose: st.DrawFn) -> bytes:
    """Pick a good file, and overwrite, insert or remove a few bytes, or cut it off."""
    data = bytearray(choose(st.sampled_from(RICH)))
    for _ in range(choose(st.integers(1, 6))):
        start = choose(st.integers(0, len(data)))
        length = choose(st.sampled_from([0, 1, 1, 2, 4, 30]))
        data[start : start + length] = choose(st.binary(max_size=4))
    return bytes(data[: choose(st.one_of(st.just(len(data)), st.integers(0, len(data))))])


def assert_thumbnails_or_a_refusal(data: bytes) -> None:
    try:
        thumbnails = render(data)
    except UnreadableImage as refusal:
        assert not isinstance(refusal.__cause__, Warning)  # noqa: PT017 - a refusal is one of the two good ends
    else:
        assert_three_plain_jpegs(thumbnails)
        assert render(data) == thumbnails


@settings(max_examples=600, deadline=None)
@given(damaged())
def test_a_damaged_picture_gives_thumbnails_or_is_unreadable_and_nothing_else(data: bytes) -> None:
    assert_thumbnails_or_a_refusal(data)


MAGIC = [
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"RIFF\0\0\0\0WEBPVP8 ",
    b"II*\0",
]


@settings(max_examples=400, deadline=None)
@given(st.builds(bytes.__add__, st.sampled_from(MAGIC), st.binary(max_size=300)))
def test_arbitrary_bytes_give_thumbnails_or_are_unreadable_and_nothing_else(data: bytes) -> None:
    assert_thumbnails_or_a_refusal(data)
