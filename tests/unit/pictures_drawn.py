"""Pictures and colour profiles, drawn as bytes, for the tests of `shared.pictures`."""

import struct
import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from PIL import Image

RED, GREEN, BLUE, YELLOW = (220, 30, 40), (30, 160, 60), (40, 60, 210), (240, 220, 50)
WHITE = (255, 255, 255)


def quarters(width: int = 120, height: int = 120) -> Image.Image:
    """Draw red and green above blue and yellow."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    image.paste(YELLOW, (width // 2, height // 2, width, height))
    return image


def grain(width: int, height: int) -> Image.Image:
    """Draw colours that change smoothly over large distances and small, as a photograph's do."""
    image = Image.new("RGB", (width, height), (120, 110, 100))
    for across, weight in ((4, 0.5), (32, 0.35), (256, 0.35), (1024, 0.35)):
        size = (across, max(1, across * height // width))
        noise = Image.merge("RGB", [Image.effect_noise(size, 90) for _ in "RGB"])
        image = Image.blend(image, noise.resize((width, height), Image.Resampling.BICUBIC), weight)
    return image


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """Return the image as a file of the format `form`."""
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def exif(orientation: int, order: str = "<") -> bytes:
    """Return an EXIF block that says how the camera was held, in either byte order."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    maker = struct.pack(f"{order}HHL4s", 0x010F, 2, 4, b"Abc\0")
    held = struct.pack(f"{order}HHLHH", 0x0112, 3, 1, orientation, 0)
    return b"Exif\0\0" + head + struct.pack(f"{order}LH", 8, 2) + maker + held + bytes(4)


def jpeg_with(jpeg: bytes, *segments: tuple[int, bytes]) -> bytes:
    """Return the JPEG with segments (marker, body) before all of its own."""
    added = (b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in segments)
    return jpeg[:2] + b"".join(added) + jpeg[2:]


def png_chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    """Return one chunk; its checksum is right unless one is given."""
    check = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", check)


def png_with(png: bytes, *chunks: bytes) -> bytes:
    """Return the PNG with chunks right after its header."""
    return png[:33] + b"".join(chunks) + png[33:]


def _s15fixed16(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}l", *(round(number * 65536) for number in numbers))


def _profile(space: bytes, connection: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """Return an ICC profile, version 2.4: 128 bytes of header, the table of tags, the tags."""
    table, body = b"", b""
    for name, value in tags.items():
        table += name + struct.pack(">LL", 132 + 12 * len(tags) + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    header = struct.pack(">L4sL4s4s4s12s4s", 0, b"", 0x02400000, b"mntr", space, connection, b"", b"acsp")
    header = (header + bytes(28) + _s15fixed16(0.9642, 1, 0.8249)).ljust(128, b"\0")
    profile = header + struct.pack(">L", len(tags)) + table + body
    return struct.pack(">L", len(profile)) + profile[4:]


def _colour(*xyz: float) -> bytes:
    return b"XYZ " + bytes(4) + _s15fixed16(*xyz)


def _gamma(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">LH", 1, round(gamma * 256)) + bytes(2)


def profile_with_red_and_blue_swapped(gamma: float = 2.2) -> bytes:
    """Return an RGB profile whose first channel is sRGB's blue, and whose last is its red."""
    red, green, blue = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
    colours = {b"rXYZ": blue, b"gXYZ": green, b"bXYZ": red, b"wtpt": (0.9642, 1, 0.8249)}
    tags = {name: _colour(*xyz) for name, xyz in colours.items()}
    return _profile(b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _gamma(gamma)))


def profile_of_linear_grey() -> bytes:
    """Return a grey profile of gamma 1: half of white's number is half of its light."""
    return _profile(b"GRAY", b"XYZ ", {b"wtpt": _colour(0.9642, 1, 0.8249), b"kTRC": _gamma(1)})


def profile_with_red_for_cyan() -> bytes:
    """Return a CMYK profile of an odd press: its cyan ink is red, the other three are black."""
    white, red, black = (255, 128, 128), (135, 208, 195), (0, 128, 128)  # CIE L*a*b*, in bytes
    corners = [white, black, black, black, black, black, black, black, red, *[black] * 7]
    ramp = bytes(range(256))
    identity = _s15fixed16(1, 0, 0, 0, 1, 0, 0, 0, 1)
    grid = bytes(number for corner in corners for number in corner)
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + grid + ramp * 3
    return _profile(b"CMYK", b"Lab ", {b"A2B0": table, b"wtpt": _colour(0.9642, 1, 0.8249)})
