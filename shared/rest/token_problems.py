"""The last refusal of a token, in one row, so that the status report shows what any instance met.

Like a wrong setting, an expired certificate needs an operator; but only an instance at work notices it.
"""

import threading
from dataclasses import dataclass, field

from shared import logs
from shared.clock import Clock
from shared.errors import ENTRA, ConfigError, ServiceError
from shared.rest.tokens import Tokens
from shared.storage.tables import ANY, StateRows, Table

SHOWN_FOR = 3600.0  # seconds; a lasting refusal recurs within a quarter of an hour
LONGEST_PROBLEM = 4000  # characters; Entra writes the text, and a column has a bound
QUIET_FOR = 60.0  # seconds after a noted refusal in which an instance notes no other


@dataclass(slots=True)
class TokenProblems:
    """Notes refusals of tokens. One long-lived object, shared by all threads."""

    table: Table
    clock: Clock
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _noted: float = field(default=float("-inf"), init=False)  # monotonic seconds

    def note(self, problem: str) -> None:
        """Note a refusal, unless this instance noted one within the last minute.

        If that fails, one of the next minute is noted: a lasting refusal recurs.
        """
        with self._lock:
            monotonic = self.clock.monotonic()
            if monotonic - self._noted < QUIET_FOR:
                return
            self._noted = monotonic
        try:
            noted = {"problem": problem[:LONGEST_PROBLEM], "at": self.clock.now()}
            self.table.merge(StateRows.PROBLEM, ENTRA, noted, ANY)
        except (ServiceError, ConfigError) as error:
            logs.warning("refusal.not_noted", error=str(error))

    def recent(self) -> list[str]:
        """Return the last refusal and how long ago it was, nothing if it is over an hour old.

        Raises `TryLater` where the table is unreachable.
        """
        columns, _ = self.table.read(StateRows.PROBLEM, ENTRA) or ({"at": float("-inf")}, "")
        ago = self.clock.now() - columns["at"]
        return [f"{columns['problem']} (met {max(ago, 0.0):.0f} s ago)"] if ago < SHOWN_FOR else []


@dataclass(frozen=True, slots=True)
class WatchedTokens:
    """A source of tokens whose refusals are noted."""

    tokens: Tokens
    refusals: TokenProblems

    def token(self, host: str) -> str:
        """See `Tokens.token`."""
        try:
            return self.tokens.token(host)
        except ConfigError as error:
            self.refusals.note(str(error))
            raise

    def forget(self, host: str) -> None:
        """See `Tokens.forget`."""
        self.tokens.forget(host)
