"""The sole right to renew the subscription, and our record of it, which only its holder writes."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

from shared import logs
from shared.clock import Clock
from shared.errors import ServiceError, Stale, TryLater
from shared.storage.tables import Table

SubscriptionState = Literal["", "creating", "active", "ended"]


@dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    """What we remember of our subscription.

    Attributes:
        version: the record's own ETag as read, "" while there is none.
        state: `creating` from before the POST until its answer is noted; `ended` by an administrator.
        id: the subscription's id, "" while it is being created.
        key: which secret signed its `clientState`.
        renewed_at: when it was created or renewed last.
        expires: what Graph answered then.
        lease_token: whoever renews, or did last.
        lease_until: until when nobody else may.
    """

    version: str = ""
    state: SubscriptionState = ""
    id: str = ""
    key: str = ""
    renewed_at: float = 0.0
    expires: float = 0.0
    lease_token: str = ""
    lease_until: float = 0.0

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any], version: str) -> Self:
        """Return the record that a table holds."""
        known = {field.name for field in fields(cls)} - {"version"}
        return cls(version=version, **{name: columns[name] for name in known if name in columns})


class SubscriptionStore:
    """Where our record is kept."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def read(self) -> SubscriptionRecord:
        """Return what we remember of our Graph subscription, an empty record (version "") at first."""
        found = self._table.read("subscription", "users")
        return SubscriptionRecord.from_columns(*found) if found else SubscriptionRecord()

    def write(self, record: SubscriptionRecord, columns: Mapping[str, Any]) -> SubscriptionRecord:
        """Merge `columns` into the record if it still is as it was read; `Stale` if it is not."""
        version = self._table.merge("subscription", "users", columns, record.version)
        return replace(record, version=version, **columns)


SUBSCRIPTION_LEASE = 300.0  # seconds; as long as a function may run


class SubscriptionLease:
    """The sole right to renew, for a few minutes. `record` is our record as it stood after the last write.

    Raises:
        TryLater: another instance has it.
    """

    def __init__(self, store: SubscriptionStore, clock: Clock) -> None:
        self._store = store
        record, now = store.read(), clock.now()
        if record.lease_until > now:
            raise _leased_elsewhere(record.lease_until - now)
        self._token = secrets.token_hex(8)
        self.record = record
        try:
            self.record = store.write(
                record, {"lease_token": self._token, "lease_until": now + SUBSCRIPTION_LEASE}
            )
        except Stale:
            self.record = self._ours_again()

    def write(self, columns: Mapping[str, Any]) -> None:
        """Merge `columns` into the record, as long as the lease is ours; `TryLater` if it is not any more."""
        try:
            self.record = self._store.write(self.record, columns)
        except Stale:
            self.record = self._ours_again()  # nobody else writes it, so it is our own write, retried
            if any(getattr(self.record, name) != value for name, value in columns.items()):
                raise TryLater("storage", "our record changed while it was leased") from None

    def end(self) -> None:
        """End the lease. Where that fails it ends by itself."""
        try:
            self.write({"lease_until": 0.0})
        except ServiceError as error:
            logs.warning("lease.not_ended", error=str(error))

    def _ours_again(self) -> SubscriptionRecord:
        """Return the record if our own lease stands there after all: a retried write meets itself."""
        record = self._store.read()
        if record.lease_token != self._token:
            raise _leased_elsewhere(None)
        return record


def _leased_elsewhere(after: float | None) -> TryLater:
    return TryLater("storage", "another instance tends the subscription", after=after)
