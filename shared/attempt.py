"""One attempt at one job, and the time that the host leaves it."""

from dataclasses import dataclass

from shared.clock import Clock

FUNCTION_TIMEOUT = 300.0  # seconds; host.json says the same, and a test holds them together
# Whoever exceeds it is ended together with all that his process works on. What is left is for ending well.
LONGEST_ATTEMPT = FUNCTION_TIMEOUT - 30.0
# Nobody hears an answer after 230 seconds: learn.microsoft.com/azure/azure-functions/functions-scale#timeout
LONGEST_REQUEST = 230.0 - 30.0


@dataclass
class Attempt:
    """One attempt at one job: what time it has, and what it did so far.

    Attributes:
        timeout: seconds one call may take.
        ends: when the attempt must be over, on the monotonic clock; whoever makes one says so.
        requests: HTTP requests sent, tokens aside.
        request_id: the last service request id that was answered.
        unanswered: a write was sent that got no answer: it may still take effect.
    """

    timeout: float = 30.0
    ends: float = float("inf")
    requests: int = 0
    request_id: str = ""
    unanswered: bool = False

    def has_time(self, clock: Clock, wait: float = 0.0) -> bool:
        """Return whether a call may begin: twice its time is left, for itself and what has to follow it."""
        return clock.monotonic() + wait + 2 * self.timeout <= self.ends
