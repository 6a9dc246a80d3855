"""Make SharePoint show one user's photo: claim → gather → plan → mark → apply → settle.

Idempotent: a job that is delivered again makes no SharePoint call (`force` aside), because the ledger
remembers which photo SharePoint shows. Safe at any point of a crash: until a photo is settled the row is
`dirty`, and a dirty row takes no shortcut.
"""

from dataclasses import dataclass, replace
from math import inf

from shared import logs
from shared.attempt import CALLS_A_CLAIM, LONGEST_ATTEMPT, Attempt
from shared.clock import Clock
from shared.errors import GRAPH, STORAGE, GateClosed, PutOff, ServiceError, Throttled, TryLater
from shared.jobs import Sync
from shared.ledger.ledger import Ledger
from shared.ledger.row import Outcome, Row, RowColumns
from shared.rest.gates import Gates
from shared.settings import Settings
from shared.sharepoint import pace
from shared.sharepoint.pace import Pace, Paced, Reserved
from shared.sharepoint.targets import Targets
from shared.storage.queues import Queues
from shared.sync.claims import Claim, ClaimLost, Claims
from shared.sync.plan import (
    KNOWN,
    TRIES_UNREADABLE,
    ComeBack,
    Finish,
)
from shared.sync.planner import Planned, Planner
from shared.sync.result import (
    Result,
    come_back,
    failure,
    longer_than_gate,
    noted_of,
    put_off,
    report,
    set_back,
)
from shared.sync.settler import Settler

LONGEST_CALL = 30.0  # seconds: a first contact needs seven calls, an attempt has time for eight


@dataclass(frozen=True, slots=True)
class Syncer:
    """Syncs single users. One object, long-lived, shared by all threads."""

    settings: Settings
    ledger: Ledger
    queues: Queues
    gates: Gates
    pace: Pace
    targets: Targets
    planner: Planner
    claims: Claims
    settler: Settler
    clock: Clock

    def sync(self, job: Sync) -> Result:
        """Do a job from a queue; where it must be done again, queue it again as the last act.

        Raises:
            Refused: storage refuses what is written, which is our own fault; the message becomes poison.
            TryLater: the queue itself is out of reach, so that only a redelivery is left.
        """
        return self.queue_again(job, self.attempt(job))

    def queue_again(self, job: Sync, result: Result) -> Result:
        """Queue the job that comes back after an attempt at `job`, if any, and return what was queued.

        Raises `TryLater` where the queue is out of reach.
        """
        if result.again is None:
            return result
        # A minute's reservation is used up by the first attempt that called any service.
        again = replace(result.again, slot=0.0) if result.requests else result.again
        exact, now = result.hindrance == "paced", self.clock.now()
        if self.queues.put_off(again, result.after, now=now, exact=exact) is None:
            if self._gave_up(job, result):
                return replace(result, again=None)
            self.queues.defer(again, result.after, now=now)
        return replace(result, again=again)

    def attempt(self, job: Sync, *, dry_run: bool = False, remove: bool = False, ends: float = inf) -> Result:
        """Do a job once and say how it ended; the caller decides about `Result.again`.

        A `dry_run` decides and reports, and writes nothing, not even in the ledger. `remove` says that an
        administrator wants the picture of a user without photo removed now. `ends` is when it must be over,
        on the monotonic clock, if a caller waits for it. Raises `Refused` where storage refuses what is
        written.
        """
        claim_for = self.settings.claim_for  # the attempt is over before its claim, and before Azure ends it
        timeout = min(claim_for / CALLS_A_CLAIM, LONGEST_CALL)
        longest = min(claim_for, LONGEST_ATTEMPT)
        attempt = Attempt.begin(self.clock, longest, timeout=timeout, ends=ends)
        try:
            result = self._paced(job, remove, attempt, dry_run=dry_run or self.settings.dry_run)
        except PutOff as error:
            result = put_off(job, error)
        result = replace(result, requests=attempt.requests, request_id=attempt.request_id)
        report(job, result, self.clock.now())
        return result

    def _paced(self, job: Sync, remove: bool, attempt: Attempt, *, dry_run: bool) -> Result:
        """Sync or rehearse where no gate is closed and the minute has room; give back what was not used.

        A job that called no service comes back to its minute, so it keeps what it reserved.
        """
        row = self.ledger.read(job.user)
        self._require_ready(row)
        reserved = self._reserve(job, row, dry_run=dry_run)
        work = self._rehearse if dry_run else self._sync
        try:
            result = work(job, remove, attempt)
        except ServiceError as error:
            result, _ = self._hindered(job, error)
        except PutOff as error:
            result = put_off(job, error)
        if attempt.requests or reserved.slot != job.slot:
            self.pace.give_back(reserved, pace.UNITS_A_CALL * attempt.metered)
        return result

    def _sync(self, job: Sync, remove: bool, attempt: Attempt) -> Result:
        """Tell the story of one sync; each step returns what the next one needs."""
        claim, known = self.claims.take(job.user), RowColumns()
        try:
            gathered = self.planner.gather(job, attempt)
            known = KNOWN if gathered.user and claim.row.gone_since else known
            planned = self.planner.plan(job, claim.row, gathered, remove, attempt)
            if not isinstance(planned, Planned):
                return self._finish(job, claim, planned)
            stamp = self.settler.mark(claim, planned.target, attempt)
            found = self.settler.apply(planned.change, planned.target, stamp, attempt)
            return self.settler.settle(job, claim, planned.change, found, attempt)
        except ClaimLost:
            raise
        except Exception as error:
            if not isinstance(error, ServiceError) or _our_fault(error):
                self.settler.release(claim, attempt, known | failure(error))
                raise
            result, noted = self._hindered(job, error)
            self.settler.release(claim, attempt, known | noted)
            return result

    def _rehearse(self, job: Sync, remove: bool, attempt: Attempt) -> Result:
        """Decide as a sync would, on what there is now, and write nothing anywhere."""
        row, job = self.ledger.read(job.user), replace(job, tries=TRIES_UNREADABLE)
        match self.planner.plan(job, row, self.planner.gather(job, attempt), remove, attempt):
            case Planned(change, target):
                reason = f"dry run: would write to {target.my_host}{target.folder}"
                return Result(job.user, change.outcome, reason, change.etag)
            case Finish() as step:
                return Result(job.user, step.outcome, f"dry run: {step.reason}", step.etag)
            case ComeBack() as step:
                return come_back(job, step)

    # --- the steps ---

    def _require_ready(self, row: Row) -> None:
        """Raise `GateClosed` where Graph, this user's mailbox or their SharePoint must not be called now."""
        self.gates.require_open(GRAPH, *self.targets.gates(row))
        if (wait := row.wait_until - self.clock.now()) > 0:
            raise GateClosed(GRAPH, "this user's mailbox is throttled", after=wait)

    def _hindered(self, job: Sync, error: ServiceError) -> tuple[Result, RowColumns]:
        """Return what follows from a failed call, for the job and for the user's row: whose trouble is it?"""
        asked = error.after if isinstance(error, TryLater) else None
        if isinstance(error, Throttled) or self.gates.only_of(job.user, error):
            result = set_back(job, error)
            return result, noted_of(result, error, self.clock.now())
        if _our_fault(error):
            raise error
        return put_off(job, error), longer_than_gate(error, asked, self.clock.now())

    def _reserve(self, job: Sync, row: Row, *, dry_run: bool) -> Reserved:
        """Reserve units of this minute for the SharePoint calls of the job, or raise `Paced`.

        A dry run only looks where it would write. What an earlier attempt reserved is at least what a known
        user needs; more is not given back of it.
        """
        units = pace.UNITS_LOOK_UP if dry_run else pace.UNITS_KNOWN
        if pace.reservation_stands(job.slot, self.clock.now()):
            return Reserved(job.lane, job.slot, units)
        if not dry_run and (job.force or not self.targets.known(row)):
            units = pace.UNITS_FIRST
        booked = self.pace.reserve(job.lane, units)
        if booked.after > 0:
            raise Paced(booked)
        return Reserved(job.lane, booked.slot, units)

    def _finish(self, job: Sync, claim: Claim, step: Finish | ComeBack) -> Result:
        """End a claim that wrote nothing to SharePoint."""
        if isinstance(step, ComeBack):
            retry_at = self.clock.now() + step.after
            tried: RowColumns = {"tried_etag": step.etag, "tries": float(step.tries), "retry_at": retry_at}
            claim.end({**KNOWN, "missing_since": 0.0, **tried})
            return come_back(job, step)
        claim.end({**step.columns, "outcome": step.outcome, "reason": step.reason})
        return Result(job.user, step.outcome, step.reason, step.etag)

    def _gave_up(self, job: Sync, result: Result) -> bool:
        """Note that a job is not deferred any more, and return whether that could be noted."""
        reason = f"gave up after a day: {result.reason}"
        outcome: Outcome = "failed" if result.own else "deferred"
        noted: RowColumns = {"outcome": outcome, "reason": reason, "queued_at": 0.0}
        try:
            if not self.settings.dry_run:
                self.ledger.overwrite(job.user, noted)
        except ServiceError as error:
            logs.warning("ledger.unreachable", user=job.user, error=str(error))
            return False
        return True


def _our_fault(error: ServiceError) -> bool:
    """Return whether storage refuses what this app writes: waiting does not mend that."""
    return error.service == STORAGE and not isinstance(error, PutOff)
