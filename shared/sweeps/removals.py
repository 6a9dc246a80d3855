"""Remove the pictures whose photos a sweep found missing; after a brake, only if an administrator asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared import logs
from shared.clock import Clock
from shared.errors import STORAGE, NotOurs, TryLater
from shared.jobs import Backfill, SweepPage
from shared.storage.queues import Queues
from shared.sweeps.state import REMOVALS_COUNT_FOR, SWEEPS_KEPT
from shared.sweeps.store import PartStore, SweepStore

REMOVALS_A_STEP = 500  # seconds of a message's five minutes, even where the queue is slow


@dataclass(frozen=True, slots=True)
class Removals:
    """Queues removals, a bounded number at once. One object, long-lived, shared by all threads."""

    store: SweepStore
    parts: PartStore
    queues: Queues
    clock: Clock

    def remove(self, sweep: str, after: str) -> str:
        """Queue removals of pictures whose photo is missing for long enough: `REMOVALS_A_STEP` or few more.

        It continues after the part `after` of the sweep ("" to begin), and returns the part after which to
        continue, "" if no user is left.
        """
        now, sent = self.clock.now(), 0
        for key, users in self.parts.removable(sweep, after):
            for user in users:
                self.queues.send(Backfill(user, "swept", seen=now, born=now, removal=True))
            sent += len(users)
            if sent >= REMOVALS_A_STEP:
                return key
        return ""

    def release(self, sweep: str) -> None:
        """Let a braked sweep remove what it found, because an administrator looked at it.

        Raises `NotOurs` where the last ten sweeps contain no such braked sweep, `TryLater` where it is just
        ending or storage is out of reach.
        """
        kept = dict(self.store.kept()[:SWEEPS_KEPT]).get(sweep)
        if kept is None or kept["state"] not in ("braked", "released"):
            raise NotOurs("there is no such braked sweep among the last ten")
        record = self.store.record()
        if record.id == sweep and record.state == "running":  # it would brake again, and forget the release
            raise TryLater(STORAGE, "the sweep is just ending")
        self.store.mark(sweep, {"state": "released"})
        self._go_on(sweep, kept)
        logs.warning("sweep.released", sweep=sweep)

    def remove_released(self, sweep: str) -> bool:
        """Remove what a braked sweep found, if it was released; other ended sweeps remove nothing more.

        Return whether a message goes on with the rest.
        """
        kept = self.store.figures(sweep)
        if kept is None or kept["state"] != "released":
            return False
        if reached := self.remove(sweep, kept.get("removed_to", "")):
            self.store.mark(sweep, {"removed_to": reached})
            self._go_on(sweep, kept)
            return True
        self.store.mark(sweep, {"state": "finished", "reason": "released by a person"})
        return False

    def counted(self, sweep: str) -> tuple[int, int]:
        """Return how many pictures sweeps removed in the last days that this one does not find again.

        With it comes how many it does find again, because their removal is still queued. What a person
        released does not count.
        """
        since = self.clock.now() - REMOVALS_COUNT_FOR
        kept = [(each, figures) for each, figures in self.store.kept() if figures["ended_at"] > since]
        # The last one that queued any, found before or not: parts are kept for less long than figures.
        last = next((each for each, figures in kept if figures.get("removing")), None)
        if last is None:
            return 0, 0
        before = {user for _, users in self.parts.removable(last) for user in users}
        again = sum(user in before for _, users in self.parts.removable(sweep) for user in users)
        return max(0, sum(int(figures.get("removed", 0.0)) for _, figures in kept) - again), again

    def _go_on(self, sweep: str, kept: Mapping[str, Any]) -> None:
        self.queues.send(SweepPage(sweep, int(kept["page"]), born=self.clock.now()))
