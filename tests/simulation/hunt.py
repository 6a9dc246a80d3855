"""Play a seed; if it fails, cut it down to the shortest run with the fewest faults that still fails."""

import random
from dataclasses import dataclass

from tests.simulation.choices import Choices, Chooser, cut_down
from tests.simulation.judge import Violation
from tests.simulation.run import Run

EVENTS = 10  # events in a run, within hours or a day
LONG = 4500  # events in a virtual month
RUNS_TO_CUT_DOWN = 400


@dataclass(frozen=True)
class Failure:
    """A seed that fails.

    Attributes:
        seed: the seed.
        what: the violation.
        choices: the run, cut down.
        trace: the events of that run, a line each.
    """

    seed: int
    what: str
    choices: Choices
    trace: tuple[str, ...]

    def __str__(self) -> str:
        lines = "\n".join(self.trace)
        return f"seed {self.seed}: {self.what}\n\n{lines}\n\nagain: make simulate SEED={self.seed}"


def play(chooser: Chooser, *, keep_trace: bool = False, events: int = EVENTS) -> tuple[Run, str]:
    """Play a run and return it with its violation, "" for none."""
    random.seed(1)  # the app's jitter
    run = Run(chooser, events_planned=events, keep_trace=keep_trace)
    try:
        run.play()
    except Violation as violation:
        return run, str(violation)
    return run, ""


def fails(seed: int, *, events: int = EVENTS) -> str:
    """Play a seed and return its violation, "" for none."""
    return play(Chooser(chance=random.Random(seed)), events=events)[1]


def explain(seed: int, *, runs: int = RUNS_TO_CUT_DOWN, events: int = EVENTS) -> Failure | None:
    """Play a seed; return its failure, cut down, None if it does not fail."""
    chooser = Chooser(chance=random.Random(seed))
    _, what = play(chooser, events=events)
    if not what:
        return None
    choices = cut_down(chooser.made, lambda some: bool(play(Chooser(some), events=events)[1]), runs=runs)
    run, what = play(Chooser(choices), keep_trace=True, events=events)
    return Failure(seed, what, choices, tuple(run.trace))
