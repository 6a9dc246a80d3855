"""Greys, CMYK, transparency and colour profiles are rendered as the intended colours."""

import zlib
from typing import Any

import pytest
from PIL import Image

from shared.pictures.thumbnails import render
from tests.unit.pictures import profiles as profiles
from tests.unit.pictures.assertions import Colour, alike, centre, corners
from tests.unit.pictures.corpus import FRAMES, GREY_STEPS, ODD_PRESS, PLAIN, SIXTEEN_BITS, SWAPPED
from tests.unit.pictures.drawings import BLUE, GREEN, RED, WHITE, YELLOW, quarters, saved
from tests.unit.pictures.files import jpeg_with, png_chunk, png_with

STEPS, BLACK_OR_WHITE = (0, 90, 180, 255), (0, 0, 255, 255)
# Its transparent colour has sixteen bits too: 0x005A, which in eight bits would be all of 0x5A..
CLEAR_SIXTEEN_BITS = png_with(saved(SIXTEEN_BITS, "PNG"), png_chunk(b"tRNS", b"\x00\x5a"))


@pytest.mark.parametrize(
    ("data", "greys"),
    [
        pytest.param(saved(GREY_STEPS, "JPEG"), STEPS, id="grey jpeg"),
        pytest.param(saved(GREY_STEPS, "PNG"), STEPS, id="grey png"),
        pytest.param(saved(GREY_STEPS.convert("LA"), "PNG"), STEPS, id="grey png with alpha"),
        pytest.param(saved(SIXTEEN_BITS, "PNG"), STEPS, id="sixteen bits"),
        pytest.param(CLEAR_SIXTEEN_BITS, STEPS, id="sixteen bits with a transparent colour"),
        pytest.param(saved(GREY_STEPS.convert("1", dither=0), "PNG"), BLACK_OR_WHITE, id="one bit png"),
        pytest.param(saved(GREY_STEPS.convert("1", dither=0), "BMP"), BLACK_OR_WHITE, id="one bit bmp"),
        pytest.param(saved(GREY_STEPS, "GIF"), STEPS, id="grey gif"),
    ],
)
def test_grey_pictures_of_any_depth_keep_their_greys(data: bytes, greys: tuple[int, ...]) -> None:
    seen = corners(render(data).large)

    assert all(alike(colour, (grey, grey, grey), 2) for colour, grey in zip(seen, greys, strict=True)), seen


def see_through(mode: str) -> Image.Image:
    """Draw the quarters, transparent above left and half transparent above right."""
    image = quarters().convert("RGBA")
    image.paste((*RED, 0), (0, 0, 60, 60))
    image.paste((*GREEN, 128), (60, 0, 120, 60))
    return image.convert(mode)


CLEAR_INDEX = Image.new("P", (120, 120), 1)
CLEAR_INDEX.putpalette([*BLUE, *RED, *GREEN])
CLEAR_INDEX.paste(0, (0, 0, 60, 60))
CLEAR_RED = saved(quarters(), "PNG", transparency=RED)
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


def test_the_hidden_colour_of_transparent_pixels_does_not_show_in_a_reduced_picture() -> None:
    checks = Image.new("RGBA", (1800, 1800), (255, 0, 0, 0))  # every second pixel: a red that must not show
    checks.paste((0, 0, 255, 255), mask=Image.frombytes("L", (1800, 1800), b"\x00\xff" * 1620000))

    assert alike(centre(saved(checks, "PNG")), (128, 128, 255), 4)


CYAN = Image.new("CMYK", (64, 64), (255, 0, 0, 0))


def without_adobe_marker(jpeg: bytes) -> bytes:
    """Remove the segment that says how Adobe coded the inks."""
    at = jpeg.index(b"\xff\xee\x00\x0eAdobe")
    return jpeg[:at] + jpeg[at + 16 :]


def marked_as_ycck(jpeg: bytes) -> bytes:
    at = jpeg.index(b"Adobe") + 11
    assert jpeg[at] == 0
    return jpeg[:at] + b"\x02" + jpeg[at + 1 :]


CYAN_JPEG = saved(CYAN, "JPEG")
CYAN_IN_YCC = Image.new("CMYK", (64, 64), (255 - 76, 255 - 85, 255 - 255, 0))  # Y, Cb, Cr of cyan; no black


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(CYAN_JPEG, id="inverted, as Adobe does"),
        # Chrome (SkJpegCodec, kInvertedCMYK_Color), Firefox (nsJPEGDecoder) and Safari take all as inverted.
        pytest.param(without_adobe_marker(CYAN_JPEG), id="without a marker, as browsers do"),
        pytest.param(marked_as_ycck(saved(CYAN_IN_YCC, "JPEG", quality=100)), id="marked as YCCK"),
    ],
)
def test_cmyk_is_read_with_its_real_colours(data: bytes) -> None:
    assert alike(centre(data), (0, 255, 255))


LINEAR = profiles.of_linear_grey()
LINEAR_RGB = profiles.with_red_and_blue_swapped(gamma=1)


def in_parts(profile: bytes) -> list[tuple[int, bytes]]:
    """Cut a profile in three, in the wrong order, as a JPEG may hold it."""
    third = len(profile) // 3 + 1
    parts = [profile[start : start + third] for start in range(0, len(profile), third)]
    bodies = [b"ICC_PROFILE\0" + bytes([number, len(parts)]) + part for number, part in enumerate(parts, 1)]
    return [(0xE2, body) for body in reversed(bodies)]


def profiled(mode: str, colour: Any, form: str, profile: bytes, **options: Any) -> bytes:
    return saved(Image.new(mode, (64, 64), colour), form, icc_profile=profile, **options)


SWAPPED_RED, GREY = (40, 30, 220), (128, 128, 128)


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        pytest.param(profiled("RGB", RED, "JPEG", SWAPPED), SWAPPED_RED, id="jpeg"),
        pytest.param(jpeg_with(PLAIN["JPEG"], *in_parts(SWAPPED)), SWAPPED_RED, id="jpeg, in three parts"),
        pytest.param(profiled("RGB", RED, "PNG", SWAPPED), SWAPPED_RED, id="png"),
        pytest.param(profiled("RGB", RED, "WEBP", SWAPPED, lossless=True), SWAPPED_RED, id="webp"),
        pytest.param(saved(FRAMES[0].quantize(2), "PNG", icc_profile=SWAPPED), SWAPPED_RED, id="palette"),
        # A linear 55 of 255 is 22 % of white's light; in sRGB that is 128.
        pytest.param(profiled("L", 55, "PNG", LINEAR), GREY, id="grey"),
        pytest.param(profiled("LA", (55, 255), "PNG", LINEAR), GREY, id="grey, alpha"),
        pytest.param(profiled("L", 55, "PNG", LINEAR_RGB), GREY, id="grey, RGB profile"),
        pytest.param(saved(CYAN, "JPEG", icc_profile=ODD_PRESS), (255, 0, 0), id="cmyk"),
    ],
)
def test_colours_are_converted_from_the_profile_to_srgb(data: bytes, wanted: Colour) -> None:
    seen = centre(data)

    assert alike(seen, wanted), seen


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(profiled("RGB", RED, "JPEG", b"no profile"), id="nonsense"),
        pytest.param(profiled("RGB", RED, "JPEG", SWAPPED[:200]), id="cut short"),
        pytest.param(profiled("RGB", RED, "JPEG", LINEAR), id="for grey"),
        pytest.param(profiled("RGB", RED, "JPEG", ODD_PRESS), id="for CMYK"),
        pytest.param(jpeg_with(PLAIN["JPEG"], (0xE2, b"ICC_PROFILE\0")), id="an empty part"),
        pytest.param(jpeg_with(PLAIN["JPEG"], in_parts(SWAPPED)[0]), id="one part of three"),
        pytest.param(png_with(PLAIN["PNG"], png_chunk(b"iCCP", b"name\0\0no zlib")), id="not compressed"),
        pytest.param(png_with(PLAIN["PNG"], png_chunk(b"iCCP", b"name")), id="only a name"),
        # If it were used, each colour would go through ten thousand matrices.
        pytest.param(
            saved(FRAMES[0], "PNG", icc_profile=profiles.with_a_long_pipeline(10_000)), id="endless pipeline"
        ),
        pytest.param(
            saved(FRAMES[0], "WEBP", lossless=True, icc_profile=SWAPPED.ljust(5_000_000)), id="too long"
        ),
        pytest.param(
            png_with(PLAIN["PNG"], png_chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(5_000_000)))),
            id="a bomb",
        ),
    ],
)
def test_a_broken_or_unfit_profile_is_ignored(data: bytes) -> None:
    assert alike(centre(data), RED)
