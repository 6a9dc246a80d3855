"""Remove the pictures whose photos a sweep found missing; after a brake, only when a person says so."""

from shared import logs
from shared.clock import Clock
from shared.errors import NotOurs, TryLater
from shared.jobs import Backfill, SweepPage
from shared.queues import Queues
from shared.sweepbook import Parts, SweepBook


class Remover:
    """Queues removals. One object, long-lived, shared by all threads."""

    def __init__(self, *, book: SweepBook, parts: Parts, queues: Queues, clock: Clock) -> None:
        self._book = book
        self._parts = parts
        self._queues = queues
        self._clock = clock

    def remove(self, sweep: str) -> None:
        """Queue a removal for everybody whose photo a sweep has missed for long enough."""
        now = self._clock.now()
        for part in self._parts.all(sweep):
            for user in part.removable:
                self._queues.send(Backfill(user, "removed", seen=now, born=now))

    def release(self, sweep: str) -> None:
        """Have a braked sweep's removals queued; `Sweeper.release` says what it raises."""
        kept = dict(self._book.kept()).get(sweep)
        if kept is None or kept["state"] not in ("braked", "released"):
            raise NotOurs("there is no such braked sweep among the last ten")
        record = self._book.record()
        if record.id == sweep and record.state == "running":  # it would brake again, and forget the release
            raise TryLater("storage", "the sweep is just ending")
        self._book.mark(sweep, {"state": "released"})
        self._queues.send(SweepPage(sweep, int(kept["page"]), born=self._clock.now()))
        logs.warn("sweep.released", sweep=sweep)

    def remove_released(self, sweep: str) -> None:
        """Remove what a braked sweep found, if it was released; other ended sweeps remove nothing more."""
        kept = dict(self._book.kept()).get(sweep)
        if kept and kept["state"] == "released":
            self.remove(sweep)
            self._book.mark(sweep, {"state": "finished", "reason": "released by a person"})
