"""Colour profiles, as bytes, for the tests of `shared.pictures`."""

import struct
from collections.abc import Mapping


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


def with_red_and_blue_swapped(gamma: float = 2.2) -> bytes:
    """Return an RGB profile whose first channel is sRGB's blue, and whose last is its red."""
    red, green, blue = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
    colours = {b"rXYZ": blue, b"gXYZ": green, b"bXYZ": red, b"wtpt": (0.9642, 1, 0.8249)}
    tags = {name: _colour(*xyz) for name, xyz in colours.items()}
    return _profile(b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _gamma(gamma)))


def of_linear_grey() -> bytes:
    """Return a grey profile of gamma 1: half of white's number is half of its light."""
    return _profile(b"GRAY", b"XYZ ", {b"wtpt": _colour(0.9642, 1, 0.8249), b"kTRC": _gamma(1)})


def with_red_for_cyan() -> bytes:
    """Return an unusual CMYK profile: its cyan ink is red, the other three are black."""
    white, red, black = (255, 128, 128), (135, 208, 195), (0, 128, 128)  # CIE L*a*b*, in bytes
    corners = [white, black, black, black, black, black, black, black, red, *[black] * 7]
    ramp = bytes(range(256))
    identity = _s15fixed16(1, 0, 0, 0, 1, 0, 0, 0, 1)
    grid = bytes(number for corner in corners for number in corner)
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + grid + ramp * 3
    return _profile(b"CMYK", b"Lab ", {b"A2B0": table, b"wtpt": _colour(0.9642, 1, 0.8249)})


def with_a_long_pipeline(steps: int) -> bytes:
    """Return an RGB profile whose colours go through a pipeline of so many floating-point matrices."""
    matrix = b"matf" + bytes(4) + struct.pack(">HH12f", 3, 3, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)
    first = 16 + 8 * steps
    table = b"".join(struct.pack(">LL", first, len(matrix)) for _ in range(steps))
    pipeline = b"mpet" + bytes(4) + struct.pack(">HHL", 3, 3, steps) + table + matrix
    return _profile(b"RGB ", b"XYZ ", {b"D2B0": pipeline, b"wtpt": _colour(0.9642, 1, 0.8249)})
