"""How much of SharePoint's quota a minute we allow ourselves: a table row a minute, shared by all instances.

Microsoft's `RateLimit-*` headers are optional and come late, so units are reserved before they are used: two
for every call of a sync. At least a fifth of each minute is kept for live changes; a backfill that finds its
part of this minute taken books the first of the next hour's minutes with room.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any

from shared.clock import Clock
from shared.errors import Stale, TryLater
from shared.jobs import Lane
from shared.storage.tables import Table

MINUTE = 60.0
SPREAD = 50.0  # seconds of it over which its syncs are spread
HORIZON = 60  # minutes ahead that can be booked
UNITS_KNOWN = 8  # three uploads and one query, two units each
UNITS_FIRST = 14  # and a profile, a folder list, and one of the two looked for again
LIVE_SHARE = 5  # a fifth
MINUTE_TRIES = 20  # of a conditional write that many instances want at once
MINUTES_FORGOTTEN = (
    2000  # minutes at a time, each a request: a first sweep after months must still end in its five
)


@dataclass(frozen=True, slots=True)
class Booked:
    """Units are reserved in the minute that begins at `slot`; come back `after` seconds, 0 for now."""

    slot: float
    after: float


@dataclass(frozen=True, slots=True)
class Full:
    """No minute of the next hour has room; come back `after` seconds."""

    after: float


def with_reserved(columns: Mapping[str, Any], lane: Lane, units: int, limit: int) -> dict[str, float] | None:
    """Return the columns of a minute with `units` more reserved, None if it has no room for them.

    A backfill never takes more than four fifths, whatever live changes left free.
    """
    live, backfill = float(columns.get("live", 0.0)), float(columns.get("backfill", 0.0))
    if live + backfill + units > limit:
        return None
    if lane == "live":
        return {"live": live + units}
    if backfill + units > limit - math.ceil(limit / LIVE_SHARE):
        return None
    return {"backfill": backfill + units}


class Pace:
    """Reserves units. One object, long-lived, shared by all threads.

    Args:
        table: where the minutes are.
        clock: what time it is.
        limit: units a minute.
        jitter: a random number of [0, 1).
    """

    def __init__(
        self, table: Table, clock: Clock, limit: int, *, jitter: Callable[[], float] = random.random
    ) -> None:
        self._table = table
        self._clock = clock
        self._limit = limit
        self._jitter = jitter
        self._full_until: dict[Lane, float] = {"live": 0.0, "backfill": 0.0}

    def reserve(self, lane: Lane, units: int) -> Booked | Full:
        """Reserve units in this minute, or in the first of the next hour that has room.

        Raises:
            TryLater: the table is out of reach, or too many want the same minute.
        """
        now = self._clock.now()
        this = minute_of(now)
        slot = max(this, self._full_until[lane])
        while slot < this + HORIZON * MINUTE:
            if self._take(slot, lane, units):
                # Spread over the minute: a service that counts shorter spans sees no burst.
                return Booked(slot, 0.0 if slot == this else slot - now + self._jitter() * SPREAD)
            slot += MINUTE
            self._full_until[lane] = slot  # a full minute stays full: the next search begins behind it
        return Full(HORIZON * MINUTE * (1 + self._jitter() / 10))

    def forget(self) -> None:
        """Forget the minutes that are over for an hour, the oldest first, and not too many at a time.

        Raises:
            TryLater: the table is out of reach.
        """
        past = self._clock.now() - HORIZON * MINUTE
        minutes = (key for key, _, _ in self._table.scan("pace", only=["RowKey"]))
        # In the order of time: until the year 2286 every key has ten digits.
        for key in list(islice(takewhile(lambda key: float(key) < past, minutes), MINUTES_FORGOTTEN)):
            self._table.delete("pace", key)

    def _take(self, slot: float, lane: Lane, units: int) -> bool:
        key = f"{slot:.0f}"
        for _ in range(MINUTE_TRIES):
            row = self._table.read("pace", key)
            columns, version = row or ({}, "")
            wanted = with_reserved(columns, lane, units, self._limit)
            if wanted is None:
                return False
            try:
                self._table.merge("pace", key, wanted, version)
            except Stale:
                continue
            return True
        raise TryLater("storage", "too many want this minute")


def minute_of(now: float) -> float:
    """Return the beginning of the minute that `now` lies in."""
    return math.floor(now / MINUTE) * MINUTE


def reservation_stands(slot: float, now: float) -> bool:
    """Return whether a reservation still counts: in its minute, and in the next for what was delayed."""
    return slot <= now < slot + 2 * MINUTE
