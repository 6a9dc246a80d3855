"""The result of one attempt to sync one user, and whether to make it again."""

from dataclasses import dataclass, replace
from typing import Literal

from shared import logs
from shared.errors import Refused, SyncError
from shared.jobs import Sync
from shared.ledger.row import Outcome, RowColumns
from shared.sync.plan import ComeBack

Hindrance = Literal["", "busy", "throttled", "paced", "denied", "configuration"]


@dataclass(frozen=True, slots=True)
class Result:
    """How one attempt to sync one user ended.

    Attributes:
        user: object id.
        outcome: as in the ledger.
        reason: why, in words.
        etag: the photo's ETag, "" where none was found.
        requests: HTTP requests it took, tokens aside.
        request_id: the last service request id.
        again: the job to do later, None where this is final.
        after: in how many seconds, None if unknown.
        hindrance: what prevented a job that is to be done again.
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


def later(job: Sync, reason: str, after: float | None, hindrance: Hindrance) -> Result:
    """Return the result of a job that is to be done unchanged, `after` seconds later."""
    return Result(job.user, "deferred", reason, again=job, after=after, hindrance=hindrance)


def come_back(job: Sync, step: ComeBack) -> Result:
    """Return the result of a job that came too early."""
    return Result(job.user, "deferred", step.reason, again=replace(job, tries=step.tries), after=step.after)


def failure(error: Exception) -> RowColumns:
    """Return what to note of an error that waiting does not resolve, until a redelivery succeeds."""
    if isinstance(error, SyncError) and not isinstance(error, Refused):
        return {}
    reason = str(error) if isinstance(error, Refused) else f"unexpected {type(error).__name__}"
    return {"outcome": "failed", "reason": reason}


def report(job: Sync, result: Result) -> None:
    """Log how an attempt ended, as an error where only an administrator can help."""
    needs_somebody = result.hindrance in ("denied", "configuration")
    write = logs.error if needs_somebody else logs.warning if result.outcome == "failed" else logs.info
    write(
        f"photo.{result.outcome}",
        user=job.user,
        why=job.why,
        reason=result.reason,
        etag=result.etag,
        requests=result.requests,
        request_id=result.request_id,
    )
