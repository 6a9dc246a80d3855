"""The list of failing users: a partition of the ledger's table, so that no reader scans every user's row.

It follows the outcomes that the ledger writes. A crash in between leaves an entry too many, never one too
few; the end of the next sweep removes it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from shared import logs
from shared.clock import Clock
from shared.errors import ServiceError, Stale
from shared.storage.tables import ANY, Table

FAILURES_PARTITION = "failed"  # users' own partitions have two characters
FAILURES_COUNTED = 1000  # entries that one reading counts: as many as the table service returns at once
FAILURES_SHOWN = 10
FAILURES_A_STEP = 200  # entries that one step of tidying looks at, each with a call or two for the user


@dataclass(frozen=True, slots=True)
class Failures:
    """The users whose outcome is *failed*. One object, long-lived, shared by all threads."""

    table: Table
    clock: Clock

    def note(self, user: str, reason: str) -> None:
        """Note that a user failed; for a user who had failed before, `since` stays."""
        now = self.clock.now()
        latest = {"at": now, "reason": reason}
        try:
            self.table.merge(FAILURES_PARTITION, user, {"since": now, **latest}, "")
        except Stale:
            self.table.merge(FAILURES_PARTITION, user, latest, ANY)

    def strike(self, user: str) -> None:
        """Remove a user who does not fail any more; where that fails, the next sweep does it."""
        try:
            self.table.delete(FAILURES_PARTITION, user)
        except ServiceError as error:
            logs.warning("failure.not_struck", user=user, error=str(error))

    def report(self) -> dict[str, Any]:
        """Return how many users fail, since when (Unix seconds, None if none), and the newest, as JSON."""
        entries = list(self._entries())
        return {
            "users": len(entries),
            "more": len(entries) == FAILURES_COUNTED,  # there may be more than were counted
            "since": min((entry["since"] for entry in entries), default=None),
            "newest": sorted(entries, key=lambda entry: -entry["at"])[:FAILURES_SHOWN],
        }

    def tidy(self, after: str) -> tuple[list[str], str]:
        """Remove users who are listed although they do not fail, and return the others.

        Looks at `FAILURES_A_STEP` entries after `after` ("" to begin), and returns where to go on, "" at the
        end.
        """
        found = self.table.scan(FAILURES_PARTITION, ["at"], after=after)
        listed, failing = [user for user, _, _ in islice(found, FAILURES_A_STEP)], []
        for user in listed:
            row = self.table.read(user[:2], user)
            if row is None or row[0].get("outcome") != "failed":
                self.strike(user)
            else:
                failing.append(user)
        return failing, listed[-1] if len(listed) == FAILURES_A_STEP else ""

    def _entries(self) -> Iterator[dict[str, Any]]:
        for user, columns, _ in islice(self.table.scan(FAILURES_PARTITION), FAILURES_COUNTED):
            # The entry of a user who was removed while they failed again has no `since`.
            facts = {"since": columns["at"], **columns}
            yield {"user": user, **{name: facts[name] for name in ("reason", "since", "at")}}
