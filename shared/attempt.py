"""One attempt at one job, and the time that the host allows it."""

from dataclasses import dataclass

from shared.clock import Clock

FUNCTION_TIMEOUT = 300.0  # seconds; as in host.json, which a test compares
# If a function exceeds it, its whole process is ended. The remaining seconds are for an orderly end.
LONGEST_ATTEMPT = FUNCTION_TIMEOUT - 30.0
# No answer is delivered after 230 seconds: learn.microsoft.com/azure/azure-functions/functions-scale#timeout
LONGEST_REQUEST = 230.0 - 30.0

CALLS_A_CLAIM = 14  # one call of a sync may take this part of a claim


@dataclass
class Attempt:
    """One attempt at one job: its time, and what it did so far."""

    timeout: float = 30.0  # seconds one call may take
    ends: float = float("inf")  # when the attempt must be over, on the monotonic clock; its creator sets it
    requests: int = 0  # HTTP requests sent, except for tokens
    metered: int = 0  # those of them that cost SharePoint's units
    request_id: str = ""  # the request id in the last answer of a service that had one
    unanswered: bool = False  # a write received no answer: it may still take effect

    @classmethod
    def begin(
        cls, clock: Clock, longest: float, *, timeout: float = 30.0, ends: float = float("inf")
    ) -> "Attempt":
        """Return an attempt that is over in `longest` seconds, or when `ends` says if that is sooner."""
        return cls(timeout, ends=min(ends, clock.monotonic() + longest))

    def has_time(self, clock: Clock, wait: float = 0.0) -> bool:
        """Return whether a call may start: twice its timeout is left, for itself and what must follow."""
        return clock.monotonic() + wait + 2 * self.timeout <= self.ends
