"""What the application may use of SharePoint and of Graph's photos, and what it has used.

learn.microsoft.com/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online
has the limits, which hold for each geo location by itself. Graph publishes no limit for photos; the one
here stands for the behaviour of the mailboxes' store under load.

A meter counts in consecutive windows of the tenant's time. A throttled call counts like any other. What the
calls of a window use beyond the limit is owed by the next window, so a client that keeps calling stays
throttled. Calls that were possibly sent before the first refusal are not carried over.
"""

import math
import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal

from local.tenant.directory.world import World
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


LimitName = Literal[
    "sharepoint_units_per_minute", "people_manager_calls_per_5_minutes", "graph_photos_per_10_seconds"
]
PERIODS: dict[LimitName, float] = {  # seconds
    "sharepoint_units_per_minute": 60.0,
    "people_manager_calls_per_5_minutes": 300.0,
    "graph_photos_per_10_seconds": 10.0,
}


@dataclass(slots=True, kw_only=True)
class Limits:
    """How much is allowed; None: no limit.

    Raises:
        ValueError: a limit is below 1.
    """

    sharepoint_units_per_minute: int | None = None
    people_manager_calls_per_5_minutes: int | None = None
    graph_photos_per_10_seconds: int | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            limit = getattr(self, each.name)
            if limit is not None and limit < 1:
                raise ValueError(f"{each.name} is at least 1, or null for no limit")


class Quota:
    """The limits in force, and meters of what was used; they count without limits too."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self.limit(Limits())

    def limit(self, limits: Limits) -> None:
        """Replace the limits, and count from zero."""
        with self._lock:
            self._limits = limits
            self._meters: dict[tuple[LimitName, str], Meter] = {}
            self._calls: Counter[str] = Counter()
            self._throttled: Counter[str] = Counter()

    def charge(
        self, service: str, amounts: dict[LimitName, int], geo: str = ""
    ) -> dict[LimitName, MeterReading]:
        """Count one call to `service` against these limits, and return what each meter shows then."""
        now = self._world.clock.now().timestamp()
        with self._lock:
            readings = {name: self._read(name, geo, amount, now) for name, amount in amounts.items()}
            self._calls[service] += 1
            self._throttled[service] += any(reading.wait for reading in readings.values())
        return readings

    def report(self) -> dict[str, Any]:
        """Return the limits, how many calls were counted and throttled, by service, and every window."""
        with self._lock:
            return {
                "limits": asdict(self._limits),
                "calls": {"all": self._calls.total(), **self._calls},
                "throttled": {"all": self._throttled.total(), **self._throttled},
                "used": {name: self._describe(name) for name in PERIODS},
            }

    def _read(self, name: LimitName, geo: str, amount: int, now: float) -> MeterReading:
        meter = self._meters.setdefault((name, geo), Meter(PERIODS[name]))
        aligned = self._world.knobs.quota_window == "clock"
        return meter.charge(amount, getattr(self._limits, name), now, aligned=aligned)

    def _describe(self, name: LimitName) -> dict[str, Any]:
        meters = {geo: meter for (limit, geo), meter in self._meters.items() if limit == name}
        return {
            "peak": max((meter.peak for meter in meters.values()), default=0),
            "windows": [_show(geo, window) for geo, meter in meters.items() for window in meter.windows],
        }


def _show(geo: str, window: Window) -> dict[str, Any]:
    began = datetime.fromtimestamp(window.began, UTC).isoformat(timespec="milliseconds")
    counts = {name: getattr(window, name) for name in ("owed", "used", "calls", "throttled")}
    return {"geo": geo, "began": began, **counts}
