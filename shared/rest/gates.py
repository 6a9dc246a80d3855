"""Gates: until when each service must not be called; one row for each service, shared by all instances.

The time in a gate never moves back. A caller that is throttled or denied closes the gate. Every caller checks
it first, and defers its message instead of sending a request that would fail.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared import backoff, logs
from shared.clock import Clock
from shared.errors import FILES, GRAPH, PROFILES, GateClosed, TryLater
from shared.storage.tables import StateRows, Table, update

SERVICES = (GRAPH, FILES, PROFILES)
BELIEVED_FOR = 1.0  # seconds for which a gate that was read is cached


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates of all services. One long-lived object, shared by all threads."""

    table: Table
    clock: Clock
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _seen: dict[str, tuple[float, float]] = field(default_factory=dict, init=False)

    def require_open(self, *services: str) -> None:
        """Return if every one of these services may be called.

        Raises:
            GateClosed: with the seconds until all of them may be called.
            TryLater: the table is unreachable.
        """
        until = {service: self.closed_until(service) for service in services}
        last = max(until, key=lambda service: until[service])
        wait = until[last] - self.clock.now()
        if wait > 0:
            raise GateClosed(last, "its gate is closed", after=wait)

    def closed_until(self, service: str) -> float:
        """Return until when a service must not be called, in Unix seconds; 0 if it was never closed."""
        with self._lock:
            seen, until = self._seen.get(service, (float("-inf"), 0.0))
        if self.clock.monotonic() - seen < BELIEVED_FOR:
            return until
        found = self.table.read(StateRows.GATE, service)
        return self._remember(service, float(found[0].get("closed_until", 0.0)) if found else 0.0)

    def close(self, service: str, after: float | None, why: str) -> float:
        """Close a service's gate and return for how many seconds it is closed.

        `after` is what the service asked for, in seconds, None if it named no time. Then a gate that closes
        again soon after it opened stays closed twice as long, from 30 seconds up to 15 minutes. `why` is for
        the log and the status report.

        Raises `TryLater` where the table is unreachable.
        """
        now = self.clock.now()

        def forward(columns: Mapping[str, Any]) -> dict[str, Any] | None:
            closing = next_closing(columns, after, now)
            later = closing["closed_until"] > columns.get("closed_until", 0.0)
            return {**closing, "why": why} if later else None

        try:
            columns, closed = update(self.table, StateRows.GATE, service, forward)
        except TryLater:
            self._remember(service, next_closing({}, after, now)["closed_until"])  # this instance stays away
            raise
        until = float(columns["closed_until"])
        if closed:
            logs.warning("gate.closed", service=service, after=round(until - now), reason=why)
        return self._remember(service, until) - self.clock.now()

    def why_closed(self, service: str) -> str:
        """Return why a service's gate was last closed, "" if it never was."""
        found = self.table.read(StateRows.GATE, service)
        return str(found[0].get("why", "")) if found else ""

    def _remember(self, service: str, until: float) -> float:
        with self._lock:
            _, known = self._seen.get(service, (0.0, 0.0))
            until = max(until, known)  # a slow read must not overwrite a newer one
            self._seen[service] = (self.clock.monotonic(), until)
        return until


def next_closing(columns: Mapping[str, Any], after: float | None, now: float) -> dict[str, float]:
    """Return the columns of a gate that is closed at `now`. Pure.

    `closed_for` is the last wait that this app chose, in seconds; 0 if the service chose it.
    """
    if after is not None:
        return {"closed_until": now + min(after, backoff.ABSURD), "closed_for": 0.0}
    until, last = float(columns.get("closed_until", 0.0)), float(columns.get("closed_for", 0.0))
    if until > now:
        return {"closed_until": until, "closed_for": last}
    again = last > 0 and now - until < 2 * last
    wait = min(2 * last, backoff.ABSURD) if again else backoff.SHORTEST
    return {"closed_until": now + wait, "closed_for": wait}
