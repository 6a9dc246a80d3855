"""One run: a tenant, two instances of the app, bad weather for a while, and then a calm in which all must come right.

A run is a function of its choices. Everything that the app does outside its process is a stop, at which the
scheduler here decides whose turn it is and what becomes of it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from shared import jobs
from shared.app import Stores
from shared.errors import SyncError
from tests.simulation import events
from tests.simulation.choices import Chooser
from tests.simulation.crew import Crew, Steps, Stop, Worker
from tests.simulation.faces import Asked, Faces, Given, Mood
from tests.simulation.instance import Instance, Time
from tests.simulation.judge import SKEW, Judge, Violation
from tests.simulation.microsoft import Microsoft
from tests.simulation.weather import Weather
from tests.world.outbox import Message, Outbox
from tests.world.table import Table

BEGIN = 1_790_000_000.0
CLAIM_FOR = 420.0  # seconds
CALL_TIMEOUT = CLAIM_FOR / 14
LEASE = 600.0  # seconds; the host hides what it works on for ten minutes
RETRY_AFTER = 30.0  # seconds, as host.json says
MOST_DELIVERIES = 5  # as host.json says
FREEZES = (20.0, 200.0, 1.05 * CLAIM_FOR, 1.3 * CLAIM_FOR, 1.7 * CLAIM_FOR, 2.5 * CLAIM_FOR)  # seconds
MOST_WORKERS = 4
MOST_TURNS = 60_000
HOUR = 3600.0


@dataclass(eq=False)
class Pending:
    """A request that is still on its way although its sender waits no longer."""

    worker: Worker
    asked: Asked


@dataclass(frozen=True)
class TimesOut:
    """What a caller gets when he has waited long enough."""

    error: Exception


class Run:
    """See the module.

    Attributes:
        trace: what happened, a line each, if it is kept.
    """

    def __init__(self, chooser: Chooser, *, events_planned: int, keep_trace: bool = False) -> None:
        self.chooser = chooser
        self.trace: list[str] = []
        self._keep_trace = keep_trace
        self.time = Time(BEGIN)
        self.crew = Crew()
        self.weather = Weather.choose(chooser)
        self.staleness = chooser.pick((20.0, 90.0)) if self.weather.stale else 0.0
        self.ms = Microsoft(self.time.now)
        self.faces = Faces(self.ms, self.time.now)
        steps = Steps(self.crew)
        self.tables = {
            name: Table(name, steps, self._watch(name))
            for name in ("photoledger", "photostate", "photoparts")
        }
        self.outbox = Outbox(
            self.time, steps, lambda queue, body: self.judge.sent(self.crew.current, queue, body)
        )
        self.settings = {
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
        )
        self.workers: list[Worker] = []
        self.pending: list[Pending] = []
        self.outages: dict[str, tuple[float, str]] = {}
        self.instances = [self.new_instance() for _ in range(2)]
        self.events_left = events_planned
        self.dramas_left = events_planned / 2
        self.turns = 0
        self._deliveries = 0

    # --- the run ---

    def play(self) -> None:
        """Run to the end.

        Raises:
            Violation: the promise was broken.
        """
        logging.disable(logging.CRITICAL)
        try:
            events.populate(self)
            self._chaos()
            self._calm()
        finally:
            logging.disable(logging.NOTSET)
            for worker in list(self.workers):
                self._kill(worker)

    def _chaos(self) -> None:
        while self.events_left or self._busy():
            self._turn()
            if not self.events_left and self.turns > MOST_TURNS / 4:
                return

    def _busy(self) -> bool:
        """Whether somebody is at work, or something is to be done within the next minutes."""
        soon = self.time.now() + 5 * 60
        return bool(self.workers) or any(message.visible_at <= soon for message in self.outbox.messages)

    def _calm(self) -> None:
        self.say("=== calm ===")
        self.weather.clear_up()
        self.outages.clear()
        self.judge.staleness += 1.0  # what was read before the calm may still be written
        for number, instance in enumerate(self.instances):
            if instance.dry_run:
                self._lose_instance(number)
        self._drain()
        self._release()
        for _ in range(2):
            self._pass(6 * HOUR)
            self._call("start_sweep", lambda instance: instance.services.sweeper.open("the timer"))
            self._drain()
            self._release()
        self._pass(HOUR)
        self._drain()
        events.judge_end(self)

    def _release(self) -> None:
        """Let the braked sweeps of the last days go on: a person looked."""
        for (partition, sweep), (columns, _) in sorted(self.tables["photostate"].rows.items()):
            if partition == "sweeps" and columns.get("state") == "braked":
                self._call(
                    "release_brake", lambda instance, sweep=sweep: instance.services.sweeper.release(sweep)
                )
        self._drain()

    def _drain(self) -> None:
        """Let the app work until nothing is left to do."""
        while self.workers or self.outbox.messages or self.pending:
            self._turn()

    def _pass(self, seconds: float) -> None:
        end = self.time.now() + seconds
        while self.time.now() < end:
            self._turn(until=end)

    # --- whose turn it is ---

    def _turn(self, until: float | None = None) -> None:
        self.turns += 1
        if self.turns > MOST_TURNS:
            raise Violation(
                f"never done: {len(self.outbox.messages)} messages, {[m.body for m in self.outbox.messages[:3]]}"
            )
        now = self.time.now()
        ready = [worker for worker in self.workers if worker.ready(now)]
        due = self._due()
        turns: list[Callable[[], None]] = [lambda worker=worker: self._go_on(worker) for worker in ready]
        weights = [1.0] * len(turns)
        if due:
            turns.append(lambda: self._deliver(due))
            weights.append(1.0)
        if not turns:
            turns.append(lambda: self._wait(until))
            weights.append(1.0)
        mix, hurry = self.weather.mix, self.weather.hurry
        weights = [1.0 - mix if mix else 1.0] + [mix / max(1, len(turns) - 1)] * (len(turns) - 1)
        if self.pending and self.weather.late:
            turns.append(self._arrive)
            weights.append(0.05)
        if self.events_left:
            idle = not ready and not due
            if idle and not self._busy():
                turns, weights = [self._end_chaos], [0.02]
            turns.append(self._befall)
            weights.append(0.35 if idle else hurry)
        self.chooser.pick(turns, weights)()
        if self.judge.found:
            raise Violation("; ".join(self.judge.found))

    def _due(self) -> list[Message]:
        return self.outbox.due() if len(self.workers) < MOST_WORKERS else []

    def _wait(self, until: float | None) -> None:
        """Let time pass until something is to be done."""
        now = self.time.now()
        times = (
            [message.visible_at for message in self.outbox.messages]
            if len(self.workers) < MOST_WORKERS
            else []
        )
        times += [
            max(worker.frozen_until, worker.stop.until if worker.stop else 0.0) for worker in self.workers
        ]
        times += [self._deadline(each.worker) for each in self.pending]
        times += [until] if until is not None else []
        self.advance(max(0.0, min(times, default=now + 60.0) - now))

    def advance(self, seconds: float) -> None:
        """Let time pass; a request that is still on its way arrives in time, or never."""
        end = self.time.now() + seconds
        for each in sorted(self.pending, key=lambda each: self._deadline(each.worker)):
            deadline = self._deadline(each.worker)
            if deadline <= end:
                self.time.advance(deadline - 0.001 - self.time.now())
                self.pending.remove(each)
                if self.chooser.happens(0.7 if self.weather.late else 0.0):
                    self._take_effect(each)
        self.time.advance(end - self.time.now())

    def _deadline(self, worker: Worker) -> float:
        """Return until when what a worker sent may take effect: no instance's clock shows more by then."""
        ended = worker.claim_ended or worker.claim_until or worker.instance.clock.now()
        return ended + CLAIM_FOR - SKEW

    def _end_chaos(self) -> None:
        self.events_left = 0

    def _befall(self) -> None:
        self.events_left -= 1
        events.befall(self)

    def _arrive(self) -> None:
        each = self.chooser.pick(self.pending)
        self.pending.remove(each)
        if self.time.now() < self._deadline(each.worker):
            self._take_effect(each)

    def _take_effect(self, each: Pending) -> None:
        self.say(f"{each.worker.name}: {each.asked.what} arrives late")
        self._respond(each.worker, each.asked)

    # --- deliveries ---

    def _deliver(self, due: Sequence[Message]) -> None:
        message = (
            due[0] if len(due) == 1 else self.chooser.pick(due, (1.0, *[self.weather.mix] * (len(due) - 1)))
        )
        if message.dequeue_count >= MOST_DELIVERIES and not message.queue.endswith("-poison"):
            self.outbox.poison(message)
            return
        self.outbox.dequeue(message, LEASE)
        self._deliveries += 1
        queue = message.queue.removesuffix("-poison")
        kind, instance = jobs.QUEUES[queue], self.chooser.pick(self.instances)
        job = jobs.read(kind, message.body)
        if message.queue.endswith("-poison"):
            work = lambda: instance.doorway.record(kind, message.id, message.body.encode())
        else:
            work = lambda: instance.doorway.work(kind, message.body.encode())
        receipt = message.pop_receipt
        name = f"{message.queue}#{message.id.removeprefix('message-')}.{message.dequeue_count}"
        self.start(name, instance, job, work, on_end=lambda worker: self._finish(worker, message, receipt))

    def start(
        self, name: str, instance: Instance, job: Any, work: Callable[[], object], **facts: Any
    ) -> Worker:
        """Let a worker begin."""
        user = facts.pop("user", getattr(job, "user", ""))
        worker = Worker(name, instance, job, work, self.time.now(), user=user, **facts)
        self.say(f"{name} begins: {job}")
        self.workers.insert(0, worker)
        self.crew.start(worker)
        self._look_after(worker)
        return worker

    def _call(self, name: str, work: Callable[[Instance], object], **facts: Any) -> None:
        """Have an administrator or a timer call one of the functions."""
        instance = self.chooser.pick(self.instances)
        self.start(name, instance, None, lambda: work(instance), **facts)

    call = _call

    def _finish(self, worker: Worker, message: Message, receipt: str) -> None:
        if message.pop_receipt != receipt or message not in self.outbox.messages:
            return  # somebody else has it by now
        if worker.error is None:
            if self.chooser.happens(self.weather.undeleted):
                self.outbox.release(message, self.chooser.amount(1.0, LEASE))
            else:
                self.outbox.delete(message)
        elif message.queue.endswith("-poison"):
            return  # it waits out its lease, and comes again
        elif message.dequeue_count >= MOST_DELIVERIES:
            self.outbox.poison(message)
        else:
            self.outbox.release(message, RETRY_AFTER)

    def _look_after(self, worker: Worker) -> None:
        if not worker.done:
            return
        if worker in self.workers:
            self.workers.remove(worker)
        if worker.error is not None and not isinstance(worker.error, SyncError):
            raise Violation(f"{worker.name} raised {worker.error!r}") from worker.error
        self.say(
            f"{worker.name} {'dies' if worker.dead else 'ends'}"
            + (f": {worker.error}" if worker.error else "")
        )
        if not worker.dead:
            worker.on_end(worker)

    def _kill(self, worker: Worker) -> None:
        self.crew.kill(worker)
        if worker in self.workers:
            self.workers.remove(worker)

    # --- what becomes of a stop ---

    def _go_on(self, worker: Worker) -> None:
        self.workers.remove(worker)
        self.workers.insert(0, worker)
        stop = worker.stop
        assert stop is not None
        if stop.kind == "wait":
            owed, worker.owed = worker.owed, None
            self._resume(worker, owed)
            return
        weather = self.weather
        if self.chooser.happens(weather.freezes * (2.0 if worker.at_it else 0.2)):
            self._freeze(worker, stop)
            return
        if self.chooser.happens(weather.dies / 2):
            self.say(f"{worker.name} dies before: {stop.name}")
            self._kill(worker)
            return
        if stop.kind == "step":
            self._step(worker, stop)
        else:
            self._exchange(worker, stop)

    def _freeze(self, worker: Worker, stop: Stop) -> None:
        """Let a worker stand still; it hurts most when its claim ends and its user's photo changes meanwhile."""
        spell = self.chooser.pick(FREEZES)
        self.say(f"{worker.name} freezes for {spell:.0f} s before: {stop.name}")
        worker.frozen_until = self.time.now() + spell
        if worker.user and spell > CLAIM_FOR and self.dramas_left and self.chooser.happens(0.6):
            self.dramas_left -= 1
            events.change(self, self.ms.people[worker.user])

    def _resume(self, worker: Worker, became: object) -> None:
        self.crew.resume(worker, became)
        self._look_after(worker)

    def _step(self, worker: Worker, stop: Stop) -> None:
        self.advance(0.01)
        weather = self.weather
        if self._out("storage" if "put" not in stop.name else "queues"):
            self._resume(worker, "never")
            return
        fates = ["", "never", "lost", "dies", "itself"]
        shares = [weather.storage_never / 4, weather.storage_lost / 4, weather.dies / 2, weather.itself]
        if not stop.conditional:
            fates.pop(), shares.pop()
        fate = self.chooser.pick(fates, (1.0, *shares))
        self.say(f"{worker.name}: {stop.name}" + (f" ({fate})" if fate else ""))
        self._resume(worker, fate)

    def _exchange(self, worker: Worker, stop: Stop) -> None:
        asked: Asked = stop.request
        self.advance(0.1)
        became = self._answer(worker, asked)
        if isinstance(became, TimesOut):
            worker.owed, worker.stop = became.error, Stop("wait", until=self.time.now() + CALL_TIMEOUT)
        else:
            self._resume(worker, became)

    def _answer(self, worker: Worker, asked: Asked) -> object:
        """Return what the app gets for a request: an answer, or an exception."""
        weather, service = self.weather, _service(asked)
        if asked.writes and self.time.now() >= self._deadline(worker):
            self.say(f"{worker.name}: {asked.what} is too late and never arrives")
            return requests.ConnectionError("cut off")
        if outage := self._out(service):
            return _unwell(outage, asked)
        writes = 1.0 if asked.writes else 0.0
        fate = self.chooser.pick(
            ("", "never", "lost", "late", "gateway", "throttled", "down"),
            (
                1.0,
                weather.never,
                weather.lost,
                weather.late * writes,
                weather.gateway,
                weather.throttled / 4,
                weather.down / 4,
            ),
        )
        self.say(f"{worker.name}: {asked.what}" + (f" ({fate})" if fate else ""))
        match fate:
            case "never":
                return requests.ConnectionError("cut off")
            case "lost":
                self._respond(worker, asked)
                return requests.ReadTimeout("no answer")
            case "late":
                self.pending.append(Pending(worker, asked))
                return TimesOut(requests.ReadTimeout("no answer"))
            case "gateway":
                if self.chooser.pick(("took effect", "still under way")) == "took effect" or not asked.writes:
                    self._respond(worker, asked)
                else:
                    self.pending.append(Pending(worker, asked))
                return Given(504, {"error": {"code": "GatewayTimeout", "message": ""}})
            case "throttled" | "down":
                return _unwell(fate, asked, after=self.chooser.pick((None, 2.0, 20.0, 300.0)))
            case _:
                return self._respond(worker, asked)

    def _respond(self, worker: Worker, asked: Asked) -> Given:
        weather, chooser = self.weather, self.chooser

        def age() -> float:
            return chooser.amount(0.0, self.staleness) if chooser.happens(weather.stale) else 0.0

        def part() -> Given | None:
            if not chooser.happens(weather.part / 2):
                return None
            status = chooser.pick((503, 429, 500, 504))
            headers = {"Retry-After": "20"} if status == 429 else {}
            return Given(status, {"error": {"code": "UnknownError", "message": ""}}, headers)

        half = None
        if "ProcessQuery" in asked.url and chooser.happens(weather.half):
            half = chooser.pick((3, 2, 1, 0))
        mood = Mood(
            age=age,
            part=part,
            properties=half,
            told=lambda kind, whom, value: self.judge.touched(worker, kind, whom, value),
        )
        return self.faces.respond(asked, mood)

    def _out(self, service: str) -> str:
        """Return how a service is out at the moment, "" if it is not."""
        until, how = self.outages.get(service, (0.0, ""))
        return how if self.time.now() < until else ""

    # --- instances ---

    def new_instance(self, **settings: str) -> Instance:
        """Return a new instance, its clock as wrong as may be."""
        skew = self.chooser.pick((0.0, SKEW, -SKEW))
        stores = Stores(
            self.tables["photoledger"], self.tables["photostate"], self.tables["photoparts"], self.outbox
        )
        return Instance(self.time, skew, self.crew, self.faces, stores, {**self.settings, **settings})

    def _lose_instance(self, number: int, **settings: str) -> None:
        """Let an instance die with everything in it; another takes its place."""
        old = self.instances[number]
        for worker in [worker for worker in self.workers if worker.instance is old]:
            self._kill(worker)
        self.instances[number] = self.new_instance(**settings)

    lose_instance = _lose_instance

    # --- for whoever looks ---

    def say(self, what: str) -> None:
        """Write a line into the trace."""
        if self._keep_trace:
            self.trace.append(f"{self.time.now() - BEGIN:10.2f}  {what}")

    def _watch(self, table: str) -> Callable[[str, str, Any], None]:
        return lambda partition, key, columns: self.judge.noted(self.crew.current, table, key, columns)


def _service(asked: Asked) -> str:
    if asked.host.startswith("graph."):
        return "graph"
    return "files" if "-my." in asked.host else "profiles"


def _unwell(how: str, asked: Asked, after: float | None = None) -> object:
    headers = {} if after is None else {"Retry-After": f"{after:.0f}"}
    match how:
        case "refused":
            return requests.ConnectionError("refused")
        case "throttled":
            return Given(429, {"error": {"code": "TooManyRequests", "message": ""}}, headers)
        case "denied":
            return Given(403, {"error": {"code": "Forbidden", "message": ""}})
        case _:
            return Given(503, {"error": {"code": "ServiceUnavailable", "message": asked.what}}, headers)
