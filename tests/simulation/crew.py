"""Workers that stop before every effect outside their process, and go on when the scheduler resumes them.

The app's code is ordinary blocking code. Each delivery of a message runs in a greenlet. Where it takes a step
(see `tests.fakes.external_steps`) or makes an HTTP call, it switches to the scheduler, which decides the
fate of that step. Only one greenlet runs at a time and nothing depends on a machine's threads: a run is
repeatable.
"""

import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from greenlet import GreenletExit, getcurrent, greenlet

from shared.errors import Stale, TryLater

type StepFate = Literal["", "never", "lost", "itself", "dies"]
"""The fate of a step in storage: it succeeds; it never arrives; it takes effect and the answer is lost;
the client library repeats it and meets its own write; the worker dies after the effect."""


@dataclass(frozen=True)
class Stop:
    """The next action of a worker. `kind`: a step in storage, an HTTP call, or waiting until `until`."""

    kind: Literal["step", "call", "wait"]
    name: str = ""
    conditional: bool = False
    until: float = 0.0
    request: Any = None


@dataclass(eq=False)
class Worker:
    """The work on one delivery in one instance of the app.

    Attributes:
        name: for the trace.
        instance: the instance whose code and clock it uses.
        job: the job that it works on.
        user: the user whose target it may write.
        dry_run: it must not write.
        removes: an administrator requests the removal of a picture.
        began: true time at which it began.
        claim_until: end of the claim that it wrote last, on its own clock; 0 before its first claim.
        claim_ended: time on its own clock at which it ended its claim; 0 before that.
        missing_since: the row's column at the time of the claim.
        mishaps: number of faults that it met.
        unsent: a message that it sent did not arrive, as far as it knows.
        sent: number of messages that it sent, by queue, user and reason.
        marked: it has begun to write to SharePoint.
        frozen_until: it does not go on before this time.
        stop: the stop at which it waits, since `stopped_at` by its instance's clock.
        owed: the error that it gets after its timeout.
    """

    name: str
    instance: Any
    job: Any
    work: Callable[[], object]
    began: float
    user: str = ""
    dry_run: bool = False
    removes: bool = False
    missing_since: float = 0.0
    mishaps: int = 0
    unsent: bool = False
    sent: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    marked: bool = False
    claimed_at: float = 0.0
    claim_until: float = 0.0
    claim_ended: float = 0.0
    frozen_until: float = 0.0
    stop: Stop | None = None
    stopped_at: float = 0.0
    owed: Exception | None = None
    done: bool = False
    dead: bool = False
    error: BaseException | None = None
    on_end: Callable[["Worker"], object] | None = None

    @property
    def holds_claim(self) -> bool:
        """Whether it holds a claim, as far as it knows."""
        return bool(self.claim_until) and not self.claim_ended

    def ready(self, now: float) -> bool:
        """Whether it could go on now."""
        waits = self.stop.until if self.stop and self.stop.kind == "wait" else 0.0
        return not self.done and max(self.frozen_until, waits) <= now


class Killed(GreenletExit):
    """The worker died. What it still tries while the exception unwinds does not happen either."""


class Crew:
    """All workers. `current` is the one whose code is running, None for the scheduler's own code."""

    def __init__(self) -> None:
        self._workers: weakref.WeakKeyDictionary[greenlet, Worker] = weakref.WeakKeyDictionary()
        self._lets: dict[Worker, greenlet] = {}

    @property
    def current(self) -> Worker | None:
        """The worker whose code is running."""
        return self._workers.get(getcurrent())

    def start(self, worker: Worker) -> None:
        """Let a worker run until its first stop."""
        let = greenlet(self._run)
        self._workers[let] = worker
        self._lets[worker] = let
        let.switch(worker)

    def resume(self, worker: Worker, fate: object) -> None:
        """Let a worker go on from its stop, with this fate, until its next stop or its end."""
        worker.stop = None
        self._lets[worker].switch(fate)
        if worker.done:
            self._lets.pop(worker, None)

    def kill(self, worker: Worker) -> None:
        """Let a worker die at its stop."""
        worker.dead = True
        if let := self._lets.pop(worker, None):
            let.throw(Killed)
        worker.done = True

    def halt(self, stop: Stop) -> Any:
        """Called in a worker's code: wait for the fate of this stop; None for the scheduler's own code."""
        worker = self.current
        if worker is None:
            return None
        if worker.dead:
            raise Killed
        worker.stop, worker.stopped_at = stop, worker.instance.clock.now()
        return getcurrent().parent.switch()

    def die(self) -> NoReturn:
        """Called in a worker's code: let it die here."""
        if worker := self.current:
            worker.dead = True
        raise Killed

    def _run(self, worker: Worker) -> None:
        try:
            worker.work()
        except Killed:
            worker.dead = True
        except Exception as error:  # noqa: BLE001 - a host survives its functions
            worker.error = error
        worker.done = True


class Steps:
    """`tests.fakes.external_steps.ExternalSteps` for a crew: the scheduler decides the fate of each step."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    @contextmanager
    def take(self, name: str, *, conditional: bool = False) -> Iterator[None]:
        """Take a step: the block is its effect."""
        fate = self._crew.halt(Stop("step", name, conditional))
        if fate == "never":
            raise TryLater("storage", "no answer")
        yield
        match fate:
            case "lost":
                raise TryLater("storage", "no answer")
            case "itself":
                raise Stale("storage: 412")
            case "dies":
                self._crew.die()
            case _:
                return
