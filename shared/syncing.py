"""Make SharePoint show one user's photo: claim → gather → plan → mark → apply → settle.

Idempotent: a job that is delivered again makes no SharePoint call (`force` aside), because the ledger
remembers which photo SharePoint shows. Safe at any point of a crash: until a photo is settled the row is
`dirty`, and a dirty row takes no shortcut.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

from shared import jobs, logs, pace, photos
from shared.changes import Change, Erasure, Picture
from shared.claims import Busy, Claim, ClaimLost, Claims
from shared.clock import Clock
from shared.errors import DENIED_AFTER, ConfigError, Denied, Gone, Refused, ServiceError, SyncError, TryLater
from shared.gates import FILES, GRAPH, PROFILES, Gates
from shared.graph import Graph
from shared.jobs import Sync
from shared.ledger import Ledger
from shared.pace import Booked, Pace
from shared.photos import Clear, ComeBack, Finish, Removal, Upload
from shared.queues import Queues
from shared.rest import Attempt
from shared.rows import Outcome, Row
from shared.settings import Settings
from shared.sharepoint import SharePoint
from shared.targets import NotYet, Target, Targets

if TYPE_CHECKING:
    from shared.pictures import Thumbnails

BUSY_AFTER = 30.0  # seconds; another attempt rarely takes longer
CALLS_A_CLAIM = 14  # one call may take this fraction of a claim: time for every call and its repetition

Hindrance = Literal["", "busy", "throttled", "paced", "denied", "configuration"]


@dataclass(frozen=True, slots=True)
class Result:
    """How one attempt at one user ended.

    Attributes:
        user: object id.
        outcome: as in the ledger.
        reason: why, in words.
        etag: the photo's ETag, "" where none was found.
        requests: HTTP requests it took, tokens aside.
        request_id: the last service request id.
        again: the job to do later, None where this is final.
        after: in how many seconds, None where nobody said.
        hindrance: what was in the way of a job that is to be done again.
    """

    user: str
    outcome: Outcome
    reason: str
    etag: str = ""
    requests: int = 0
    request_id: str = ""
    again: Sync | None = None
    after: float | None = None
    hindrance: Hindrance = ""


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
            # To the second, however long: who came too early or too late would have to book once more.
            self._queues.send(result.again, hidden=result.after or 0.0)
        else:
            self._queues.defer(result.again, result.after, now=self._clock.now())
        return result

    def _gave_up(self, job: Sync, result: Result) -> bool:
        """Note that a job is not deferred any more, and return whether that could be noted."""
        noted = {"outcome": "deferred", "reason": f"gave up after a day: {result.reason}", "queued_at": 0.0}
        try:
            if not self._settings.dry_run:
                self._ledger.overwrite(job.user, noted)
        except ServiceError as error:
            logs.warn("ledger.unreachable", user=job.user, error=str(error))
            return False
        return True

    def attempt(self, job: Sync, *, dry_run: bool = False, remove: bool = False) -> Result:
        """Do a job once and say how it ended; whoever asked decides about `Result.again`.

        Args:
            job: whom to sync.
            dry_run: decide and report, write nothing, not even in the ledger.
            remove: an administrator wants the picture of a user without photo removed now.

        Raises:
            Refused: Graph or SharePoint refuses this user's data for good.
        """
        attempt = self._new_attempt()
        try:
            if dry_run or self._settings.dry_run:
                result = self._rehearse(job, remove, attempt)
            else:
                result = self._paced(job, remove, attempt)
        except Busy as busy:
            result = _later(job, "another attempt works on this user", min(BUSY_AFTER, busy.after), "busy")
        except TryLater as error:
            result = _later(job, str(error), error.after, "throttled")
        except Denied as error:
            result = _later(job, str(error), DENIED_AFTER, "denied")
        except ConfigError as error:
            result = _later(job, str(error), DENIED_AFTER, "configuration")
        result = replace(result, requests=attempt.requests, request_id=attempt.request_id)
        _report(job, result)
        return result

    def _new_attempt(self) -> Attempt:
        claim_for = self._settings.claim_for
        return Attempt(timeout=claim_for / CALLS_A_CLAIM, ends=self._clock.monotonic() + claim_for)

    # --- the protocol ---

    def _paced(self, job: Sync, remove: bool, attempt: Attempt) -> Result:
        """Go on if no gate is closed and this minute has room for the SharePoint calls of this job."""
        self._gates.pass_through(GRAPH, FILES, PROFILES)
        if not pace.usable(job.slot, self._clock.now()):
            known = bool(self._ledger.read(job.user).folder)
            booked = self._pace.reserve(job.lane, pace.UNITS_KNOWN if known else pace.UNITS_FIRST)
            if booked.after > 0:
                slot = booked.slot if isinstance(booked, Booked) else 0.0
                return _later(replace(job, slot=slot), "SharePoint's pace is taken", booked.after, "paced")
        return self._claimed(job, remove, attempt)

    def _claimed(self, job: Sync, remove: bool, attempt: Attempt) -> Result:
        claim = self._claims.take(job.user)  # the attempt began before it, so it ends before the claim does
        try:
            return self._work(job, claim, remove, attempt)
        except ClaimLost as error:
            return _later(job, str(error), BUSY_AFTER, "busy")
        except Exception as error:
            self._let_go(claim, attempt, _failure(error))
            raise

    def _work(self, job: Sync, claim: Claim, remove: bool, attempt: Attempt) -> Result:
        step = self._plan(job, claim.row, remove, attempt)
        if isinstance(step, Finish | ComeBack):
            return self._close(job, claim, step)
        found = self._targets.find(step.user, claim.row, attempt)
        if isinstance(found, NotYet):
            etag = step.etag if isinstance(step, Upload) else ""
            return self._close(job, claim, Finish("deferred", found.reason, {"queued_at": 0.0}, etag))
        if isinstance(step, Clear):
            return self._carry_out(job, claim, Erasure(self._sharepoint, step.user), found, attempt)
        return self._upload(job, claim, step, found, attempt)

    def _plan(
        self, job: Sync, row: Row, remove: bool, attempt: Attempt
    ) -> Finish | ComeBack | Upload | Clear:
        scope, now = self._settings.scope, self._clock.now()
        gathered = self._graph.gather(job.user, attempt, groups=scope.groups)
        removal = Removal(
            asked=remove,
            swept=job.why == "removed",
            after=self._settings.remove_after,
            keep=self._settings.on_photo_removed == "keep",
        )
        step = photos.plan(
            gathered, row, scope=scope, force=job.force, tries=job.tries, now=now, removal=removal
        )
        if isinstance(step, Clear) and not self._graph.has_no_photo(job.user, attempt):
            return Finish("unchanged", "Graph has a photo after all", {"queued_at": 0.0})
        return step

    def _close(self, job: Sync, claim: Claim, step: Finish | ComeBack) -> Result:
        """End a claim that wrote nothing to SharePoint."""
        if isinstance(step, ComeBack):
            claim.end({})
            return _come_back(job, step)
        claim.end({**step.columns, "outcome": step.outcome, "reason": step.reason})
        return Result(job.user, step.outcome, step.reason, step.etag)

    def _upload(self, job: Sync, claim: Claim, upload: Upload, target: Target, attempt: Attempt) -> Result:
        thumbnails = _render(upload.content)
        if thumbnails is None:
            first_look = self._settings.recheck_after[0]
            return self._close(job, claim, photos.unreadable(upload, tries=job.tries, first_look=first_look))
        change = Picture(self._sharepoint, self._settings.exchange_sync_state, upload, thumbnails)
        return self._carry_out(job, claim, change, target, attempt)

    def _carry_out(self, job: Sync, claim: Claim, change: Change, target: Target, attempt: Attempt) -> Result:
        """Mark, apply, settle."""
        stamp = photos.picture_timestamp(self._clock.now(), claim.row.stamp)
        self._mark(claim, stamp, attempt)
        found = self._apply(change, target, stamp, attempt)
        if isinstance(found, NotYet):
            self._let_go(claim, attempt, {"outcome": "deferred", "reason": found.reason, "queued_at": 0.0})
            return Result(job.user, "deferred", found.reason, change.etag)
        return self._settle(job, claim, change, found, attempt)

    def _mark(self, claim: Claim, stamp: int, attempt: Attempt) -> None:
        """From here on SharePoint may show something else than the ledger says."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        claim.write({"dirty": True, "claim_until": now + self._settings.claim_for, "stamp": float(stamp)})
        attempt.ends = monotonic + self._settings.claim_for

    def _apply(self, change: Change, target: Target, stamp: int, attempt: Attempt) -> Target | NotYet:
        """Write to SharePoint, and return where; a target from the ledger that fails is looked for once."""
        try:
            change.write(target, stamp, attempt)
        except Refused as error:
            if target.fresh or not (isinstance(error, Gone) or error.status == HTTPStatus.CONFLICT):
                raise
            found = self._targets.discover(change.user, attempt)
            if isinstance(found, Target):
                change.write(found, stamp, attempt)
            return found
        return target

    def _settle(self, job: Sync, claim: Claim, change: Change, target: Target, attempt: Attempt) -> Result:
        now = self._clock.now()
        unsure_until = self._unsure_until(claim.row, attempt, now)
        if unsure_until > now:
            # An older write may still overtake this one: write once more when none can arrive any more.
            self._queues.send(job.repeated(unsure_until), hidden=unsure_until - now + 1)
        columns = _settled(job, change, target, now)
        columns |= {"dirty": unsure_until > now, "unsure_until": unsure_until if unsure_until > now else 0.0}
        try:
            claim.end(columns)
        except ClaimLost:
            return self._settle_lost(job, change.etag, queued=unsure_until > now)
        except ServiceError as error:
            if unsure_until <= now:
                raise
            # The repeated job carries on. Were this one deferred too, each failure would double the jobs.
            self._let_go(claim, attempt)
            return Result(job.user, "deferred", str(error), change.etag)
        return Result(job.user, change.outcome, target.remark, change.etag)

    def _settle_lost(self, job: Sync, etag: str, *, queued: bool) -> Result:
        """Whoever took the user over cannot know what we wrote meanwhile: have it written once more."""
        now = self._clock.now()
        until = now + self._settings.claim_for
        self._ledger.overwrite(job.user, {"dirty": True, "unsure_until": until})
        if not queued:
            self._queues.send(job.repeated(until), hidden=until - now + 1)
        return Result(job.user, "deferred", "another attempt took this user over", etag)

    def _unsure_until(self, row: Row, attempt: Attempt, now: float) -> float:
        return max(row.unsure_until, now + self._settings.claim_for if attempt.unanswered else 0.0)

    def _let_go(self, claim: Claim, attempt: Attempt, columns: Mapping[str, Any] | None = None) -> None:
        """End the claim of an attempt that did not finish; what it marked stays dirty.

        Where even that fails the claim ends by itself, and whoever takes it over knows that it was not ended.
        """
        unsure = self._unsure_until(claim.row, attempt, self._clock.now())
        noted = {"unsure_until": unsure} if unsure != claim.row.unsure_until else {}
        try:
            claim.end({**(columns or {}), **noted})
        except (ClaimLost, ServiceError) as error:
            logs.warn("claim.not_ended", user=claim.row.user, error=type(error).__name__)

    # --- dry run ---

    def _rehearse(self, job: Sync, remove: bool, attempt: Attempt) -> Result:
        """Decide as an attempt would, and write nothing anywhere."""
        row = self._ledger.read(job.user)
        step = self._plan(job, row, remove, attempt)
        if isinstance(step, ComeBack):
            return _come_back(job, step)
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


def _failure(error: Exception) -> dict[str, Any]:
    """Return what to note of an error that waiting does not mend, until a redelivery does better."""
    if isinstance(error, SyncError) and not isinstance(error, Refused):
        return {}
    reason = str(error) if isinstance(error, Refused) else f"unexpected {type(error).__name__}"
    return {"outcome": "failed", "reason": reason}


def _render(content: bytes) -> "Thumbnails | None":
    """Return the thumbnails of a picture, None where the bytes are none."""
    from shared import pictures  # on first use: Pillow is a third of this app's cold start

    try:
        return pictures.render(content)
    except pictures.UnreadableImage:
        return None


def _settled(job: Sync, change: Change, target: Target, now: float) -> dict[str, Any]:
    lag = {} if job.why == "repeated" else {"lag_ms": float(round((now - job.seen) * 1000))}
    return {
        **lag,
        "settled_etag": change.etag,
        "settled_sha256": change.sha256,
        "settled_at": now,
        "upn": change.user.upn,
        "geo": target.my_host,
        "folder": target.folder,
        "outcome": change.outcome,
        "reason": target.remark,
        "missing_since": 0.0,
        "gone_since": 0.0,
        "refused_etag": "",
        "queued_at": 0.0,
    }


def _later(job: Sync, reason: str, after: float | None, hindrance: Hindrance) -> Result:
    return Result(job.user, "deferred", reason, again=job, after=after, hindrance=hindrance)


def _come_back(job: Sync, step: ComeBack) -> Result:
    return Result(job.user, "deferred", step.reason, again=replace(job, tries=step.tries), after=step.after)


def _report(job: Sync, result: Result) -> None:
    needs_somebody = result.hindrance in ("denied", "configuration")
    write = logs.cry if needs_somebody else logs.warn if result.outcome == "failed" else logs.say
    write(
        f"photo.{result.outcome}",
        user=job.user,
        why=job.why,
        reason=result.reason,
        etag=result.etag,
        requests=result.requests,
        request_id=result.request_id,
    )
