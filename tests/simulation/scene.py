"""The parts of a run: one tenant, the tables and queues, two instances of the app, a judge."""

from collections.abc import Callable, Mapping
from typing import Any

from shared.app import Stores
from tests.fakes.outbox import Outbox
from tests.fakes.table import Table
from tests.simulation.choices import Chooser
from tests.simulation.crew import Crew, Steps, Worker
from tests.simulation.endpoints import Endpoints
from tests.simulation.instance import Instance, Time
from tests.simulation.judge import SKEW, Judge
from tests.simulation.microsoft import Microsoft
from tests.simulation.scopes import SCOPES
from tests.simulation.weather import Weather

BEGIN = 1_790_000_000.0


class Scene:
    """The parts of a run.

    Attributes:
        chooser: makes all random decisions.
        trace: the events, a line each, if it is kept.
        workers: the active workers; the one that ran last comes first.
        outages: the end and the kind of each service's outage.
        frost: the stop before which workers that have begun to write freeze most: their settle, or a call.
    """

    def __init__(self, chooser: Chooser, *, keep_trace: bool) -> None:
        self.chooser = chooser
        self.trace: list[str] = []
        self._keep_trace = keep_trace
        self.time = Time(BEGIN)
        self.crew = Crew()
        self._choose_weather()
        self.ms = Microsoft(self.time.now)
        self.endpoints = Endpoints(self.ms, self.time.now)
        steps = Steps(self.crew)
        names = ("photoledger", "photostate", "photoparts")
        self.tables = {name: Table(name, steps, self._watch(name)) for name in names}
        self.outbox = Outbox(self.time, steps, self._watch_messages)
        scope = chooser.pick(SCOPES, (0.7, 0.1, 0.1, 0.1))
        self.settings = {
            **scope.settings,
            "ON_PHOTO_REMOVED": chooser.pick(("clear", "keep"), (0.85, 0.15)),
            "SHAREPOINT_UNITS_PER_MINUTE": chooser.pick(("1000", "100"), (0.8, 0.2)),
        }
        keep = self.settings["ON_PHOTO_REMOVED"] == "keep"
        self.judge = Judge(
            self.ms, self.time.now, self.tables, self.outbox, staleness=self.staleness, keep=keep, scope=scope
        )
        self.workers: list[Worker] = []
        self.outages: dict[str, tuple[float, str]] = {}
        self.instances = [self.new_instance() for _ in range(2)]
        self.had_dry_run = False

    def change_weather(self) -> None:
        """Choose other faults from now on."""
        self._choose_weather()
        self.judge.staleness = max(self.judge.staleness, self.staleness)

    def _choose_weather(self) -> None:
        self.weather = Weather.choose(self.chooser)
        self.staleness = self.chooser.pick((20.0, 90.0)) if self.weather.stale else 0.0
        self.frost = self.chooser.pick(("step", "call"))

    def new_instance(self, **settings: str) -> Instance:
        """Return a new instance, whose clock is wrong by up to `SKEW`."""
        skew = self.chooser.pick((0.0, SKEW, -SKEW))
        stores = Stores(*self.tables.values(), self.outbox)
        return Instance(self.time, skew, self.crew, stores, {**self.settings, **settings})

    def lose_instance(self, number: int, **settings: str) -> None:
        """Let an instance die with all its workers, and replace it."""
        old = self.instances[number]
        for worker in [worker for worker in self.workers if worker.instance is old]:
            self.kill(worker)
        self.instances[number] = self.new_instance(**settings)
        self.had_dry_run |= self.instances[number].dry_run

    def kill(self, worker: Worker) -> None:
        """Let a worker die at its stop."""
        self.judge.mishap(worker)
        self.crew.kill(worker)
        if worker in self.workers:
            self.workers.remove(worker)

    def log(self, what: str) -> None:
        """Add a line to the trace."""
        if self._keep_trace:
            self.trace.append(f"{self.time.now() - BEGIN:10.2f}  {what}")

    def _watch_messages(self, queue: str, body: str) -> None:
        self.judge.sent(self.crew.current, queue, body)

    def _watch(self, table: str) -> Callable[[str, str, Any], None]:
        def watch(partition: str, key: str, columns: Mapping[str, Any]) -> None:
            del partition
            self.judge.noted(self.crew.current, table, key, columns)

        return watch
