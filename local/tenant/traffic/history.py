"""Every request that the tenant received, in the order of arrival, without its credentials."""

import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

PlayedPart = tuple[str, str, int]  # method, url, status of one part of a $batch


@dataclass(slots=True)
class HistoryEntry:
    """One request. `status` is None until it is answered, and stays None without an answer.

    `number` counts arrivals from 1 and never starts over; `at` is the machine's time in UTC; `ms` how long
    the answer took; `parts` the parts of a Graph `$batch`; `fault` the kind of fault that applied to it, if
    any, or `quota`.
    """

    number: int
    at: str
    service: str
    host: str
    method: str
    path: str
    user_agent: str
    status: int | None = None
    ms: float | None = None
    parts: Sequence[PlayedPart] = ()
    fault: str = ""


class History:
    """The record of requests; safe to use from every thread."""

    def __init__(self) -> None:
        self._entries: list[HistoryEntry] = []
        self._last = 0
        self._lock = threading.Lock()

    def begin(self, service: str, host: str, method: str, path: str, user_agent: str) -> HistoryEntry:
        """Record a request that has just arrived, and return its entry."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._lock:
            self._last += 1
            # A few agents send a hundred thousand requests: keep each text once.
            host, user_agent = sys.intern(host), sys.intern(user_agent)
            entry = HistoryEntry(self._last, at, service, host, method, path, user_agent)
            self._entries.append(entry)
        return entry

    def end(
        self, entry: HistoryEntry, status: int | None, seconds: float, parts: Sequence[PlayedPart] = ()
    ) -> None:
        """Record how the request was answered; `status` None: without an answer."""
        with self._lock:
            entry.status, entry.ms, entry.parts = status, round(seconds * 1000, 2), parts

    def entries(self, *, host: str = "", service: str = "", since: int = 0) -> list[dict[str, Any]]:
        """Return the requests numbered above `since`, of one host or service if given."""
        names = [each.name for each in fields(HistoryEntry)]
        with self._lock:  # `asdict` would copy each part of each batch
            found = self._select(host, service, since)
            return [{name: getattr(entry, name) for name in names} for entry in found]

    def summary(self, *, host: str = "", service: str = "", since: int = 0) -> dict[str, Any]:
        """Return how many of those requests there were, by service, method and status.

        `parts` counts the parts of their batches by method and status; the status of a request without an
        answer is `none`.
        """
        with self._lock:
            entries = list(self._select(host, service, since))
        return {
            "requests": len(entries),
            "answers": _nest((each.service, each.method, str(each.status or "none")) for each in entries),
            "parts": _nest((part[0], str(part[2])) for each in entries for part in each.parts),
        }

    def clear(self) -> int:
        """Forget every request; return the last number given, for `since`."""
        with self._lock:
            self._entries = []
            return self._last

    @property
    def last(self) -> int:
        """The number of the newest request."""
        return self._last

    def _select(self, host: str, service: str, since: int) -> Iterator[HistoryEntry]:
        begin = max(0, since + 1 - self._entries[0].number) if self._entries else 0
        for entry in self._entries[begin:]:
            if (not host or entry.host == host) and (not service or entry.service == service):
                yield entry


def _nest(keys: Iterable[tuple[str, ...]]) -> dict[str, Any]:
    """Return how often each key occurs, one level of dictionaries for each of its members."""
    nested: dict[str, Any] = {}
    for (*path, last), count in sorted(Counter(keys).items()):
        level = nested
        for step in path:
            level = level.setdefault(step, {})
        level[last] = count
    return nested
