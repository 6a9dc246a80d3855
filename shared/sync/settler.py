"""Write a change to SharePoint under a claim: mark → apply → settle.

Safe at any point of a crash: from the mark until the change is settled the row is `dirty`. A write that may
still arrive later leaves a doubt, which ends with one ordinary check of the user.
"""

from dataclasses import dataclass
from http import HTTPStatus

from shared import logs
from shared.attempt import Attempt
from shared.clock import Clock
from shared.errors import FILES, Gone, Moved, OutOfTime, Refused, ServiceError
from shared.jobs import Check, Sync
from shared.ledger.ledger import Ledger
from shared.ledger.row import RECHECK_MARGIN, Row, RowColumns, with_profile, without_profile
from shared.sharepoint.client import picture_timestamp
from shared.sharepoint.targets import NotYet, Target, Targets
from shared.storage.queues import Queues
from shared.sync.changes import Change
from shared.sync.claims import Claim, ClaimLost
from shared.sync.result import Result


@dataclass(frozen=True, slots=True)
class Settler:
    """Carries changes out. One object, long-lived, shared by all threads."""

    ledger: Ledger
    queues: Queues
    targets: Targets
    clock: Clock
    claim_for: float  # seconds

    def mark(self, claim: Claim, target: Target, attempt: Attempt) -> int:
        """Note that SharePoint may show something else from here on; return its new `SPS-PictureTimestamp`.

        The attempt ends when it would have ended. One that stood still until then marks nothing: too much
        time has passed since SharePoint said whose profile it is.

        Where SharePoint was asked because the user has another name than the ledger's, the ledger's name may
        be another user's by now. It is forgotten, so that it is not taken for known should it come back.

        Raises:
            ClaimLost: another attempt took the user over.
            OutOfTime: this attempt has no time left. TryLater: the ledger is out of reach.
        """
        if not attempt.has_time(self.clock):
            raise OutOfTime(FILES)
        now = self.clock.now()
        stamp = picture_timestamp(now, claim.row.stamp)
        marked: RowColumns = {"dirty": True, "claim_until": now + self.claim_for, "stamp": float(stamp)}
        marked["refused_etag"] = ""  # else a check would leave alone what this attempt did not finish
        if target.fresh:
            marked |= {"upn": "", **with_profile(claim.row)}
        claim.write(marked)
        return stamp

    def apply(self, change: Change, target: Target, stamp: int, attempt: Attempt) -> Target | NotYet:
        """Write to SharePoint and return where; a target from the ledger that fails is looked for once.

        Raises:
            Refused: SharePoint refuses it for good.
            TryLater, Denied, ConfigError: not now.
        """
        try:
            return self._write(change, target, stamp, attempt)
        except Refused as error:
            if target.fresh or not (isinstance(error, Gone) or error.status == HTTPStatus.CONFLICT):
                raise
        found = self.targets.discover(change.user, attempt)
        return found if isinstance(found, NotYet) else self._write(change, found, stamp, attempt)

    def _write(self, change: Change, target: Target, stamp: int, attempt: Attempt) -> Target | NotYet:
        """Write to a target; one that SharePoint has just named and that redirects is not there yet."""
        try:
            change.write(target, stamp, attempt)
        except Moved as error:
            if not target.fresh:
                raise
            return self.targets.moved(error)
        return target

    def settle(
        self, job: Sync, claim: Claim, change: Change, found: Target | NotYet, attempt: Attempt
    ) -> Result:
        """End the claim with what SharePoint shows now; in doubt the row stays dirty until a check.

        So it does where the ledger or the queue is out of reach: `TryLater`, `Denied` or `ConfigError`.
        """
        if isinstance(found, NotYet):
            noted = nowhere(claim.row, found, change.etag, self.clock.now())
            self.release(claim, attempt, noted | {"outcome": "deferred", "reason": found.reason})
            return Result(job.user, "deferred", found.reason, change.etag)
        now, row = self.clock.now(), claim.row
        unsure_until = self._unsure_until(row, attempt, now)
        queued = unsure_until > now and row.recheck_at < _recheck_at(unsure_until)
        if queued:
            self._check_after(job, unsure_until, now)
        try:
            claim.end({**_settled(job, change, found, row, unsure_until, now), "home": self.targets.home})
        except ClaimLost:
            return self._settle_lost(job, change.etag, checked_after=unsure_until if queued else 0.0)
        except ServiceError as error:
            if not queued:
                raise
            # The check carries on. If this job were deferred too, each failure would double the messages.
            self.release(claim, attempt)
            return Result(job.user, "deferred", str(error), change.etag)
        return Result(job.user, change.outcome, found.remark, change.etag)

    def release(self, claim: Claim, attempt: Attempt, columns: RowColumns | None = None) -> None:
        """End the claim of an attempt that did not finish; what it marked stays dirty.

        Where even that fails the claim expires, and the attempt that takes over sees that it was not ended.
        """
        unsure_until = self._unsure_until(claim.row, attempt, self.clock.now())
        noted: RowColumns = {**(columns or {})}
        if unsure_until != claim.row.unsure_until:
            noted["unsure_until"] = unsure_until
        try:
            claim.end(noted)
        except (ClaimLost, ServiceError) as error:
            logs.warning("claim.not_ended", user=claim.row.user, error=type(error).__name__)

    def _settle_lost(self, job: Sync, etag: str, *, checked_after: float) -> Result:
        """Doubt what is shown: the attempt that took over cannot know what this one wrote.

        `checked_after`: the end of the doubt for which a check is queued already, 0 if none is.
        """
        now = self.clock.now()
        until = checked_after or now + self.claim_for
        if not checked_after:
            self._check_after(job, until, now)
        self.ledger.amend(job.user, lambda row: _doubt(row, until))
        return Result(job.user, "deferred", "another attempt took this user over", etag)

    def _check_after(self, job: Sync, unsure_until: float, now: float) -> None:
        """Have the user checked when no clock sees doubt left."""
        check = Check((job.user,), "rechecked", seen=job.seen, born=now)
        self.queues.send(check, hidden=_recheck_at(unsure_until) - now)

    def _unsure_until(self, row: Row, attempt: Attempt, now: float) -> float:
        return max(row.unsure_until, now + self.claim_for if attempt.unanswered else 0.0)


def nowhere(row: Row, found: NotYet, etag: str, now: float) -> RowColumns:
    """Return what to note of a user who has no target now: later SharePoint is asked for it again."""
    profile = without_profile(row, etag, now) if found.lasting else with_profile(row)
    return {"queued_at": 0.0, "upn": "", "gone_since": 0.0, **profile}


def _recheck_at(unsure_until: float) -> float:
    return unsure_until + RECHECK_MARGIN


def _doubt(row: Row, unsure_until: float) -> RowColumns:
    """Return what says that a write may arrive until then, and that a check is queued for after that.

    A longer doubt stays, and so does its check: other attempts may have left it since this one looked.
    """
    return {
        "dirty": True,
        "unsure_until": max(unsure_until, row.unsure_until),
        "recheck_at": max(_recheck_at(unsure_until), row.recheck_at),
    }


def _settled(
    job: Sync, change: Change, target: Target, row: Row, unsure_until: float, now: float
) -> RowColumns:
    columns: RowColumns = {
        "settled_etag": change.etag,
        "settled_sha256": change.sha256,
        "settled_at": now,
        "upn": change.user.upn,
        "geo": target.my_host,
        "folder": target.folder,
        "outcome": change.outcome,
        "reason": target.remark,
        "dirty": False,
        "unsure_until": 0.0,
        "recheck_at": 0.0,
        "missing_since": 0.0,
        "gone_since": 0.0,
        "refused_etag": "",
        "queued_at": 0.0,
    }
    if job.cause != "repaired":  # it shows what was shown before
        columns["lag_ms"] = float(round((now - job.seen) * 1000))
    if unsure_until <= now:
        return columns
    if not change.etag:
        del columns["missing_since"]  # without it no sweep would clear the picture once more
    return columns | _doubt(row, unsure_until)
