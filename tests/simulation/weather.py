"""What can go wrong in a run, and how often: each run has weather of its own, so that rare things meet.

Swarm testing (Groce et al., ISSTA 2012): a run with everything a little wrong finds less than runs with a
few things very wrong. Half of the runs have one thing wrong only.
"""

from dataclasses import dataclass, fields

from tests.simulation.choices import Chooser

SHARES = (0.0, 0.01, 0.04, 0.12)


@dataclass
class Weather:
    """Shares of all occasions at which something goes wrong.

    Attributes:
        mix: another worker goes on.
        hurry: the next event comes although somebody is at work.
        storage_never, storage_lost: a step in storage does not arrive; its answer is lost.
        itself: a conditional write is repeated by the library and meets itself.
        dies: a worker dies before a step, or after it took effect.
        freezes: a worker stands still for a while.
        never, lost, late, gateway: an HTTP call does not arrive; its answer is lost; it takes effect after
            its time ran out; a gateway loses its answer.
        throttled, down: a service asks to be left alone; it fails.
        part: a part of a batch fails.
        stale: a part of a batch is answered by a replica that lags.
        half: a query fails after some of its properties.
        undeleted: a message that was done is delivered again.
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
        """Return weather in which most things are fine."""
        weather = cls()
        match chooser.pick(("mixed", "frozen", "deadly"), (0.5, 0.25, 0.25)):
            case "mixed":
                for each in fields(cls):
                    setattr(weather, each.name, chooser.pick(SHARES, (0.6, 0.15, 0.15, 0.1)))
                weather.freezes /= 4  # where everybody stands still nothing is ever done
                weather.stale = chooser.pick((0.0, 0.1, 0.4), (0.5, 0.25, 0.25))
            case "frozen":
                weather.freezes = chooser.pick((0.02, 0.06))
            case _:
                weather.dies = chooser.pick((0.04, 0.12))
        weather.mix = chooser.pick((0.0, 0.1, 0.4), (0.2, 0.4, 0.4))
        weather.hurry = chooser.pick((0.0, 0.02, 0.1), (0.2, 0.5, 0.3))
        return weather

    def clear_up(self) -> None:
        """Let nothing go wrong any more."""
        for each in fields(self):
            setattr(self, each.name, 0.0)
