"""The clock that is passed to every object: the time of day, elapsed time, and waiting."""

import time
from typing import Protocol


class Clock(Protocol):
    """One machine's time."""

    def now(self) -> float:
        """Return Unix seconds."""

    def monotonic(self) -> float:
        """Return seconds since an unspecified start; they never decrease."""

    def sleep(self, seconds: float, /) -> None:
        """Wait for `seconds`."""


class SystemClock:
    """The machine's clocks."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)
