"""The state of a sweep, which checks every user in scope, page by page; and its next step. Pure.

Its record says how far it came; its parts say what the checks of its users answered (see `tally`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

SweepState = Literal["", "running", "finished", "braked", "released", "incomplete", "failed"]

COMPLETE = ("finished", "braked", "released")  # ended after an answer for every user in scope
LAST_PAGE_READ = "end"  # in the place of a next page: every page was read
SWEEP_LEASE = 3600.0  # seconds; a sweep that did nothing for so long counts as dead
FIRST_PAGE_HIDDEN = 10.0  # seconds a sweep's first page is hidden: by then its record is written
PATIENCE = 3600.0  # seconds without an answer, after which the last few users count as failed
FEW = 20  # users; or a hundredth of all
STUCK_AFTER = 2 * 3600.0  # seconds without an answer, after which a sweep is *incomplete*
MOST_PAGES = 10_000  # of ten million users; a list with more of them has no end
STALLED_AFTER = 3600.0  # seconds without progress, after which the status names a sweep
MISSED_AFTER = 86400.0  # seconds without a complete sweep, after which the status says so
SWEEPS_KEPT = 10  # ended sweeps whose parts and figures are kept
REMOVALS_COUNT_FOR = 7 * 86400.0  # seconds for which the brake counts what sweeps removed
FORGET_POISON_AFTER = 30 * 86400.0  # seconds a message that failed for good is kept for inspection
FORGET_GONE_AFTER = 30 * 86400.0  # seconds; as long as a deleted user can be restored
LOOK_AFTER = 30 * 86400.0  # seconds within which each row of the ledger is looked at, listed or not
PARTITIONS = 256  # of the ledger: the first two hex digits of an object id


@dataclass(frozen=True, slots=True)
class SweepRecord:
    """The sweep that runs, or the last one that did."""

    version: str = ""  # the record's own ETag as read, "" while it does not exist
    id: str = ""  # the sweep's id; ids sort by time
    state: SweepState = ""  # whether it runs, or how it ended
    force: bool = False  # every photo is written again
    why: str = ""  # what opened it
    page: float = 0.0  # number of the page that is to be read next
    next: str = ""  # Graph's address of that page, "" for a list's first, `LAST_PAGE_READ` after the last
    reading: str = ""  # the list of that page: "users", "excluded users", "" where none is begun
    lease_until: float = 0.0  # until when no other sweep may be opened
    opened_at: float = 0.0  # when it began
    progress_at: float = 0.0  # when a page was last read, or something answered
    unanswered: float = 0.0  # how many users had no answer then
    again: bool = False  # another sweep is requested as soon as this one ended
    again_why: str = ""  # why it is requested
    removed_to: str = ""  # the last of its parts whose removals are queued, "" before the first

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any], version: str) -> Self:
        """Return the record that a table holds."""
        known = {field.name for field in fields(cls)} - {"version"}
        return cls(version=version, **{name: columns[name] for name in known if name in columns})

    def running(self, now: float) -> bool:
        """Return whether a sweep is under way; one whose lease ended is dead."""
        return self.state == "running" and self.lease_until > now


# --- a page message, and what it has to do ---


type SweepStep = Literal["read", "resend", "await", "drop"]


def next_step(record: SweepRecord, sweep: str, page: int) -> SweepStep:
    """Return what a page message has to do, however often and late it is delivered.

    "read": read the record's next page, send its checks, advance. "resend": that page was read before; only
    the message of its successor may be missing. "await": every page was read; wait for the last answers, then
    give the verdict. "drop": the message is of another sweep, or of a page long past.
    """
    if record.id != sweep or record.state != "running":
        return "drop"
    if page == record.page:
        return "await" if record.next == LAST_PAGE_READ else "read"
    return "resend" if page == record.page - 1 else "drop"


type Waiting = Literal["answered", "few left", "stuck", "going on"]


def waiting(record: SweepRecord, seen: int, unanswered: int, now: float) -> Waiting:
    """Return what becomes of a sweep that waits for its last answers.

    `seen` users are on its pages, `unanswered` of them are without an answer; `now` in Unix seconds.
    """
    if not unanswered:
        return "answered"
    idle = now - record.progress_at if unanswered == record.unanswered else 0.0
    if idle > PATIENCE and unanswered <= max(FEW, seen / 100):
        return "few left"
    return "stuck" if idle > STUCK_AFTER else "going on"


def next_look(record: SweepRecord, now: float) -> float:
    """Return the seconds until a sweep looks again for its last answers; at first soon, then each minute."""
    return min(60.0, max(2.0, (now - record.opened_at) / 10))


# --- after its end ---

TIDIED = "end"  # in the place of where tidying stopped: nothing is left to tidy


def partitions_due(since: float, until: float) -> list[str]:
    """Return the partitions of the ledger that a sweep opened at `until` looks at, the last at `since`.

    Each comes up once in `LOOK_AFTER` seconds, in turn, however often sweeps run. Times are Unix seconds.
    """
    span = LOOK_AFTER / PARTITIONS
    first, last = int(since // span) + 1, int(until // span)
    return [f"{number % PARTITIONS:02x}" for number in range(max(first, last - PARTITIONS + 1), last + 1)]
