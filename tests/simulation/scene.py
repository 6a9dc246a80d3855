"""Everything that a run consists of: one tenant, the tables and queues, two instances of the app, a judge."""

from collections.abc import Callable, Mapping
from typing import Any

from shared.app import Stores
from tests.fakes.outbox import Outbox
from tests.fakes.table import Table
from tests.simulation.choices import Chooser
from tests.simulation.crew import Crew, Steps, Worker
from tests.simulation.faces import Faces
from tests.simulation.instance import Instance, Time
from tests.simulation.judge import SKEW, Judge
from tests.simulation.microsoft import Microsoft
from tests.simulation.scopes import SCOPES
from tests.simulation.weather import Weather

BEGIN = 1_790_000_000.0


class Scene:
    """What there is.

    Attributes:
        chooser: decides everything that is not decided.
        trace: what happened, a line each, if it is kept.
        workers: who is at work; the one whose turn was last comes first.
        outages: until when a service is out, and how.
        frost: before what workers freeze most once they have begun to write: their settle, or a call.
    """

    def __init__(self, chooser: Chooser, *, keep_trace: bool) -> None:
        self.chooser = chooser
        self.trace: list[str] = []
        self._keep_trace = keep_trace
        self.time = Time(BEGIN)
        self.crew = Crew()
        self.weather = Weather.choose(chooser)
        self.staleness = self._choose_staleness()
        self.frost = chooser.pick(("step", "call"))
        self.ms = Microsoft(self.time.now)
        self.faces = Faces(self.ms, self.time.now)
        steps = Steps(self.crew)
        self.tables = {
            name: Table(name, steps, self._watch(name))
            for name in ("photoledger", "photostate", "photoparts")
        }
        self.outbox = Outbox(self.time, steps, self._watch_messages)
        scope = chooser.pick(SCOPES, (0.7, 0.1, 0.1, 0.1))
        self.settings = {
            **scope.settings,
            "ON_PHOTO_REMOVED": chooser.pick(("clear", "keep"), (0.85, 0.15)),
            "SHAREPOINT_UNITS_PER_MINUTE": chooser.pick(("1000", "100"), (0.8, 0.2)),
        }
        self.judge = Judge(
            self.ms,
            self.time.now,
            self.tables,
            self.outbox,
            staleness=self.staleness,
            keep=self.settings["ON_PHOTO_REMOVED"] == "keep",
            scope=scope,
        )
        self.workers: list[Worker] = []
        self.outages: dict[str, tuple[float, str]] = {}
        self.instances = [self.new_instance() for _ in range(2)]

    def change_weather(self) -> None:
        """Let other things go wrong from now on."""
        self.weather = Weather.choose(self.chooser)
        self.staleness = self._choose_staleness()
        self.frost = self.chooser.pick(("step", "call"))
        self.judge.staleness = max(self.judge.staleness, self.staleness)

    def _choose_staleness(self) -> float:
        return self.chooser.pick((20.0, 90.0)) if self.weather.stale else 0.0

    def new_instance(self, **settings: str) -> Instance:
        """Return a new instance, its clock as wrong as may be."""
        skew = self.chooser.pick((0.0, SKEW, -SKEW))
        stores = Stores(
            self.tables["photoledger"], self.tables["photostate"], self.tables["photoparts"], self.outbox
        )
        return Instance(self.time, skew, self.crew, self.faces, stores, {**self.settings, **settings})

    def lose_instance(self, number: int, **settings: str) -> None:
        """Let an instance die with everything in it; another takes its place."""
        old = self.instances[number]
        for worker in [worker for worker in self.workers if worker.instance is old]:
            self.kill(worker)
        self.instances[number] = self.new_instance(**settings)

    def kill(self, worker: Worker) -> None:
        """Let a worker die where it stands."""
        self.judge.mishap(worker)
        self.crew.kill(worker)
        if worker in self.workers:
            self.workers.remove(worker)

    def say(self, what: str) -> None:
        """Write a line into the trace."""
        if self._keep_trace:
            self.trace.append(f"{self.time.now() - BEGIN:10.2f}  {what}")

    def _watch_messages(self, queue: str, body: str) -> None:
        self.judge.sent(self.crew.current, queue, body)

    def _watch(self, table: str) -> Callable[[str, str, Any], None]:
        def watch(partition: str, key: str, columns: Mapping[str, Any]) -> None:
            del partition
            self.judge.noted(self.crew.current, table, key, columns)

        return watch
