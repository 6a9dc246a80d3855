"""The ledger: what the app remembers of each user, one row for each in the table `photoledger`.

The rows of a sweep, one for each 20 users, are in `photoparts` (`shared.sweeps`); the rest in `photostate`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby, islice
from operator import itemgetter

from shared.ledger.failures import Failures
from shared.ledger.row import Row, RowColumns
from shared.storage.tables import ANY, Table, update

FAILED_OUTCOME = "failed"  # the outcome that `failures` lists


@dataclass(frozen=True, slots=True)
class Ledger:
    """One row for each user, keyed by object id; partitioned by its first two hex digits."""

    table: Table
    failures: Failures

    def read(self, user: str) -> Row:
        """Return the user's row, an empty one (version "") where it does not exist."""
        found = self.table.read(user[:2], user)
        return Row.from_columns(user, *found) if found else Row(user)

    def write(self, row: Row, columns: RowColumns) -> Row:
        """Merge `columns` into the row and return the new row; `Stale` if it changed since it was read."""
        self._tell_failure(row.user, columns)
        version = self.table.merge(row.user[:2], row.user, columns, row.version)
        if row.outcome == FAILED_OUTCOME:
            self._tell_recovery(row.user, columns)
        return replace(row, version=version, **columns)

    def overwrite(self, user: str, columns: RowColumns) -> None:
        """Merge `columns` into the user's row without a condition."""
        self._tell_failure(user, columns)
        self.table.merge(user[:2], user, columns, ANY)
        self._tell_recovery(user, columns)

    def amend(self, user: str, columns_for: Callable[[Row], RowColumns]) -> None:
        """Merge into the user's row what `columns_for` returns for it, never an outcome.

        Raises `TryLater` where the ledger is out of reach, or the row keeps changing.
        """
        update(self.table, user[:2], user, lambda found: dict(columns_for(Row.from_columns(user, found, ""))))

    def _tell_failure(self, user: str, columns: RowColumns) -> None:
        """List a failure before the row is written: a crash in between lists one too many, not too few."""
        if columns.get("outcome") == FAILED_OUTCOME:
            self.failures.note(user, str(columns["reason"]))

    def _tell_recovery(self, user: str, columns: RowColumns) -> None:
        if columns.get("outcome", FAILED_OUTCOME) != FAILED_OUTCOME:
            self.failures.strike(user)

    def forget_gone(self, before: float, most: int) -> bool:
        """Delete the rows of users that the directory has not known since `before`, Unix seconds.

        Up to `most` of them; return whether some may be left.
        """
        gone = sorted(islice(self.table.older("gone_since", before), most))
        for partition, rows in groupby(gone, key=itemgetter(0)):
            self.table.delete_all(partition, [user for _, user in rows])
        return len(gone) == most

    def not_gone(self, partition: str) -> list[str]:
        """Return the users of a partition that the directory may know, and that do not fail."""
        rows = self.table.scan(partition, ["gone_since", "outcome"])
        return [
            user
            for user, columns, _ in rows
            if not columns.get("gone_since") and columns.get("outcome") != FAILED_OUTCOME
        ]
