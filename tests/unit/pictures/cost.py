"""Memory and time of rendering, measured by the process that renders."""

import resource
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence

MOST_MEGABYTES, MOST_SECONDS = 150, 2.0
_BYTES = 1024 if sys.platform == "linux" else 1  # that `ru_maxrss` counts as one

_BETWEEN = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:], check=False).returncode)"

_RENDER = """
    import sys
    from shared.pictures.thumbnails import UnreadableImage, render
    from tests.unit.pictures.cost import Meter

    data = sys.stdin.buffer.read()
    meter = Meter()
    try:
        render(data)
        end = "rendered"
    except UnreadableImage as refusal:
        end = "refused"
    print(end, *meter.read())
"""


class Meter:
    """Measures from its creation on: megabytes above the highest memory use so far, seconds of CPU."""

    def __init__(self) -> None:
        self._memory, self._seconds = _peak(), time.process_time()

    def read(self) -> tuple[float, float]:
        return (_peak() - self._memory) / 1e6, time.process_time() - self._seconds


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES


def in_a_process(command: Sequence[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run Python with these arguments.

    A process inherits its highest memory use from its parent, and pytest's is high: hence one in between.
    """
    between = [sys.executable, "-c", _BETWEEN, sys.executable]
    return subprocess.run([*between, *command], input=data, capture_output=True, timeout=600, check=False)


def cost_of_rendering(data: bytes) -> tuple[str, float, float]:
    """Render a picture in a new process; return "rendered" or "refused", megabytes, seconds."""
    done = in_a_process(["-c", textwrap.dedent(_RENDER)], data)
    assert done.returncode == 0, done.stderr.decode()
    end, megabytes, seconds = done.stdout.split()
    return end.decode(), float(megabytes), float(seconds)
