"""What the app remembers, in Azure Tables.

A row a user (`photoledger`), a row for 20 users of a sweep (`photoparts`), and the rest (`photostate`).

Every write merges only the columns it names and states its condition. Tables are made on first use.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from shared.errors import Stale, TryLater
from shared.ledger.row import Row
from shared.storage.tables import ANY, Table

FAILED_OUTCOME = "failed"  # the outcome
ROW_TRIES = 20  # of a conditional write to a row that others write to at the same time


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
        if row.outcome == FAILED_OUTCOME:
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
        for _ in range(ROW_TRIES):
            row = self.read(user)
            try:
                self.write(row, columns_for(row))
            except Stale:
                continue
            return
        raise TryLater("storage", "the user's row never holds still")

    def _tell_failure(self, user: str, columns: Mapping[str, Any]) -> None:
        """Before the row is written: who dies in between leaves one too many listed, never one too few."""
        if self._failures and columns.get("outcome") == FAILED_OUTCOME:
            self._failures.note(user, str(columns["reason"]))

    def _tell_recovery(self, user: str, columns: Mapping[str, Any]) -> None:
        if self._failures and columns.get("outcome", FAILED_OUTCOME) != FAILED_OUTCOME:
            self._failures.strike(user)

    def gone_before(self, time: float) -> list[str]:
        """Return the users whom the directory has not known since before `time`, Unix seconds."""
        return [user for _, user in self._table.older("gone_since", time)]

    def forget(self, user: str) -> None:
        """Delete a user's row."""
        self._table.delete(user[:2], user)
