"""Every interleaving of attempts up to a bound on the number of preemptions.

Attempts run in threads of their own, one at a time: each stops before every step it takes outside the process
until it is its turn. A schedule names the attempt of each turn; events (time passes, the photo changes) have
turns too. From each schedule that was run, new ones are made that differ in one turn: stateless search with a
bound on preemptions, after Musuvathi and Qadeer, "Iterative context bounding" (PLDI 2007).
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.fakes.external_steps import ExternalSteps

TURN_TIMEOUT = 30.0  # seconds a turn may take on the machine's clock

type Schedule = tuple[str, ...]
type Works = Mapping[str, Callable[[], object]]


@dataclass
class Actor:
    """One attempt in its thread."""

    work: Callable[[], object]
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    stopped: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    done: bool = False
    error: BaseException | None = None

    def run(self) -> None:
        self.go.acquire()
        try:
            self.work()
        except BaseException as error:  # noqa: BLE001 - raised again by the schedule
            self.error = error
        self.done = True
        self.stopped.release()

    def step(self) -> None:
        """Run it until its next step, or its end."""
        self.go.release()
        if not self.stopped.acquire(timeout=TURN_TIMEOUT):
            raise TimeoutError("an attempt hangs between two steps")

    def park(self) -> None:
        """Wait for the next turn; called in the attempt's thread."""
        self.stopped.release()
        self.go.acquire()


@dataclass(frozen=True)
class Turn:
    """The attempt or event that had the turn, and the others that could have had it."""

    taken: str
    others: tuple[str, ...]


def play(
    steps: ExternalSteps, attempts: Works, events: Works, schedule: Schedule, stops: str = ".*"
) -> list[Turn]:
    """Play a schedule and return its turns; after its last turn the current attempt goes on.

    `stops` is a regular expression for steps before which an attempt stops. Raises what an attempt raises.
    """
    actors = {name: Actor(work) for name, work in attempts.items()}
    threads = [threading.Thread(target=actor.run) for actor in actors.values()]
    for thread in threads:
        thread.start()
    by_thread = dict(zip([thread.ident for thread in threads], actors.values(), strict=True))

    def park() -> None:
        if actor := by_thread.get(threading.get_ident()):
            actor.park()

    fault = steps.on(stops, park, times=None)
    try:
        return list(_turns(actors, dict(events), schedule))
    finally:
        steps.forget(fault)
        for actor in actors.values():
            while not actor.done:
                actor.step()
        for thread in threads:
            thread.join()


def _turns(
    actors: Mapping[str, Actor], events: dict[str, Callable[[], object]], schedule: Schedule
) -> Iterator[Turn]:
    order = list(actors)  # the current attempt comes first
    for number in range(1000):
        order = [name for name in order if not actors[name].done]
        if not order:
            break
        options = [*order, *events]
        name = schedule[number] if number < len(schedule) else options[0]
        yield Turn(name, tuple(option for option in options if option != name))
        if name in events:
            events.pop(name)()
            order = [*order[1:], order[0]]
            continue
        order = [name, *(other for other in order if other != name)]
        actors[name].step()
        if error := actors[name].error:
            raise error


def explore(run: Callable[[Schedule], Sequence[Turn]], changes: int) -> int:
    """Run every schedule with at most `changes` preemptions; return the number of schedules.

    A preemption is a turn of another attempt although the current one could have gone on, or of an event.
    """
    waiting: list[tuple[Schedule, int]] = [((), changes)]
    count = 0
    while waiting:
        schedule, left = waiting.pop()
        turns = run(schedule)
        count += 1
        if not left:
            continue
        for number in range(len(schedule), len(turns)):
            before = tuple(turn.taken for turn in turns[:number])
            waiting += [((*before, other), left - 1) for other in turns[number].others]
    return count
