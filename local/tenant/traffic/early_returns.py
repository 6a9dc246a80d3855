"""Requests that come before `Retry-After` has passed: they turn a throttled client into a blocked one.

Each service of a geo has the latest moment until which a 429 or a 503 asked clients to wait; for parts of a
`$batch` about photos, each mailbox has. A request that begins
within two seconds of that answer was possibly sent before it; a request that begins later, but before that
moment, is recorded.
"""

import contextlib
import threading
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

from werkzeug.datastructures import Headers

GRACE = 2.0  # seconds
# Both carry `Retry-After`, and mean the same: learn.microsoft.com/sharepoint/dev/general-development/
# how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online
ASKING = (429, 503)


def name_waiting(service: str, host: str) -> str:
    """Return what a wait of a whole request applies to: limits of SharePoint hold for each geo by itself."""
    return f"{service}@{host}" if service.startswith("sharepoint-") else service


class EarlyReturns:
    """The waits asked for, and the requests that did not observe them. `now` is the clock, in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._waits: dict[str, tuple[float, float]] = {}  # service -> (asked at, wait until)
        self._early: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def begin(self, service: str, method: str, path: str) -> None:
        """Record a request that has just arrived if it is early."""
        now = self._now()
        with self._lock:
            asked, until = self._waits.get(service, (now, now))
            if asked + GRACE <= now < until:
                early = {"service": service, "method": method, "path": path}
                self._early.append(early | {"seconds_too_early": round(until - now, 3)})

    def note_answer(self, service: str, status: int, headers: Headers) -> None:
        """Note the answer of a service, or of a part of a `$batch`, if it asks to wait."""
        if status in ASKING and (asked := headers.get("Retry-After")):
            with contextlib.suppress(ValueError):  # a fault may set any header, an invalid one too
                self.note_wait(service, self._seconds(asked))

    def _seconds(self, asked: str) -> float:
        """Return the seconds of a number or an HTTP date; ValueError for anything else."""
        try:
            return float(asked)
        except ValueError:
            return parsedate_to_datetime(asked).timestamp() - self._now()

    def note_wait(self, service: str, retry_after: float) -> None:
        """Note that the service has just asked its clients to wait for `retry_after` seconds."""
        now = self._now()
        with self._lock:
            asked, until = self._waits.get(service, (now, now))
            # The grace counts from the first answer: a request each second must not renew it.
            self._waits[service] = (asked if now < until else now, max(until, now + retry_after))

    def recorded(self) -> list[dict[str, Any]]:
        """Return the requests that came too early, in order."""
        with self._lock:
            return list(self._early)

    def clear(self) -> None:
        """Forget every wait and every early request."""
        with self._lock:
            self._waits.clear()
            self._early.clear()
