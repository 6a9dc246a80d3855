"""How one attempt at one user ended, and whether another one follows."""

from dataclasses import dataclass, replace

from shared import logs
from shared.errors import Hindrance, PutOff, Refused, SyncError
from shared.jobs import Sync
from shared.ledger.row import Outcome, RowColumns
from shared.sharepoint.pace import Paced
from shared.sync.plan import ComeBack


@dataclass(frozen=True, slots=True)
class Result:
    """How one attempt at one user ended."""

    user: str  # object id
    outcome: Outcome  # as in the ledger
    reason: str  # why, in words
    etag: str = ""  # the photo's ETag, "" where none was found
    requests: int = 0  # HTTP requests it took, tokens aside
    request_id: str = ""  # the last service request id
    again: Sync | None = None  # the job to do later, None where this is final
    after: float | None = None  # in how many seconds, None where no service said
    hindrance: Hindrance = ""  # what was in the way of a job that is to be done again
    queued: bool = False  # another such job is in the queue, unless this job is that one


def put_off(job: Sync, error: PutOff) -> Result:
    """Return the result of a job that waits as it is, with the minute that was booked for it, if one was."""
    again = replace(job, slot=error.slot) if isinstance(error, Paced) else job
    return Result(job.user, "deferred", str(error), again=again, after=error.after, hindrance=error.hindrance)


def come_back(job: Sync, step: ComeBack) -> Result:
    """Return the result of a job that came too early."""
    again, after = replace(job, tries=step.tries), step.after
    return Result(job.user, "deferred", step.reason, step.etag, again=again, after=after, queued=step.queued)


def failure(error: Exception) -> RowColumns:
    """Return what to note of an error that waiting does not mend, until a redelivery does better."""
    if isinstance(error, SyncError) and not isinstance(error, Refused):
        return {}
    reason = str(error) if isinstance(error, Refused) else f"unexpected {type(error).__name__}"
    return {"outcome": "failed", "reason": reason}


def report(job: Sync, result: Result, now: float) -> None:
    """Log how an attempt ended at `now`; as an error where only an operator can help."""
    needs_operator = result.hindrance in ("denied", "configuration")
    write = logs.error if needs_operator else logs.warning if result.outcome == "failed" else logs.info
    write(
        f"photo.{result.outcome}",
        user=job.user,
        why=job.cause,
        lag_ms=round((now - job.seen) * 1000) if result.outcome == "synced" else None,
        reason=result.reason,
        etag=result.etag,
        requests=result.requests,
        request_id=result.request_id,
    )
