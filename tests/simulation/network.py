"""What becomes of everything that the app does outside its process: it happens, or not, or late, or twice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

from tests.simulation import events
from tests.simulation.crew import Stop, Worker
from tests.simulation.faces import Asked, Given, Mood
from tests.simulation.host import Host
from tests.simulation.judge import SKEW
from tests.simulation.microsoft import Person

if TYPE_CHECKING:
    from tests.simulation.run import Run

CLAIM_FOR = 420.0  # seconds
CALL_TIMEOUT = CLAIM_FOR / 14
FREEZES = (20.0, 200.0, 1.05 * CLAIM_FOR, 1.3 * CLAIM_FOR, 1.7 * CLAIM_FOR, 2.5 * CLAIM_FOR)  # seconds


@dataclass(eq=False)
class Pending:
    """A request that is still on its way although its sender waits no longer."""

    worker: Worker
    asked: Asked


@dataclass(frozen=True)
class TimesOut:
    """What a caller gets when he has waited long enough."""

    error: Exception


class Network(Host):
    """A host in bad weather.

    Attributes:
        pending: requests whose senders wait no longer.
        dramas_left: how often a photo may still change because somebody stands still.
    """

    pending: list[Pending]
    dramas_left: int

    # --- time ---

    def advance(self, seconds: float) -> None:
        """Let time pass; a request that is still on its way arrives in time, or never."""
        end = self.time.now() + seconds
        for each in sorted(self.pending, key=lambda each: self.deadline(each.worker)):
            deadline = self.deadline(each.worker)
            if deadline <= end:
                self.time.advance(deadline - 0.001 - self.time.now())
                self.pending.remove(each)
                if self.chooser.happens(0.5):
                    self._take_effect(each)
        self.time.advance(end - self.time.now())

    def deadline(self, worker: Worker) -> float:
        """Return until when what a worker sent may take effect: no instance's clock shows more by then."""
        ended = worker.claim_ended or worker.claim_until or worker.instance.clock.now()
        return ended + CLAIM_FOR - SKEW

    def arrive(self) -> None:
        """Let a request that is still on its way take effect."""
        each = self.chooser.pick(self.pending)
        self.pending.remove(each)
        if self.time.now() < self.deadline(each.worker):
            self._take_effect(each)

    def _take_effect(self, each: Pending) -> None:
        self.say(f"{each.worker.name}: {each.asked.what} arrives late")
        self._respond(each.worker, each.asked)

    # --- stops ---

    def go_on(self, worker: Worker) -> None:
        """Let a worker go on, or not: what becomes of the stop where it stands."""
        self.workers.remove(worker)
        self.workers.insert(0, worker)
        stop = worker.stop
        assert stop is not None
        if stop.kind == "wait":
            owed, worker.owed = worker.owed, None
            self._resume(worker, owed)
            return
        weather = self.weather
        if self.chooser.happens(weather.freezes * self._weight(worker, stop)):
            self._freeze(worker, stop)
            return
        if self.chooser.happens(weather.dies * (1.0 if worker.at_it else 0.5)):
            self.say(f"{worker.name} dies before: {stop.name}")
            self.kill(worker)
            self._dramatise(worker, events.take_back)
            return
        if stop.kind == "step":
            self._step(worker, stop)
        else:
            self._exchange(worker, stop)

    def _freeze(self, worker: Worker, stop: Stop) -> None:
        """Let a worker stand still: worst where its claim ends and its user's photo changes meanwhile."""
        spell = self.chooser.pick(FREEZES)
        self.say(f"{worker.name} freezes for {spell:.0f} s before: {stop.name}")
        worker.frozen_until = self.time.now() + spell
        self.judge.mishap(worker)
        if spell > CLAIM_FOR and worker.at_it:
            self._dramatise(worker, events.replace)

    def _dramatise(self, worker: Worker, drama: Callable[["Run", Person], None]) -> None:
        """Let the photo change, or go back to what SharePoint showed, while somebody is not done with it."""
        if worker.user and self.dramas_left and self.chooser.happens(0.6):
            self.dramas_left -= 1
            drama(self, self.ms.people[worker.user])

    def _weight(self, worker: Worker, stop: Stop) -> float:
        """Return how much more often than anywhere a worker freezes here: where it hurts most."""
        if not worker.at_it:
            return 0.2
        if not worker.marked or stop.kind != self.frost:
            return 1.0
        if stop.kind == "call":
            return 8.0
        return 8.0 if stop.name == "write photoledger" else 1.0

    def _resume(self, worker: Worker, became: object) -> None:
        self.crew.resume(worker, became)
        self.look_after(worker)

    def _step(self, worker: Worker, stop: Stop) -> None:
        self.advance(0.01)
        weather = self.weather
        sends = stop.name.startswith("put")
        if self._out("queues" if sends else "storage"):
            worker.unsent |= sends
            self._resume(worker, "never")
            return
        fates = ["", "never", "lost", "dies", "itself"]
        dies = weather.dies * (2.0 if stop.conditional else 0.5)  # between a write and what follows from it
        shares = [weather.storage_never / 4, weather.storage_lost / 4, dies, weather.itself]
        if not stop.conditional:
            fates.pop(), shares.pop()
        fate = self.chooser.pick(fates, (1.0, *shares))
        self.say(f"{worker.name}: {stop.name}" + (f" ({fate})" if fate else ""))
        if fate:
            worker.unsent |= sends
            self.judge.mishap(worker, leaves_a_message=fate in ("lost", "dies"))
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
        if asked.writes and self.time.now() >= self.deadline(worker):
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
        if fate:
            self.judge.mishap(worker, leaves_a_message=asked.writes)
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
