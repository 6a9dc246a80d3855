"""Write a change to SharePoint under a claim: mark → apply → settle.

A crash at any point is safe: the row is `dirty` from the mark until the change is settled. It is in doubt for
as long as an earlier write may still arrive.
"""

from http import HTTPStatus

from shared import logs
from shared.attempt import Attempt
from shared.clock import Clock
from shared.errors import Gone, Refused, ServiceError, TryLater
from shared.jobs import Sync
from shared.ledger.ledger import Ledger
from shared.ledger.row import Row, RowColumns
from shared.rest.client import NO_TIME
from shared.rest.gates import FILES
from shared.sharepoint import client
from shared.sharepoint.targets import NotYet, Target, Targets
from shared.storage.queues import Queues
from shared.sync import result
from shared.sync.changes import Change
from shared.sync.claims import Claim, ClaimLost
from shared.sync.result import Result

# Noted for a user who has no target for now: the next sweep queues them, and SharePoint is asked again.
NOWHERE: RowColumns = {"queued_at": 0.0, "upn": ""}


class Settler:
    """Writes changes to SharePoint. One object, long-lived, shared by all threads.

    Args:
        ledger: where the rows are.
        queues: where jobs go that write a change once more.
        targets: finds a target that moved.
        clock: what time it is.
        claim_for: seconds a claim is valid.
    """

    def __init__(
        self, *, ledger: Ledger, queues: Queues, targets: Targets, clock: Clock, claim_for: float
    ) -> None:
        self._ledger = ledger
        self._queues = queues
        self._targets = targets
        self._clock = clock
        self._claim_for = claim_for

    def apply_change(
        self, job: Sync, claim: Claim, change: Change, target: Target, attempt: Attempt
    ) -> Result:
        """Write a change and settle it, or return why that must wait.

        Args:
            job: the job that asks for it.
            claim: the claim on the user; it is ended.
            change: what to write.
            target: where to write it.
            attempt: the attempt that writes.

        Raises:
            ClaimLost: another attempt took the user over before the mark.
            Refused: SharePoint refuses it for good.
            TryLater, Denied, ConfigError: not now; the claim is still ours, and the row dirty.
        """
        stamp = client.picture_timestamp(self._clock.now(), claim.row.stamp)
        self._mark(claim, stamp, target, attempt)
        found = self._apply(change, target, stamp, attempt)
        if isinstance(found, NotYet):
            self.release_claim(claim, attempt, {"outcome": "deferred", "reason": found.reason, **NOWHERE})
            return Result(job.user, "deferred", found.reason, change.etag)
        return self._settle(job, claim, change, found, attempt)

    def _mark(self, claim: Claim, stamp: int, target: Target, attempt: Attempt) -> None:
        """Note that from here on SharePoint may show something else than the ledger says.

        The attempt still ends when it would have ended. An attempt that was suspended until then marks
        nothing: its answer about whose profile to write is too old.

        Where SharePoint was asked because the user's name differs from the ledger's, the old name may belong
        to another user by now. It is deleted: if the user gets it back before this is settled, it is unknown.
        """
        if not attempt.has_time(self._clock):
            raise TryLater(FILES, NO_TIME)
        until = self._clock.now() + self._claim_for
        marked: RowColumns = {"dirty": True, "claim_until": until, "stamp": float(stamp)}
        if target.fresh:
            marked["upn"] = ""
        claim.write(marked)

    def _apply(self, change: Change, target: Target, stamp: int, attempt: Attempt) -> Target | NotYet:
        """Write to SharePoint, and return where; if the ledger's target fails, another is looked for once."""
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
        unsure = unsure_until > now
        queued = unsure and unsure_until > claim.row.repeat_at
        if queued:
            # An older write may still overtake this one: write once more when none can still arrive.
            self._queues.send(job.repeated(unsure_until), hidden=unsure_until - now + 1)
        columns = _settled(job, change, target, now)
        columns["dirty"] = unsure
        columns["unsure_until"] = unsure_until if unsure else 0.0
        columns["repeat_at"] = max(unsure_until, claim.row.repeat_at) if unsure else 0.0
        if unsure and not change.etag:
            del columns["missing_since"]  # it stays: without it the repeated job might not remove
        try:
            claim.end(columns)
        except ClaimLost:
            return self._settle_lost(job, change.etag, repeat_at=unsure_until if queued else 0.0)
        except ServiceError as error:
            if not queued:
                raise
            # The repeated job continues. Were this one deferred too, each failure would double the jobs.
            self.release_claim(claim, attempt)
            return Result(job.user, "deferred", str(error), change.etag)
        return Result(job.user, change.outcome, target.remark, change.etag)

    def _settle_lost(self, job: Sync, etag: str, *, repeat_at: float) -> Result:
        """Have a change written once more: the attempt that took the user over does not know of it.

        `repeat_at`: the time of a repetition that is queued already, 0 if none is queued.
        """
        now = self._clock.now()
        until = repeat_at or now + self._claim_for
        if not repeat_at:
            self._queues.send(job.repeated(until), hidden=until - now + 1)
        self._ledger.amend(job.user, lambda row: _doubted(row, until))
        return Result(job.user, "deferred", "another attempt took this user over", etag)

    def _unsure_until(self, row: Row, attempt: Attempt, now: float) -> float:
        return max(row.unsure_until, now + self._claim_for if attempt.unanswered else 0.0)

    def release_claim(self, claim: Claim, attempt: Attempt, columns: RowColumns | None = None) -> None:
        """End the claim of an attempt that did not finish; what it marked stays dirty.

        Where even that fails the claim expires, and the attempt that takes over sees that it was not ended.
        """
        unsure = self._unsure_until(claim.row, attempt, self._clock.now())
        noted: RowColumns = {"unsure_until": unsure} if unsure != claim.row.unsure_until else {}
        try:
            claim.end((columns or {}) | noted)
        except (ClaimLost, ServiceError) as error:
            logs.warning("claim.not_ended", user=claim.row.user, error=type(error).__name__)


def in_doubt(job: Sync, row: Row, now: float) -> Result | None:
    """Return the result of a repetition that must not write now, None where it must write.

    Before its time it would meet doubt and leave new doubt: each repetition would queue another, for as long
    as answers get lost. So a repetition waits, and ends without a write where a later one is queued.
    """
    if row.unsure_until > now:
        if row.repeat_at >= row.unsure_until and row.repeat_at > job.doubt:
            return Result(job.user, "deferred", "a later repetition is queued", row.settled_etag)
        return result.later(job, "an earlier write may still arrive", row.unsure_until - now + 1, "busy")
    return None if row.dirty else Result(job.user, "unchanged", "nothing is in doubt", row.settled_etag)


def _doubted(row: Row, until: float) -> RowColumns:
    """Return the columns that say: a write may arrive until then, and a repetition is queued for after that.

    Doubt that lasts longer stays, and so does its repetition: the attempt that notes this may have been
    suspended since it computed `until`, and other attempts may have noted doubt of their own meanwhile.
    """
    return {
        "dirty": True,
        "unsure_until": max(until, row.unsure_until),
        "repeat_at": max(until, row.repeat_at),  # else the next settle would queue another
    }


def _settled(job: Sync, change: Change, target: Target, now: float) -> RowColumns:
    lag: RowColumns = {} if job.why == "repeated" else {"lag_ms": float(round((now - job.seen) * 1000))}
    return lag | {
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
