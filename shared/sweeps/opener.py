"""Open a sweep, at once or as soon as the running one has ended."""

import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from shared import logs
from shared.clock import Clock
from shared.errors import Stale
from shared.jobs import SweepPage
from shared.storage.queues import Queues
from shared.sweeps import state
from shared.sweeps.state import SweepRecord
from shared.sweeps.store import PartStore, SweepStore


@dataclass(frozen=True, slots=True)
class Opened:
    """A sweep's id; `new` if it was opened just now, else it runs already."""

    id: str
    new: bool


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens sweeps. One object, long-lived, shared by all threads."""

    store: SweepStore
    parts: PartStore
    queues: Queues
    clock: Clock

    def open(self, why: str, *, force: bool = False) -> Opened:
        """Open a sweep unless one is running; one whose lease ended is dead and is closed first.

        `why` is the reason, in words; `force` has every photo written again. Raises `TryLater` where storage
        is out of reach.
        """
        record, now = self.store.record(), self.clock.now()
        if record.running(now):
            return Opened(record.id, new=False)
        if record.state == "running":
            totals = self.parts.total(record.id)
            self.store.keep(record, "incomplete", "nothing moved for an hour", totals, now)
        sweep = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        lease = now + state.SWEEP_LEASE
        fresh = SweepRecord(
            id=sweep, state="running", force=force, why=why, lease_until=lease, opened_at=now, progress_at=now
        )
        stands = self._begin(record, fresh)
        if stands != sweep:
            return Opened(stands, new=False)
        logs.info("sweep.opened", sweep=sweep, why=why)
        return Opened(sweep, new=True)

    def request(self, why: str) -> None:
        """Open a sweep, or have one opened as soon as the running one ends: changes may have been missed."""
        if self.open(why).new:
            return
        self.store.request_again(why)
        if not self.store.record().running(self.clock.now()):
            self.open(why)  # it ended in between, and did not see the request

    def open_requested(self) -> None:
        """Open the sweep that was requested while the last one ran; only opening one clears the request."""
        record = self.store.record()
        if record.again and record.state != "running":
            self.open(record.again_why)

    def _begin(self, record: SweepRecord, fresh: SweepRecord) -> str:
        """Send a sweep's first page, write its record, and return the id of the sweep recorded then."""
        first = SweepPage(fresh.id, 0, born=fresh.opened_at)
        began = self.clock.monotonic()
        # The message first: without a record it is dropped, but a record without it would stand for an hour.
        self.queues.send(first, hidden=state.FIRST_PAGE_HIDDEN)
        try:
            self.store.write(record, {k: v for k, v in asdict(fresh).items() if k != "version"})
        except Stale:
            # Another instance was faster, or our own write was retried and met itself.
            return self.store.record().id
        finally:
            if self.clock.monotonic() - began >= state.FIRST_PAGE_HIDDEN:
                # The first message may have come before the record, and be gone. Two are as good as one.
                self.queues.send(first, hidden=state.FIRST_PAGE_HIDDEN)
        return fresh.id
