"""The last problem of a kind that an operator must act on, so that `status` shows what any instance met.

A wrong setting shows by itself; an expired certificate, or a renamed tenant, only to an instance at work.
"""

import threading
from dataclasses import dataclass, field

from shared import logs
from shared.clock import Clock
from shared.errors import ENTRA, ConfigError, ServiceError
from shared.rest.tokens import Tokens
from shared.storage.tables import ANY, StateRows, Table

SHOWN_FOR = 3600.0  # seconds; a lasting refusal of a token recurs within a quarter of an hour
MOVED_SHOWN_FOR = 24 * 3600.0  # seconds; a redirect recurs with the next photo, or in the next sweep
LONGEST_PROBLEM = 4000  # characters; a service writes the text, and a column has a bound
QUIET_FOR = 60.0  # seconds after a noted problem in which an instance notes no other of its kind


@dataclass(slots=True)
class Problems:
    """Notes the problems of one kind. One long-lived object, shared by all threads."""

    table: Table
    clock: Clock
    kind: str = ENTRA  # a service
    shown_for: float = SHOWN_FOR
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _noted: float = field(default=float("-inf"), init=False)  # monotonic seconds

    def note(self, problem: str) -> None:
        """Note a problem, unless this instance noted one within the last minute.

        If that fails, one of the next minute is noted: a lasting problem recurs.
        """
        with self._lock:
            monotonic = self.clock.monotonic()
            if monotonic - self._noted < QUIET_FOR:
                return
            self._noted = monotonic
        try:
            noted = {"problem": problem[:LONGEST_PROBLEM], "at": self.clock.now()}
            self.table.merge(StateRows.PROBLEM, self.kind, noted, ANY)
        except (ServiceError, ConfigError) as error:
            logs.warning("problem.not_noted", error=str(error))

    def recent(self) -> list[str]:
        """Return the last problem and how long ago it was, nothing if it is too old.

        Raises `TryLater` where the table is unreachable.
        """
        columns, _ = self.table.read(StateRows.PROBLEM, self.kind) or ({"at": float("-inf")}, "")
        ago = self.clock.now() - columns["at"]
        return [f"{columns['problem']} (met {max(ago, 0.0):.0f} s ago)"] if ago < self.shown_for else []


@dataclass(frozen=True, slots=True)
class WatchedTokens:
    """A source of tokens whose refusals are noted."""

    tokens: Tokens
    refusals: Problems

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
