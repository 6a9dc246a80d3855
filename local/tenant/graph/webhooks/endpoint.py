"""How Graph rates an endpoint by the times of its answers: normal, slow, or drop.

learn.microsoft.com/graph/change-notifications-delivery-webhooks, "Throttling". Two things are not Graph's:
fewer than `SAMPLE` answers decide nothing, and after ten minutes the endpoint starts over, where Graph would
try it with a few notifications first.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

WINDOW = timedelta(minutes=10)
SAMPLE = 10
SLOW_SHARE, DROP_SHARE = 0.10, 0.15

EndpointState = Literal["normal", "slow", "drop"]


@dataclass(frozen=True, slots=True)
class WebhookTiming:
    """Seconds of the machine's clock: for a handshake, for the first attempt, for each later one."""

    handshake: float = 10.0
    first: float = 3.0
    retry: float = 10.0


class WebhookEndpoint:
    """One webhook URL's answers of the last ten minutes of the tenant's time."""

    def __init__(self, timing: WebhookTiming) -> None:
        self._timing = timing
        self._answers: deque[tuple[datetime, float]] = deque()
        self._state: EndpointState = "normal"
        self._until: datetime | None = None

    def state(self, now: datetime) -> EndpointState:
        """Return how to treat new notifications."""
        if self._until and now >= self._until:
            self._answers.clear()
            self._state, self._until = "normal", None
        return self._state

    def note(self, now: datetime, seconds: float) -> None:
        """Note an attempt that was answered, or given up, after `seconds`."""
        self._answers.append((now, seconds))
        while self._answers[0][0] < now - WINDOW:
            self._answers.popleft()
        state = self.state(now)
        if len(self._answers) >= SAMPLE:
            self._judge(state, now)

    def _judge(self, state: EndpointState, now: datetime) -> None:
        """Let the state become worse; only time makes it better."""
        if state != "drop" and self._share(self._timing.retry) > DROP_SHARE:
            self._state, self._until = "drop", now + WINDOW
        elif state == "normal" and self._share(self._timing.first) > SLOW_SHARE:
            self._state, self._until = "slow", now + WINDOW

    def _share(self, limit: float) -> float:
        return sum(seconds >= limit for _, seconds in self._answers) / len(self._answers)
