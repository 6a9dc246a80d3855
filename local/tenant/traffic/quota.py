"""What the application may use of SharePoint and of Graph's photos, and what it has used.

learn.microsoft.com/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online
has the limits, which hold for each geo location by itself. Graph publishes no limit for photos; the one
here stands for the behaviour of the mailboxes' store under load. Windows follow the tenant's clock.
"""

import threading
from collections import Counter
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal

from local.tenant.directory.world import World
from local.tenant.traffic.meters import Meter, MeterReading, Window

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
    return {
        "geo": geo,
        "began": datetime.fromtimestamp(window.began, UTC).isoformat(timespec="milliseconds"),
        "owed": window.owed,
        "used": window.used,
        "calls": window.calls,
        "throttled": window.throttled,
    }
