"""Claims on users: a claim in a user's ledger row is valid for a while, renewed by a mark, then ended.

Delivery is at least once, in no order, and instances crash: two of them may hold the same job. The claim
makes one of them wait. All writes are conditional. Where one is answered `Stale` the row is read again,
because a retried write of our own looks just like that of another instance.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from shared.clock import Clock
from shared.errors import STORAGE, PutOff, Stale, TryLater
from shared.ledger.ledger import Ledger
from shared.ledger.row import Row, RowColumns

BUSY_AFTER = 30.0  # seconds; another attempt rarely takes longer
CLAIM_TRIES = 5  # writes to a row that keeps changing, before the job is deferred


class Busy(PutOff):
    """Another attempt holds a claim on the user for `remaining` more seconds at most."""

    hindrance = "busy"

    def __init__(self, remaining: float) -> None:
        super().__init__("another attempt works on this user")
        self.after = min(BUSY_AFTER, remaining)


class ClaimLost(PutOff):
    """Our claim expired and another attempt took the user over."""

    after: float | None = BUSY_AFTER
    hindrance = "busy"


class Claim:
    """One attempt's right to work on one user. `row` is the ledger's row as it stood after our last write."""

    def __init__(self, ledger: Ledger, row: Row) -> None:
        self._ledger = ledger
        self.row = row

    def write(self, columns: RowColumns) -> None:
        """Merge `columns` into the row, as long as the claim is ours.

        Raises `ClaimLost` where another attempt took the user over, `TryLater` where the ledger is out of
        reach or the row keeps changing.
        """
        for _ in range(CLAIM_TRIES):
            try:
                self.row = self._ledger.write(self.row, columns)
            except Stale:
                self.row = self._read_again()
            if self.row.holds(columns):  # also if our own write arrived and its answer was lost
                return
        raise _restless()

    def end(self, columns: RowColumns) -> None:
        """Write `columns` and end the claim. The token stays: it tells a retried write what it meets."""
        self.write({**columns, "claim_until": 0.0})

    def _read_again(self) -> Row:
        """Return the current row, with what a check noted in between."""
        row = self._ledger.read(self.row.user)
        if row.claim_token != self.row.claim_token:
            raise ClaimLost("another attempt took this user over")
        return row


@dataclass(frozen=True, slots=True)
class Claims:
    """Takes claims."""

    ledger: Ledger
    clock: Clock
    claim_for: float  # seconds; longer than a function may run
    new_token: Callable[[], str] = lambda: secrets.token_hex(8)

    def take(self, user: str) -> Claim:
        """Return a claim on `user`; `Busy` where another attempt has one that is valid.

        Raises `TryLater` where the ledger is out of reach, or the row keeps changing.
        """
        token = self.new_token()
        for _ in range(CLAIM_TRIES):
            row = self.ledger.read(user)
            if row.claim_token == token and row.claim_until:
                return Claim(self.ledger, row)  # our own write, whose answer was lost
            now = self.clock.now()
            if row.claim_until > now:
                raise Busy(row.claim_until - now)
            try:
                return Claim(self.ledger, self.ledger.write(row, self._columns(row, token, now)))
            except Stale:
                continue
        raise _restless()

    def _columns(self, row: Row, token: str, now: float) -> RowColumns:
        columns: RowColumns = {"claim_token": token, "claim_until": now + self.claim_for}
        if row.claim_until and row.dirty:
            # It expired, so its attempt never ended it: a write that it sent to SharePoint may still arrive.
            columns["unsure_until"] = now + self.claim_for
        return columns


def _restless() -> TryLater:
    return TryLater(STORAGE, "the user's row never holds still")
