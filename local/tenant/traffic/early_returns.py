"""Who came back before the `Retry-After` it was told: what turns a throttled client into a blocked one.

Each service keeps the latest moment until which a 429 or a 503 asked everybody to wait. A request that begins
within two seconds of that answer was perhaps already on its way; one that begins later, yet before that
moment, is recorded.
"""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from werkzeug.datastructures import Headers

GRACE = 2.0  # seconds
# Both carry `Retry-After`, and mean the same: learn.microsoft.com/sharepoint/dev/general-development/
# how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online
ASKING = (429, 503)


class EarlyReturns:
    """The waiting times given, and who did not keep to them. `now` is the clock, in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._waits: dict[str, tuple[float, float]] = {}  # service -> (told at, wait until)
        self._early: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def begin(self, service: str, method: str, path: str) -> None:
        """Judge a request that has just arrived."""
        now = self._now()
        with self._lock:
            told, until = self._waits.get(service, (now, now))
            if told + GRACE <= now < until:
                early = {"service": service, "method": method, "path": path}
                self._early.append(early | {"seconds_too_early": round(until - now, 3)})

    def note_answer(self, service: str, status: int, headers: Headers) -> None:
        """Note the service's answer, or a part's of a `$batch`, if it asks to wait."""
        if status in ASKING and (asked := headers.get("Retry-After")):
            with contextlib.suppress(ValueError):  # a fault may ask for any header, a senseless one too
                self.note_wait(service, float(asked))

    def note_wait(self, service: str, retry_after: float) -> None:
        """Note that the service has just asked everybody to wait for `retry_after` seconds."""
        now = self._now()
        with self._lock:
            told, until = self._waits.get(service, (now, now))
            # The grace runs from the first time: knocking each second must not renew it for ever.
            self._waits[service] = (told if now < until else now, max(until, now + retry_after))

    def recorded(self) -> list[dict[str, Any]]:
        """Return the requests that came too early, in order."""
        with self._lock:
            return list(self._early)

    def clear(self) -> None:
        """Forget every wait and every early request."""
        with self._lock:
            self._waits.clear()
            self._early.clear()
