"""Image files composed byte by byte, for the tests of `shared.pictures`."""

import struct
import zlib

from PIL import Image

from tests.unit.pictures.drawings import saved

# Where each pass of a PNG begins, and its steps.
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def exif(orientation: int, order: str = "<") -> bytes:
    """Return an EXIF block with this orientation, in either byte order."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    maker = struct.pack(f"{order}HHL4s", 0x010F, 2, 4, b"Abc\0")
    held = struct.pack(f"{order}HHLHH", 0x0112, 3, 1, orientation, 0)
    return b"Exif\0\0" + head + struct.pack(f"{order}LH", 8, 2) + maker + held + bytes(4)


def segment(marker: int, body: bytes) -> bytes:
    """Return one segment of a JPEG."""
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def jpeg_with(jpeg: bytes, *segments: tuple[int, bytes]) -> bytes:
    """Return the JPEG with segments (marker, body) before all of its own."""
    return jpeg[:2] + b"".join(segment(marker, body) for marker, body in segments) + jpeg[2:]


def png_chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    """Return one chunk; its checksum is right unless one is given."""
    check = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", check)


def png_with(png: bytes, *chunks: bytes) -> bytes:
    """Return the PNG with chunks right after its header."""
    return png[:33] + b"".join(chunks) + png[33:]


def bmp_of(width: int, height: int, compression: int = 0, bits: int = 24) -> bytes:
    """Return the header of a BMP without palette."""
    return (
        b"BM"
        + struct.pack("<LLL", 100, 0, 54)
        + struct.pack("<LllHHLLllLL", 40, width, height, 1, bits, compression, *[0] * 5)
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


def webp_of(kind: bytes, width: int, height: int) -> bytes:
    """Return a WebP that is all header; `kind` is that of its first chunk."""
    if kind == b"VP8X":
        body = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif kind == b"VP8L":
        body = b"\x2f" + (width - 1 | height - 1 << 14).to_bytes(4, "little")
    else:
        body = bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height)
    return riff([(kind, body)])


def riff(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """Return a WebP file of the chunks (kind, body)."""
    file = b"".join(
        kind + struct.pack("<L", len(body)) + body + b"\0" * (len(body) % 2) for kind, body in chunks
    )
    return b"RIFF" + struct.pack("<L", len(file) + 4) + b"WEBP" + file


def huffman(number: int, *symbols: int) -> bytes:
    """Return the segment of Huffman table `number` (0x10 and up: for AC), a bit longer for each symbol."""
    lengths = [1] * len(symbols) + [0] * (16 - len(symbols))
    return segment(0xC4, bytes([number, *lengths, *symbols]))


def jpeg_frame(kind: int, width: int, height: int, channels: int = 1) -> bytes:
    """Return a JPEG's Start of Frame, without subsampling; `kind` is its marker."""
    return segment(
        kind,
        struct.pack(">BHHB", 8, height, width, channels)
        + b"".join(bytes([channel, 0x11, 0]) for channel in range(1, channels + 1)),
    )


def scan(channel: int, first: int, last: int, bits: int, coded: bytes) -> bytes:
    """Return one scan of one channel; `bits` are the high and low bit positions of the approximation."""
    return segment(0xDA, bytes([1, channel, 0, first, last, bits])) + coded.replace(b"\xff", b"\xff\0")


def lossless_jpeg(width: int, height: int) -> bytes:
    """Return a grey lossless JPEG: each difference to the pixel before is zero, and takes one bit."""
    frame = jpeg_frame(0xC3, width, height)
    return (
        b"\xff\xd8" + frame + huffman(0, 0) + scan(1, 1, 0, 0, bytes(width * height // 8 + 1)) + b"\xff\xd9"
    )


def jpeg_of_scans(width: int, height: int, scans: int) -> bytes:
    """Return a grey progressive JPEG of short scans in which no coefficient changes.

    Libjpeg visits each coefficient once for every scan all the same.
    """
    ones = segment(0xDB, b"\0" + b"\x01" * 64)
    blocks = -(-width // 8) * -(-height // 8)
    runs = "".join(["0" + "1" * 14] * (blocks // 32767 + 1))  # 32767 blocks without further coefficients
    refinement = scan(
        1, 1, 63, 0x10, int(runs.ljust(len(runs) + -len(runs) % 8, "1"), 2).to_bytes(-(-len(runs) // 8))
    )
    return (
        b"\xff\xd8"
        + ones
        + jpeg_frame(0xC2, width, height)
        + huffman(0, 0)
        + huffman(0x10, 0xE0)
        + scan(1, 0, 0, 0, bytes(blocks // 8 + 1))
        + refinement * (scans - 1)
        + b"\xff\xd9"
    )


def interlaced_png(width: int, height: int) -> bytes:
    """Return a PNG of eight bytes a pixel in seven passes, each row to be predicted from the one above."""
    header = png_chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, 16, 6, 0, 0, 1))
    pixels = zlib.compressobj(1)
    coded = bytearray()
    for left, top, across, down in ADAM7:
        row = b"\4" + bytes(8 * -(-(width - left) // across))
        for _ in range(-(-(height - top) // down)):
            coded += pixels.compress(row)
    coded += pixels.flush()
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", bytes(coded)) + png_chunk(b"IEND", b"")
