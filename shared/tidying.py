"""Forget what nobody will ask for any more: at the end of every sweep, a little each time."""

from shared import sweeps
from shared.clock import Clock
from shared.ledger import Ledger
from shared.pace import Pace
from shared.settings import Settings
from shared.sweepbook import Parts, SweepBook


class Tidier:
    """Forgets old rows. One object, long-lived, shared by all threads."""

    def __init__(
        self,
        *,
        settings: Settings,
        book: SweepBook,
        parts: Parts,
        ledger: Ledger,
        pace: Pace,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._book = book
        self._parts = parts
        self._ledger = ledger
        self._pace = pace
        self._clock = clock

    def tidy(self) -> None:
        """Forget sweeps before the last ten, minutes that are over, and users gone for thirty days.

        Raises:
            TryLater: storage is out of reach; what is left is forgotten the next time.
        """
        for sweep in self._book.old():
            self._parts.forget(sweep)  # first: without its figures nobody would look for them again
            self._book.forget(sweep)
        self._pace.forget()
        if self._settings.dry_run:
            return
        for user in self._ledger.gone_before(self._clock.now() - sweeps.FORGET_GONE_AFTER):
            self._ledger.forget(user)
