"""The faults of a run, and how often each occurs: each run has its own weather, so that rare faults meet.

Swarm testing (Groce et al., ISSTA 2012): a run with a few faults of every kind finds less than runs with many
faults of a few kinds. Half of the runs have only one kind of fault.
"""

from dataclasses import dataclass, fields

from tests.simulation.choices import Chooser

SHARES = (0.0, 0.01, 0.04, 0.12)


@dataclass
class Weather:
    """The rate of each fault: the share of all occasions at which it occurs.

    Attributes:
        mix: another worker goes on.
        hurry: the next event comes while a worker is still active.
        storage_never, storage_lost: a step in storage does not arrive; its answer is lost.
        itself: the client library repeats a conditional write, which meets its own first attempt.
        dies: a worker dies before a step, or after its effect.
        freezes: a worker pauses for a while.
        never, lost, late, gateway: an HTTP call does not arrive; its answer is lost; it takes effect after
            its timeout; a gateway loses its answer.
        throttled, down: a service throttles; it fails.
        part: a part of a batch fails.
        stale: a replica that lags answers a part of a batch.
        half: a query fails after some of its properties.
        undeleted: a completed message is delivered again.
    """

    mix: float = 0.0
    hurry: float = 0.0
    storage_never: float = 0.0
    storage_lost: float = 0.0
    itself: float = 0.0
    dies: float = 0.0
    freezes: float = 0.0
    never: float = 0.0
    lost: float = 0.0
    late: float = 0.0
    gateway: float = 0.0
    throttled: float = 0.0
    down: float = 0.0
    part: float = 0.0
    stale: float = 0.0
    half: float = 0.0
    undeleted: float = 0.0

    @classmethod
    def choose(cls, chooser: Chooser) -> "Weather":
        """Return weather with a few kinds of faults."""
        weather = cls()
        match chooser.pick(("mixed", "frozen", "deadly"), (0.5, 0.25, 0.25)):
            case "mixed":
                for each in fields(cls):
                    setattr(weather, each.name, chooser.pick(SHARES, (0.6, 0.15, 0.15, 0.1)))
                weather.freezes /= 4  # if all workers freeze, no work is ever completed
                weather.stale = chooser.pick((0.0, 0.1, 0.4), (0.5, 0.25, 0.25))
            case "frozen":
                weather.freezes = chooser.pick((0.02, 0.06))
            case _:
                weather.dies = chooser.pick((0.04, 0.12))
        weather.mix = chooser.pick((0.0, 0.1, 0.4), (0.2, 0.4, 0.4))
        weather.hurry = chooser.pick((0.0, 0.02, 0.1), (0.2, 0.5, 0.3))
        return weather

    def clear_up(self) -> None:
        """Set all rates to zero."""
        for each in fields(self):
            setattr(self, each.name, 0.0)
