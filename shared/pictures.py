"""Pictures: the bytes of a profile photo in, the three thumbnails that SharePoint shows out.

Everything here distrusts its input: a photo is whatever somebody's tool once uploaded, and it is decoded
beside the tenant's credentials. So the formats are an allow-list, sizes are read from headers before any
pixel is, and of a JPEG, PNG or GIF Pillow gets only what decoding needs. What else such a file carries (GPS,
previews, further frames, what tools leave behind) is cut away: it can neither spoil a good picture nor make
Pillow warn.

Pillow's process-wide switches (`Image.MAX_IMAGE_PIXELS`, `ImageFile.LOAD_TRUNCATED_IMAGES`) and the
`warnings` filters stay as they are, so threads may render at once. The same bytes give the same thumbnails.

Not here: whether a photo is Graph's 1x1 placeholder. The caller knows that from the photo's metadata.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
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

type Size = Literal["S", "M", "L"]

# Pixels a side. 48, 72 and 200 are what Microsoft's sample Core.ProfilePictureUploader recommends for
# SharePoint Online (github.com/pnp/PnP); Microsoft's support engineers upload 300 for L, which stays sharp
# where a screen has two pixels for one.
SIZES: Final[dict[Size, int]] = {"S": 48, "M": 72, "L": 300}

# Phones take 12 million. 20 million decoded are 80 MB; WebP, the dearest, needs 310 MB while it decodes them.
MAX_PIXELS = 20_000_000
MAX_SCANS = 200  # a progressive JPEG has 10, but each more costs it a walk over all pixels
MAX_PROFILE_BYTES = 4 * 1024 * 1024  # the profiles of printing presses, the largest, are below 3 MB

# Measured at 48 pixels: 90 with full chroma is 4 dB truer than 90 with halved chroma (4:2:0, which leaves 24
# pixels of colour), and truer than even 95 with it, for 3 KB. L takes about 60 KB; at 95 half again as much.
QUALITY = 90

# Lanczos gets at least twice the pixels it must deliver, so that the cheap averaging before it (in libjpeg's
# decoder, or by whole factors here) costs no sharpness that can be seen.
_WORKING_SIDE = 2 * SIZES["L"]
_STRIP_ROWS = 64  # of the working square

_UPRIGHT = {  # EXIF Orientation → what undoes it; 1 is upright already
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImage(ValueError):
    """These bytes are no picture that we accept. The same bytes will never be: do not retry for long.

    The text is fit for a log: it quotes nothing from the bytes.
    """


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Three square baseline JPEG files in sRGB, without metadata; `SIZES` says how many pixels a side."""

    small: bytes
    medium: bytes
    large: bytes

    def items(self) -> Iterator[tuple[Size, bytes]]:
        """Yield each thumbnail with the letter that SharePoint's file names use, in the order of `SIZES`."""
        return zip(SIZES, astuple(self), strict=True)


def render(data: bytes) -> Thumbnails:
    """Return the thumbnails of a picture: its central square, upright, on white where it is transparent.

    Of an animation the first frame is shown (of an APNG its default image); small pictures are enlarged.

    Raises:
        UnreadableImage: for any bytes that are not a whole JPEG, PNG, GIF, BMP or WebP file of at most
            `MAX_PIXELS`. Only a `MemoryError` passes through: then the machine is short of something, and the
            picture may be good.
    """
    try:
        square = _square(data)
        small, medium, large = (_thumbnail(square, side) for side in SIZES.values())
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # Pillow names no set of exceptions for damaged files, and has raised a dozen
        raise UnreadableImage(f"damaged picture ({type(error).__name__})") from error
    return Thumbnails(small, medium, large)


def _square(data: bytes) -> Image.Image:
    """Return the central square, upright and in sRGB; `_WORKING_SIDE` or more a side if the source has it."""
    source = _unpack(data)
    picture = source.reader(BytesIO(source.pixels))
    _bound(*picture.size)
    picture.draft(None, (_WORKING_SIDE, _WORKING_SIDE))  # lets libjpeg decode at 1/2, 1/4 or 1/8
    picture.load()
    square = _in_srgb(_reduced_square(picture), source.profile or picture.info.get("icc_profile", b""))
    turn = _UPRIGHT.get(_orientation(source.exif or picture.info.get("exif", b"")))
    return square if turn is None else square.transpose(turn)


def _bound(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UnreadableImage(f"{width} x {height} pixels are more than {MAX_PIXELS}")


def _reduced_square(picture: Image.Image) -> Image.Image:
    """Return the central square as L, RGB or CMYK, averaged down by a whole factor.

    It goes strip by strip, because colour conversion needs several copies of what it converts.
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
    """Return an image of any mode as L, RGB or CMYK, eight bits a channel, on white paper."""
    if image.mode == "I;16":
        image = image.point(lambda grey: grey / 256)  # Pillow's own conversion clips at 255
    mode = {"1": "L", "L": "L", "LA": "L", "I;16": "L", "CMYK": "CMYK"}.get(image.mode, "RGB")
    if not image.has_transparency_data:
        return image.convert(mode)
    layer = image.convert(mode + "A")
    paper = Image.new(mode, image.size, "white")
    paper.paste(layer.convert(mode), mask=layer.getchannel("A"))
    return paper


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Return an L, RGB or CMYK image as RGB in sRGB, ignoring a profile that is broken or of another mode."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        mode = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}.get(source.profile.xcolor_space)
        tagged = image.convert("RGB") if (image.mode, mode) == ("L", "RGB") else image
        if tagged.mode == mode:
            return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB").apply(tagged)
    except (OSError, ImageCms.PyCMSError):
        pass
    return image.convert("RGB")


def _thumbnail(square: Image.Image, side: int) -> bytes:
    image = square.resize((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    file = BytesIO()
    # Without `optimize`: for that Pillow guesses how long the file will be, and a noisy picture is longer.
    image.save(file, "JPEG", quality=QUALITY, subsampling="4:4:4", progressive=False)
    return file.getvalue()


def _orientation(exif: bytes) -> int:
    """Return the EXIF tag Orientation, or 1; `exif` is a TIFF structure, with or without JPEG's prefix."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (first,) = struct.unpack_from(f"{order}L", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
        for at in range(first + 2, first + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHLH", tiff, at)
            if (tag, kind) == (0x0112, 3):  # SHORT, as the EXIF standard has it
                return int(value)
    except struct.error:  # a directory that ends early
        pass
    return 1


@dataclass(frozen=True, slots=True)
class _Source:
    """A file taken apart: what its decoder needs, and the two things beside it that change the look."""

    pixels: bytes
    reader: type[ImageFile]
    exif: bytes = b""
    profile: bytes = b""


def _unpack(data: bytes) -> _Source:
    """Take a file apart by its first bytes.

    Graph documents JPEG only, but reports other types for photos that older tools stored. PNG, BMP and GIF
    are what such tools write, WebP is what browsers save today. TIFF is refused: hardly a browser shows it,
    and libtiff is the largest of these decoders to attack. So is all else that Pillow could read.

    Readers are called directly: `Image.open` warns of a large picture before its size can be asked for.
    """
    for magic, unpack in _FORMATS:
        if data.startswith(magic):
            return unpack(data)
    raise UnreadableImage("neither JPEG nor PNG, GIF, BMP or WebP")


def _unpack_jpeg(data: bytes) -> _Source:
    view, exif, profile = memoryview(data), b"", []
    kept = [view[:2]]
    for marker, start, end in _jpeg_segments(data):
        if not 0xE0 <= marker <= 0xEF:  # no application's segment
            kept.append(view[start:end])
            continue
        body = data[start + 4 : end]
        if marker in {0xE0, 0xEE} and len(body) >= 12:  # JFIF and Adobe: how the colours are coded
            kept.append(view[start:end])
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            exif = exif or body
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            profile.append(body[12:])  # its number, how many there are, this part
    return _Source(b"".join(kept), JpegImageFile, exif, b"".join(part[2:] for part in sorted(profile)))


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment; the last is Start of Scan with all that follows it."""
    at = data.index(b"\xff", 2)
    while (marker := data[at + 1]) != 0xDA:
        if marker <= 0x01 or 0xD0 <= marker <= 0xD9:  # stands alone
            at += 2
        elif marker == 0xFF:  # fills
            at += 1
        else:
            end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
            yield marker, at, end
            at = end
        at = data.index(b"\xff", at)
    # Two bytes that nothing else in coded pixels can be; a video after the picture may hold them by chance.
    if data.count(b"\xff\xda", at) > MAX_SCANS:
        raise UnreadableImage(f"a JPEG of more than {MAX_SCANS} scans")
    yield marker, at, len(data)


def _unpack_png(data: bytes) -> _Source:
    view, beside, at = memoryview(data), dict[bytes, bytes](), 8
    kept = [view[:8]]
    # A transparent colour of 16 bits is dropped: Pillow would compare it with samples already cut to 8.
    transparency = b"" if data[24:25] == b"\x10" else b"tRNS"
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, at)
        end = at + 12 + length
        if kind[:1].isupper() or kind == transparency:  # critical chunks begin with a capital
            kept.append(view[at:end])
        else:
            beside.setdefault(kind, data[at + 8 : end - 4])
        at = end
    profile = _inflate(beside.get(b"iCCP", b"").partition(b"\0")[2][1:])
    return _Source(b"".join(kept), PngImageFile, beside.get(b"eXIf", b""), profile)


def _inflate(zipped: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(zipped, MAX_PROFILE_BYTES)
    except zlib.error:
        return b""


def _unpack_gif(data: bytes) -> _Source:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    head = at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    control = b""
    while data[at] == ord("!"):
        if data[at : at + 3] == b"!\xf9\x04":  # Graphic Control Extension: is a colour transparent?
            control = data[at : at + 7] + b"\0"
        at += 2
        while data[at]:
            at += data[at] + 1
        at += 1
    mark, left, top, across, down = struct.unpack_from("<c4H", data, at)
    if mark != b",":
        raise UnreadableImage("a GIF without a picture")
    _bound(max(width, left + across), max(height, top + down))  # Pillow grows the screen to hold the frame
    return _Source(data[:head] + control + data[at:], GifImageFile)


_FORMATS: Final[tuple[tuple[bytes, Callable[[bytes], _Source]], ...]] = (
    (b"\xff\xd8\xff", _unpack_jpeg),
    (b"\x89PNG\r\n\x1a\n", _unpack_png),
    (b"GIF8", _unpack_gif),
    (b"BM", lambda data: _Source(data, BmpImageFile)),
    (b"RIFF", lambda data: _Source(data, WebPImageFile)),
)
