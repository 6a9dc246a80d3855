"""The delivery of notifications: real POSTs, batched, retried for four hours of the tenant's time, logged.

learn.microsoft.com/graph/change-notifications-delivery-webhooks. Delivered is what is answered 2xx within
three seconds; anything else is tried again, each time after twice the wait, with ten seconds for the answer.
What is sent within a twentieth of a second to one URL goes in one POST; order and duplicates are knobs. While
an endpoint is in its "slow" state, what is new waits ten minutes; in its "drop" state it is lost without a
word.
"""

import threading
import time
from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from local.tenant.directory.world import World
from local.tenant.graph.webhooks.endpoint import WINDOW, Endpoint, Timing
from local.tenant.graph.webhooks.notifications import Letter, Parcel, pack
from local.tenant.graph.webhooks.webhook import Unreachable, post
from local.tenant.graph.wire import Json

GATHER = timedelta(seconds=0.05)
TICK = 0.02  # seconds between two looks at the tenant's clock, which anybody may advance
RETRY_FOR = timedelta(hours=4)
WORKERS = 4  # posts under way at once
LOG_MAX = 20_000  # parcels remembered
HEADERS = {"Content-Type": "application/json; charset=utf-8"}


class PostOffice:
    """Takes letters and parcels, and delivers them while it is started."""

    def __init__(self, world: World, timing: Timing, ca: str | None) -> None:
        self._world = world
        self._timing = timing
        self._ca = ca
        self._random = Random(world.seed)  # noqa: S311 - shuffling, not secrets
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._open = False
        self._under_way = 0
        self._era = 0  # a reset begins another: what was under way then is nobody's any more
        self._forget()

    def _forget(self) -> None:
        self._loose: list[tuple[datetime, Letter]] = []
        self._waiting: list[Parcel] = []
        self._log: deque[Parcel] = deque(maxlen=LOG_MAX)
        self._endpoints: dict[str, Endpoint] = {}

    def start(self) -> None:
        """Begin to deliver, in threads of its own."""
        self._open = True
        self._thread = threading.Thread(target=self._run, name="graph-notifications", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Cease to deliver, once what is under way is answered or timed out."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._under_way)
        if self._thread:
            self._thread.join()
            self._thread = None

    def send(self, letter: Letter, delay: float = 0.0) -> None:
        """Deliver a letter `delay` seconds from now, with others if it happens so."""
        with self._changed:
            self._loose.append((self._world.clock.now() + timedelta(seconds=delay), letter))
            if len(self._loose) == 1:  # otherwise the thread looks by itself every TICK
                self._changed.notify_all()

    def send_parcel(self, url: str, items: list[Json]) -> None:
        """Deliver just these items in one POST, at once."""
        with self._changed:
            now = self._world.clock.now()
            self._take(Parcel(url, items, (), born=now, due=now))
            self._changed.notify_all()

    def idle(self, deadline: float) -> None:
        """Wait until nothing is left to deliver, now or later.

        Raises:
            TimeoutError: something is left after `deadline` seconds; says what.
        """
        with self._changed:
            if not self._changed.wait_for(self._empty, deadline):
                waiting = [(each.url, each.attempts, each.status, each.due) for each in self._waiting]
                raise TimeoutError(
                    f"after {deadline} s: {len(self._loose)} notifications to send, "
                    f"{self._under_way} posts under way, waiting: {waiting}"
                )

    def log(self) -> list[Parcel]:
        """Return every parcel, oldest first."""
        with self._changed:
            return [replace(parcel, items=list(parcel.items)) for parcel in self._log]

    def reset(self) -> None:
        """Forget what is to be delivered and what was; only what is under way still arrives."""
        with self._changed:
            self._forget()
            self._era += 1
            self._random.seed(self._world.seed)
            self._changed.notify_all()

    def _empty(self) -> bool:
        return not (self._loose or self._waiting or self._under_way)

    def _run(self) -> None:
        with self._changed:
            while self._open:
                self._pack()
                for parcel in self._ready():
                    self._waiting.remove(parcel)
                    self._under_way += 1
                    work = (parcel, self._era)
                    threading.Thread(
                        target=self._deliver, args=work, name="graph-webhook", daemon=True
                    ).start()
                self._changed.wait(TICK if self._loose or self._waiting else None)

    def _ready(self) -> list[Parcel]:
        now = self._world.clock.now()
        ready = [parcel for parcel in self._waiting if parcel.due <= now]
        return ready[: max(0, WORKERS - self._under_way)]

    def _pack(self) -> None:
        """Make parcels of the letters whose time has come, once the first of them has waited for company."""
        now = self._world.clock.now()
        if any(due + GATHER <= now for due, _ in self._loose):
            ready = [letter for due, letter in self._loose if due <= now]
            self._loose = [(due, letter) for due, letter in self._loose if due > now]
            for parcel in pack(ready, self._world.knobs, self._random, now):
                self._take(parcel)
            self._changed.notify_all()  # whoever waits until all is idle: what was dropped is done with

    def _take(self, parcel: Parcel) -> None:
        """Let a new parcel wait for a worker: ten minutes more if its endpoint is slow, never if it drops."""
        self._log.append(parcel)
        state = self._endpoint(parcel.url).state(parcel.born)
        if state == "drop":
            parcel.outcome = "dropped"
            return
        if state == "slow":
            parcel.due += WINDOW
        self._waiting.append(parcel)

    def _endpoint(self, url: str) -> Endpoint:
        return self._endpoints.setdefault(url.partition("?")[0], Endpoint(self._timing))

    def _deliver(self, parcel: Parcel, era: int) -> None:
        """Try once, in a thread of its own; what fails waits for its next turn."""
        try:
            status, seconds = self._post(parcel)
            with self._changed:
                if era == self._era:
                    self._settle(parcel, status, seconds)
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def _post(self, parcel: Parcel) -> tuple[int | None, float]:
        """Return the answer's status, None without one in time, and the seconds it took."""
        timeout = self._timing.retry if parcel.attempts else self._timing.first
        started = time.monotonic()
        try:
            reply = post(parcel.url, HEADERS, parcel.body(), timeout=timeout, ca=self._ca)
            status: int | None = reply.status
        except (TimeoutError, Unreachable):
            status = None
        seconds = time.monotonic() - started
        return (status if seconds < timeout else None), seconds

    def _settle(self, parcel: Parcel, status: int | None, seconds: float) -> None:
        now, base = self._world.clock.now(), self._world.knobs.delivery_retry_base
        parcel.attempts += 1
        parcel.status = status
        self._endpoint(parcel.url).note(now, seconds)
        parcel.due = now + timedelta(seconds=base * 2 ** (parcel.attempts - 1))
        if status is not None and 200 <= status < 300:
            parcel.outcome = "delivered"
        elif parcel.due > parcel.born + RETRY_FOR:
            parcel.outcome = "given up"
        else:
            parcel.outcome = "retrying"
            self._waiting.append(parcel)
