"""One user's row of the ledger: what SharePoint shows, what is in progress, what went wrong. Pure.

Times are Unix seconds; 0 and "" mean "none", because a table merge leaves out what is None.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, TypedDict

Outcome = Literal["synced", "unchanged", "cleared", "kept", "skipped", "deferred", "failed", "gone"]


@dataclass(frozen=True, slots=True)
class Row:
    """What the ledger remembers of one user."""

    user: str  # the Entra object id, lower case
    version: str = ""  # the row's own ETag as read, "" while the user has no row
    settled_etag: str = ""  # ETag of the photo that SharePoint shows, with its quotation marks
    settled_sha256: str = ""  # hash of that photo's bytes, as they came from Exchange
    # the user principal name under which SharePoint knew the user; "" where it must be looked up
    upn: str = ""
    geo: str = ""  # host of the user's My Site, `contoso-my.sharepoint.com`
    home: str = ""  # the SHAREPOINT_HOST under which `geo` and `folder` were found
    folder: str = ""  # server-relative path of the folder that holds the thumbnails
    claim_token: str = ""  # the attempt that works on the user, or did last
    claim_until: float = 0.0  # when that claim expires; 0 once it was ended
    dirty: bool = False  # the target may show something else than `settled_etag` says
    unsure_until: float = 0.0  # until then a write of an earlier attempt may still arrive
    # when a queued check looks at the user because of `unsure_until`; 0 if none is queued
    recheck_at: float = 0.0
    stamp: float = 0.0  # the newest `SPS-PictureTimestamp` written, in seconds since 0001-01-01
    refused_etag: str = ""  # a photo that must not be tried again
    tried_etag: str = ""  # a photo that was read in vain, and that a queued job reads again
    tries: float = 0.0  # what that job counts (`sync.plan`)
    retry_at: float = 0.0  # when it comes
    missing_since: float = 0.0  # since when Exchange has had no photo although one is settled
    gone_since: float = 0.0  # since when the directory has not known the user
    queued_at: float = 0.0  # when a sweep queued this user
    wait_until: float = 0.0  # until when Graph must not be asked for this user: its limit is one of mailboxes
    no_profile_since: float = 0.0  # when SharePoint was first found to have no profile of the user
    no_profile_until: float = 0.0  # until then no sweep looks for the profile of this user again ...
    no_profile_etag: str = ""  # ... as long as the photo is the one that had nowhere to go, "" a removal
    outcome: str = ""  # how the last sync ended
    reason: str = ""  # why it ended so, in words
    lag_ms: float = 0.0  # milliseconds from the hint to the settled photo
    settled_at: float = 0.0  # when the photo was settled

    @classmethod
    def from_columns(cls, user: str, columns: Mapping[str, Any], version: str) -> Self:
        """Return the row that a table holds; columns of other versions of this app are ignored."""
        known = {name: columns[name] for name in _COLUMNS if name in columns}
        return cls(user=user, version=version, **known)

    def holds(self, columns: "RowColumns") -> bool:
        """Return whether this row holds every value of `columns`."""
        return all(getattr(self, name) == value for name, value in columns.items())

    @property
    def shows_a_photo(self) -> bool:
        """Whether SharePoint shows, or may show, a picture that we wrote."""
        return bool(self.settled_etag) or self.dirty


_COLUMNS = frozenset(field.name for field in fields(Row)) - {"user", "version"}


class RowColumns(TypedDict, total=False):
    """Columns of a row as a write merges them; see `Row`."""

    settled_etag: str
    settled_sha256: str
    upn: str
    geo: str
    home: str
    folder: str
    claim_token: str
    claim_until: float
    dirty: bool
    unsure_until: float
    recheck_at: float
    stamp: float
    refused_etag: str
    tried_etag: str
    tries: float
    retry_at: float
    missing_since: float
    gone_since: float
    queued_at: float
    wait_until: float
    no_profile_since: float
    no_profile_until: float
    no_profile_etag: str
    outcome: Outcome
    reason: str
    lag_ms: float
    settled_at: float


# Seconds after a doubt at which it is checked: twice the tolerance of clocks, so that none sees it last.
RECHECK_MARGIN = 60.0
# Seconds within which the next sweep does not queue a user again, unless their sync ended since.
QUEUED_FOR = 86_400.0
# Seconds that a job may come after its time: queues add a tenth of a wait, and others may be before it.
RETRY_MARGIN = 300.0
# Seconds after which a photo that was read in vain is read as if for the first time.
TRIES_COUNT_FOR = 86_400.0

DAY = 86_400.0  # seconds
LONGEST_WAIT = 16 * DAY  # seconds between two looks of sweeps for a profile that does not exist

UNREADABLE_IMAGE = "unreadable image"  # why a photo is refused whose bytes are not a picture
# Why there is nothing to sync.
PHOTO_SHOWN = "SharePoint has this photo"
NO_PHOTO_THERE = "no photo in Exchange"
NO_PHOTO_UNPROVEN = "Graph shows no photo, with an answer that does not prove that there is none"
USER_UNKNOWN = "the directory does not know this user"


def recently_queued(row: Row, now: float) -> bool:
    """Return whether a sweep queued this user not long ago and their sync did not end since."""
    return bool(row.queued_at) and now - row.queued_at < QUEUED_FOR


def without_profile(row: Row, etag: str, now: float) -> RowColumns:
    """Return what to note of a user without a SharePoint profile.

    New users get theirs within a day, and each sweep looks for it. Some users never get one: afterwards a
    sweep looks when it has been missing for twice as long as at the last look, and every 16 days at least.
    """
    since = row.no_profile_since or now
    missing_for = now - since
    wait = min(missing_for, LONGEST_WAIT) if missing_for >= DAY else 0.0
    return {"no_profile_since": since, "no_profile_until": now + wait, "no_profile_etag": etag}


def with_profile(row: Row) -> RowColumns:
    """Return what to note of a user with a SharePoint profile."""
    known = row.no_profile_since
    return {"no_profile_since": 0.0, "no_profile_until": 0.0, "no_profile_etag": ""} if known else {}


def waits_for_profile(row: Row, etag: str, now: float) -> bool:
    """Return whether a sweep is to leave this user alone, because SharePoint had no profile of them."""
    standing = row.outcome == "deferred" and row.no_profile_etag == etag
    return standing and now < row.no_profile_until


def read_again_soon(etag: str, row: Row, now: float) -> bool:
    """Return whether a job is queued that reads this photo again, because it was read in vain."""
    return row.tried_etag == etag and row.retry_at + RETRY_MARGIN > now


def refused(etag: str, row: Row) -> bool:
    """Return whether a photo must not be tried again.

    This holds while the outcome that refused it stands. A later outcome (deferred, gone, failed for another
    reason) has another cause, and must not exclude the photo for good.
    """
    standing = row.outcome == "skipped" or (row.outcome, row.reason) == ("failed", UNREADABLE_IMAGE)
    return row.refused_etag == etag and standing
