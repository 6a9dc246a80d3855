"""Decide whether a user's photo must be synced, from what Graph says and the ledger remembers. Pure."""

from dataclasses import dataclass, field, replace

from shared.graph.photo import (
    NoMailbox,
    NoPhoto,
    Photo,
    PhotoDenied,
    PhotoFailed,
    PhotoSource,
    Unavailable,
    UserGone,
)
from shared.ledger.row import (
    NO_PHOTO_THERE,
    NO_PHOTO_UNPROVEN,
    PHOTO_SHOWN,
    RECHECK_MARGIN,
    USER_UNKNOWN,
    Outcome,
    Row,
    RowColumns,
    read_again_soon,
    recently_queued,
    refused,
    waits_for_profile,
)
from shared.sweeps.tally import Letter


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing to do."""


@dataclass(frozen=True, slots=True)
class Note:
    """Write `columns` into the row if it is unchanged since it was read, as every decision with columns."""

    columns: RowColumns


@dataclass(frozen=True, slots=True)
class Queue:
    """The photo differs from the one that SharePoint shows: queue a sync."""

    columns: RowColumns = field(default_factory=RowColumns)


@dataclass(frozen=True, slots=True)
class AskAgain:
    """The photo service did not answer for this user: ask later, `after` seconds if it named a time."""

    reason: str
    after: float | None = None
    columns: RowColumns = field(default_factory=RowColumns)


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The problem persists: the user fails, and is left to the next notification or sweep."""

    reason: str
    columns: RowColumns = field(default_factory=RowColumns)


type Decision = Leave | Note | Queue | AskAgain | GiveUp

MOST_TRIES = 5  # for a user with an unexpected answer of Graph


def decide(
    source: PhotoSource,
    row: Row,
    *,
    force: bool,
    sweep: bool,
    now: float,
    tries: int = 0,
    listed: bool = False,
) -> Decision:
    """Return what a check does about one user, `now` in Unix seconds.

    `force` skips the comparison of ETags; a `sweep` looks again at users that were skipped (scope and
    licences change); `tries` is how often Graph's answer for this user alone was unexpected before; `listed`:
    a page of the directory named the user. The row of a user who is known to exist says no longer that they
    are gone: it would be deleted, and their picture never be removed.
    """
    decision = _decide(source, row, force=force, sweep=sweep, now=now, tries=tries)
    known = isinstance(source, Photo | NoPhoto | NoMailbox) or (listed and not isinstance(source, UserGone))
    return _with_known_user(decision) if row.gone_since and known else decision


def _with_known_user(decision: Decision) -> Decision:
    columns: RowColumns = {"gone_since": 0.0}
    if isinstance(decision, Leave):
        return Note(columns)
    return replace(decision, columns=decision.columns | columns)


def _decide(source: PhotoSource, row: Row, *, force: bool, sweep: bool, now: float, tries: int) -> Decision:
    match source:
        case Photo(etag):
            if _known(etag, row, force=force, sweep=sweep, now=now):
                return _found_again(etag, row)
            queued = (sweep and recently_queued(row, now)) or read_again_soon(etag, row, now)
            waits = queued or waits_for_profile(row, etag, now)
            return Leave() if waits and not force else Queue()
        case NoPhoto(proven):
            return _found_none(row, now) if proven else _found_nothing_certain(row)
        case UserGone():
            noted: RowColumns = {} if row.gone_since else {"gone_since": now}
            return _note(noted | _overtaken(row, "gone", USER_UNKNOWN) if row.version else {})
        case NoMailbox(reason):
            columns: RowColumns = {"outcome": "skipped", "reason": reason}
            return Leave() if row.holds(columns) else Note(columns)
        case Unavailable(after):
            return AskAgain("Graph does not answer for this user's photo", after)
        case PhotoDenied(code):
            return AskAgain(f"Graph denies access to this user's photo {code}".rstrip())
        case PhotoFailed(status, code):
            reason = f"Graph answered {status} {code}".rstrip()
            return GiveUp(reason) if tries >= MOST_TRIES else AskAgain(reason)


def _known(etag: str, row: Row, *, force: bool, sweep: bool, now: float) -> bool:
    if force:
        return False
    if refused(etag, row) and not (sweep and row.outcome == "skipped"):
        return True
    if row.settled_etag != etag:
        return False
    later_check_queued = row.recheck_at - now > RECHECK_MARGIN
    return later_check_queued or (not row.dirty and row.unsure_until <= now)


def _found_again(etag: str, row: Row) -> Leave | Note:
    certain = not row.dirty and not refused(etag, row)
    noted: RowColumns = _overtaken(row, "unchanged", PHOTO_SHOWN) if certain else {}
    if row.missing_since:
        noted["missing_since"] = 0.0
    return _note(noted)


def _found_none(row: Row, now: float) -> Leave | Note:
    """Only a sweep removes a picture; a check notes that it is missing."""
    if row.shows_a_photo and row.missing_since:
        return Leave()  # its removal, or the photo's return, is the outcome that comes next
    missing: RowColumns = {"missing_since": now} if row.shows_a_photo else {}
    return _note(missing if row.dirty else missing | _overtaken(row, "unchanged", NO_PHOTO_THERE))


def _found_nothing_certain(row: Row) -> Leave | Note:
    """Nothing is ever removed on such a word, so that the time for which a photo was missing ends, too."""
    missing: RowColumns = {"missing_since": 0.0} if row.missing_since else {}
    return _note(missing if row.dirty else missing | _overtaken(row, "unchanged", NO_PHOTO_UNPROVEN))


def _overtaken(row: Row, outcome: Outcome, reason: str) -> RowColumns:
    """Return the outcome that replaces a failure, or that the user is gone, where nothing is left to sync.

    What failed may have been a check (an unexpected answer, a poison message) of a user whose picture is
    right; no sync would ever record that.
    """
    replaced = row.outcome in ("failed", "deferred", "gone") and row.outcome != outcome
    return {"outcome": outcome, "reason": reason} if replaced else {}


def _note(columns: RowColumns) -> Leave | Note:
    return Note(columns) if columns else Leave()


def letter_of(source: PhotoSource, decision: Decision, row: Row, *, now: float, remove_after: float) -> str:
    """Return the letter that a check answers for one user, "?" where Graph could not answer."""
    if isinstance(decision, GiveUp):
        return Letter.FAILED.of(row)
    match source:
        case Photo(etag):
            queued = recently_queued(row, now) or read_again_soon(etag, row, now)
            found = Letter.CHANGED if queued or isinstance(decision, Queue) else Letter.UNCHANGED
        case NoPhoto() if not row.shows_a_photo:
            found = Letter.EMPTY
        case NoPhoto(proven):
            old = bool(row.missing_since) and now - row.missing_since >= remove_after
            found = Letter.REMOVABLE if old and proven else Letter.MISSING
        case UserGone():
            found = Letter.GONE
        case NoMailbox():
            found = Letter.SKIPPED
        case _:
            return Letter.UNANSWERED.value
    return found.of(row)
