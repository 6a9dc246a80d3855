"""Faults on purpose: refusals, delays, cut connections, before or after the effect."""

import random
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from werkzeug.wrappers import Request, Response

from local.tenant.directory.world import World
from local.tenant.net.wire import Hangup
from local.tenant.traffic import refusals

LONGEST_LATENCY = 300.0  # seconds


@dataclass(slots=True, kw_only=True)
class Fault:
    """What to do to which requests, and how often; the README, "Faults", describes each field.

    ValueError: the fields do not describe a fault.
    """

    service: str = ""
    host: str = ""
    method: str = ""
    path: str = ""
    content: str = ""
    part: bool = False
    rate: float = 1.0
    skip: int = 0
    next: int | None = None
    latency: float = 0.0
    status: int | None = None
    code: str = ""
    retry_after: float | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    drop: bool = False
    truncate: bool = False
    when: Literal["before", "after"] = "before"

    def __post_init__(self) -> None:
        if not (self.latency or self.status or self.drop or self.truncate):
            raise ValueError("say what it does: latency, status, drop or truncate")
        if bool(self.status) + self.drop + self.truncate > 1:
            raise ValueError("only one of status, drop and truncate")
        if self.part and not self.status:
            raise ValueError("a part of a batch can only be answered with a status")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError("status is 200 to 599")
        if not (0 < self.rate <= 1 and 0 <= self.latency <= LONGEST_LATENCY and self.skip >= 0):
            raise ValueError(f"rate is above 0 and at most 1, latency 0 to {LONGEST_LATENCY} s, skip from 0")
        if self.part and self.content:
            raise ValueError("a part of a batch is told by its path")
        for name in ("path", "content"):
            try:
                re.compile(getattr(self, name))
            except re.error as error:
                raise ValueError(f"{name} is not a regular expression: {error}") from error


@dataclass(slots=True)
class ArmedFault:
    """An armed fault: how many requests it matched, and to how many it applied."""

    fault: Fault
    matched: int = 0
    fired: int = 0


class Faults:
    """The faults that are armed, and their execution. `pause` waits for a number of seconds."""

    def __init__(self, world: World, pause: Callable[[float], object]) -> None:
        self._world = world
        self._pause = pause
        self._lock = threading.Lock()
        self._armed: list[ArmedFault] = []
        self._random = random.Random(world.seed)  # noqa: S311 - chance, not secrets

    def arm(self, faults: Iterable[Fault], seed: int | None = None) -> None:
        """Replace the armed faults; with the same `seed` they apply to the same requests."""
        with self._lock:
            self._armed = [ArmedFault(fault) for fault in faults]
            self._random.seed(self._world.seed if seed is None else seed)

    def report(self) -> list[dict[str, Any]]:
        """Return every armed fault with `matched` and `fired`."""
        with self._lock:
            return [asdict(a.fault) | {"matched": a.matched, "fired": a.fired} for a in self._armed]

    def meet(self, service: str, request: Request, answer: Callable[[], Response]) -> tuple[Response, str]:
        """Return the answer to `request`, by `answer` or by a fault, and the name of that fault."""
        path = request.environ["REQUEST_URI"]
        fault = self._pick(service, request.host, request.method, path, request.get_data())
        if fault is None:
            return answer(), ""
        self._pause(fault.latency)
        truth = answer() if fault.when == "after" or not (fault.status or fault.drop) else None
        if fault.drop:
            raise Hangup
        if fault.truncate:
            raise Hangup(truth)
        if fault.status is None and truth is not None:
            return truth, "latency"
        status, headers = fault.status or 500, self._headers(fault)
        return refusals.respond(service, status, headers, code=fault.code, body=fault.body), "status"

    def meet_part(self, method: str, url: str) -> tuple[int, dict[str, str], Any] | None:
        """Return status, headers and body for one part of a Graph `$batch`; None: no fault applies."""
        fault = self._pick("graph", "graph.microsoft.com", method, url)
        if fault is None or fault.status is None:
            return None
        body = refusals.graph(fault.status, fault.code) if fault.body is None else fault.body
        return fault.status, self._headers(fault), body

    def _pick(
        self, service: str, host: str, method: str, path: str, content: bytes | None = None
    ) -> Fault | None:
        """Return the fault that applies to a request; one without `content` is a part of a batch."""
        with self._lock:
            for armed in self._armed:
                if armed.fault.part != (content is None):
                    continue
                if _matches(armed.fault, service, host, method, path, content or b""):
                    armed.matched += 1
                    if self._due(armed):
                        armed.fired += 1
                        return armed.fault
        return None

    def _due(self, armed: ArmedFault) -> bool:
        fault = armed.fault
        if armed.matched <= fault.skip or (fault.next is not None and armed.fired >= fault.next):
            return False
        return fault.rate >= 1 or self._random.random() < fault.rate

    def _headers(self, fault: Fault) -> dict[str, str]:
        if fault.retry_after is None:
            return fault.headers
        now, style = self._world.clock.now(), self._world.knobs.retry_after
        return refusals.retry_after(fault.retry_after, style, now) | fault.headers


def _matches(fault: Fault, service: str, host: str, method: str, path: str, content: bytes) -> bool:
    return (
        (not fault.service or service == fault.service or service.startswith(f"{fault.service}-"))
        and (not fault.host or host == fault.host)
        and (not fault.method or method == fault.method.upper())
        and re.search(fault.path, path) is not None
        and (not fault.content or re.search(fault.content.encode(), content) is not None)
    )
