"""Split image files before a decoder reads them: the data it needs, EXIF and the colour profile.

The formats are an allow-list, and of a JPEG, PNG or GIF only what decoding needs is passed on. All else in
such a file (GPS, previews, further frames, data of tools) is removed: it can neither spoil a good picture nor
make a decoder warn. A decoder's memory is computed from the headers, and bounded. Not here: decoding.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

type Form = Literal["JPEG", "PNG", "GIF", "BMP", "WEBP"]

MAX_BYTES = 8 * 1024 * 1024  # Graph takes photos of up to 4 MB
MAX_PIXELS = 20_000_000  # phones produce 12 million
MAX_SIDE = 65_535  # a JPEG cannot have more; in memory each row also costs Pillow a pointer
MAX_MEMORY = 128_000_000  # bytes that a decoder may hold: 20 million pixels of progressive JPEG take 125 MB
MAX_SCANS = 50  # a progressive JPEG has 10, in CMYK 24; each costs a pass over all coefficients, 20 ms
MAX_PARTS = 10_000  # segments or chunks; 8 MB of PNG in the smallest usual chunks, of 4 KB, have 2 000
MAX_PROFILE_BYTES = 4 * 1024 * 1024  # the largest profiles, of printing presses, are below 3 MB

# Pillow always uses WebP's animation decoder: two canvases, and a copy of its output.
_WEBP_OVERHEAD = 12


class UnreadableImage(ValueError):
    """These bytes are not an accepted picture. The same bytes never will be: do not retry for long.

    The text may be logged: it quotes nothing from the bytes.
    """


@dataclass(frozen=True, slots=True)
class ImageFile:
    """What a decoder needs of a file, and the EXIF data and colour profile, which change its appearance."""

    form: Form
    pixels: bytes
    exif: bytes = b""
    profile: bytes = b""
    overhead: float = 0  # bytes a pixel of the file: a decoder's memory besides the picture it returns


def unpack(data: bytes) -> ImageFile:
    """Return the parts of a file; its first bytes determine the format.

    Graph documents JPEG only, but reports other types for photos that older tools stored. Such tools
    write PNG, BMP and GIF; browsers save WebP today. TIFF is refused: few browsers show it, and libtiff has
    the largest attack surface of these decoders. So is every other format that Pillow could read.

    Raises `UnreadableImage` for other formats, and for files of too many bytes, parts or pixels. A damaged
    file may raise `IndexError`, `ValueError`, `struct.error` and similar errors.
    """
    for magic, unpack_format in _FORMATS:
        if data.startswith(magic):
            if len(data) > MAX_BYTES:
                raise UnreadableImage(f"{len(data)} bytes are more than {MAX_BYTES}")
            return unpack_format(data)
    raise UnreadableImage("neither JPEG nor PNG, GIF, BMP or WebP")


def bound(stored: tuple[int, int], decoded: tuple[int, int], overhead: float) -> None:
    """Raise `UnreadableImage` before decoding, if a picture has too many pixels or needs too much memory.

    `stored` are width and height in the file; `decoded` those requested of the decoder, which may be smaller
    for a JPEG; `overhead` as in `ImageFile`.
    """
    width, height = stored
    if width * height > MAX_PIXELS:
        raise UnreadableImage(f"{width} x {height} pixels are more than {MAX_PIXELS}")
    if max(width, height) > MAX_SIDE:
        raise UnreadableImage(f"{width} x {height} pixels are more than {MAX_SIDE} on a side")
    if width * height * overhead + decoded[0] * decoded[1] * 4 > MAX_MEMORY:  # Pillow pads RGB to four bytes
        raise UnreadableImage(f"{width} x {height} pixels so coded take more than {MAX_MEMORY} bytes")


def orientation(exif: bytes) -> int:
    """Return the EXIF tag Orientation, or 1; `exif` is a TIFF structure, with or without JPEG's prefix."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    with suppress(struct.error):  # a directory that ends early
        (first,) = struct.unpack_from(f"{order}L", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
        for at in range(first + 2, first + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHLH", tiff, at)
            if (tag, kind) == (0x0112, 3):  # SHORT, as in the EXIF standard
                return int(value)
    return 1


# A marker, as libjpeg finds it: a byte 0xFF, and one that is neither a zero nor a further 0xFF.
_MARKER = re.compile(rb"\xff([^\x00\xff])")
# Start of Frame: baseline, extended and progressive, which browsers show. Libjpeg does not reduce a lossless
# one (0xC3): it wrote whole rows into Pillow 12's buffer for a reduced one, and the process crashed.
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_NEEDED = _FRAMES | {0xC4, 0xDB, 0xDD, 0xDA}  # and Huffman codes, quantization, restart interval, scan


def _unpack_jpeg(data: bytes) -> ImageFile:
    kept, frame, exif, profile = bytearray(data[:2]), b"", b"", list[bytes]()
    for marker, start, end in _jpeg_segments(data):
        body = b"" if marker == 0xDA else data[start + 4 : end]
        if marker in _NEEDED or (marker in {0xE0, 0xEE} and len(body) >= 12):
            kept += memoryview(data)[start:end]
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            exif = exif or body
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            profile.append(body[12:])  # number, count, this part
        if marker in _FRAMES:
            frame = data[start:end]
    overhead = _jpeg_overhead(frame, scans=data.count(b"\xff\xda", start))
    return ImageFile("JPEG", bytes(kept), exif, b"".join(part[2:] for part in sorted(profile)), overhead)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment; the last is Start of Scan with all that follows."""
    at = 2
    for _ in range(MAX_PARTS):
        found = _MARKER.search(data, at)
        if found is None:
            raise UnreadableImage("a JPEG without pixels")
        marker, start, at = found[1][0], found.start(), found.end()
        if marker == 0xDA:
            yield marker, start, len(data)
            return
        if marker > 0x01 and not 0xD0 <= marker <= 0xD9:  # those have no length
            length = int.from_bytes(data[at : at + 2])
            if length < 2:  # decoders continue after its two bytes, or before: neither as here
                raise UnreadableImage("a JPEG segment of less than no bytes")
            at += length
        yield marker, start, at
    raise UnreadableImage(f"a JPEG of more than {MAX_PARTS} segments")


def _jpeg_overhead(frame: bytes, scans: int) -> float:
    """Return the `ImageFile.overhead` of a JPEG from its Start of Frame.

    `scans` may be a few too many: a video after the picture may contain their marker by chance.
    """
    if scans > MAX_SCANS:
        raise UnreadableImage(f"a JPEG of more than {MAX_SCANS} scans")
    sampling = [(byte >> 4, byte & 15) for byte in frame[11::3]]
    if not sampling:
        raise UnreadableImage("a JPEG that is neither baseline nor progressive")
    if frame[1] != 0xC2 and scans == 1:
        return 0
    # Until the last scan libjpeg keeps all coefficients, two bytes for each sample.
    most = max(across for across, _ in sampling) * max(down for _, down in sampling)
    return 2 * sum(across * down for across, down in sampling) / most


def _unpack_png(data: bytes) -> ImageFile:
    kept, metadata = bytearray(data[:8]), dict[bytes, bytes]()
    # A transparent colour of 16 bits is dropped: Pillow would compare it with samples already cut to 8.
    transparency = b"" if data[24:25] == b"\x10" else b"tRNS"
    for kind, start, end in _png_chunks(data):
        if kind[:1].isupper() or kind == transparency:  # critical chunks begin with a capital
            kept += memoryview(data)[start:end]
        elif kind in {b"eXIf", b"iCCP"}:
            metadata.setdefault(kind, data[start + 8 : end - 4])
    profile = _inflate(metadata.get(b"iCCP", b"").partition(b"\0")[2][1:])
    return ImageFile("PNG", bytes(kept), metadata.get(b"eXIf", b""), profile)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of each chunk."""
    at = 8
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">L4s", data, at)
        yield kind, at, at + 12 + length
        at += 12 + length
    raise UnreadableImage(f"a PNG of more than {MAX_PARTS} chunks")


def _inflate(zipped: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(zipped, MAX_PROFILE_BYTES)
    except zlib.error:
        return b""


def _unpack_gif(data: bytes) -> ImageFile:
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
    screen = max(width, left + across), max(height, top + down)  # Pillow enlarges it to hold the frame
    bound(screen, screen, 0)
    return ImageFile("GIF", data[:head] + control + data[at:])


def _unpack_bmp(data: bytes) -> ImageFile:
    (header,) = struct.unpack_from("<L", data, 14)
    # Only plain pixels: Pillow decodes run lengths in Python, a byte at a time.
    if header > 12 and struct.unpack_from("<L", data, 30)[0] not in {0, 3}:
        raise UnreadableImage("a compressed BMP")
    return ImageFile("BMP", data)


def _unpack_webp(data: bytes) -> ImageFile:
    size = _webp_size(data)
    bound(size, size, _WEBP_OVERHEAD)  # now, because Pillow's reader allocates its canvases when created
    return ImageFile("WEBP", data, overhead=_WEBP_OVERHEAD)


def _webp_size(data: bytes) -> tuple[int, int]:
    match data[8:16]:
        case b"WEBPVP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case b"WEBPVP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"WEBPVP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
    raise UnreadableImage("a RIFF file, but no WebP")


_FORMATS: Final[tuple[tuple[bytes, Callable[[bytes], ImageFile]], ...]] = (
    (b"\xff\xd8\xff", _unpack_jpeg),
    (b"\x89PNG\r\n\x1a\n", _unpack_png),
    (b"GIF8", _unpack_gif),
    (b"BM", _unpack_bmp),
    (b"RIFF", _unpack_webp),
)
