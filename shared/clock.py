"""The clock that is passed to every object: the time of day, elapsed time, and waiting."""

import time
from typing import Protocol


class Clock(Protocol):
    """One machine's time."""

    def now(self) -> float:
        """Return Unix seconds."""

    def monotonic(self) -> float:
        """Return seconds since an unspecified start; they never decrease."""

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """See `Clock.now`."""
        return time.time()

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        time.sleep(seconds)
