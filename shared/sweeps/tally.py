"""What a sweep found: parts of 20 users, a letter for each, their sums, and the brake. Pure.

Totals are sums over the parts, so a message that is delivered twice counts once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from shared.ledger.row import Row


class Letter(StrEnum):
    """What a check answers about one user; in upper case where SharePoint shows, or may show, our picture."""

    UNCHANGED = "u"
    CHANGED = "c"  # a sync is queued
    EMPTY = "n"  # no photo, and none shown
    MISSING = "m"  # not for long enough to be removed
    REMOVABLE = "r"  # missing for long enough
    GONE = "g"  # from the directory
    SKIPPED = "s"
    FAILED = "f"
    UNANSWERED = "?"

    def of(self, row: Row) -> str:
        """Return the letter of the user of this row."""
        return self.upper() if row.shows_a_photo else self.value


@dataclass(frozen=True, slots=True)
class SweepPart:
    """Up to 20 users of one page, and a letter for each."""

    users: tuple[str, ...]
    letters: str

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The users without an answer."""
        return self._with(Letter.UNANSWERED)

    def answered(self, answers: Mapping[str, str]) -> str:
        """Return the letters with these answers filled in; an answer once given stays."""
        return "".join(
            answers.get(user, Letter.UNANSWERED) if found == Letter.UNANSWERED else found
            for user, found in zip(self.users, self.letters, strict=True)
        )

    @property
    def removable(self) -> tuple[str, ...]:
        """The users whose picture may be removed."""
        return self._with(Letter.REMOVABLE.upper())

    def _with(self, letter: str) -> tuple[str, ...]:
        return tuple(u for u, found in zip(self.users, self.letters, strict=True) if found == letter)


def part_key(page: int, number: int) -> str:
    """Return the row key of a part, which sorts as pages and parts do."""
    return f"{page:05}-{number:03}"


@dataclass(frozen=True, slots=True)
class Totals:
    """What a sweep found, in users."""

    seen: int = 0
    unanswered: int = 0
    unchanged: int = 0
    changed: int = 0
    empty: int = 0
    missing: int = 0
    removable: int = 0
    gone: int = 0
    skipped: int = 0
    failed: int = 0
    shown: int = 0
    gone_shown: int = 0

    @property
    def lost(self) -> int:
        """How many pictures that we wrote have no photo any more, however long that has been so."""
        return self.missing + self.removable + self.gone_shown


def sum_letters(letters: Iterable[str]) -> Totals:
    """Return the sums over the letters of all parts."""
    counted = Counter(chain.from_iterable(letters))
    sums: Counter[str] = Counter()
    for found, count in counted.items():
        sums[Letter(found.lower()).name.lower()] += count
    shown = sum(count for found, count in counted.items() if found.isupper())
    return Totals(seen=counted.total(), shown=shown, gone_shown=counted[Letter.GONE.upper()], **sums)


BRAKE_FROM = 20  # users; so few removals are not taken for an accident in a large tenant
BRAKE_HALF_FROM = 2  # users; nor are these, even if they are half of a tiny one


def brakes(totals: Totals, percent: float, removed: int = 0) -> bool:
    """Return whether so many photos are missing at once that a person must look before any is removed.

    Photos that are not missing for long enough count, too: if the photo service loses all photos, that shows
    for the first few users, named by notifications, long before it shows for all. `removed` pictures are
    those that sweeps removed in the last days unreleased: many small steps empty a tenant, too.
    """
    lost, shown = totals.lost + removed, totals.shown + removed
    share = lost > BRAKE_FROM and lost * 100 > percent * shown
    half = lost > BRAKE_HALF_FROM and lost * 2 > shown
    return totals.removable > 0 and (share or half)
