"""Delete rows that are no longer needed: at the end of every sweep, a few each time."""

from dataclasses import dataclass

from shared.clock import Clock
from shared.ledger.failures import Failures
from shared.ledger.ledger import Ledger
from shared.poison import PoisonStore
from shared.settings import Settings
from shared.sharepoint.pace import Pace
from shared.sweeps.state import FORGET_GONE_AFTER, FORGET_POISON_AFTER
from shared.sweeps.store import PartStore, SweepStore


@dataclass(frozen=True, slots=True)
class Cleanup:
    """Deletes old rows. One object, long-lived, shared by all threads."""

    settings: Settings
    sweeps: SweepStore
    parts: PartStore
    poison: PoisonStore
    ledger: Ledger
    failures: Failures
    pace: Pace
    clock: Clock

    def tidy(self) -> None:
        """Delete sweeps before the last ten, minutes that are over, old poison, and users gone long ago.

        Raises `TryLater` where storage is out of reach; what is left is deleted the next time.
        """
        for sweep in self.sweeps.old():
            self.parts.forget(sweep)  # first: without the sweep's figures they would not be found again
            self.sweeps.forget(sweep)
        self.pace.forget()
        now = self.clock.now()
        self.poison.forget(now - FORGET_POISON_AFTER)
        if self.settings.dry_run:
            return
        for user in self.ledger.gone_before(now - FORGET_GONE_AFTER):
            self.ledger.forget(user)
        self.failures.tidy()
