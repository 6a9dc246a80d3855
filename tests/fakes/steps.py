"""The points at which the app touches anything outside its process, and what can go wrong there.

Every read and write of a table, every message sent or taken back, and every HTTP call (at its token) is a
step with a name: `read photoledger`, `write photoledger`, `put photo-syncs`, `take back photo-syncs`,
`call graph.microsoft.com`. A mishap is something to do `before` a step, or `after` it took effect but before
its caller hears of it.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from shared.errors import Stale, TryLater


class Killed(BaseException):
    """The instance died at this step. Whatever it still tries on the way out does not happen either."""


def kill() -> NoReturn:
    raise Killed


def cut_off() -> NoReturn:
    """The store cannot be reached. After a step that took effect: its answer is lost."""
    raise TryLater("storage", "no answer")


def meet_oneself() -> NoReturn:
    """The client library repeated a conditional write whose answer was lost, and met its own first try."""
    raise Stale("storage: 412")


@dataclass
class Mishap:
    """Do `do` at the steps whose names match, from the `nth` on, `times` times (None: for ever)."""

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


class Steps:
    """The steps taken so far, by name, and the mishaps that wait at those to come."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self._mishaps: list[Mishap] = []
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
    ) -> Mishap:
        """Let `do` happen at the `nth` step from now whose name matches the expression `name`."""
        mishap = Mishap(re.compile(name), do, after, nth, times)
        with self._lock:
            self._mishaps.append(mishap)
        return mishap

    def forget(self, mishap: Mishap) -> None:
        """Let this one not happen any more."""
        with self._lock:
            self._mishaps.remove(mishap)

    def clear(self) -> None:
        """Let nothing more go wrong."""
        with self._lock:
            self._mishaps.clear()

    def survive(self, work: Callable[[], object]) -> bool:
        """Do `work` as an instance that may die of it; return whether it lived. The next one lives again."""
        try:
            work()
        except Killed:
            self._dead.discard(threading.get_ident())
            return False
        return True

    @contextmanager
    def take(self, name: str, *, conditional: bool = False) -> Iterator[None]:
        """Take a step: the block is its effect. `conditional`: it writes only what stands as it was read."""
        del conditional
        with self._lock:
            self.taken.append(name)
        self._befall(name, after=False)
        yield
        self._befall(name, after=True)

    def _befall(self, name: str, *, after: bool) -> None:
        if threading.get_ident() in self._dead:
            raise Killed
        with self._lock:
            due = [mishap for mishap in self._mishaps if mishap.due(name, after=after)]
        try:
            for mishap in due:
                mishap.do()
        except Killed:
            self._dead.add(threading.get_ident())
            raise
