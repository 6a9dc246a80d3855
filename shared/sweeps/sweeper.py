"""Check every user in scope: read a sweep page by page, and act on what it found.

Nothing is held in memory: a sweep's record and parts are rows, its steps are messages, so it outlives every
instance. Each step sends what follows from it before it notes that it was done.
"""

from collections.abc import Callable

from shared import backoff, logs
from shared.clock import Clock
from shared.errors import DENIED_AFTER, ConfigError, Denied, Expired, ServiceError, TryLater
from shared.graph.client import Graph
from shared.jobs import SweepPage
from shared.settings import Settings
from shared.storage.queues import Queues
from shared.sweeps import state as sweeps
from shared.sweeps import tally
from shared.sweeps.opener import Opened, Opener
from shared.sweeps.pages import PageReader
from shared.sweeps.removals import Removals
from shared.sweeps.state import Await, Drop, ReadPage, Resend, SweepRecord
from shared.sweeps.store import PartStore, SweepStore
from shared.sweeps.tally import Totals

EXPIRED = "Graph forgot where its list of users was"


class Sweeper:
    """Runs sweeps. One object, long-lived, shared by all threads.

    `tidy` is called at the end of each: it deletes rows that are no longer needed.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        book: SweepStore,
        parts: PartStore,
        queues: Queues,
        graph: Graph,
        tidy: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._book = book
        self._parts = parts
        self._queues = queues
        self._clock = clock
        self._pages = PageReader(settings=settings, parts=parts, queues=queues, graph=graph, clock=clock)
        self._opener = Opener(book=book, parts=parts, queues=queues, clock=clock)
        self._remover = Removals(book=book, parts=parts, queues=queues, clock=clock)
        self._tidy = tidy

    def open(self, why: str, *, force: bool = False) -> Opened:
        """Open a sweep unless one is running: see `Opener.open`."""
        return self._opener.open(why, force=force)

    def request(self, why: str) -> None:
        """Open a sweep, or have one opened as soon as the running one ends: see `Opener.request`."""
        self._opener.request(why)

    def release(self, sweep: str) -> None:
        """Let a braked sweep remove what it found, because an administrator looked at it.

        Raises:
            NotOurs: the last ten sweeps contain no such braked sweep.
            TryLater: it is just ending, or storage is out of reach.
        """
        self._remover.release(sweep)

    # --- steps ---

    def step(self, job: SweepPage) -> None:
        """Do what a page message asks for, so that it or its successor is in the queue until the verdict.

        Raises:
            Refused: Graph will not list the users.
            TryLater: the queue is out of reach, so that only a redelivery is left.
        """
        try:
            self._step(job)
        except TryLater as error:
            logs.warning("sweep.deferred", sweep=job.sweep, error=str(error))
            self._wait_for(job, error.after)
        except (Denied, ConfigError) as error:
            logs.error("sweep.denied", sweep=job.sweep, error=str(error))
            self._wait_for(job, DENIED_AFTER)

    def _wait_for(self, job: SweepPage, after: float | None) -> None:
        """Defer a step; while it waits its sweep keeps its lease."""
        lease = self._clock.now() + backoff.ABSURD + sweeps.SWEEP_LEASE
        try:
            self._book.advance(self._book.record(), job.sweep, job.page, {"lease_until": lease})
        except ServiceError as error:  # of storage: then the queue alone keeps the sweep going
            logs.warning("sweep.lease_not_extended", sweep=job.sweep, error=str(error))
        self._queues.defer(job, after, now=self._clock.now())

    def _step(self, job: SweepPage) -> None:
        record = self._book.record()
        step = sweeps.next_step(record, job.sweep, job.page)
        if isinstance(step, ReadPage | Await) and self._book.figures(record.id):
            self._end(record, job)  # the instance that gave the verdict crashed before the record said so
            return
        match step:
            case ReadPage(address):
                self._read(record, job, address)
            case Resend():
                self._send_step(record.id, int(record.page))
            case Await():
                self._await(record, job)
            case Drop():
                self._remover.remove_released(job.sweep)
                self._opener.open_requested()

    def _send_step(self, sweep: str, page: int, *, hidden: float = 0.0) -> None:
        self._queues.send(SweepPage(sweep, page, born=self._clock.now()), hidden=hidden)

    def _look_again(self, job: SweepPage) -> None:
        """Queue this step once more: a duplicate did it, and may have crashed before it sent the next one.

        (Or our own write was retried and met itself.) Where all is well that message is dropped.
        """
        self._send_step(job.sweep, job.page, hidden=backoff.SHORTEST)

    # --- reading a page ---

    def _read(self, record: SweepRecord, job: SweepPage, address: str) -> None:
        try:
            following = self._pages.read(record, address)
        except Expired:
            self._close(record, job, "incomplete", EXPIRED)
            return
        now = self._clock.now()
        place = {"page": job.page + 1.0, "next": following or sweeps.LAST_PAGE_READ}
        if self._book.advance(
            record,
            job.sweep,
            job.page,
            {**place, "lease_until": now + sweeps.SWEEP_LEASE, "progress_at": now},
        ):
            self._send_step(record.id, job.page + 1)
        else:
            self._look_again(job)

    # --- the end ---

    def _await(self, record: SweepRecord, job: SweepPage) -> None:
        if record.removed_to:  # the verdict was given
            self._remove(record, job)
            return
        totals = self._parts.total(record.id)
        now = self._clock.now()
        if not totals.unanswered:
            self._judge(record, job, totals)
            return
        moved = totals.unanswered != record.unanswered
        if not moved and now - record.progress_at > sweeps.STUCK_AFTER:
            self._close(record, job, "incomplete", f"{totals.unanswered} users were never answered")
            return
        noted = {"lease_until": now + sweeps.SWEEP_LEASE, "unanswered": float(totals.unanswered)}
        if self._book.advance(
            record, job.sweep, job.page, {**noted, "progress_at": now if moved else record.progress_at}
        ):
            self._send_step(record.id, job.page, hidden=sweeps.next_look(record, now))
        else:
            self._look_again(job)

    def _judge(self, record: SweepRecord, job: SweepPage, totals: Totals) -> None:
        if tally.brakes(totals, self._settings.removal_brake):
            logs.error("sweep.braked", sweep=record.id, count=totals.lost, users=totals.shown)
            reason = f"{totals.lost} of {totals.shown} photos are missing at once: look, then release_brake"
            self._close(record, job, "braked", reason)
            return
        self._remove(record, job)

    def _remove(self, record: SweepRecord, job: SweepPage) -> None:
        """Queue some removals, and more in later steps: the sweep is finished when all of them are queued."""
        reached = self._remover.remove(record.id, record.removed_to)
        if not reached:
            self._close(record, job, "finished", "")
            return
        lease = self._clock.now() + sweeps.SWEEP_LEASE
        place = {"removed_to": reached, "lease_until": lease}
        if self._book.advance(record, job.sweep, job.page, place):
            self._send_step(record.id, job.page)
        else:
            self._look_again(job)

    def _keep(self, record: SweepRecord, state: sweeps.SweepState, reason: str) -> None:
        self._book.keep(record, state, reason, self._parts.total(record.id), self._clock.now())

    def _close(self, record: SweepRecord, job: SweepPage, state: sweeps.SweepState, reason: str) -> None:
        """Keep a sweep's figures, and end it as they say."""
        self._keep(record, state, reason)
        self._end(record, job)

    def _end(self, record: SweepRecord, job: SweepPage) -> None:
        """End a sweep as its figures say: free the lease, and open the next if one is requested."""
        figures = self._book.figures(record.id) or {}
        state, reason = figures["state"], figures["reason"]
        again = reason == EXPIRED != record.why
        wish = {"again": True, "again_why": EXPIRED} if again else {}
        if self._book.advance(record, job.sweep, job.page, {"state": state, "lease_until": 0.0, **wish}):
            logs.info("sweep.ended", sweep=record.id, outcome=state, reason=reason)
            self._tidy()
            self._opener.open_requested()
        else:
            self._look_again(job)

    def fail(self, sweep: str) -> None:
        """End a sweep whose page could not be handled: *failed*, and the lease is free for the next."""
        record = self._book.record()
        if record.id == sweep and record.state == "running":
            job = SweepPage(sweep, int(record.page), born=0.0)
            self._close(record, job, "failed", "a page failed for good")
        self._opener.open_requested()  # also where the instance that ended it crashed before this
