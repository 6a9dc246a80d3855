"""The app's tables: conditional merges of rows that carry a version.

Every write merges only the columns it names and states its condition. Tables are created on first use.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from itertools import batched
from typing import Any, Protocol

from shared.errors import STORAGE, Stale, TryLater
from shared.storage.account import Storage, storage_errors

LEDGER, STATE, PARTS = "photoledger", "photostate", "photoparts"  # names of the tables
UPDATE_TRIES = 20  # of a conditional write to a row with concurrent writers
# The most that one transaction takes, all of one partition:
# learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions
ROWS_A_TRANSACTION = 100
ANY = None
"""As a write's version: no condition; the row may have any version or not exist."""


class StateRows:
    """The kinds of rows in `photostate`, each a partition."""

    GATE = "gate"  # until when a service must not be called
    PACE = "pace"  # the units reserved in a minute
    PROBLEM = "problem"  # the last token that was refused, the last redirect
    SUBSCRIPTION = "subscription"  # our record of it
    SWEEP = "sweep"  # the record of the running sweep, or of the last one
    SWEEPS = "sweeps"  # what ended sweeps found
    POISON = "poison"  # messages that name no user


class Table(Protocol):
    """A table whose rows carry a version (an ETag) that changes with every write."""

    def read(self, partition: str, key: str) -> tuple[dict[str, Any], str] | None:
        """Return a row's columns and version, None if it does not exist."""

    def merge(self, partition: str, key: str, columns: Mapping[str, Any], version: str | None) -> str:
        """Write `columns` into a row, keep its other columns, and return its new version.

        No value is None, which a merge would leave out. `version` is the version as read, "" if there was no
        row, `ANY` for no condition.

        Raises `Stale` where the condition does not hold.
        """

    def scan(
        self, partition: str, only: Sequence[str] = (), *, after: str = "", before: str = ""
    ) -> Iterable[tuple[str, dict[str, Any], str]]:
        """Yield key, columns and version of a partition's rows, in the order of keys.

        Only rows after the key `after` and, unless it is empty, before the key `before`. `only` names the
        columns to fetch; all of them if empty.
        """

    def older(self, column: str, than: float) -> Iterable[tuple[str, str]]:
        """Return partition and key of every row whose time in `column` is set and before `than`."""

    def delete(self, partition: str, key: str) -> None:
        """Delete a row, whatever its version; succeed if it does not exist."""

    def delete_all(self, partition: str, keys: Iterable[str]) -> None:
        """Delete different rows of a partition, `ROWS_A_TRANSACTION` in a call; some may not exist."""


def update(
    table: Table, partition: str, key: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
) -> tuple[Mapping[str, Any], bool]:
    """Merge into a row what `change` returns for its columns; repeat after concurrent writes.

    `change` takes the columns as they stand, none if there is no row, and returns None to write nothing.
    Return the columns as they stand then, and whether they were written.

    Raises `TryLater` where the table is unreachable, or the row keeps changing.
    """
    for _ in range(UPDATE_TRIES):
        columns, version = table.read(partition, key) or ({}, "")
        wanted = change(columns)
        if wanted is None:
            return columns, False
        try:
            table.merge(partition, key, wanted, version)
        except Stale:
            continue
        return {**columns, **wanted}, True
    raise TryLater(STORAGE, "a row never holds still")


@dataclass(frozen=True)  # without slots, for the cached property
class AzureTable:
    """One table of the storage account."""

    storage: Storage
    name: str

    def read(self, partition: str, key: str) -> tuple[dict[str, Any], str] | None:
        """See `Table.read`."""
        from azure.core.exceptions import ResourceNotFoundError

        # Either the row does not exist, or the table, which the first write creates.
        with storage_errors(), suppress(ResourceNotFoundError):
            entity = self._client.get_entity(partition, key)
            return dict(entity), str(entity.metadata["etag"])
        return None

    def merge(self, partition: str, key: str, columns: Mapping[str, Any], version: str | None) -> str:
        """See `Table.merge`."""
        from azure.core import MatchConditions

        client, entity = self._client, {"PartitionKey": partition, "RowKey": key, **columns}
        with storage_errors(conditional=version is not ANY):
            if version is ANY:
                return self._ensuring_table(lambda: client.upsert_entity(entity))
            if version == "":
                return self._ensuring_table(lambda: client.create_entity(entity))
            unchanged = MatchConditions.IfNotModified
            return str(client.update_entity(entity, etag=version, match_condition=unchanged)["etag"])

    def scan(
        self, partition: str, only: Sequence[str] = (), *, after: str = "", before: str = ""
    ) -> Iterable[tuple[str, dict[str, Any], str]]:
        """See `Table.scan`. Page by page: a sweep has thousands of rows, and memory stays flat."""
        select = ["RowKey", *only] if only else None
        query = "PartitionKey eq @it"
        query += (" and RowKey gt @after" if after else "") + (" and RowKey lt @before" if before else "")
        for entity in self._query(query, {"it": partition, "after": after, "before": before}, select):
            yield str(entity["RowKey"]), dict(entity), str(entity.metadata["etag"])

    def older(self, column: str, than: float) -> Iterable[tuple[str, str]]:
        """See `Table.older`."""
        select = ["PartitionKey", "RowKey"]
        for entity in self._query(f"{column} gt 0.0 and {column} lt @it", {"it": than}, select):
            yield str(entity["PartitionKey"]), str(entity["RowKey"])

    def delete(self, partition: str, key: str) -> None:
        """See `Table.delete`."""
        with storage_errors():
            self._client.delete_entity(partition, key)  # no error if the row does not exist

    def delete_all(self, partition: str, keys: Iterable[str]) -> None:
        """See `Table.delete_all`."""
        from azure.core.exceptions import HttpResponseError

        for some in batched(keys, ROWS_A_TRANSACTION, strict=False):
            rows = [("delete", {"PartitionKey": partition, "RowKey": key}) for key in some]
            with storage_errors():
                try:
                    self._client.submit_transaction(rows)
                except HttpResponseError as error:
                    if error.status_code != HTTPStatus.NOT_FOUND:
                        raise
                    for key in some:  # a transaction fails as a whole where one row does not exist
                        self.delete(partition, key)

    def _query(self, query: str, parameters: dict[str, Any], select: list[str] | None) -> Iterator[Any]:
        from azure.core.exceptions import ResourceNotFoundError

        with storage_errors(), suppress(ResourceNotFoundError):  # of the table, which the first write creates
            yield from self._client.query_entities(query, parameters=parameters, select=select)

    def _ensuring_table(self, write: Callable[[], Mapping[str, Any]]) -> str:
        """Return the new version of a row; create the table if it does not exist."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            written = write()
        except ResourceNotFoundError:
            self.storage.tables().create_table_if_not_exists(self.name)
            written = write()
        return str(written["etag"])

    @cached_property  # it costs a tenth of a read
    def _client(self) -> Any:
        return self.storage.tables().get_table_client(self.name)
