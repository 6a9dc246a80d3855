"""Damage pictures at random, and render them in processes whose crashes are detected.

    python -m tests.unit.pictures.fuzzed 10     # for ten minutes

A picture follows from its seed, an integer, so that each finding can be reproduced.
"""

import itertools
import random
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from shared.pictures.thumbnails import UnreadableImage, render
from tests.unit.pictures.assertions import assert_three_plain_jpegs
from tests.unit.pictures.corpus import RICH
from tests.unit.pictures.cost import MOST_MEGABYTES, MOST_SECONDS, Meter, in_a_process
from tests.unit.pictures.files import png_chunk, riff, segment

BATCH = 2000  # pictures a process

type Part = tuple[bytes, bytes]  # kind and body; the last of a JPEG has no kind

NUMBERS = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 2**31 - 1, 2**31, 2**32 - 1)


def damaged(seed: int) -> bytes:
    """Return the picture of a seed: a good one whose parts are changed or shuffled, its bytes, or both."""
    rng = random.Random(seed)
    data = rng.choice(list(RICH.values()))
    container = next((container for magic, container in CONTAINERS.items() if data.startswith(magic)), None)
    if container and rng.random() < 0.6:
        take_apart, put_together = container
        parts = take_apart(data)
        for _ in range(rng.randint(1, 3)):
            _shuffle(parts, rng)
        data = put_together(parts)
        if rng.random() < 0.6:
            return data
    for _ in range(rng.randint(1, 5)):
        data = _damage_bytes(data, rng)
    return data


def _shuffle(parts: list[Part], rng: random.Random) -> None:
    """Remove, repeat, swap, borrow or change a part; lengths and checksums are computed afterwards."""
    one, other = rng.randrange(len(parts)), rng.randrange(len(parts))
    match rng.randrange(6):
        case 0 if len(parts) > 1:
            del parts[one]
        case 1:
            parts[other:other] = [parts[one]] * rng.choice((1, 1, 2, 300))
        case 2:
            parts[one], parts[other] = parts[other], parts[one]
        case 3:
            parts[one] = parts[one][0], parts[other][1]
        case _:
            kind, body = parts[one]
            parts[one] = kind, _damage_bytes(body, rng)


def _damage_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flip, overwrite, insert, remove, repeat or move bytes, or write a special number."""
    at, length = rng.randint(0, len(data)), rng.choice((1, 1, 2, 4, 16, 64))
    run, rest = data[at : at + length], data[at + length :]
    match rng.randrange(9):
        case 0 | 1 if run:
            return data[:at] + bytes([run[0] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        case 2 | 3:
            size, order = rng.choice((1, 2, 3, 4)), rng.choice(("little", "big"))
            number = rng.choice(NUMBERS) % 256**size
            return data[:at] + number.to_bytes(size, order) + data[at + size :]
        case 4:
            return data[:at] + rng.randbytes(length) + rest
        case 5:
            return data[:at] + bytes([rng.randrange(256)]) * length + data[at:]
        case 6:
            return data[:at] + rest
        case 7:
            return data[:at] + run * rng.choice((2, 3, 50)) + rest
        case _:
            to = rng.randint(0, len(rest))
            return data[:at] + rest[:to] + run + rest[to:] if rng.random() < 0.7 else data[:at]


def _jpeg_parts(data: bytes) -> list[Part]:
    parts, at = list[Part](), 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        parts.append((data[at + 1 : at + 2], data[at + 4 : end]))
        at = end
    return [*parts, (b"", data[at:])]


def _jpeg_of(parts: list[Part]) -> bytes:
    return b"\xff\xd8" + b"".join(segment(kind[0], body[:65533]) if kind else body for kind, body in parts)


def _png_parts(data: bytes) -> list[Part]:
    parts, at = list[Part](), 8
    while at < len(data):
        length, kind = struct.unpack_from(">L4s", data, at)
        parts.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    return parts


def _png_of(parts: list[Part]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(itertools.starmap(png_chunk, parts))


def _riff_parts(data: bytes) -> list[Part]:
    parts, at = list[Part](), 12
    while at < len(data):
        kind, length = struct.unpack_from("<4sL", data, at)
        parts.append((kind, data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return parts


CONTAINERS: dict[bytes, tuple[Callable[[bytes], list[Part]], Callable[[list[Part]], bytes]]] = {
    b"\xff\xd8": (_jpeg_parts, _jpeg_of),
    b"\x89PNG": (_png_parts, _png_of),
    b"RIFF": (_riff_parts, riff),
}


def findings(first: int, count: int) -> Iterator[tuple[int, str]]:
    """Render the pictures of `count` seeds in processes of their own; yield seed and report of a failure."""
    last = first + count
    while first < last:
        done = in_a_process(["-m", "tests.unit.pictures.fuzzed", "batch", str(first), str(last)])
        if done.returncode == 0:
            return
        seed = int(done.stdout.split()[-1])
        yield seed, f"seed {seed}: exit code {done.returncode}\n{done.stderr.decode()}"
        first = seed + 1


def render_batch(first: int, last: int) -> None:
    """Render the pictures of seeds; the last seed that is printed is the failing one."""
    memory = Meter()
    for seed in range(first, last):
        sys.stdout.write(f"{seed}\n")
        sys.stdout.flush()
        signal.setitimer(signal.ITIMER_PROF, 5 * MOST_SECONDS)  # ends the process, wherever it loops
        data, meter = damaged(seed), Meter()
        try:
            thumbnails = render(data)
        except UnreadableImage as refusal:
            assert not isinstance(refusal.__cause__, Warning)  # noqa: PT017 - a refusal is an expected result
        else:
            assert_three_plain_jpegs(thumbnails)
        (megabytes, _), (_, seconds) = memory.read(), meter.read()
        assert megabytes < MOST_MEGABYTES, f"{megabytes:.0f} MB"
        assert seconds < MOST_SECONDS, f"{seconds:.1f} s"


def fuzz(minutes: float) -> int:
    """Render new pictures for so long; keep failing ones in `out/pictures`. Return their number."""
    first, end, failures = time.time_ns() // 1000, time.monotonic() + minutes * 60, 0
    for batch in itertools.count():
        for seed, report in findings(first + batch * BATCH, BATCH):
            failures += 1
            kept = Path("out", "pictures", f"{seed}.bin")
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(damaged(seed))
            sys.stdout.write(f"{report}{kept}\n")
        sys.stdout.write(f"{(batch + 1) * BATCH} pictures rendered, {failures} failures\n")
        sys.stdout.flush()
        if time.monotonic() > end:
            return failures
    raise AssertionError


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["batch", first, last]:
            render_batch(int(first), int(last))
        case [minutes]:
            sys.exit(fuzz(float(minutes)) > 0)
