"""What the app remembers, in Azure Tables.

A row a user (`photoledger`), a row for 20 users of a sweep (`photoparts`), and the rest (`photostate`).

Every write merges only the columns it names and states its condition. Tables are made on first use.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Any, Protocol

from shared.errors import Stale, TryLater
from shared.ledger.row import Row
from shared.storage.account import Storage, told_apart
from shared.subscription.plan import Record

LEDGER = "photoledger"
STATE = "photostate"
PARTS = "photoparts"
FAILED = "failed"  # the outcome
TRIES = 20  # of a conditional write to a row that others write to at the same time
ANY = None
"""As a write's version: whatever stands there, or nothing."""


class Table(Protocol):
    """A table whose rows carry a version (an ETag) that changes with every write."""

    def read(self, partition: str, key: str) -> tuple[dict[str, Any], str] | None:
        """Return a row's columns and version, None where there is none."""

    def merge(self, partition: str, key: str, columns: Mapping[str, Any], version: str | None) -> str:
        """Write `columns` into a row, leave its others alone, and return its new version.

        Args:
            partition: partition key.
            key: row key.
            columns: what to write; never None, which a merge leaves out.
            version: the version as read; "" where there was no row; `ANY` for no condition.

        Raises:
            Stale: the condition does not hold.
        """

    def scan(
        self, partition: str, only: Sequence[str] = (), *, after: str = ""
    ) -> Iterable[tuple[str, dict[str, Any], str]]:
        """Yield key, columns and version of every row of a partition, in the order of keys.

        Args:
            partition: partition key.
            only: the columns to fetch, all of them where none is named.
            after: only rows whose key comes after this one.
        """

    def older(self, column: str, than: float) -> Iterable[tuple[str, str]]:
        """Return partition and key of every row whose time in `column` is set and lies before `than`."""

    def delete(self, partition: str, key: str) -> None:
        """Delete a row, whatever its version; one that is gone already is as good as deleted."""


class AzureTable:
    """One table of the storage account.

    Args:
        storage: the account.
        name: the table's name.
    """

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage = storage
        self._name = name

    def read(self, partition: str, key: str) -> tuple[dict[str, Any], str] | None:
        """See `Table.read`."""
        from azure.core.exceptions import ResourceNotFoundError

        with told_apart():
            try:
                entity = self._client.get_entity(partition, key)
            except ResourceNotFoundError:  # of the row, or of the table, which the first write makes
                return None
        return dict(entity), str(entity.metadata["etag"])

    def merge(self, partition: str, key: str, columns: Mapping[str, Any], version: str | None) -> str:
        """See `Table.merge`."""
        from azure.core import MatchConditions

        entity = {"PartitionKey": partition, "RowKey": key, **columns}
        client = self._client
        with told_apart(conditional=version is not ANY):
            if version is ANY:
                return self._made(lambda: client.upsert_entity(entity))
            if version == "":
                return self._made(lambda: client.create_entity(entity))
            unchanged = MatchConditions.IfNotModified
            return _version(client.update_entity(entity, etag=version, match_condition=unchanged))

    def scan(
        self, partition: str, only: Sequence[str] = (), *, after: str = ""
    ) -> Iterable[tuple[str, dict[str, Any], str]]:
        """See `Table.scan`. Page by page: a sweep has thousands of rows, and memory stays flat."""
        select = ["RowKey", *only] if only else None
        query = "PartitionKey eq @it" + (" and RowKey gt @after" if after else "")
        for entity in self._query(query, {"it": partition, "after": after}, select):
            yield str(entity["RowKey"]), dict(entity), str(entity.metadata["etag"])

    def older(self, column: str, than: float) -> Iterable[tuple[str, str]]:
        """See `Table.older`."""
        select = ["PartitionKey", "RowKey"]
        for entity in self._query(f"{column} gt 0.0 and {column} lt @it", {"it": than}, select):
            yield str(entity["PartitionKey"]), str(entity["RowKey"])

    def delete(self, partition: str, key: str) -> None:
        """See `Table.delete`."""
        with told_apart():
            self._client.delete_entity(partition, key)  # which says nothing of a row that is not there

    def _query(self, query: str, parameters: dict[str, Any], select: list[str] | None) -> Iterator[Any]:
        from azure.core.exceptions import ResourceNotFoundError

        with told_apart():
            try:
                yield from self._client.query_entities(query, parameters=parameters, select=select)
            except ResourceNotFoundError:  # of the table, which the first write makes
                return

    def _made(self, write: Callable[[], Mapping[str, Any]]) -> str:
        """Return the version that a first write gives; the first of all makes the table."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return _version(write())
        except ResourceNotFoundError:
            self._storage.tables().create_table_if_not_exists(self._name)
            return _version(write())

    @cached_property  # a tenth of the price of a read
    def _client(self) -> Any:
        return self._storage.tables().get_table_client(self._name)


def _version(written: Mapping[str, Any]) -> str:
    return str(written["etag"])


class FailureList(Protocol):
    """Who lists the users that fail: see `failures`."""

    def note(self, user: str, reason: str) -> None:
        """List a user."""

    def strike(self, user: str) -> None:
        """Strike a user out."""


class Ledger:
    """One row a user, keyed by object id; partitioned by its first two hex digits.

    Args:
        table: where the rows are.
        failures: told of users who fail, and who do no longer.
    """

    def __init__(self, table: Table, failures: FailureList | None = None) -> None:
        self._table = table
        self._failures = failures

    def read(self, user: str) -> Row:
        """Return the user's row, an empty one (version "") where there is none."""
        found = self._table.read(user[:2], user)
        return Row.from_columns(user, *found) if found else Row(user)

    def write(self, row: Row, columns: Mapping[str, Any]) -> Row:
        """Merge `columns` into the row if it still is as it was read, and return it as it stands then.

        Raises:
            Stale: somebody else wrote to it.
        """
        self._tell_failure(row.user, columns)
        version = self._table.merge(row.user[:2], row.user, columns, row.version)
        if row.outcome == FAILED:
            self._tell_recovery(row.user, columns)
        return replace(row, version=version, **columns)

    def overwrite(self, user: str, columns: Mapping[str, Any]) -> None:
        """Merge `columns` into the user's row whatever stands there."""
        self._tell_failure(user, columns)
        self._table.merge(user[:2], user, columns, ANY)
        self._tell_recovery(user, columns)

    def amend(self, user: str, columns_for: Callable[[Row], Mapping[str, Any]]) -> None:
        """Merge into the user's row what `columns_for` makes of it as it stands, whoever else writes to it.

        Raises:
            TryLater: the ledger is out of reach, or the row never holds still.
        """
        for _ in range(TRIES):
            row = self.read(user)
            try:
                self.write(row, columns_for(row))
            except Stale:
                continue
            return
        raise TryLater("storage", "the user's row never holds still")

    def _tell_failure(self, user: str, columns: Mapping[str, Any]) -> None:
        """Before the row is written: who dies in between leaves one too many listed, never one too few."""
        if self._failures and columns.get("outcome") == FAILED:
            self._failures.note(user, str(columns["reason"]))

    def _tell_recovery(self, user: str, columns: Mapping[str, Any]) -> None:
        if self._failures and columns.get("outcome", FAILED) != FAILED:
            self._failures.strike(user)

    def gone_before(self, time: float) -> list[str]:
        """Return the users whom the directory has not known since before `time`, Unix seconds."""
        return [user for _, user in self._table.older("gone_since", time)]

    def forget(self, user: str) -> None:
        """Delete a user's row."""
        self._table.delete(user[:2], user)


class State:
    """What concerns no single user: the subscription, and poison that names nobody."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def subscription(self) -> Record:
        """Return what we remember of our Graph subscription, an empty record (version "") at first."""
        found = self._table.read("subscription", "users")
        return Record.from_columns(*found) if found else Record()

    def write_subscription(self, record: Record, columns: Mapping[str, Any]) -> Record:
        """Merge `columns` into the record if it still is as it was read; `Stale` if it is not."""
        version = self._table.merge("subscription", "users", columns, record.version)
        return replace(record, version=version, **columns)

    def note_poison(self, key: str, queue: str, body: str, why: str, now: float) -> None:
        """Keep a message that nobody could handle and that names no user.

        Args:
            key: names the message; one that is kept already is kept once.
            queue: the queue in which it failed.
            body: what it said, cut where a table column ends.
            why: why it was not handled.
            now: Unix seconds.
        """
        columns = {"queue": queue, "body": body[:LONGEST_TEXT], "why": why, "at": now}
        self._table.merge("poison", key, columns, ANY)

    def poison(self, most: int | None = None) -> list[tuple[str, dict[str, Any]]]:
        """Return key and facts of the messages that were kept: all, or no more than `most` of them."""
        return [(key, columns) for key, columns, _ in islice(self._table.scan("poison"), most)]

    def forget_poison(self, before: float) -> None:
        """Forget the messages that were kept before a time, Unix seconds."""
        for key, columns in self.poison():
            if columns["at"] < before:
                self._table.delete("poison", key)


LONGEST_TEXT = 16_000  # characters of up to four bytes; a table column holds 64 KiB of UTF-16
