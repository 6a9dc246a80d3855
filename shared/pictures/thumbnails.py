"""Render the bytes of a profile photo as the three thumbnails that SharePoint shows.

The input is not trusted: a photo is any file that a tool once uploaded, and it is decoded in the process that
holds the tenant's credentials. So `formats` splits a file before Pillow reads it, sizes are read from headers
before any pixel is, and no picture takes more than 150 MB or 2 seconds.

Pillow's process-wide switches (`Image.MAX_IMAGE_PIXELS`, `ImageFile.LOAD_TRUNCATED_IMAGES`) and the
`warnings` filters stay unchanged, so threads may render at once. The same bytes give the same thumbnails.

Not here: whether a photo is Graph's 1x1 placeholder. The caller knows that from the photo's metadata.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from io import BytesIO
from typing import Final, Literal

from PIL import Image, ImageCms
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from shared.pictures.formats import MAX_PROFILE_BYTES, Form, UnreadableImage, bound, orientation, unpack

__all__ = ["QUALITY", "SIZES", "Size", "Thumbnails", "UnreadableImage", "render"]

type Size = Literal["S", "M", "L"]

# Pixels a side. 48, 72 and 200 are what Microsoft's sample Core.ProfilePictureUploader recommends for
# SharePoint Online (github.com/pnp/PnP); Microsoft's support engineers upload 300 for L, which stays sharp
# on screens of double density.
SIZES: Final[dict[Size, int]] = {"S": 48, "M": 72, "L": 300}

# Measured at 48 pixels: 90 with full chroma is 4 dB closer than 90 with halved chroma (4:2:0, which leaves 24
# pixels of colour), and closer than even 95 with it, for 3 KB. L takes about 60 KB; at 95 half as much again.
QUALITY = 90

# Lanczos gets at least two and a half times the pixels of its output, so that the cheap averaging before it
# (in libjpeg's decoder, or by whole factors here) costs no visible sharpness. With twice, L lost 0.8 dB.
_WORKING_SIDE = SIZES["L"] * 5 // 2
_STRIP_ROWS = 64  # of the working square

# Called directly: `Image.open` tries every format that Pillow has, and warns of large pictures.
_READERS: Final[dict[Form, type[ImageFile]]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "WEBP": WebPImageFile,
}

_UPRIGHT = {  # EXIF Orientation → the transposition that undoes it; 1 is upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Three square baseline JPEG files in sRGB, without metadata; `SIZES` gives their pixels a side."""

    small: bytes
    medium: bytes
    large: bytes

    def items(self) -> Iterator[tuple[Size, bytes]]:
        """Yield each thumbnail with the letter that SharePoint's file names use, in the order of `SIZES`."""
        return zip(SIZES, astuple(self), strict=True)


def render(data: bytes) -> Thumbnails:
    """Return the thumbnails of a picture: its central square, upright, on white where it is transparent.

    Of an animation, the first frame is used (of an APNG its default image); small pictures are enlarged.

    Raises `UnreadableImage` for any bytes that are not a whole JPEG, PNG, GIF, BMP or WebP file within the
    bounds of `formats`. Only a `MemoryError` passes through: then the machine is short of memory, and the
    picture may be good.
    """
    try:
        square = _square(data)
        small, medium, large = (_thumbnail(square, side) for side in SIZES.values())
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # Pillow documents no exceptions for damaged files, and has raised a dozen
        raise UnreadableImage(f"damaged picture ({type(error).__name__})") from error
    return Thumbnails(small, medium, large)


def _square(data: bytes) -> Image.Image:
    """Return the central square, upright and in sRGB; at least `_WORKING_SIDE` a side if the source is."""
    source = unpack(data)
    picture = _READERS[source.form](BytesIO(source.pixels))
    stored = picture.size
    picture.draft(None, (_WORKING_SIDE, _WORKING_SIDE))  # lets libjpeg decode at 1/2, 1/4 or 1/8
    bound(stored, picture.size, source.overhead)
    picture.load()
    square = _in_srgb(_reduced_square(picture), source.profile or picture.info.get("icc_profile", b""))
    turn = _UPRIGHT.get(orientation(source.exif or picture.info.get("exif", b"")))
    return square if turn is None else square.transpose(turn)


def _reduced_square(picture: Image.Image) -> Image.Image:
    """Return the central square as L, RGB or CMYK, averaged down by a whole factor.

    It works strip by strip, because colour conversion needs several copies of its input.
    """
    factor = max(1, min(picture.size) // _WORKING_SIDE)
    side = min(picture.size) // factor
    left, top = ((length - side * factor) // 2 for length in picture.size)
    strips = []
    for row in range(0, side, _STRIP_ROWS):
        rows = min(_STRIP_ROWS, side - row)
        upper = top + row * factor
        strip = picture.crop((left, upper, left + side * factor, upper + rows * factor))
        strips.append(_opaque(strip).reduce(factor))
    square = Image.new(strips[0].mode, (side, side))  # new, so that it inherits nothing of `picture.info`
    for index, strip in enumerate(strips):
        square.paste(strip, (0, index * _STRIP_ROWS))
    return square


def _opaque(image: Image.Image) -> Image.Image:
    """Return an image of any mode as L, RGB or CMYK, eight bits a channel, on white."""
    if image.mode == "I;16":
        image = image.point(lambda grey: grey / 256)  # Pillow's own conversion clips at 255
    mode = {"1": "L", "L": "L", "LA": "L", "I;16": "L", "CMYK": "CMYK"}.get(image.mode, "RGB")
    if not image.has_transparency_data:
        return image.convert(mode)
    layer = image.convert(mode + "A")
    canvas = Image.new(mode, image.size, "white")
    canvas.paste(layer.convert(mode), mask=layer.getchannel("A"))
    return canvas


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Return an L, RGB or CMYK image as RGB in sRGB, ignoring a profile that is broken or of another mode."""
    # Nor one with a floating-point pipeline: it may have tens of thousands of steps for every pixel.
    if not profile or len(profile) > MAX_PROFILE_BYTES or b"mpet" in profile:
        return image.convert("RGB")
    with suppress(OSError, ImageCms.PyCMSError):
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        mode = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}.get(source.profile.xcolor_space)
        tagged = image.convert("RGB") if (image.mode, mode) == ("L", "RGB") else image
        if tagged.mode == mode:
            return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB").apply(tagged)
    return image.convert("RGB")


def _thumbnail(square: Image.Image, side: int) -> bytes:
    image = square.resize((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    file = BytesIO()
    # Without `optimize`: with it Pillow guesses the length of the file, and a noisy picture is longer.
    image.save(file, "JPEG", quality=QUALITY, subsampling="4:4:4", progressive=False)
    return file.getvalue()
