"""Check every user in scope: read a sweep page by page, and act on what it found.

Nothing is held in memory: a sweep's record and parts are rows, its steps are messages, so it outlives every
instance. Each step sends what follows from it before it notes that it was done.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared import backoff, logs
from shared.clock import Clock
from shared.errors import Expired, PutOff, ServiceError
from shared.jobs import SweepPage
from shared.ledger.ledger import Ledger
from shared.settings import Settings
from shared.storage.queues import Queues
from shared.sweeps.opener import Opener
from shared.sweeps.pages import PageReader
from shared.sweeps.removals import Removals
from shared.sweeps.state import (
    LAST_PAGE_READ,
    SWEEP_LEASE,
    SweepRecord,
    SweepState,
    next_look,
    next_step,
    waiting,
)
from shared.sweeps.store import PartStore, SweepStore
from shared.sweeps.tally import Letter, Totals, brakes

EXPIRED = "Graph forgot where its list of users was"


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Runs sweeps, step by step. One object, long-lived, shared by all threads."""

    settings: Settings
    store: SweepStore
    parts: PartStore
    ledger: Ledger
    queues: Queues
    pages: PageReader
    removals: Removals
    opener: Opener
    tidy: Callable[[], None]  # at the end of each sweep: deletes rows that are no longer needed
    clock: Clock

    def step(self, job: SweepPage) -> None:
        """Do what a page message asks for, so that it or its successor is in the queue until the verdict.

        Raises:
            Refused: Graph will not list the users.
            TryLater: the queue is out of reach, so that only a redelivery is left.
        """
        try:
            self._step(job)
        except PutOff as error:
            log = logs.error if error.needs_operator else logs.warning
            event = "sweep.denied" if error.needs_operator else "sweep.deferred"
            log(event, sweep=job.sweep, error=str(error))
            self._wait_for(job, error.after)

    def fail(self, sweep: str) -> None:
        """End a sweep whose page could not be handled: *failed*, and the lease is free for the next."""
        record = self.store.record()
        if record.id == sweep and record.state == "running":
            job = SweepPage(sweep, int(record.page), born=0.0)
            self._close(record, job, "failed", "a page failed for good")
        self.opener.open_requested()  # also where the instance that ended it crashed before this

    def _step(self, job: SweepPage) -> None:
        record = self.store.record()
        step = next_step(record, job.sweep, job.page)
        if step in ("read", "await") and self.store.figures(record.id):
            self._end(record, job)  # the instance that gave the verdict crashed before the record said so
            return
        match step:
            case "read":
                self._read(record, job)
            case "resend":
                self._send_step(record.id, int(record.page))
            case "await":
                self._await(record, job)
            case "drop":
                self.removals.remove_released(job.sweep)
                self.opener.open_requested()

    def _read(self, record: SweepRecord, job: SweepPage) -> None:
        try:
            following = self.pages.read(record)
        except Expired:
            self._close(record, job, "incomplete", EXPIRED)
            return
        place = {"page": job.page + 1.0, "next": following or LAST_PAGE_READ}
        self._go_on(job, {**place, "progress_at": self.clock.now()}, page=job.page + 1)

    # --- the end ---

    def _await(self, record: SweepRecord, job: SweepPage) -> None:
        if record.removed_to:  # the verdict was given
            self._remove(record, job)
            return
        totals, now = self.parts.total(record.id), self.clock.now()
        match waiting(record, totals.seen, totals.unanswered, now):
            case "answered":
                self._judge(record, job, totals)
            case "few left":
                self._fail_unanswered(record.id)
                self._judge(record, job, self.parts.total(record.id))
            case "stuck":
                self._close(record, job, "incomplete", f"{totals.unanswered} users were never answered")
            case "going on":
                moved = totals.unanswered != record.unanswered
                noted = {"unanswered": float(totals.unanswered)} | ({"progress_at": now} if moved else {})
                self._go_on(job, noted, page=job.page, hidden=next_look(record, now))

    def _fail_unanswered(self, sweep: str) -> None:
        """Count users that Graph never answered for as failed, so that they do not hold up all others."""
        for key, part in self.parts.all(sweep):
            if left := part.unanswered:
                logs.warning("sweep.unanswered", sweep=sweep, users=",".join(left))
                failed = {user: Letter.FAILED.of(self.ledger.read(user)) for user in left}
                self.parts.answer(sweep, key, failed)

    def _judge(self, record: SweepRecord, job: SweepPage, totals: Totals) -> None:
        if brakes(totals, self.settings.removal_brake):
            logs.error("sweep.braked", sweep=record.id, count=totals.lost, users=totals.shown)
            reason = f"{totals.lost} of {totals.shown} photos are missing at once: look, then release_brake"
            self._close(record, job, "braked", reason)
            return
        self._remove(record, job)

    def _remove(self, record: SweepRecord, job: SweepPage) -> None:
        """Queue some removals, and more in later steps: the sweep is finished when all of them are queued."""
        if reached := self.removals.remove(record.id, record.removed_to):
            self._go_on(job, {"removed_to": reached}, page=job.page)
        else:
            self._close(record, job, "finished", "")

    def _close(self, record: SweepRecord, job: SweepPage, state: SweepState, reason: str) -> None:
        """Keep a sweep's figures, and end it as they say."""
        self.store.keep(record, state, reason, self.parts.total(record.id), self.clock.now())
        self._end(record, job)

    def _end(self, record: SweepRecord, job: SweepPage) -> None:
        """End a sweep as its figures say: free the lease, and open the next if one is requested."""
        figures = self.store.figures(record.id) or {}
        state, reason = figures["state"], figures["reason"]
        again = {"again": True, "again_why": EXPIRED} if reason == EXPIRED != record.why else {}
        if self.store.advance(job.sweep, job.page, {"state": state, "lease_until": 0.0, **again}):
            logs.info("sweep.ended", sweep=record.id, outcome=state, reason=reason)
            self.tidy()
            self.opener.open_requested()
        else:
            self._look_again(job)

    # --- from step to step ---

    def _go_on(self, job: SweepPage, columns: Mapping[str, Any], *, page: int, hidden: float = 0.0) -> None:
        """Note how far the sweep came, then send its next step."""
        lease = self.clock.now() + SWEEP_LEASE
        if self.store.advance(job.sweep, job.page, {**columns, "lease_until": lease}):
            self._send_step(job.sweep, page, hidden=hidden)
        else:
            self._look_again(job)

    def _look_again(self, job: SweepPage) -> None:
        """Queue this step once more: a duplicate did it, and may have crashed before it sent the next one.

        (Or our own write was retried and met itself.) Where all is well that message is dropped.
        """
        self._send_step(job.sweep, job.page, hidden=backoff.SHORTEST)

    def _wait_for(self, job: SweepPage, after: float | None) -> None:
        """Defer a step; while it waits its sweep keeps its lease."""
        lease = self.clock.now() + backoff.ABSURD + SWEEP_LEASE
        try:
            self.store.advance(job.sweep, job.page, {"lease_until": lease})
        except ServiceError as error:  # of storage: then the queue alone keeps the sweep going
            logs.warning("sweep.lease_not_extended", sweep=job.sweep, error=str(error))
        self.queues.defer(job, after, now=self.clock.now())

    def _send_step(self, sweep: str, page: int, *, hidden: float = 0.0) -> None:
        self.queues.send(SweepPage(sweep, page, born=self.clock.now()), hidden=hidden)
