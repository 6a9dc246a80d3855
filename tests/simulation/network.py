"""The fate of each effect outside the app's process: it takes place, or not, or late, or twice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

from tests.simulation import photo_events
from tests.simulation.crew import Stop, Worker
from tests.simulation.host import Host
from tests.simulation.judge import CLAIM_FOR, SKEW
from tests.simulation.messages import Handling, Request, Response
from tests.simulation.people import Person

if TYPE_CHECKING:
    from tests.simulation.run import Run

CALL_TIMEOUT = CLAIM_FOR / 14
FREEZES = (20.0, 200.0, 1.05 * CLAIM_FOR, 1.3 * CLAIM_FOR, 1.7 * CLAIM_FOR, 2.5 * CLAIM_FOR)  # seconds


@dataclass(eq=False)
class Pending:
    """A request that is still under way after its sender's timeout."""

    worker: Worker
    request: Request


class Network(Host):
    """A host whose calls and storage steps fail at the rates of the weather.

    Attributes:
        pending: requests whose senders wait no longer.
        photo_changes_left: how many more photos may change because a worker froze or died.
    """

    pending: list[Pending]
    photo_changes_left: int

    # --- time ---

    def advance(self, seconds: float) -> None:
        """Let time pass; a request that is still under way arrives before its deadline, or never."""
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
        """Return the time until which a worker's requests may take effect: no instance's clock is past it."""
        ended = worker.claim_ended or worker.claim_until or worker.instance.clock.now()
        return ended + CLAIM_FOR - SKEW

    def arrive(self) -> None:
        """Let a request that is still under way take effect."""
        each = self.chooser.pick(self.pending)
        self.pending.remove(each)
        if self.time.now() < self.deadline(each.worker):
            self._take_effect(each)

    def _take_effect(self, each: Pending) -> None:
        self.log(f"{each.worker.name}: {each.request.what} arrives late")
        self._respond(each.worker, each.request)

    # --- stops ---

    def go_on(self, worker: Worker) -> None:
        """Decide the fate of the stop at which a worker waits, and let it go on."""
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
        if self.chooser.happens(weather.dies * (1.0 if worker.holds_claim else 0.5)):
            self.log(f"{worker.name} dies before: {stop.name}")
            self.kill(worker)
            self._change_photo(worker, photo_events.take_back)
            return
        if stop.kind == "step":
            self._step(worker, stop)
        else:
            self._exchange(worker, stop)

    def _freeze(self, worker: Worker, stop: Stop) -> None:
        """Freeze a worker. It hurts most if its claim ends and its user's photo changes meanwhile."""
        spell = self.chooser.pick(FREEZES)
        self.log(f"{worker.name} freezes for {spell:.0f} s before: {stop.name}")
        worker.frozen_until = self.time.now() + spell
        self.judge.mishap(worker)
        if spell > CLAIM_FOR:  # it leaves two doubts: its own, and that of the attempt that takes over
            self.judge.mishaps_of[worker.user] += 1
        if spell > CLAIM_FOR and worker.holds_claim:
            self._change_photo(worker, photo_events.replace)

    def _change_photo(self, worker: Worker, change: Callable[["Run", Person], None]) -> None:
        """Let the photo change, or go back to what SharePoint showed, before a worker is done with it."""
        if worker.user and self.photo_changes_left and self.chooser.happens(0.6):
            self.photo_changes_left -= 1
            change(self, self.ms.people[worker.user])

    def _weight(self, worker: Worker, stop: Stop) -> float:
        """Return the factor by which a worker freezes more often here: high where a freeze hurts most."""
        if not worker.holds_claim:
            return 0.2
        if not worker.marked or stop.kind != self.frost:
            return 1.0
        if stop.kind == "call":
            return 8.0
        return 8.0 if stop.name == "write photoledger" else 1.0

    def _resume(self, worker: Worker, outcome: object) -> None:
        self.crew.resume(worker, outcome)
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
        self.log(f"{worker.name}: {stop.name}" + (f" ({fate})" if fate else ""))
        if fate:
            worker.unsent |= sends
            self.judge.mishap(worker, leaves_a_message=fate in ("lost", "dies"))
        self._resume(worker, fate)

    def _exchange(self, worker: Worker, stop: Stop) -> None:
        request: Request = stop.request
        self.advance(0.1)
        outcome = self._answer(worker, request)
        in_time = worker.instance.clock.now() - worker.stopped_at < CALL_TIMEOUT
        self.judge.answered(worker, request.host, outcome if in_time else None)
        if not in_time:  # time passed while the call was under way
            self.judge.mishap(worker, leaves_a_message=request.writes)
        if outcome is None:
            worker.owed = requests.ReadTimeout("no answer")
            worker.stop = Stop("wait", until=self.time.now() + CALL_TIMEOUT)
        else:
            self._resume(worker, outcome)

    def _answer(self, worker: Worker, request: Request) -> object:
        """Return what the app gets for a request: a response, an exception, or None before its timeout."""
        weather, service = self.weather, _service(request)
        if request.writes and self.time.now() >= self.deadline(worker):
            self.log(f"{worker.name}: {request.what} is too late and never arrives")
            return requests.ConnectionError("cut off")
        if outage := self._out(service):
            return _unwell(outage, request)
        fates = ("", "never", "lost", "late", "gateway", "throttled", "down")
        late = weather.late if request.writes else 0.0
        busy = (weather.throttled / 4, weather.down / 4)
        fate = self.chooser.pick(fates, (1.0, weather.never, weather.lost, late, weather.gateway, *busy))
        self.log(f"{worker.name}: {request.what}" + (f" ({fate})" if fate else ""))
        if fate:
            self.judge.mishap(worker, leaves_a_message=request.writes)
        return self._meet(fate, worker, request)

    def _meet(self, fate: str, worker: Worker, request: Request) -> object:
        """Let a request meet its fate, and return the same as `_answer`."""
        if fate == "never":
            return requests.ConnectionError("cut off")
        if fate in ("throttled", "down"):
            return _unwell(fate, request, after=self.chooser.pick((None, 2.0, 20.0, 300.0)))
        under_way = fate == "late" or (
            fate == "gateway" and self.chooser.pick((False, True)) and request.writes
        )
        if under_way:
            self.pending.append(Pending(worker, request))
        response = None if under_way else self._respond(worker, request)
        if fate == "lost":
            return requests.ReadTimeout("no answer")
        if fate == "gateway":
            return Response(504, {"error": {"code": "GatewayTimeout", "message": ""}})
        return response

    def _respond(self, worker: Worker, request: Request) -> Response:
        weather, chooser = self.weather, self.chooser

        def age() -> float:
            return chooser.amount(0.0, self.staleness) if chooser.happens(weather.stale) else 0.0

        def part() -> Response | None:
            if not chooser.happens(weather.part / 2):
                return None
            status = chooser.pick((503, 429, 500, 504))
            headers = {"Retry-After": "20"} if status == 429 else {}
            return Response(status, {"error": {"code": "UnknownError", "message": ""}}, headers)

        half = None
        if "ProcessQuery" in request.url and chooser.happens(weather.half):
            half = chooser.pick((3, 2, 1, 0))
        circles = bool(self._out("lists"))
        handling = Handling(age, part, half, lambda *change: self.judge.touched(worker, *change), circles)
        self.judge.read(worker, request.url)
        return self.endpoints.respond(request, handling)

    def _out(self, service: str) -> str:
        """Return the kind of a service's current outage, "" for none."""
        until, how = self.outages.get(service, (0.0, ""))
        return how if self.time.now() < until else ""


def _service(request: Request) -> str:
    if request.host.startswith("graph."):
        return "graph"
    return "files" if "-my." in request.host else "profiles"


def _unwell(how: str, request: Request, after: float | None = None) -> object:
    if how == "refused":
        return requests.ConnectionError("refused")
    if how == "denied":
        return Response(403, {"error": {"code": "Forbidden", "message": ""}})
    status, code = (429, "TooManyRequests") if how == "throttled" else (503, "ServiceUnavailable")
    headers = {} if after is None else {"Retry-After": f"{after:.0f}"}
    return Response(status, {"error": {"code": code, "message": request.what}}, headers)
