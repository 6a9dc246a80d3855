"""The steps that the app takes outside its process, and fault injection at each of them.

Every read and write of a table, every message sent or taken back, and every HTTP call (at its token) is a
step with a name: `read photoledger`, `write photoledger`, `put photo-syncs`, `take back photo-syncs`,
`call graph.microsoft.com`. A fault is injected before a step, or after it took effect but before its caller
gets the answer.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from shared.errors import Stale, TryLater


class Killed(BaseException):
    """The instance died at this step. What its `finally` blocks still attempt does not happen either."""


def kill() -> NoReturn:
    raise Killed


def drop_connection() -> NoReturn:
    """Raise as a store that cannot be reached; after a step that took effect, its answer is lost."""
    raise TryLater("storage", "no answer")


def fail_precondition() -> NoReturn:
    """Raise as the second try of a conditional write whose first try succeeded, but whose answer was lost."""
    raise Stale("storage: 412")


@dataclass
class InjectedFault:
    """Call `do` at the steps whose names match, from the `nth` on, `times` times (None: every time)."""

    name: re.Pattern[str]
    do: Callable[[], object]
    after: bool
    nth: int
    times: int | None
    seen: int = 0

    def due(self, name: str, *, after: bool) -> bool:
        if after != self.after or not self.name.fullmatch(name):
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.times is None or self.seen < self.nth + self.times)


class ExternalSteps:
    """The names of the steps taken so far, and the faults to inject at later steps."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self._faults: list[InjectedFault] = []
        self._lock = threading.Lock()
        self._dead: set[int] = set()

    def on(
        self,
        name: str,
        do: Callable[[], object],
        *,
        after: bool = False,
        nth: int = 1,
        times: int | None = 1,
    ) -> InjectedFault:
        """Call `do` at the `nth` step from now whose name matches the regular expression `name`."""
        fault = InjectedFault(re.compile(name), do, after, nth, times)
        with self._lock:
            self._faults.append(fault)
        return fault

    def forget(self, fault: InjectedFault) -> None:
        """Remove one fault."""
        with self._lock:
            self._faults.remove(fault)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def survive(self, work: Callable[[], object]) -> bool:
        """Do `work` as an instance that may be killed; return whether it survived. The next one lives."""
        try:
            work()
        except Killed:
            self._dead.discard(threading.get_ident())
            return False
        return True

    @contextmanager
    def take(self, name: str, *, conditional: bool = False) -> Iterator[None]:
        """Take a step: the block is its effect. `conditional`: it writes only an unchanged row."""
        del conditional
        with self._lock:
            self.taken.append(name)
        self._inject(name, after=False)
        yield
        self._inject(name, after=True)

    def _inject(self, name: str, *, after: bool) -> None:
        if threading.get_ident() in self._dead:
            raise Killed
        with self._lock:
            due = [fault for fault in self._faults if fault.due(name, after=after)]
        try:
            for fault in due:
                fault.do()
        except Killed:
            self._dead.add(threading.get_ident())
            raise
