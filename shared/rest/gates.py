"""Gates: until when a service must not be called; one row for each, shared by all instances.

A gate belongs to a service and a geo, because each geo has its own hosts and limits. The time in it never
moves back. Every caller checks it first, and defers its message instead of sending a request that would fail.

A refusal of one user's call is not yet the service's: it closes the gate only if a second user meets the same
refusal and the service did nothing of that kind for any user in between.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared import backoff, logs
from shared.clock import Clock
from shared.errors import (
    FILES,
    GRAPH,
    PROFILES,
    GateClosed,
    NotSent,
    RoleMissing,
    ServiceError,
    Throttled,
    TryLater,
)
from shared.rest import suspicion
from shared.storage.tables import StateRows, Table, update

SERVICES = (GRAPH, FILES, PROFILES)
BELIEVED_FOR = 1.0  # seconds for which a gate that was read is cached


def gate_of(service: str, host: str) -> str:
    """Return the name of the gate in front of a service at a host, "" for a service without a gate.

    Each geo has its own hosts, so the host names the geo. Graph is one service for all of them.
    """
    if service not in SERVICES:
        return ""
    return service if service == GRAPH else f"{service}@{host}"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a gate said at `at`, in monotonic seconds.

    `suspected` is the operation in doubt, "" if none; `doubles`: the next refusal closes it twice as long.
    """

    at: float
    until: float
    suspected: str
    doubles: bool
    why: str


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates of all services. One long-lived object, shared by all threads."""

    table: Table
    clock: Clock
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _seen: dict[str, _Seen] = field(default_factory=dict, init=False)

    def require_open(self, *gates: str) -> None:
        """Return if every one of these gates is open.

        Raises:
            GateClosed: with the seconds until all of them are open.
            TryLater: the table is unreachable.
        """
        seen = {gate: self._read(gate) for gate in gates}
        last = max(seen, key=lambda gate: seen[gate].until)
        wait = seen[last].until - self.clock.now()
        if wait > 0:
            why = f": {seen[last].why}" if seen[last].why else ""
            raise GateClosed(last, f"its gate is closed{why}", after=wait)

    def closed_until(self, gate: str) -> float:
        """Return until when a service must not be called, in Unix seconds; 0 if it was never closed."""
        return self._read(gate).until

    def close(self, gate: str, after: float | None, why: str) -> float:
        """Close a gate and return for how many seconds it is closed.

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
            columns, closed = update(self.table, StateRows.GATE, gate, forward)
        except TryLater:
            self._remember(gate, next_closing({}, after, now))  # this instance stays away
            raise
        if closed:
            logs.warning("gate.closed", service=gate, after=round(columns["closed_until"] - now), reason=why)
        return self._remember(gate, columns).until - self.clock.now()

    # --- whose trouble a refusal is ---

    def only_of(self, user: str, error: ServiceError) -> bool:
        """Return whether a refusal concerns this user alone; close the gate where it concerns the service.

        It concerns the service where no user causes it (`NotSent`, `Throttled`, `RoleMissing`, storage), and
        where another user met the same refusal and the service did nothing of that kind in between. Then
        `error.after` becomes the time to wait. A few users who meet nothing else are refused for themselves,
        too, from the second time on: where no other user calls the service, nothing else would tell. Where
        the service then works for another user, they close its gate no more.
        """
        gate = error.gate or gate_of(error.service, "")
        if not gate or isinstance(error, NotSent | Throttled | RoleMissing):
            return False
        try:
            before, suspects = self._suspect(gate, user, error)
            few = len(suspects) <= suspicion.FEW_SUSPECTS
            if suspects == {user} or (user in before and few):
                return True
            wait = self.close(gate, suspicion.pause_after(error, few=few), str(error))
        except ServiceError as unreachable:
            logs.warning("gate.unreachable", service=gate, error=str(unreachable))
            return True
        if isinstance(error, TryLater):
            error.after = wait
        return False

    def trust(self, gate: str, operation: str) -> None:
        """Note that a service did what it was asked for: a refusal of the same kind was one user's.

        If it was throttled, it is so no longer, and its next refusal closes the gate for a short time again.
        """
        seen = self._read(gate)
        if seen.suspected != operation and not seen.doubles:
            return

        def cleared(columns: Mapping[str, Any]) -> dict[str, Any] | None:
            known: dict[str, Any] = {"closed_for": 0.0} if columns.get("closed_for") else {}
            if columns.get("suspected") == operation:
                known |= {"suspects": "", "suspected": "", **suspicion.told_apart(columns, self.clock.now())}
            return known or None

        columns, _ = update(self.table, StateRows.GATE, gate, cleared)
        self._remember(gate, columns)

    def _suspect(self, gate: str, user: str, error: ServiceError) -> tuple[set[str], set[str]]:
        """Note whose call was refused; return whose were before, in the same way, and whose are now."""
        refusal, now, before = suspicion.kind_of(error), self.clock.now(), set[str]()

        def suspected(columns: Mapping[str, Any]) -> dict[str, Any] | None:
            before.clear()
            if user in suspicion.apart(columns, now):
                return None
            fresh = now - float(columns.get("suspected_at", 0.0)) < suspicion.SUSPECTED_FOR
            if fresh and columns.get("refusal") == refusal:
                before.update(suspicion.users_in(columns, "suspects"))
            suspects = ",".join(sorted({*before, user})[: suspicion.FEW_SUSPECTS + 1])
            operation = error.operation or refusal
            return {"suspects": suspects, "refusal": refusal, "suspected": operation, "suspected_at": now}

        columns, _ = update(self.table, StateRows.GATE, gate, suspected)
        self._remember(gate, columns)
        return before, {*before, user}

    # --- what is known of a gate ---

    def report(self) -> dict[str, dict[str, Any]]:
        """Return every gate that was ever closed: whether it is, for how many seconds, and why, as JSON."""
        now = self.clock.now()
        found = {}
        for gate, columns, _ in self.table.scan(StateRows.GATE):
            if not columns.get("closed_until"):
                continue  # only suspected
            left = max(float(columns["closed_until"]) - now, 0.0)
            why = str(columns.get("why", "")) if left else ""
            found[gate] = {"closed": left > 0, "for": round(left), "why": why}
        return found

    def _read(self, gate: str) -> _Seen:
        with self._lock:
            seen = self._seen.get(gate)
        if seen and self.clock.monotonic() - seen.at < BELIEVED_FOR:
            return seen
        found = self.table.read(StateRows.GATE, gate)
        return self._remember(gate, found[0] if found else {})

    def _remember(self, gate: str, columns: Mapping[str, Any]) -> _Seen:
        with self._lock:
            known = self._seen[gate].until if gate in self._seen else 0.0
            until = max(float(columns.get("closed_until", 0.0)), known)  # a slow read overwrites no newer one
            suspected, doubles = str(columns.get("suspected", "")), bool(columns.get("closed_for"))
            why = str(columns.get("why", ""))
            self._seen[gate] = seen = _Seen(self.clock.monotonic(), until, suspected, doubles, why)
        return seen


def next_closing(columns: Mapping[str, Any], after: float | None, now: float) -> dict[str, float]:
    """Return the columns of a gate that is closed at `now`. Pure.

    `closed_for` is the last wait that this app chose, in seconds; 0 if the service chose it.
    """
    if after is not None:
        return {"closed_until": now + min(after, backoff.LONGEST), "closed_for": 0.0}
    until, last = float(columns.get("closed_until", 0.0)), float(columns.get("closed_for", 0.0))
    if until > now:
        return {"closed_until": until, "closed_for": last}
    again = last > 0 and now - until < 2 * last
    wait = min(2 * last, backoff.ABSURD) if again else backoff.SHORTEST
    return {"closed_until": now + wait, "closed_for": wait}
