"""The app's own limit on SharePoint's quota: a table row for each minute, shared by all instances.

Microsoft's `RateLimit-*` headers are optional and come late, so units are reserved before they are used: two
for every call of a sync. At least a fifth of each minute is kept for live changes. If the backfill's part of
this minute is taken, it reserves in the first minute of the next hour that has room.

Most syncs of a photo under a new ETag with the same bytes make no call at all. What a sync reserved and did
not use, the next syncs of the same minute, lane and instance use, from memory: the table is not written for
it, a crash loses it, and no units are ever used twice because the answer to a write was lost.
"""

import math
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from shared.clock import Clock
from shared.errors import PutOff
from shared.jobs import Lane
from shared.storage.tables import StateRows, Table, update

MINUTE = 60.0
SPREAD = 50.0  # seconds of a minute over which its syncs are spread
HORIZON = 60  # minutes ahead that can be reserved
UNITS_A_CALL = 2
UNITS_KNOWN = 8  # units; three uploads and one query
UNITS_LOOK_UP = 6  # units; a profile, a folder list, and one of the two read again
UNITS_FIRST = UNITS_LOOK_UP + UNITS_KNOWN
LIVE_SHARE = 5  # a fifth


@dataclass(frozen=True, slots=True)
class Booked:
    """Units are reserved in the minute that begins at `slot`; use them in `after` seconds, 0 for now.

    `slot` is 0 if no minute of the next hour has room: try again in `after` seconds.
    """

    slot: float
    after: float


@dataclass(frozen=True, slots=True)
class Reserved:
    """Units of the minute that begins at `slot`."""

    lane: Lane
    slot: float
    units: int


class Paced(PutOff):
    """This minute has no room: come back in `after` seconds, in the minute `slot`; 0 if none is reserved."""

    hindrance = "paced"

    def __init__(self, booked: Booked) -> None:
        super().__init__("SharePoint's pace is taken")
        self.after = booked.after
        self.slot = booked.slot


def with_reserved(columns: Mapping[str, Any], lane: Lane, units: int, limit: int) -> dict[str, float] | None:
    """Return the columns of a minute with `units` more reserved, None if it has no room for them.

    A backfill never takes more than four fifths, however much live changes leave free.
    """
    live, backfill = float(columns.get("live", 0.0)), float(columns.get("backfill", 0.0))
    if live + backfill + units > limit:
        return None
    if lane == "live":
        return {"live": live + units}
    if backfill + units > limit - math.ceil(limit / LIVE_SHARE):
        return None
    return {"backfill": backfill + units}


@dataclass(frozen=True, slots=True)
class Pace:
    """Reserves units. One long-lived object, shared by all threads."""

    table: Table  # holds the minutes
    clock: Clock
    limit: int  # units a minute
    jitter: Callable[[], float] = random.random  # a random number of [0, 1)
    _full_until: dict[Lane, float] = field(init=False, default_factory=lambda: {"live": 0.0, "backfill": 0.0})
    _spare: dict[Lane, Reserved] = field(init=False, default_factory=dict)  # units given back
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def reserve(self, lane: Lane, units: int) -> Booked:
        """Reserve units in this minute, or in the first of the next hour that has room.

        Raises `TryLater` where the table is unreachable, or too many instances want the same minute.
        """
        now = self.clock.now()
        this = minute_of(now)
        if self._take_spare(lane, this, units):
            return Booked(this, 0.0)
        slot = max(this, self._full_until[lane])
        while slot < this + HORIZON * MINUTE:
            if self._take(slot, lane, units):
                # Spread over the minute, so that a service that counts shorter spans sees no burst.
                return Booked(slot, 0.0 if slot == this else slot - now + self.jitter() * SPREAD)
            slot += MINUTE
            self._full_until[lane] = slot  # a full minute stays full: the next search starts after it
        return Booked(0.0, HORIZON * MINUTE * (1 + self.jitter() / 10))

    def give_back(self, reserved: Reserved, used: int) -> None:
        """Leave the units that a sync did not use to the next ones, unless their minute is over."""
        lane, left = reserved.lane, reserved.units - used
        if left <= 0 or reserved.slot != minute_of(self.clock.now()):
            return
        with self._lock:
            known = self._spare.get(lane)
            before = known.units if known and known.slot == reserved.slot else 0
            self._spare[lane] = Reserved(lane, reserved.slot, before + left)

    def forget(self, most: int) -> bool:
        """Delete up to `most` minutes that ended an hour ago; return whether some may be left.

        Raises `TryLater` where the table is unreachable.
        """
        past = self.clock.now() - HORIZON * MINUTE
        # Keys are in the order of time: until the year 2286 every key has ten digits.
        minutes = self.table.scan(StateRows.PACE, ["RowKey"], before=f"{past:.0f}")
        keys = [key for key, _, _ in islice(minutes, most)]
        self.table.delete_all(StateRows.PACE, keys)
        return len(keys) == most

    def _take_spare(self, lane: Lane, minute: float, units: int) -> bool:
        with self._lock:
            spare = self._spare.get(lane)
            if spare is None or spare.slot != minute or spare.units < units:
                return False
            self._spare[lane] = Reserved(lane, minute, spare.units - units)
        return True

    def _take(self, slot: float, lane: Lane, units: int) -> bool:
        reserved = partial(with_reserved, lane=lane, units=units, limit=self.limit)
        _, taken = update(self.table, StateRows.PACE, f"{slot:.0f}", reserved)
        return taken


def minute_of(now: float) -> float:
    """Return the start of the minute that contains `now`."""
    return math.floor(now / MINUTE) * MINUTE


def reservation_stands(slot: float, now: float) -> bool:
    """Return whether a reservation is still valid: in its minute, and in the next for a delayed message."""
    return slot <= now < slot + 2 * MINUTE
