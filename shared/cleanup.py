"""Tidy after a sweep: delete rows that are no longer needed, and look for users that no sweep meets.

Each step does a bounded amount; a message resumes where it stopped. A step that is done twice does no harm.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import batched

from shared import jobs
from shared.clock import Clock
from shared.jobs import SweptCheck
from shared.ledger.failures import Failures
from shared.ledger.ledger import Ledger
from shared.poison import PoisonStore
from shared.settings import Settings
from shared.sharepoint.pace import Pace
from shared.storage.queues import Queues
from shared.sweeps.state import (
    COMPLETE,
    FORGET_GONE_AFTER,
    FORGET_POISON_AFTER,
    REMOVALS_COUNT_FOR,
    TIDIED,
    partitions_due,
)
from shared.sweeps.store import PartStore, SweepStore

ROWS_A_STEP = 10_000  # that one step deletes of a kind: a hundred transactions of a partition
PARTITIONS_A_STEP = 16  # of the ledger's 256: 6400 rows where there are 100 000


@dataclass(frozen=True, slots=True)
class Cleanup:
    """Tidies. One object, long-lived, shared by all threads."""

    settings: Settings
    sweeps: SweepStore
    parts: PartStore
    poison: PoisonStore
    ledger: Ledger
    failures: Failures
    pace: Pace
    queues: Queues
    clock: Clock

    def tidy(self, sweep: str, reached: str) -> str:
        """Do what is left to tidy after a sweep, up to a bounded amount; return where it stops.

        `reached` is where the step before stopped, "" for the first; `TIDIED` is returned after the last.
        Raises `TryLater` where storage is out of reach.
        """
        kinds = self._kinds(sweep)
        last, _, place = reached.partition(" ")
        names = list(kinds)
        for name in names[names.index(last) if last in names else 0 :]:
            if place := kinds[name](place):
                return f"{name} {place}"
        return TIDIED

    def _kinds(self, sweep: str) -> Mapping[str, Callable[[str], str]]:
        """Return, by name, what is tidied: each takes a place and returns the next, "" at the end."""
        now = self.clock.now()
        rows: dict[str, Callable[[str], str]] = {
            "sweeps": lambda _: self._forget_sweeps(now),
            "minutes": lambda _: _place(more=self.pace.forget(ROWS_A_STEP)),
            "poison": lambda place: self.poison.forget(now - FORGET_POISON_AFTER, place, ROWS_A_STEP),
        }
        if self.settings.dry_run:  # the ledger is left as it is
            return rows
        gone_before = now - FORGET_GONE_AFTER
        return rows | {
            "gone": lambda _: _place(more=self.ledger.forget_gone(gone_before, ROWS_A_STEP)),
            "failures": lambda place: self._look_at_failures(sweep, place),
            "unmet": lambda place: self._look_at_unmet(sweep, place),
        }

    def _forget_sweeps(self, now: float) -> str:
        """Delete the parts of sweeps before the last ten, and their figures once the brake counts no more."""
        for sweep, figures in self.sweeps.old():
            # Parts first: without the sweep's figures they would not be found again.
            if not figures.get("parts_forgotten") and self.parts.forget(sweep, ROWS_A_STEP):
                return _place(more=True)
            if figures.get("removed") and figures["ended_at"] > now - REMOVALS_COUNT_FOR:
                self.sweeps.mark(sweep, {"parts_forgotten": True})
            else:
                self.sweeps.forget(sweep)
        return ""

    # --- users that no sweep meets ---

    def _look_at_failures(self, sweep: str, after: str) -> str:
        """Strike those who do not fail any more, and have those checked that the sweep has not met."""
        failing, reached = self.failures.tidy(after)
        if self._span(sweep):
            self._check_unmet(sweep, failing)
        return reached

    def _look_at_unmet(self, sweep: str, place: str) -> str:
        """Have the users of a few partitions checked that the sweep has not met, each partition once a month.

        Who left without a notification is found *gone*; users out of scope are unchanged. No write to a row
        says when its user was last met: a sweep's parts do.
        """
        due, first = partitions_due(*(self._span(sweep) or (0.0, 0.0))), int(place or 0)
        some = due[first : first + PARTITIONS_A_STEP]
        self._check_unmet(sweep, [user for partition in some for user in self.ledger.not_gone(partition)])
        reached = first + len(some)
        return str(reached) if reached < len(due) else ""

    def _span(self, sweep: str) -> tuple[float, float] | None:
        """Return when the complete sweep before this one was opened, and when this; None if it is incomplete.

        Where no complete sweep is known before it, it is the oldest known one.
        """
        kept = [(each, figures) for each, figures in self.sweeps.kept() if each <= sweep]
        if not kept or kept[0][0] != sweep or kept[0][1]["state"] not in COMPLETE:
            return None
        before = [figures for _, figures in kept[1:] if figures["state"] in COMPLETE] or [kept[-1][1]]
        return float(before[0]["opened_at"]), float(kept[0][1]["opened_at"])

    def _check_unmet(self, sweep: str, users: Iterable[str]) -> None:
        wanted = list(users)
        met, now = self.parts.met(sweep, wanted), self.clock.now()
        unmet = (user for user in wanted if user not in met)
        for some in batched(unmet, jobs.USERS_A_CHECK, strict=False):
            self.queues.send(SweptCheck(some, "swept", seen=now, born=now))


def _place(*, more: bool) -> str:
    """Return the place of rows that need none: those that are deleted are not found again."""
    return "again" if more else ""
