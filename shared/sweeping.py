"""Check every user in scope: open a sweep, read it page by page, and act on what it found.

Nothing is held in memory: a sweep's record and parts are rows, its steps are messages, so it outlives every
instance. Each step sends what follows from it before it notes that it was done.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import count, islice
from typing import Any

from shared import backoff, jobs, logs, sweeps
from shared.clock import Clock
from shared.errors import DENIED_AFTER, ConfigError, Denied, Expired, NotOurs, ServiceError, Stale, TryLater
from shared.failures import Failures
from shared.graph import Graph
from shared.jobs import Backfill, SweepPage, SweptCheck
from shared.ledger import Ledger, State
from shared.queues import Queues
from shared.rest import Attempt
from shared.settings import Settings
from shared.sweepbook import Parts, SweepBook
from shared.sweeps import Await, Drop, ReadPage, Record, Resend, Totals

EXPIRED = "Graph forgot where its list of users was"
TRIES = 5  # of a write to the record that somebody else wrote to in between


@dataclass(frozen=True, slots=True)
class Opened:
    """A sweep's id; `new` if it was opened just now, else it runs already."""

    id: str
    new: bool


class Sweeper:
    """Runs sweeps. One object, long-lived, shared by all threads."""

    def __init__(
        self,
        *,
        settings: Settings,
        book: SweepBook,
        parts: Parts,
        state: State,
        ledger: Ledger,
        failures: Failures,
        queues: Queues,
        graph: Graph,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._book = book
        self._parts = parts
        self._state = state
        self._ledger = ledger
        self._failures = failures
        self._queues = queues
        self._graph = graph
        self._clock = clock

    # --- opening ---

    def open(self, why: str, *, force: bool = False) -> Opened:
        """Open a sweep unless one is running; one whose lease ended is dead and gives way.

        Args:
            why: what for, in words.
            force: write every photo again.

        Raises:
            TryLater: storage is out of reach.
        """
        record, now = self._book.record(), self._clock.now()
        if record.running(now):
            return Opened(record.id, new=False)
        if record.state == "running":
            self._keep(record, "incomplete", "nothing moved for an hour")
        sweep = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        # The message first: without a record it is dropped, but a record without it would stand for an hour.
        self._queues.send(SweepPage(sweep, 0, born=now), hidden=sweeps.OPENING)
        lease = now + sweeps.LEASE
        fresh = Record(
            id=sweep, state="running", force=force, why=why, lease_until=lease, opened_at=now, progress_at=now
        )
        try:
            self._book.write(record, {k: v for k, v in asdict(fresh).items() if k != "version"})
        except Stale:
            stands = self._book.record()  # another was faster, or our own write was repeated and met itself
            if stands.id != sweep:
                return Opened(stands.id, new=False)
        logs.say("sweep.opened", sweep=sweep, why=why)
        return Opened(sweep, new=True)

    def want(self, why: str) -> None:
        """Open a sweep, or have one opened as soon as the running one ends: changes may have been missed."""
        opened = self.open(why)
        if opened.new:
            return
        self._book.want_again(why)
        if not self._book.record().running(self._clock.now()):
            self.open(why)  # it ended in between, and did not see the wish

    def release(self, sweep: str) -> None:
        """Let a braked sweep remove what it found, because a person looked at it.

        Raises:
            NotOurs: there is no such braked sweep among the last ten.
            TryLater: it is just ending, or storage is out of reach.
        """
        kept = dict(self._book.kept()).get(sweep)
        if kept is None or kept["state"] not in ("braked", "released"):
            raise NotOurs("there is no such braked sweep among the last ten")
        record = self._book.record()
        if record.id == sweep and record.state == "running":  # it would brake again, and forget the release
            raise TryLater("storage", "the sweep is just ending")
        self._book.mark(sweep, {"state": "released"})
        self._queues.send(SweepPage(sweep, int(kept["page"]), born=self._clock.now()))
        logs.warn("sweep.released", sweep=sweep)

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
            logs.warn("sweep.deferred", sweep=job.sweep, error=str(error))
            self._wait_for(job, error.after)
        except (Denied, ConfigError) as error:
            logs.cry("sweep.denied", sweep=job.sweep, error=str(error))
            self._wait_for(job, DENIED_AFTER)

    def _wait_for(self, job: SweepPage, after: float | None) -> None:
        """Put a step off; while it waits its sweep is not dead."""
        lease = self._clock.now() + backoff.ABSURD + sweeps.LEASE
        try:
            self._advance(self._book.record(), job, {"lease_until": lease})
        except ServiceError as error:  # of storage: then the queue alone keeps the sweep going
            logs.warn("sweep.lease_not_extended", sweep=job.sweep, error=str(error))
        self._queues.defer(job, after, now=self._clock.now())

    def _step(self, job: SweepPage) -> None:
        record = self._book.record()
        match sweeps.step(record, job.sweep, job.page):
            case ReadPage(address):
                self._read(record, job, address)
            case Resend():
                self._send_step(record.id, int(record.page))
            case Await():
                self._await(record, job)
            case Drop():
                self._remove_released(job.sweep)
                self._open_wanted()

    def _send_step(self, sweep: str, page: int, *, hidden: float = 0.0) -> None:
        self._queues.send(SweepPage(sweep, page, born=self._clock.now()), hidden=hidden)

    def _advance(self, record: Record, job: SweepPage, columns: Mapping[str, Any]) -> bool:
        """Write to the record as long as it stands at this message's page; return whether it did."""
        for _ in range(TRIES):
            if record.id != job.sweep or record.state != "running" or record.page != job.page:
                return False
            try:
                self._book.write(record, columns)
            except Stale:
                record = self._book.record()  # somebody wants another sweep, or a duplicate was faster
                continue
            return True
        raise TryLater("storage", "the sweep's record never holds still")

    def _look_again(self, job: SweepPage) -> None:
        """Have this step looked at once more: a duplicate did it, and may have died before what follows.

        (Or our own write was repeated and met itself.) Where all is well the message is dropped then.
        """
        self._send_step(job.sweep, job.page, hidden=backoff.SHORTEST)

    # --- reading a page ---

    def _read(self, record: Record, job: SweepPage, address: str) -> None:
        attempt = Attempt()
        try:
            listed = self._graph.list_users(self._settings.scope, address, attempt)
        except Expired:
            self._close(record, job, "incomplete", EXPIRED, again="" if record.why == EXPIRED else EXPIRED)
            return
        excluded = self._excluded(attempt)
        self._ask_all(record, job.page, [user for user in listed.users if user not in excluded])
        now = self._clock.now()
        following = {"page": job.page + 1.0, "next": listed.next or sweeps.END}
        if self._advance(record, job, {**following, "lease_until": now + sweeps.LEASE, "progress_at": now}):
            self._send_step(record.id, job.page + 1)
        else:
            self._look_again(job)

    def _excluded(self, attempt: Attempt) -> frozenset[str]:
        group = self._settings.scope.excluded
        return self._graph.members_of(group, attempt) if group else frozenset()

    def _ask_all(self, record: Record, page: int, users: Iterable[str]) -> None:
        """Put everybody into a part, 20 to each; a part that stands already keeps its users.

        A page that is read once more may list others, in another order: nobody is left out or asked twice.
        """
        left = dict.fromkeys(users)
        for number in count():
            if not left:
                return
            some = tuple(islice(left, jobs.USERS_A_CHECK))
            for user in self._ask(record, sweeps.part_key(page, number), some):
                left.pop(user, None)

    def _ask(self, record: Record, key: str, users: tuple[str, ...]) -> tuple[str, ...]:
        """Write a part, send its check, and return its users; whoever was answered already is not asked."""
        part = self._parts.add(record.id, key, users)
        now = self._clock.now()
        if asked := part.unanswered:
            check = SweptCheck(asked, "swept", seen=now, born=now, force=record.force, part=(record.id, key))
            self._queues.send(check)
        return part.users

    # --- the end ---

    def _await(self, record: Record, job: SweepPage) -> None:
        totals = self._total(record.id)
        now = self._clock.now()
        if not totals.unanswered:
            self._judge(record, job, totals)
            return
        moved = totals.unanswered != record.unanswered
        if not moved and now - record.progress_at > sweeps.STUCK_AFTER:
            self._close(record, job, "incomplete", f"{totals.unanswered} users were never answered")
            return
        noted = {"lease_until": now + sweeps.LEASE, "unanswered": float(totals.unanswered)}
        if self._advance(record, job, {**noted, "progress_at": now if moved else record.progress_at}):
            self._send_step(record.id, job.page, hidden=sweeps.wait(record, now))
        else:
            self._look_again(job)

    def _total(self, sweep: str) -> Totals:
        return sweeps.total(self._parts.letters(sweep))

    def _judge(self, record: Record, job: SweepPage, totals: Totals) -> None:
        if sweeps.brakes(totals, self._settings.removal_brake):
            logs.cry("sweep.braked", sweep=record.id, count=totals.lost, users=totals.shown)
            reason = f"{totals.lost} of {totals.shown} photos are missing at once: look, then release_brake"
            self._close(record, job, "braked", reason)
            return
        self._remove(record.id)
        self._close(record, job, "finished", "")

    def _remove(self, sweep: str) -> None:
        now = self._clock.now()
        for part in self._parts.all(sweep):
            for user in part.removable:
                self._queues.send(Backfill(user, "removed", seen=now, born=now))

    def _remove_released(self, sweep: str) -> None:
        """Remove what a braked sweep found, if it was released; other ended sweeps remove nothing more."""
        kept = dict(self._book.kept()).get(sweep)
        if kept and kept["state"] == "released":
            self._remove(sweep)
            self._book.mark(sweep, {"state": "finished", "reason": "released by a person"})

    def _keep(self, record: Record, state: sweeps.State, reason: str) -> None:
        self._book.keep(record, state, reason, self._total(record.id), self._clock.now())

    def _close(
        self, record: Record, job: SweepPage, state: sweeps.State, reason: str, *, again: str = ""
    ) -> None:
        """End a sweep: keep its figures, free the lease, and open the next if one is wanted."""
        self._keep(record, state, reason)
        wish = {"again": True, "again_why": again} if again else {}
        if self._advance(record, job, {"state": state, "lease_until": 0.0, **wish}):
            logs.say("sweep.ended", sweep=record.id, outcome=state, reason=reason)
            self._tidy()
            self._open_wanted()
        else:
            self._look_again(job)

    def _open_wanted(self) -> None:
        """Open the sweep that somebody wanted while the last one ran; only opening one forgets the wish."""
        record = self._book.record()
        if record.again and record.state != "running":
            self.open(record.again_why)

    def fail(self, sweep: str) -> None:
        """End a sweep whose page could not be handled: *failed*, and the lease is free for the next."""
        record = self._book.record()
        if record.id == sweep and record.state == "running":
            job = SweepPage(sweep, int(record.page), born=0.0)
            self._close(record, job, "failed", "a page failed for good")
        self._open_wanted()  # also where the one who ended it did not come so far

    def _tidy(self) -> None:
        """Forget sweeps before the last ten, and poison and users gone of more than thirty days ago."""
        now = self._clock.now()
        for sweep in self._book.old():
            self._parts.forget(sweep)  # first: without its figures nobody would look for them again
            self._book.forget(sweep)
        self._state.forget_poison(now - sweeps.FORGET_POISON_AFTER)
        if self._settings.dry_run:
            return
        for user in self._ledger.gone_before(now - sweeps.FORGET_GONE_AFTER):
            self._ledger.forget(user)
        self._failures.tidy()
