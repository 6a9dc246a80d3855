"""Make SharePoint show one user's photo: claim → gather → plan, then mark → apply → settle.

Idempotent: a job that is delivered again makes no SharePoint call (`force` aside), because the ledger
remembers which photo SharePoint shows. A crash at any point is safe: until a photo is settled the row is
`dirty`, and a dirty row takes no shortcut.
"""

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from shared import jobs, logs
from shared.attempt import LONGEST_ATTEMPT, Attempt
from shared.clock import Clock
from shared.errors import DENIED_AFTER, ConfigError, Denied, ServiceError, TryLater
from shared.graph.client import Graph
from shared.jobs import Sync
from shared.ledger.ledger import Ledger
from shared.ledger.row import Outcome, Row, RowColumns
from shared.rest.gates import FILES, GRAPH, PROFILES, Gates
from shared.settings import Settings
from shared.sharepoint import pace
from shared.sharepoint.client import SharePoint
from shared.sharepoint.pace import Booked, Pace
from shared.sharepoint.targets import NotYet, Target, Targets
from shared.storage.queues import Queues
from shared.sync import plan, settler
from shared.sync.changes import Erasure, Picture
from shared.sync.claims import Busy, Claim, ClaimLost, Claims
from shared.sync.plan import Clear, ComeBack, Finish, Removal, Upload
from shared.sync.result import Result, come_back, failure, later, report
from shared.sync.settler import NOWHERE, Settler

if TYPE_CHECKING:
    from shared.pictures.thumbnails import Thumbnails

BUSY_AFTER = 30.0  # seconds; another attempt rarely takes longer
CALLS_A_CLAIM = 14  # one call may take this fraction of a claim,
LONGEST_CALL = 30.0  # and no more seconds: a first contact needs seven calls, an attempt has time for eight


class Syncer:
    """Syncs single users. One object, long-lived, shared by all threads."""

    def __init__(
        self,
        *,
        settings: Settings,
        ledger: Ledger,
        queues: Queues,
        graph: Graph,
        sharepoint: SharePoint,
        gates: Gates,
        pace: Pace,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._gates = gates
        self._pace = pace
        self._ledger = ledger
        self._queues = queues
        self._graph = graph
        self._sharepoint = sharepoint
        self._clock = clock
        self._targets = Targets(sharepoint, settings)
        self._claims = Claims(ledger, clock, settings.claim_for)
        self._settler = Settler(
            ledger=ledger, queues=queues, targets=self._targets, clock=clock, claim_for=settings.claim_for
        )

    def sync(self, job: Sync) -> Result:
        """Do a job from a queue; where it must be done again, queue it again as the last act.

        Raises:
            Refused: this user's data is refused for good; after a few deliveries the message is poison.
            TryLater: the queue itself is out of reach, so that only a redelivery is left.
        """
        result = self.attempt(job)
        if result.again is None:
            return result
        if self._clock.now() - job.born > jobs.LONGEST_LIFE and self._gave_up(job, result):
            return replace(result, again=None)
        if result.hindrance == "paced":
            # To the second, however long: a job that comes too early or too late would have to reserve again.
            self._queues.send(result.again, hidden=result.after or 0.0)
            return result
        # A minute's reservation is used up by the first attempt that sent a request.
        again = replace(result.again, slot=0.0) if result.requests else result.again
        self._queues.defer(again, result.after, now=self._clock.now())
        return replace(result, again=again)

    def _gave_up(self, job: Sync, result: Result) -> bool:
        """Note that a job is not deferred any more, and return whether that could be noted."""
        reason = f"gave up after a day: {result.reason}"
        noted: RowColumns = {"outcome": "deferred", "reason": reason, "queued_at": 0.0}
        try:
            if not self._settings.dry_run:
                self._ledger.overwrite(job.user, noted)
        except ServiceError as error:
            logs.warning("ledger.unreachable", user=job.user, error=str(error))
            return False
        return True

    def attempt(self, job: Sync, *, dry_run: bool = False, remove: bool = False, ends: float = inf) -> Result:
        """Do a job once and return how it ended; the caller decides about `Result.again`.

        Args:
            job: the user to sync, and why.
            dry_run: decide and report, write nothing, not even in the ledger.
            remove: an administrator wants the picture of a user without photo removed now.
            ends: when it must be over, on the monotonic clock, if a caller waits for it.

        Raises:
            Refused: Graph or SharePoint refuses this user's data for good.
        """
        attempt = self._new_attempt(ends)
        try:
            if dry_run or self._settings.dry_run:
                result = self._rehearse(job, remove, attempt)
                if self._settings.dry_run:
                    result = _unless_in_earnest(job, result)
            else:
                result = self._paced(job, remove, attempt)
        except Busy as busy:
            result = later(job, str(busy), min(BUSY_AFTER, busy.after), "busy")
        except TryLater as error:
            result = later(job, str(error), error.after, "throttled")
        except Denied as error:
            result = later(job, str(error), DENIED_AFTER, "denied")
        except ConfigError as error:
            result = later(job, str(error), DENIED_AFTER, "configuration")
        result = replace(result, requests=attempt.requests, request_id=attempt.request_id)
        report(job, result)
        return result

    def _new_attempt(self, ends: float) -> Attempt:
        """Return an attempt that ends before its claim does, before Azure would end it, and by `ends`."""
        claim_for = self._settings.claim_for
        longest = min(claim_for, LONGEST_ATTEMPT)
        timeout = min(claim_for / CALLS_A_CLAIM, LONGEST_CALL)
        return Attempt(timeout, ends=min(ends, self._clock.monotonic() + longest))

    # --- the protocol ---

    def _paced(self, job: Sync, remove: bool, attempt: Attempt) -> Result:
        """Continue if no gate is closed and this minute has room for the SharePoint calls of this job."""
        self._gates.require_open(GRAPH, FILES, PROFILES)
        if job.doubt:
            row, now = self._ledger.read(job.user), self._clock.now()
            if result := settler.in_doubt(job, row, now):
                return result
        if not pace.reservation_stands(job.slot, self._clock.now()):
            known = bool(self._ledger.read(job.user).folder)
            booked = self._pace.reserve(job.lane, pace.UNITS_KNOWN if known else pace.UNITS_FIRST)
            if booked.after > 0:
                slot = booked.slot if isinstance(booked, Booked) else 0.0
                return later(replace(job, slot=slot), "SharePoint's pace is taken", booked.after, "paced")
        return self._claimed(job, remove, attempt)

    def _claimed(self, job: Sync, remove: bool, attempt: Attempt) -> Result:
        claim = self._claims.take(job.user)  # the attempt began first, so it ends before the claim does
        try:
            return self._work(job, claim, remove, attempt)
        except ClaimLost as error:
            return later(job, str(error), BUSY_AFTER, "busy")
        except Exception as error:
            self._settler.release_claim(claim, attempt, failure(error))
            raise

    def _work(self, job: Sync, claim: Claim, remove: bool, attempt: Attempt) -> Result:
        step = self._plan(job, claim.row, remove, attempt)
        if isinstance(step, Finish | ComeBack):
            return self._close(job, claim, step)
        found = self._targets.find(step.user, claim.row, attempt)
        if isinstance(found, NotYet):
            etag = step.etag if isinstance(step, Upload) else ""
            return self._close(job, claim, Finish("deferred", found.reason, NOWHERE, etag))
        if isinstance(step, Clear):
            return self._settler.apply_change(
                job, claim, Erasure(self._sharepoint, step.user), found, attempt
            )
        return self._upload(job, claim, step, found, attempt)

    def _plan(
        self, job: Sync, row: Row, remove: bool, attempt: Attempt
    ) -> Finish | ComeBack | Upload | Clear:
        scope = self._settings.scope
        gathered = self._graph.gather(job.user, attempt, groups=scope.groups)
        now = self._clock.now()  # after Graph's answer: a photo is not missing before that was seen
        removal = Removal(
            asked=remove,
            swept=job.why == "removed",
            after=self._settings.remove_after,
            keep=self._settings.on_photo_removed == "keep",
        )
        step = plan.plan_sync(
            gathered, row, scope=scope, force=job.force, tries=job.tries, now=now, removal=removal
        )
        if isinstance(step, Clear) and not self._graph.has_no_photo(job.user, attempt):
            return Finish("unchanged", "Graph has a photo after all", {"queued_at": 0.0})
        return step

    def _close(self, job: Sync, claim: Claim, step: Finish | ComeBack) -> Result:
        """End the claim of an attempt that writes nothing to SharePoint."""
        if isinstance(step, ComeBack):
            claim.end({})
            return come_back(job, step)
        claim.end(step.columns | {"outcome": step.outcome, "reason": step.reason})
        return Result(job.user, step.outcome, step.reason, step.etag)

    def _upload(self, job: Sync, claim: Claim, upload: Upload, target: Target, attempt: Attempt) -> Result:
        thumbnails = _render(upload.content)
        if thumbnails is None:
            first_look = self._settings.recheck_after[0]
            return self._close(job, claim, plan.unreadable(upload, tries=job.tries, first_look=first_look))
        change = Picture(self._sharepoint, self._settings.exchange_sync_state, upload, thumbnails)
        return self._settler.apply_change(job, claim, change, target, attempt)

    # --- dry run ---

    def _rehearse(self, job: Sync, remove: bool, attempt: Attempt) -> Result:
        """Decide as an attempt would, and write nothing anywhere."""
        row = self._ledger.read(job.user)
        step = self._plan(job, row, remove, attempt)
        if isinstance(step, ComeBack):
            return come_back(job, step)
        if isinstance(step, Finish):
            return Result(job.user, step.outcome, f"dry run: {step.reason}", step.etag)
        etag = step.etag if isinstance(step, Upload) else ""
        if isinstance(step, Upload) and _render(step.content) is None:
            return Result(job.user, "failed", "dry run: unreadable image", etag)
        found = self._targets.find(step.user, row, attempt)
        if isinstance(found, NotYet):
            return Result(job.user, "deferred", f"dry run: {found.reason}", etag)
        outcome: Outcome = "synced" if isinstance(step, Upload) else "cleared"
        return Result(job.user, outcome, f"dry run: would write to {found.my_host}{found.folder}", etag)


def _unless_in_earnest(job: Sync, result: Result) -> Result:
    """Keep a job that a sweep queued before this dry run: the next sweeps rely on it, and queue no other."""
    if result.again or not job.counted_on:
        return result
    return later(job, f"{result.reason}; queued in earnest", DENIED_AFTER, "busy")


def _render(content: bytes) -> "Thumbnails | None":
    """Return the thumbnails of a picture, None where the bytes are not a picture."""
    from shared.pictures.thumbnails import (  # on first use: Pillow is a third of this app's cold start
        UnreadableImage,
        render,
    )

    try:
        return render(content)
    except UnreadableImage:
        return None
