"""The sole right to renew the subscription, and our record of it, which only its holder writes."""

import secrets
from collections.abc import Mapping
from typing import Any

from shared import logs
from shared.clock import Clock
from shared.errors import ServiceError, Stale, TryLater
from shared.ledger.ledger import State
from shared.subscription.plan import Record

LEASE = 300.0  # seconds; as long as a function may run


class Lease:
    """The sole right to renew, for a few minutes. `record` is our record as it stood after the last write.

    Raises:
        TryLater: another instance has it.
    """

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        record, now = state.subscription(), clock.now()
        if record.lease_until > now:
            raise _leased_elsewhere(record.lease_until - now)
        self._token = secrets.token_hex(8)
        self.record = record
        try:
            self.record = state.write_subscription(
                record, {"lease_token": self._token, "lease_until": now + LEASE}
            )
        except Stale:
            self.record = self._ours_again()

    def write(self, columns: Mapping[str, Any]) -> None:
        """Merge `columns` into the record, as long as the lease is ours; `TryLater` if it is not any more."""
        try:
            self.record = self._state.write_subscription(self.record, columns)
        except Stale:
            self.record = self._ours_again()  # nobody else writes it, so it is our own write, retried
            if any(getattr(self.record, name) != value for name, value in columns.items()):
                raise TryLater("storage", "our record changed while it was leased") from None

    def end(self) -> None:
        """End the lease. Where that fails it ends by itself."""
        try:
            self.write({"lease_until": 0.0})
        except ServiceError as error:
            logs.warn("lease.not_ended", error=str(error))

    def _ours_again(self) -> Record:
        """Return the record if our own lease stands there after all: a retried write meets itself."""
        record = self._state.subscription()
        if record.lease_token != self._token:
            raise _leased_elsewhere(None)
        return record


def _leased_elsewhere(after: float | None) -> TryLater:
    return TryLater("storage", "another instance tends the subscription", after=after)
