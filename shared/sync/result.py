"""How one attempt at one user ended, and whether another one follows."""

from dataclasses import dataclass, replace

from shared import logs
from shared.backoff import SHORTEST, own_wait
from shared.errors import (
    GRAPH,
    Denied,
    Hindrance,
    PutOff,
    Refused,
    ServiceError,
    SyncError,
    Throttled,
    TryLater,
)
from shared.jobs import MOST_SETBACKS, Sync
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
    own: bool = False  # what was in the way concerns this user alone
    queued: bool = False  # another such job is in the queue, unless this job is that one


REFUSED_FOR_GOOD = 5  # refusals in a row that waiting does not mend, after which the user fails
THROTTLED_AGAIN = 2  # throttled calls in a row, from which on the user is named: others come through


def put_off(job: Sync, error: PutOff | ServiceError) -> Result:
    """Return the result of a job that waits as it is, with the minute that was booked for it, if one was.

    Other than a `PutOff` is a refusal that all users met: their data cannot be the reason.
    """
    again = replace(job, slot=error.slot) if isinstance(error, Paced) else job
    if isinstance(error, PutOff):
        after, hindrance = error.after, error.hindrance
    else:
        after, hindrance = SHORTEST, PutOff.hindrance
    return Result(job.user, "deferred", str(error), again=again, after=after, hindrance=hindrance)


def set_back(job: Sync, error: ServiceError) -> Result:
    """Return the result of a job of which a call was refused: it waits longer with each refusal in a row."""
    again = replace(job, setbacks=min(job.setbacks + 1, MOST_SETBACKS))
    own, wait, hindrance = not isinstance(error, Throttled), own_wait(again.setbacks), PutOff.hindrance
    match error:
        case Refused() if again.setbacks >= REFUSED_FOR_GOOD:
            return Result(job.user, "failed", str(error), own=True)
        case Refused():
            hindrance = "refused"
        case Denied():
            hindrance = "denied"
        case Throttled(after=after):  # after all others, for which the gate opens then, too
            wait += after or 0.0
        case TryLater(after=after):
            wait = max(wait, after or 0.0)
    reason = str(error)
    return Result(job.user, "deferred", reason, again=again, after=wait, hindrance=hindrance, own=own)


def noted_of(result: Result, error: ServiceError, now: float) -> RowColumns:
    """Return what the user's row is told of a refusal, at `now` in Unix seconds.

    Graph limits photos for each mailbox, so a time that it names for one user is kept in the user's row.
    """
    noted: RowColumns = {}
    if result.again is None:
        noted = {"outcome": "failed", "reason": result.reason, "queued_at": 0.0}
    elif result.own or result.again.setbacks >= THROTTLED_AGAIN:
        noted = {"outcome": "failed", "reason": result.reason}
    if result.own and isinstance(error, TryLater) and error.after and error.service == GRAPH:
        noted["wait_until"] = now + error.after
    return noted


def longer_than_gate(error: ServiceError, asked: float | None, now: float) -> RowColumns:
    """Return what the user's row is told where Graph `asked` for a longer wait than its gate is closed."""
    if asked and isinstance(error, TryLater) and error.service == GRAPH and asked > (error.after or 0.0):
        return {"wait_until": now + asked}
    return {}


def come_back(job: Sync, step: ComeBack) -> Result:
    """Return the result of a job that came too early."""
    again, after = replace(job, tries=step.tries, setbacks=0), step.after
    return Result(job.user, "deferred", step.reason, step.etag, again=again, after=after, queued=step.queued)


def failure(error: Exception) -> RowColumns:
    """Return what to note of an error that no code expected, until a redelivery does better."""
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
