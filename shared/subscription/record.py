"""The app's record of its subscription, and the lease on it: only the holder renews and writes."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

from shared import logs
from shared.clock import Clock
from shared.errors import STORAGE, ServiceError, Stale, TryLater
from shared.storage.tables import StateRows, Table

SubscriptionState = Literal["", "creating", "active", "ended"]


@dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    """The app's record of its subscription. Times are Unix seconds."""

    version: str = ""  # the record's own ETag as read, "" if no record exists
    # `creating` from before the POST until its answer is recorded; `ended` by an administrator
    state: SubscriptionState = ""
    id: str = ""  # the subscription's, "" while it is being created
    key: str = ""  # which secret signed its `clientState`
    renewed_at: float = 0.0  # when it was last created or renewed
    expires: float = 0.0  # the expiry that Graph returned then
    owner: str = ""  # the notification URL of the deployment that it belongs to, "" if it belongs to none
    rival: str = ""  # that of another deployment on this storage account, which was last seen ...
    rival_at: float = 0.0  # ... then
    trouble: str = ""  # why the last attempt to tend it failed, "" if it did not
    lease_token: str = ""  # identifies the current or last holder of the lease
    lease_until: float = 0.0  # until when no other instance may renew

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any], version: str) -> Self:
        """Return the record that a row holds."""
        known = {field.name for field in fields(cls)} - {"version"}
        return cls(version=version, **{name: columns[name] for name in known if name in columns})


@dataclass(frozen=True, slots=True)
class SubscriptionStore:
    """Reads and writes the record."""

    table: Table

    def read(self) -> SubscriptionRecord:
        """Return the record, an empty one (version "") at first."""
        found = self.table.read(StateRows.SUBSCRIPTION, "users")
        return SubscriptionRecord.from_columns(*found) if found else SubscriptionRecord()

    def write(self, record: SubscriptionRecord, columns: Mapping[str, Any]) -> SubscriptionRecord:
        """Merge `columns` into the record if it is unchanged since it was read; raise `Stale` if not."""
        version = self.table.merge(StateRows.SUBSCRIPTION, "users", columns, record.version)
        return replace(record, version=version, **columns)


SUBSCRIPTION_LEASE = 300.0  # seconds; as long as a function may run


class SubscriptionLease:
    """The sole right to renew, for a few minutes. `record` is the record after the last write.

    Raises `TryLater` where another instance holds the lease.
    """

    def __init__(self, store: SubscriptionStore, clock: Clock) -> None:
        self._store = store
        self.record, now = store.read(), clock.now()
        if self.record.lease_until > now:
            raise _leased_elsewhere(self.record.lease_until - now)
        self._token = secrets.token_hex(8)
        lease = {"lease_token": self._token, "lease_until": now + SUBSCRIPTION_LEASE}
        try:
            self.record = store.write(self.record, lease)
        except Stale:
            self.record = self._reread_own_lease()

    def write(self, columns: Mapping[str, Any]) -> None:
        """Merge `columns` into the record, while this instance holds the lease; raise `TryLater` if not."""
        try:
            self.record = self._store.write(self.record, columns)
        except Stale:
            self.record = self._reread_own_lease()  # only the holder writes, so it is our own retried write
            if any(getattr(self.record, name) != value for name, value in columns.items()):
                raise TryLater(STORAGE, "our record changed while it was leased") from None

    def close(self) -> None:
        """End the lease. If that fails, it expires."""
        try:
            self.write({"lease_until": 0.0})
        except ServiceError as error:
            logs.warning("lease.not_ended", error=str(error))

    def _reread_own_lease(self) -> SubscriptionRecord:
        """Return the record if it has our own lease after all: a retried write finds its own result."""
        record = self._store.read()
        if record.lease_token != self._token:
            raise _leased_elsewhere(None)
        return record


def _leased_elsewhere(after: float | None) -> TryLater:
    return TryLater(STORAGE, "another instance tends the subscription", after=after)
