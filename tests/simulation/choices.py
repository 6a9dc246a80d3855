"""Every decision of a run is a recorded choice, so that a run can be played again, and cut down.

A choice is a number below the count of its options; option 0 is always the harmless one. A run that is played
from a shorter list of choices, or from one with more zeros, has fewer faults. A failing run is cut down by
trying such lists.
"""

import random
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

type Choices = list[int]


class Chooser:
    """Makes choices: those of `given` first, then by `chance`, or harmless ones without it."""

    def __init__(self, given: Sequence[int] = (), chance: random.Random | None = None) -> None:
        self._given = given
        self._chance = chance
        self.made: Choices = []

    def pick[T](self, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """Return one of `options`, the first of which is harmless. A single option is not recorded."""
        if len(options) == 1 or (weights is not None and not any(weights[1:])):
            return options[0]
        number = self._next(len(options), weights)
        self.made.append(number)
        return options[number]

    def happens(self, share: float) -> bool:
        """Return whether an event with the probability `share` happens now."""
        return bool(share) and self.pick((False, True), (1 - share, share))

    def amount(self, least: float, most: float) -> float:
        """Return a number from `least`, the harmless one, to `most`, in a hundred steps."""
        return least + (most - least) * self.pick(range(101)) / 100

    def _next(self, count: int, weights: Sequence[float] | None) -> int:
        if len(self.made) < len(self._given):
            return min(self._given[len(self.made)], count - 1)
        if self._chance is None:
            return 0
        if weights is None:
            return self._chance.randrange(count)
        sums = list(accumulate(weights))
        mark = self._chance.random() * sums[-1]
        return min(bisect(sums, mark), count - 1)


def cut_down(choices: Choices, fails: Callable[[Choices], bool], *, runs: int) -> Choices:
    """Return choices that still fail, as short and as harmless as at most `runs` tries make them."""
    tries = iter(range(runs))
    best = _shorten(list(choices), fails, tries)
    size = max(1, len(best) // 2)
    while size:
        changed = False
        for start in range(0, len(best), size):
            if not any(best[start : start + size]):
                continue
            calmer = [*best[:start], *([0] * len(best[start : start + size])), *best[start + size :]]
            if next(tries, None) is None:
                return best
            if fails(calmer):
                best, changed = _without_end(calmer), True
        size = size if changed and size == 1 else size // 2
    return best


def _shorten(best: Choices, fails: Callable[[Choices], bool], tries: Iterator[int]) -> Choices:
    """Return the shortest beginning that still fails, as far as halving finds it."""
    low, high = 0, len(best)
    while low < high and next(tries, None) is not None:
        middle = (low + high) // 2
        if fails(best[:middle]):
            high = middle
        else:
            low = middle + 1
    return _without_end(best[:high])


def _without_end(choices: Choices) -> Choices:
    """Return the choices without the harmless ones at the end: those are the default."""
    while choices and not choices[-1]:
        choices.pop()
    return choices
