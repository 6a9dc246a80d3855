"""Plan what a sync does about one user, from the user, the photo's metadata and its bytes. Pure."""

import hashlib
from dataclasses import dataclass, replace

from shared.graph.photo import NO_PHOTO_USER, Gathered, NoMailbox, NoPhoto, Photo, UserGone
from shared.ledger.row import (
    NO_PHOTO_THERE,
    NO_PHOTO_UNPROVEN,
    PHOTO_SHOWN,
    TRIES_COUNT_FOR,
    UNREADABLE_IMAGE,
    USER_UNKNOWN,
    Outcome,
    Row,
    RowColumns,
    refused,
)
from shared.users import Scope, User, out_of_scope


@dataclass(frozen=True, slots=True)
class Finish:
    """Write nothing to SharePoint: note `columns`, and end with this outcome."""

    outcome: Outcome
    reason: str
    columns: RowColumns
    etag: str = ""


@dataclass(frozen=True, slots=True)
class ComeBack:
    """Too early: do the same job again, `after` seconds later, with this many `tries` counted.

    The row notes it of the photo `etag`: another job that is earlier waits as long, and one that is later
    does what this one would have done.
    """

    after: float
    reason: str
    tries: int
    etag: str
    queued: bool = False  # such a job is in the queue already


@dataclass(frozen=True, slots=True)
class Upload:
    """Make SharePoint show these bytes, and settle `etag` and `sha256`."""

    user: User
    etag: str
    sha256: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Clear:
    """Make SharePoint show no picture of this user, once Graph confirmed that there is no photo."""

    user: User


type SyncPlan = Finish | ComeBack | Upload | Clear


@dataclass(frozen=True, slots=True)
class Removal:
    """What is to happen to the picture of a user who has no photo."""

    asked: bool = False  # an administrator wants it removed now
    swept: bool = False  # a sweep found it missing
    after: float = 3600.0  # seconds a photo must have been missing before a sweep removes its picture
    keep: bool = False  # a sweep removes nothing; the picture stays and no longer counts as ours


TORN_READ_AGAIN_AFTER = 30.0  # seconds; Graph's photo store needs a moment to become consistent
TRIES_TORN = 1
TORN_PHOTO = "the photo changed while it was read"
TRIES_UNREADABLE = 2

KNOWN: RowColumns = {"gone_since": 0.0}
"""Noted of each user that Graph answered about: else their row would be deleted, and their picture stay."""
_AT_REST: RowColumns = {"missing_since": 0.0, "gone_since": 0.0, "queued_at": 0.0}


def plan_sync(
    gathered: Gathered, row: Row, *, scope: Scope, force: bool, tries: int, now: float, removal: Removal
) -> SyncPlan:
    """Return what a sync does about one user.

    `gathered` is what Graph says, `row` the ledger's row as claimed, `now` in Unix seconds. `force` skips the
    comparisons with ETag, hash and refused ETag; `tries` is what the job's last `ComeBack` counted;
    `scope` holds the users whose photos are synced, `removal` what becomes of a picture whose photo is gone.
    """
    user = gathered.user
    if user is None:
        noted: RowColumns = {"gone_since": row.gone_since or now, "queued_at": 0.0}
        return Finish("gone", USER_UNKNOWN, noted)
    if reason := out_of_scope(user, scope):
        etag = gathered.content_etag or (gathered.source.etag if isinstance(gathered.source, Photo) else "")
        return Finish("skipped", reason, {"refused_etag": etag, "gone_since": 0.0, "queued_at": 0.0}, etag)
    match gathered.source:
        case NoMailbox(reason):
            return Finish("skipped", reason, KNOWN | {"queued_at": 0.0})
        case UserGone():  # no more than the photo service says so
            return Finish("skipped", NO_PHOTO_USER, KNOWN | {"queued_at": 0.0})
        case NoPhoto(proven):
            return _plan_removal(user, row, removal, now) if proven else _plan_nothing_certain()
        case Photo(etag=announced):
            etag = gathered.content_etag
            if announced != etag and tries_before(row, etag, tries, now) < TRIES_TORN:
                return _as_queued(ComeBack(TORN_READ_AGAIN_AFTER, TORN_PHOTO, TRIES_TORN, etag), row, now)
            return _plan_upload(user, gathered, row, force=force, now=now)


def _plan_upload(user: User, gathered: Gathered, row: Row, *, force: bool, now: float) -> Finish | Upload:
    if not gathered.content_etag:  # bytes without an ETag must never be settled
        return Finish("deferred", "the photo keeps changing while it is read", KNOWN | {"queued_at": 0.0})
    etag, digest = gathered.content_etag, hashlib.sha256(gathered.content).hexdigest()
    at_rest = not force and not row.dirty and row.unsure_until <= now
    if not force and row.outcome == "failed" and refused(etag, row):
        return Finish("failed", row.reason, _AT_REST, etag)
    if at_rest and row.settled_etag == etag:
        return Finish("unchanged", PHOTO_SHOWN, _AT_REST, etag)
    if at_rest and row.settled_sha256 == digest:
        settled = _AT_REST | {"settled_etag": etag, "refused_etag": ""}
        return Finish("unchanged", "the same picture under a new ETag", settled, etag)
    return Upload(user, etag, digest, gathered.content)


def _plan_removal(user: User, row: Row, removal: Removal, now: float) -> Finish | Clear:
    overdue = bool(row.missing_since) and now - row.missing_since >= removal.after
    if removal.swept and overdue and removal.keep and not removal.asked:
        # What a half-written picture shows is unknown: its hash must not let a later photo skip its upload.
        digest = "" if row.dirty else row.settled_sha256
        kept = _AT_REST | {"settled_etag": "", "settled_sha256": digest, "dirty": False, "unsure_until": 0.0}
        return Finish("kept", "no photo in Exchange; the picture stays", kept)
    if removal.asked or (removal.swept and overdue):
        return Clear(user)
    missing = row.missing_since or (now if row.shows_a_photo else 0.0)
    return Finish("unchanged", NO_PHOTO_THERE, _AT_REST | {"missing_since": missing})


def _plan_nothing_certain() -> Finish:
    """Plan for a user who has no photo by a code that is not known: no picture is removed on that word."""
    return Finish("unchanged", NO_PHOTO_UNPROVEN, _AT_REST)


def unreadable(upload: Upload, row: Row, *, tries: int, first_look: float, now: float) -> Finish | ComeBack:
    """Return what to do about bytes that are not a picture: look again after `first_look` s, then refuse."""
    if tries_before(row, upload.etag, tries, now) < TRIES_UNREADABLE:
        return _as_queued(ComeBack(first_look, UNREADABLE_IMAGE, TRIES_UNREADABLE, upload.etag), row, now)
    return Finish("failed", UNREADABLE_IMAGE, _AT_REST | {"refused_etag": upload.etag}, upload.etag)


def tries_before(row: Row, etag: str, tries: int, now: float) -> int:
    """Return what a job counts: its own `tries`, or those of the row where their job's time has come."""
    counted = row.tried_etag == etag and row.retry_at <= now < row.retry_at + TRIES_COUNT_FOR
    return max(tries, int(row.tries)) if counted else tries


def _as_queued(step: ComeBack, row: Row, now: float) -> ComeBack:
    """Return when a photo is read again: as the step says, or when a queued job does it already."""
    queued = row.tried_etag == step.etag and row.tries >= step.tries and row.retry_at > now
    return replace(step, after=row.retry_at - now, queued=True) if queued else step
