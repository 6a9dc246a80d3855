"""Pictures of every kind, by name, for the tests of `shared.pictures`."""

import contextlib
import itertools
import warnings
from collections.abc import Iterable, Iterator

from PIL import Image

from tests.unit.pictures import profiles as profiles
from tests.unit.pictures.drawings import BLUE, GREEN, RED, quarters, saved
from tests.unit.pictures.files import exif, jpeg_with

QUARTERS = quarters()
SMALL = quarters(40, 30)
FRAMES = [Image.new("RGB", (64, 64), colour) for colour in (RED, GREEN, BLUE)]
GREY_STEPS = Image.new("L", (120, 120))
for step, grey in enumerate((0, 90, 180, 255)):
    GREY_STEPS.paste(grey, (step % 2 * 60, step // 2 * 60, step % 2 * 60 + 60, step // 2 * 60 + 60))
SIXTEEN_BITS = Image.frombytes(
    "I;16", (120, 120), bytes(byte for grey in GREY_STEPS.tobytes() for byte in (37, grey))
)

SWAPPED = profiles.with_red_and_blue_swapped()
ODD_PRESS = profiles.with_red_for_cyan()
PLAIN = {form: saved(Image.new("RGB", (64, 64), RED), form) for form in ("JPEG", "PNG", "WEBP")}

SEVERAL = {"save_all": True, "append_images": FRAMES[1:]}

# The quarters in every format that is read.
GOOD: dict[str, bytes] = {
    "jpeg": saved(QUARTERS, "JPEG", quality=95),
    "jpeg coded as rgb": saved(QUARTERS, "JPEG", quality=95, subsampling=0, keep_rgb=True),
    "two in one jpeg": saved(QUARTERS, "MPO", save_all=True, append_images=[QUARTERS.rotate(90)]),
    "jpeg with restarts": saved(QUARTERS, "JPEG", quality=95, restart_marker_blocks=1),
    **{
        f"progressive jpeg {sampling}": saved(
            QUARTERS, "JPEG", quality=95, progressive=True, subsampling=sampling
        )
        for sampling in ("4:4:4", "4:2:2", "4:2:0")
    },
    "png": saved(QUARTERS, "PNG"),
    "png with alpha": saved(QUARTERS.convert("RGBA"), "PNG"),
    "png with a palette": saved(QUARTERS.quantize(8), "PNG"),
    "png with two bits a pixel": saved(QUARTERS.quantize(4), "PNG", bits=2),
    "gif": saved(QUARTERS.quantize(8), "GIF"),
    "bmp": saved(QUARTERS, "BMP"),
    "bmp with alpha": saved(QUARTERS.convert("RGBA"), "BMP"),
    "bmp with a palette": saved(QUARTERS.quantize(8), "BMP"),
    "webp": saved(QUARTERS, "WEBP", quality=95),
    "lossless webp": saved(QUARTERS, "WEBP", lossless=True),
}

# Small, so that thousands are rendered in seconds; everything a file can carry is there to be damaged.
RICH: dict[str, bytes] = {
    "jpeg": jpeg_with(saved(SMALL, "JPEG", icc_profile=SWAPPED, comment="hello"), (0xE1, exif(6))),
    "progressive jpeg": saved(SMALL, "JPEG", progressive=True),
    "jpeg with restarts": saved(SMALL, "JPEG", restart_marker_blocks=2),
    "jpeg in inks": saved(SMALL.convert("CMYK"), "JPEG", icc_profile=ODD_PRESS),
    "jpeg, reduced": saved(quarters(1504, 1504), "JPEG", quality=30, optimize=True),  # in libjpeg's decoder
    "two in one jpeg": saved(SMALL, "MPO", save_all=True, append_images=[SMALL.rotate(180)]),
    "png": saved(SMALL.convert("RGBA"), "PNG", icc_profile=SWAPPED, exif=exif(8)),
    "png with a palette": saved(SMALL.quantize(8), "PNG", transparency=b"\0\x80"),
    "png with two bits a pixel": saved(SMALL.quantize(4), "PNG", bits=2, transparency=1),
    "png of sixteen bits": saved(SIXTEEN_BITS.crop((40, 40, 80, 70)), "PNG"),
    "apng": saved(FRAMES[0], "PNG", **SEVERAL),
    "gif": saved(FRAMES[0].quantize(4), "GIF", transparency=0, comment=b"hello", **SEVERAL),
    "interlaced gif": saved(SMALL.quantize(8), "GIF", interlace=1),
    "bmp": saved(SMALL.convert("RGBA"), "BMP"),
    "bmp with a palette": saved(SMALL.quantize(8), "BMP"),
    "webp": saved(SMALL, "WEBP", exif=exif(6), icc_profile=SWAPPED, xmp=b"<x/>"),
    "webp with alpha": saved(SMALL.convert("RGBA"), "WEBP", quality=50),
    "lossless webp": saved(SMALL.convert("RGBA"), "WEBP", lossless=True),
    "animated webp": saved(FRAMES[0], "WEBP", **SEVERAL),
}

MODES = ("1", "L", "P", "LA", "La", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
NUMBERS = ("I", "F", "I;16", "I;16B", "I;16L")  # what is not a colour, but can be written


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert by way of RGB where there is no direct way."""
    for start in (image, image.convert("RGBA"), image.convert("L"), image.convert("LA")):
        with contextlib.suppress(ValueError):
            return start.convert(mode, dither=Image.Dither.NONE)
    raise AssertionError(mode)


def formats() -> set[str]:
    """Return the names of the formats that this Pillow can write."""
    Image.init()
    return set(Image.SAVE)


def written(forms: Iterable[str]) -> Iterator[tuple[str, str, bytes]]:
    """Yield format, mode and file of the quarters, in every mode in which Pillow can write these formats."""
    for form, mode in itertools.product(sorted(forms), (*MODES, *NUMBERS)):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # some formats will go, in years
            data = saved(in_mode(SMALL, mode), form)
            yield form, mode, data
