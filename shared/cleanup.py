"""Delete rows that are no longer needed: at the end of every sweep, a few each time."""

from shared.clock import Clock
from shared.ledger.failures import Failures
from shared.ledger.ledger import Ledger
from shared.poison import PoisonStore
from shared.settings import Settings
from shared.sharepoint.pace import Pace
from shared.sweeps.state import FORGET_GONE_AFTER, FORGET_POISON_AFTER
from shared.sweeps.store import PartStore, SweepStore


class Cleanup:
    """Deletes old rows. One object, long-lived, shared by all threads."""

    def __init__(
        self,
        *,
        settings: Settings,
        sweeps: SweepStore,
        parts: PartStore,
        poison: PoisonStore,
        ledger: Ledger,
        failures: Failures,
        pace: Pace,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._sweeps = sweeps
        self._parts = parts
        self._poison = poison
        self._ledger = ledger
        self._failures = failures
        self._pace = pace
        self._clock = clock

    def tidy(self) -> None:
        """Delete sweeps before the last ten, minutes that are over, old poison, and users gone long ago.

        Raises:
            TryLater: storage is out of reach; what is left is deleted the next time.
        """
        for sweep in self._sweeps.old():
            self._parts.forget(sweep)  # first: without the sweep's figures they would not be found again
            self._sweeps.forget(sweep)
        self._pace.forget()
        now = self._clock.now()
        self._poison.forget(now - FORGET_POISON_AFTER)
        if self._settings.dry_run:
            return
        for user in self._ledger.gone_before(now - FORGET_GONE_AFTER):
            self._ledger.forget(user)
        self._failures.tidy()
