"""Check every user in scope: read a sweep page by page, and act on what it found.

Nothing is held in memory: a sweep's record and parts are rows, its steps are messages, so it outlives every
instance. Each step sends what follows from it before it notes that it was done.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from shared import backoff, logs
from shared.clock import Clock
from shared.errors import STORAGE, Expired, PutOff, Refused
from shared.jobs import LONGEST_LIFE, SweepPage
from shared.ledger.ledger import Ledger
from shared.settings import Settings
from shared.storage.queues import Queues
from shared.sweeps.opener import Opener
from shared.sweeps.pages import PageReader
from shared.sweeps.removals import Removals
from shared.sweeps.state import (
    SWEEP_LEASE,
    TIDIED,
    SweepRecord,
    SweepState,
    next_look,
    next_step,
    waiting,
)
from shared.sweeps.store import PartStore, SweepStore
from shared.sweeps.tally import Letter, Totals, brakes

EXPIRED = "Graph forgot where its list of users was"
CANCELLED = "cancelled"
FAILED_A_STEP = 200  # parts whose users are counted as failed in one step; each takes up to 23 calls


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
    tidy: Callable[[str, str], str]  # tidies after a sweep, from where it stopped to where it stops now
    clock: Clock

    def step(self, job: SweepPage) -> None:
        """Do what a page message asks for, so that it or its successor is in the queue until the verdict.

        Raises:
            Refused: storage refuses what it is asked for.
            TryLater: the queue is out of reach, so that only a redelivery is left.
        """
        try:
            self._step(job)
        except PutOff as error:
            log = logs.error if error.needs_operator else logs.warning
            event = "sweep.denied" if error.needs_operator else "sweep.deferred"
            log(event, sweep=job.sweep, error=str(error))
            self._put_off(job, error)

    def cancel(self) -> str:
        """End the running sweep as *failed*; return its id, "" where none runs.

        What it has queued is done nevertheless; it queues nothing more.
        """
        record = self.store.record()
        if record.state != "running":
            return ""
        self._close(record, SweepPage(record.id, int(record.page), born=0.0), "failed", CANCELLED)
        return record.id

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
                self.opener.open_requested()
                if not self.removals.remove_released(job.sweep):
                    self._tidy(job)

    def _read(self, record: SweepRecord, job: SweepPage) -> None:
        try:
            place = self.pages.read(record)
        except Expired:
            self._close(record, job, "incomplete", EXPIRED)
        except Refused as error:
            if error.service == STORAGE:
                raise
            self._close(record, job, "failed", str(error))
        else:
            place |= {"page": job.page + 1.0, "progress_at": self.clock.now()}
            self._go_on(job, place, page=job.page + 1)

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
                self._fail_unanswered(record, job)
            case "stuck":
                self._close(record, job, "incomplete", f"{totals.unanswered} users were never answered")
            case "going on":
                moved = totals.unanswered != record.unanswered
                noted = {"unanswered": float(totals.unanswered)} | ({"progress_at": now} if moved else {})
                self._go_on(job, noted, page=job.page, hidden=next_look(record, now))

    def _fail_unanswered(self, record: SweepRecord, job: SweepPage) -> None:
        """Count users that Graph never answered for as failed, so that they do not hold up all others.

        A bounded number at once; more in later steps, before the verdict.
        """
        waiting = ((key, left) for key, part in self.parts.all(record.id) if (left := part.unanswered))
        for key, left in islice(waiting, FAILED_A_STEP):
            logs.warning("sweep.unanswered", sweep=record.id, users=",".join(left))
            failed = {user: Letter.FAILED.of(self.ledger.read(user)) for user in left}
            self.parts.answer(record.id, key, failed)
        totals = self.parts.total(record.id)
        if totals.unanswered:
            self._go_on(job, {"unanswered": float(totals.unanswered)}, page=job.page)
        else:
            self._judge(record, job, totals)

    def _judge(self, record: SweepRecord, job: SweepPage, totals: Totals) -> None:
        removed, _ = self.removals.counted(record.id) if totals.removable else (0, 0)
        if brakes(totals, self.settings.removal_brake, removed):
            lost, shown = totals.lost + removed, totals.shown + removed
            logs.error("sweep.braked", sweep=record.id, count=lost, users=shown)
            past = f" ({removed} of them removed in the last seven days)" if removed else ""
            reason = f"{lost} of {shown} photos are missing at once{past}: look, then release_brake"
            self._close(record, job, "braked", reason)
            return
        self._remove(record, job)

    def _remove(self, record: SweepRecord, job: SweepPage) -> None:
        """Queue some removals, and more in later steps: the sweep is finished when all of them are queued."""
        if reached := self.removals.remove(record.id, record.removed_to):
            self._go_on(job, {"removed_to": reached, "progress_at": self.clock.now()}, page=job.page)
        else:
            self._close(record, job, "finished", "")

    def _close(self, record: SweepRecord, job: SweepPage, state: SweepState, reason: str) -> None:
        """Keep a sweep's figures, and end it as they say."""
        totals, now = self.parts.total(record.id), self.clock.now()
        removes = state == "finished" or record.removed_to  # also if it was ended halfway
        removing = totals.removable if removes and not self.settings.dry_run else 0
        removed = removing - self.removals.counted(record.id)[1] if removing else 0
        self.store.keep(record, state, reason, totals, now, removing=removing, removed=removed)
        self._end(record, job)

    def _end(self, record: SweepRecord, job: SweepPage) -> None:
        """End a sweep as its figures say: free the lease, have it tidied, open the next one if asked."""
        figures = self.store.figures(record.id) or {}
        state, reason = figures["state"], figures["reason"]
        again = {"again": True, "again_why": EXPIRED} if reason == EXPIRED != record.why else {}
        if self.store.advance(job.sweep, job.page, {"state": state, "lease_until": 0.0, **again}):
            logs.info("sweep.ended", sweep=record.id, outcome=state, reason=reason)
            self._send_step(record.id, int(record.page))
            self.opener.open_requested()
        else:
            self._look_again(job)

    def _tidy(self, job: SweepPage) -> None:
        """Tidy a bounded amount after a sweep, if it has ended; another message goes on with the rest."""
        figures = self.store.figures(job.sweep) or {"tidied_to": TIDIED}
        if (reached := str(figures.get("tidied_to", ""))) == TIDIED:
            return
        reached = self.tidy(job.sweep, reached)
        self.store.mark(job.sweep, {"tidied_to": reached})
        if reached != TIDIED:
            self._send_step(job.sweep, job.page)

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

    def _put_off(self, job: SweepPage, error: PutOff) -> None:
        """Defer a step; after a day without progress its sweep fails instead, so that others can open."""
        now = self.clock.now()
        try:
            if self._give_up(job, error, now):
                return
        except PutOff as failed:  # of storage: then the queue alone keeps the sweep going
            logs.warning("sweep.lease_not_extended", sweep=job.sweep, error=str(failed))
        self.queues.defer(job, error.after, now=now)

    def _give_up(self, job: SweepPage, error: PutOff, now: float) -> bool:
        """Return whether a step is not deferred any more; where it is, its sweep keeps its lease meanwhile.

        What counts for a sweep that runs is its progress, not the age of a message; an ended one only tidies.
        """
        record = self.store.record()
        if record.id != job.sweep or record.state != "running":
            if now - job.born <= LONGEST_LIFE:
                return False
            logs.warning("sweep.not_tidied", sweep=job.sweep, error=str(error))
            return True
        if now - record.progress_at > LONGEST_LIFE:
            last = SweepPage(record.id, int(record.page), born=0.0)
            self._close(record, last, "failed", f"no progress for a day: {error}")
            return True
        wait = backoff.wait_in_queue(error.after, age=now - job.born, jitter=1.0)
        self.store.advance(job.sweep, job.page, {"lease_until": now + wait + SWEEP_LEASE})
        return False

    def _send_step(self, sweep: str, page: int, *, hidden: float = 0.0) -> None:
        self.queues.send(SweepPage(sweep, page, born=self.clock.now()), hidden=hidden)
