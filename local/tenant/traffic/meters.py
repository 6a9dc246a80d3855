"""How much of a quota is used: consecutive windows of time, and what each carries over to the next.

A throttled call counts like any other. What the calls of a window use beyond the limit is owed by the next
window, so a client that keeps calling stays throttled. Calls that were possibly sent before the first refusal
are not carried over. Nothing here knows of HTTP or of a clock.
"""

import math
from collections import deque
from dataclasses import dataclass

from local.tenant.traffic.early_returns import GRACE

WINDOWS_KEPT = 10_080  # windows; a week of minutes


@dataclass(slots=True)
class Window:
    """One stretch of time, from `began` (seconds): `owed` by the one before, `used` by its own calls.

    `refused_at` is when its first call was refused; the next window does not owe `forgiven`.
    """

    began: float
    owed: int = 0
    used: int = 0
    calls: int = 0
    throttled: int = 0
    refused_at: float | None = None
    forgiven: int = 0

    @property
    def total(self) -> int:
        """What counts against the limit."""
        return self.owed + self.used

    def refuse(self, amount: int, now: float) -> None:
        """Note that the call of `amount` units that was counted last is refused."""
        self.throttled += 1
        self.refused_at = now if self.refused_at is None else self.refused_at
        if now < self.refused_at + GRACE:
            self.forgiven += amount

    def debt(self, limit: int, passed: int = 0) -> int:
        """Return what is owed after `passed` windows, this one included; each pays off one limit."""
        return max(0, self.total - self.forgiven - passed * limit)


@dataclass(frozen=True, slots=True)
class MeterReading:
    """What a meter shows after a call, `used` of `limit` (None: unlimited), both in units.

    `reset` is seconds until the window ends; `wait` seconds after which the same call would pass, 0.0 if it
    has passed now.
    """

    limit: int | None
    used: int
    reset: float
    wait: float

    @property
    def share(self) -> float:
        """How much of the limit is used, 1.0 being all of it."""
        return self.used / self.limit if self.limit else 0.0


class Meter:
    """Counts calls in windows of `period` seconds. `peak` is the most that the calls of one window used."""

    def __init__(self, period: float) -> None:
        self._period = period
        self.windows: deque[Window] = deque(maxlen=WINDOWS_KEPT)
        self.peak = 0

    def charge(self, amount: int, limit: int | None, now: float, *, aligned: bool) -> MeterReading:
        """Count a call of `amount` units at `now` (seconds) and return what the meter shows then.

        A window begins with the first call after the last one ended, or, `aligned`, at a multiple of the
        period.
        """
        if not self.windows or now >= self.windows[-1].began + self._period:
            self._turn(limit, now, aligned=aligned)
        window = self.windows[-1]
        window.used += amount
        window.calls += 1
        self.peak = max(self.peak, window.used)
        reset = window.began + self._period - now
        if limit is None or window.total <= limit:
            return MeterReading(limit, window.total, reset, 0.0)
        window.refuse(amount, now)
        windows = max(1, math.ceil((window.debt(limit) + amount - limit) / limit))
        return MeterReading(limit, window.total, reset, reset + (windows - 1) * self._period)

    def _turn(self, limit: int | None, now: float, *, aligned: bool) -> None:
        """Begin the window in which `now` lies."""
        began, owed = now - now % self._period if aligned else now, 0
        if self.windows:
            last = self.windows[-1]
            passed = max(1, int((now - last.began) // self._period))
            owed = 0 if limit is None else last.debt(limit, passed)
            if owed and not aligned:
                began = last.began + passed * self._period
        self.windows.append(Window(began, owed))
