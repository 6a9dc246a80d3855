"""What Graph's answer about a photo means, and what follows from it. Pure: no clock, no network.

Three questions, in the order in which they come up:

- `classify`: what one part of a `$batch` says of a user's photo;
- `decide`: whether that user must be synced, given what the ledger remembers;
- `plan`: what a sync does, once the user, his photo's metadata and its bytes were gathered.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.rows import Outcome, Row

# --- what a source can be ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Photo:
    """The user has a photo; `etag` with its quotation marks, as Graph gives it."""

    etag: str


@dataclass(frozen=True, slots=True)
class NoPhoto:
    """The user exists and has no photo."""


@dataclass(frozen=True, slots=True)
class NoMailbox:
    """The photo service keeps nothing for this user; `reason` says why, in words."""

    reason: str


@dataclass(frozen=True, slots=True)
class UserGone:
    """The directory does not know the user."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The photo service cannot say now; `after` is the `Retry-After` it sent, in seconds."""

    after: float | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """The application may not see this photo."""

    code: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """Anything else."""

    status: int
    code: str = ""


type Source = Photo | NoPhoto | NoMailbox | UserGone | Unavailable | Denied | Failed

# Codes as collected from issues and samples of 2018 to 2025; Microsoft publishes no list.
_NO_PHOTO = {"ImageNotFound", "ErrorItemNotFound", "ErrorEntityNotFound"}
_NO_USER = {"Request_ResourceNotFound", "ResourceNotFound"}
_NO_MAILBOX = {
    "ErrorNonExistentMailbox": "no mailbox",
    "MailboxNotEnabledForRESTAPI": "no mailbox in Exchange Online",
    "MailboxNotHostedInExchangeOnline": "mailbox is on premises",
    "ErrorUserResolutionFailedUserDoesNotExist": "the photo service does not know this user",
}
_PLACEHOLDER = (
    "1x1"  # a user without photo may answer 200 with this: learn.microsoft.com/graph/api/profilephoto-get
)
_TEMPORARY = {408, 429}  # and every 5xx


@dataclass(frozen=True, slots=True)
class Part:
    """One answer inside a Graph `$batch`. Header names are lower case; `body` is decoded JSON, or None."""

    status: int
    headers: Mapping[str, str]
    body: Any = None
    retry_after: float | None = None


def classify(part: Part) -> Source:
    """Return what the answer to `GET /users/{id}/photo` says: by status first, then by code."""
    if part.status in _TEMPORARY or part.status >= 500:
        return Unavailable(part.retry_after)
    if part.status < 300:
        return _metadata(part.body)
    code = error_code(part.body)
    if code in _NO_MAILBOX:
        return NoMailbox(_NO_MAILBOX[code])
    if part.status == 400 and code == "AuthenticationError":  # a user without mailbox, seen in 2020
        return NoMailbox("no mailbox")
    if part.status in (401, 403):
        return Denied(code)
    if part.status == 404 and code in _NO_USER:
        return UserGone()
    if part.status == 404 and (code in _NO_PHOTO or part.body is None):
        return NoPhoto()
    return Failed(part.status, code)


def error_code(body: Any) -> str:
    """Return the code of a Graph error body, "" where there is none.

    The photo service wraps its own error as JSON text inside the message of an `UnknownError`
    (github.com/microsoftgraph/msgraph-beta-sdk-dotnet/issues/388).
    """
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return ""
    code = error.get("code")
    if code == "UnknownError" and isinstance(message := error.get("message"), str):
        try:
            wrapped = json.loads(message)
        except (ValueError, RecursionError):
            wrapped = None
        if isinstance(wrapped, dict) and isinstance(wrapped.get("errorCode"), str):
            return str(wrapped["errorCode"])
    return code if isinstance(code, str) else ""


def _metadata(body: Any) -> Source:
    if not isinstance(body, dict):
        return Failed(200, "no metadata")
    etag = body.get("@odata.mediaEtag")
    if str(body.get("id", "")).lower() == _PLACEHOLDER or etag == "":
        return NoPhoto()
    return Photo(etag) if isinstance(etag, str) else Failed(200, "no mediaEtag")


# --- what a check does -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing to do."""


@dataclass(frozen=True, slots=True)
class Note:
    """Write `columns` into the row, if it still is as it was read."""

    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Queue:
    """The photo is another than SharePoint shows: queue a sync."""


@dataclass(frozen=True, slots=True)
class AskAgain:
    """The photo service could not say: ask for this user later. `after` in seconds, None if unknown."""

    after: float | None
    denied: bool = False


@dataclass(frozen=True, slots=True)
class TryAlone:
    """Something odd about this one user: ask for him alone, and give up after a few tries."""

    reason: str


type Decision = Leave | Note | Queue | AskAgain | TryAlone


def decide(source: Source, row: Row, *, force: bool, sweep: bool, now: float) -> Decision:
    """Return what a check does about one user.

    Args:
        source: what Graph says of the photo.
        row: what the ledger remembers; an empty row for a user it does not know.
        force: skip the comparison of ETags.
        sweep: a sweep asks; it looks again at users that were skipped (scope and licences change).
        now: Unix seconds.
    """
    match source:
        case Photo(etag):
            if _known(etag, row, force=force, sweep=sweep, now=now):
                return _found_again(etag, row)
            return Leave() if sweep and not force and recently_queued(row, now) else Queue()
        case NoPhoto():
            return _found_none(row, now)
        case UserGone():
            noted = {} if row.gone_since else {"gone_since": now}
            return _note({**noted, **_overtaken(row, "gone", _GONE)} if row.version else {})
        case NoMailbox(reason):
            columns = {"outcome": "skipped", "reason": reason}
            return Leave() if row.holds(columns) else Note(columns)
        case Unavailable(after):
            return AskAgain(after)
        case Denied():
            return AskAgain(None, denied=True)
        case Failed(status, code):
            return TryAlone(f"Graph answered {status} {code}".rstrip())


QUEUED_FOR = 86_400.0
"""Seconds within which a user whom a sweep queued is not queued by the next, unless his sync ended since."""


def recently_queued(row: Row, now: float) -> bool:
    """Return whether a sweep queued this user not long ago and his sync did not end since."""
    return bool(row.queued_at) and now - row.queued_at < QUEUED_FOR


def _known(etag: str, row: Row, *, force: bool, sweep: bool, now: float) -> bool:
    if force:
        return False
    if _refused(etag, row) and not (sweep and row.outcome == "skipped"):
        return True
    return row.settled_etag == etag and not row.dirty and row.unsure_until <= now


def _refused(etag: str, row: Row) -> bool:
    """Return whether a photo is not to be tried again.

    That holds while the outcome stands that refused it. A later one (deferred, gone, failed for another
    reason) says that something else was in the way, and must not leave the photo behind for good.
    """
    standing = row.outcome == "skipped" or (row.outcome, row.reason) == ("failed", _UNREADABLE)
    return row.refused_etag == etag and standing


def _found_again(etag: str, row: Row) -> Leave | Note:
    stale = {name: 0.0 for name in ("missing_since", "gone_since") if getattr(row, name)}
    settled = {} if _refused(etag, row) else _overtaken(row, "unchanged", _SHOWN)
    return _note({**stale, **settled})


def _found_none(row: Row, now: float) -> Leave | Note:
    """Only a sweep removes a picture; a check notes that it is missing."""
    if row.shows_a_photo and row.missing_since:
        return Leave()  # its removal, or the photo's return, is the outcome that comes next
    missing = {"missing_since": now} if row.shows_a_photo else {}
    return _note({**missing, **({} if row.dirty else _overtaken(row, "unchanged", _NONE))})


def _overtaken(row: Row, outcome: Outcome, reason: str) -> dict[str, Any]:
    """Return the outcome that takes a failure's place where nothing is left to sync.

    What failed may have been a check (Graph was odd, a message was poison) of a user who is as he should be;
    no sync would ever come to say so.
    """
    return {"outcome": outcome, "reason": reason} if row.outcome in ("failed", "deferred") else {}


def _note(columns: Mapping[str, Any]) -> Leave | Note:
    return Note(columns) if columns else Leave()


# --- what a sync does --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class User:
    """What a sync needs to know of a directory user.

    `id` is lower case; `groups` are those of the scope's groups that he belongs to, through others too.
    """

    id: str
    upn: str
    enabled: bool
    guest: bool
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Gathered:
    """One user as Graph shows him in one moment, or nearly so.

    `content_etag` is the bytes' own label; where it differs from the metadata's, the photo just changed.
    """

    user: User | None
    source: Photo | NoPhoto | NoMailbox | UserGone
    content: bytes = b""
    content_etag: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is to be written to SharePoint: note `columns`, and this is the outcome."""

    outcome: Outcome
    reason: str
    columns: Mapping[str, Any]
    etag: str = ""


@dataclass(frozen=True, slots=True)
class ComeBack:
    """Too early: the same job again, `after` seconds later, with this many `tries` behind it."""

    after: float
    reason: str
    tries: int


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


type Plan = Finish | ComeBack | Upload | Clear


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose photos we keep in step: members, guests too, or a group's users; never those of `excluded`.

    Groups are object ids, "" for none.
    """

    guests: bool = False
    group: str = ""
    excluded: str = ""

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that a user's membership must be asked of."""
        return tuple(group for group in (self.group, self.excluded) if group)


@dataclass(frozen=True, slots=True)
class Removal:
    """What is to happen to the picture of a user who has no photo.

    Attributes:
        asked: an administrator wants it removed now.
        swept: a sweep found it missing.
        after: seconds a photo must have been missing before a sweep removes its picture.
        keep: a sweep removes nothing; the picture stays and counts as nobody's.
    """

    asked: bool = False
    swept: bool = False
    after: float = 3600.0
    keep: bool = False


TORN_AFTER = 30.0  # seconds; Graph's photo store needs a moment to agree with itself
TRIES_TORN = 1
TRIES_UNREADABLE = 2
_UNREADABLE = "unreadable image"
_SHOWN = "SharePoint has this photo"
_NONE = "no photo in Exchange"
_GONE = "the directory does not know this user"

_NO_REMOVAL = Removal()
_AT_REST = {"missing_since": 0.0, "gone_since": 0.0, "queued_at": 0.0}


def outside(user: User, scope: Scope) -> str:
    """Return why a user is none of ours, "" if he is."""
    if not user.enabled:
        return "account is disabled"
    if scope.excluded and scope.excluded in user.groups:
        return "is in the excluded group"
    if scope.group:
        return "" if scope.group in user.groups else "is not in the group"
    return "guest is out of scope" if user.guest and not scope.guests else ""


def plan(
    gathered: Gathered,
    row: Row,
    *,
    scope: Scope,
    force: bool,
    tries: int,
    now: float,
    removal: Removal = _NO_REMOVAL,
) -> Plan:
    """Return what a sync does about one user.

    Args:
        gathered: what Graph says.
        row: the ledger's row, as claimed.
        scope: whose photos we keep in step.
        force: skip the comparisons with ETag, hash and refused ETag.
        tries: how often this job came back before for a reason of its own.
        now: Unix seconds.
        removal: what becomes of a picture whose photo is gone.
    """
    if gathered.user is None or isinstance(gathered.source, UserGone):
        noted = {"gone_since": row.gone_since or now, "queued_at": 0.0}
        return Finish("gone", _GONE, noted)
    etag = gathered.content_etag or (gathered.source.etag if isinstance(gathered.source, Photo) else "")
    if reason := outside(gathered.user, scope):
        return Finish("skipped", reason, {"refused_etag": etag, "gone_since": 0.0, "queued_at": 0.0}, etag)
    match gathered.source:
        case NoMailbox(reason):
            return Finish("skipped", reason, {"gone_since": 0.0, "queued_at": 0.0})
        case NoPhoto():
            return _plan_removal(gathered.user, row, removal, now)
        case Photo(etag=announced):
            if announced != gathered.content_etag and tries < TRIES_TORN:
                return ComeBack(TORN_AFTER, "the photo changed while it was read", TRIES_TORN)
            if not gathered.content_etag:  # bytes without any label must never be settled
                return Finish("deferred", "the photo keeps changing while it is read", {"queued_at": 0.0})
            return _plan_upload(gathered.user, gathered, row, force=force, now=now)


def _plan_upload(user: User, gathered: Gathered, row: Row, *, force: bool, now: float) -> Finish | Upload:
    etag, digest = gathered.content_etag, hashlib.sha256(gathered.content).hexdigest()
    at_rest = not force and not row.dirty and row.unsure_until <= now
    if not force and row.outcome == "failed" and _refused(etag, row):
        return Finish("failed", row.reason, _AT_REST, etag)
    if at_rest and row.settled_etag == etag:
        return Finish("unchanged", _SHOWN, _AT_REST, etag)
    if at_rest and row.settled_sha256 == digest:
        settled = {**_AT_REST, "settled_etag": etag, "refused_etag": ""}
        return Finish("unchanged", "the same picture under a new ETag", settled, etag)
    return Upload(user, etag, digest, gathered.content)


def _plan_removal(user: User, row: Row, removal: Removal, now: float) -> Finish | Clear:
    overdue = bool(row.missing_since) and now - row.missing_since >= removal.after
    if removal.swept and overdue and removal.keep and not removal.asked:
        # What a half-written picture shows is unknown, so its hash must not spare a later photo its upload.
        digest = "" if row.dirty else row.settled_sha256
        kept = {**_AT_REST, "settled_etag": "", "settled_sha256": digest, "dirty": False, "unsure_until": 0.0}
        return Finish("kept", "no photo in Exchange; the picture stays", kept)
    if removal.asked or (removal.swept and overdue):
        return Clear(user)
    missing = row.missing_since or (now if row.shows_a_photo else 0.0)
    return Finish("unchanged", _NONE, {**_AT_REST, "missing_since": missing})


def unreadable(upload: Upload, *, tries: int, first_look: float) -> Finish | ComeBack:
    """Return what becomes of bytes that are no picture: one more look after `first_look` s, then refused."""
    if tries < TRIES_UNREADABLE:
        return ComeBack(first_look, _UNREADABLE, TRIES_UNREADABLE)
    refused = {**_AT_REST, "refused_etag": upload.etag}
    return Finish("failed", _UNREADABLE, refused, upload.etag)


def thumbnail_name(user: str, size: str) -> str:
    """Return the name under which SharePoint itself keeps a thumbnail today: it survives a change of UPN."""
    return f"{user}_{size}Thumb.jpg"


_DOTNET_EPOCH = 62_135_596_800  # seconds from 0001-01-01 to 1970-01-01, both UTC


def picture_timestamp(now: float, newest: float) -> int:
    """Return `SPS-PictureTimestamp`: whole seconds since 0001-01-01 UTC, never before the newest written."""
    return max(int(now) + _DOTNET_EPOCH, int(newest))
