"""`make bench-storage`: count the storage operations that users, notifications and idle hosts cost.

A benchmark, not a test. The figures stand in `docs/cost.md`. Azurite's access log is counted, so retries and
the host's own receiving and deleting of messages are in it; the blobs of Azure's own host are not.
"""

import argparse
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

from local.azurite import Azurite
from local.bench.machine import settle_all_users
from local.stage import Stage

QUIET = 8.0  # seconds without an operation but polls: longer than any wait of this benchmark's messages
PATIENCE = 900.0  # seconds
FIRST = 50  # first photos: as many as one minute of the pace has room for
KINDS = (  # the first that matches: name, method, path
    ("poll or receive", "GET", r"/messages\?"),
    ("put", "POST", r"/messages"),
    ("delete message", "DELETE", r"/messages/"),
    ("renew message", "PUT", r"/messages/"),
    ("read row", "GET", r"RowKey="),
    ("query rows", "GET", r"photo(ledger|state|parts)\(\)"),
    ("write row", "P(OST|UT|ATCH)|MERGE|DELETE", r"photo(ledger|state|parts)|Tables|batch"),
)


class Operations:
    """Counts requests by kind, from storage's access log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self._last = time.monotonic()

    def note(self, method: str, path: str) -> None:
        """Count one request; polls do not delay the end of a measurement."""
        kind = next(
            (k for k, verb, where in KINDS if re.fullmatch(verb, method) and re.search(where, path)), "other"
        )
        with self._lock:
            self.counts[kind] += 1
            if kind != "poll or receive":
                self._last = time.monotonic()

    def of(self, act: Callable[[], object], *, at_least: float = 0.0) -> Counter[str]:
        """Return what is counted from `act` until storage is quiet, and for `at_least` so many seconds."""
        with self._lock:
            before, began = self.counts.copy(), time.monotonic()
            self._last = began
        act()
        while (now := time.monotonic()) - began < at_least or now - self._last < QUIET:
            if now - began > PATIENCE:
                raise TimeoutError(f"storage was not quiet within {PATIENCE:.0f} s")
            time.sleep(0.2)
        with self._lock:
            return self.counts - before


def main() -> int:
    """Measure each case and print its operations."""
    parser = argparse.ArgumentParser(prog="make bench-storage", description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=1998, help="unchanged users of the sweep (1998)")
    options = parser.parse_args()
    operations = Operations()
    looks = {"RECHECK_AFTER": "PT2S"}  # one second look, at once
    with Azurite(on_request=operations.note) as storage, Stage(storage=storage, settings=looks) as stage:
        first, second = stage.people.add(count=2, photo="shared")
        for user in (first, second):  # tables and queues exist then, and tokens are there
            stage.sync(user)
        stage.subscribe()
        stage.people.change(second, name="Another Name")
        operations.of(lambda: None, at_least=75)  # the sweep that a new subscription opens
        _print("an idle minute", operations.of(lambda: None, at_least=60))
        _print("a sync by hand", operations.of(lambda: stage.sync(first, force="true")))
        notified = operations.of(lambda: stage.people.change(first, name="Another Name"))
        _print("a notification about another change, with one second look", notified)
        changed = operations.of(lambda: stage.people.draw_photo(first, notify="on"))
        _print("a notification of a new photo, with one second look", changed)
        stage.call("DELETE", "subscription")  # Graph would notify of every user added
        stage.people.add(count=options.users - 2, photo="shared")
        settle_all_users(stage)
        swept = operations.of(lambda: stage.call("POST", "sweeps"), at_least=75)
        _print(f"a sweep of {options.users} unchanged users", swept, users=options.users)
        newcomers = operations.of(lambda: _first_photos(stage, FIRST), at_least=75)
        _print(f"{FIRST} first photos, above a sweep", newcomers - _without_polls(swept), users=FIRST)
    return 0


def _first_photos(stage: Stage, count: int) -> None:
    stage.people.add(count=count, photo="shared")
    stage.call("POST", "sweeps")


def _without_polls(counts: Counter[str]) -> Counter[str]:
    return Counter({kind: count for kind, count in counts.items() if kind != "poll or receive"})


def _print(case: str, counts: Counter[str], users: int = 1) -> None:
    work = _without_polls(counts)
    each = f", {work.total() / users:.2f} a user" if users > 1 else ""
    parts = ", ".join(f"{count} {kind}" for kind, count in sorted(work.items()))
    print(f"{case}: {work.total()}{each} ({parts or 'none'}); {counts['poll or receive']} polls", flush=True)


if __name__ == "__main__":
    sys.exit(main())
