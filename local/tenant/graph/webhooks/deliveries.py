"""The delivery of notifications: real POSTs, batched, retried for four hours of the tenant's time, logged.

learn.microsoft.com/graph/change-notifications-delivery-webhooks. A post is delivered if it is answered 2xx
within three seconds. Otherwise it is tried again, each time after twice the wait, with ten seconds for the
answer. Notifications for one URL within a twentieth of a second go in one POST; order and duplicates are
knobs. The times of its answers rate an endpoint (same page, "Throttling"): while it is in its "slow" state,
new notifications wait ten minutes; in its "drop" state they are lost silently. Two things are not Graph's:
fewer than `SAMPLE` answers decide nothing, and after ten minutes the endpoint starts over, where Graph would
try it with a few notifications first.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Literal

from local.tenant.directory.world import World
from local.tenant.graph.webhooks.notifications import Notification, NotificationPost, pack
from local.tenant.graph.webhooks.webhook import Unreachable, call_webhook
from local.tenant.graph.wire import Json

GATHER = timedelta(seconds=0.05)
TICK = 0.02  # seconds between two looks at the tenant's clock, which the admin face may advance
RETRY_FOR = timedelta(hours=4)
WORKERS = 4  # posts in progress at once
LOG_MAX = 20_000  # posts kept
HEADERS = {"Content-Type": "application/json; charset=utf-8"}
WINDOW = timedelta(minutes=10)
SAMPLE = 10
SLOW_SHARE, DROP_SHARE = 0.10, 0.15


@dataclass(frozen=True, slots=True)
class WebhookTiming:
    """Seconds of the machine's clock: for a handshake, for the first attempt, for each later one."""

    handshake: float = 10.0
    first: float = 3.0
    retry: float = 10.0


class WebhookEndpoint:
    """One webhook URL's answers of the last ten minutes of the tenant's time."""

    def __init__(self, timing: WebhookTiming) -> None:
        self._timing = timing
        self._answers: deque[tuple[datetime, float]] = deque()
        self._state: Literal["normal", "slow", "drop"] = "normal"
        self._until: datetime | None = None

    def state(self, now: datetime) -> Literal["normal", "slow", "drop"]:
        """Return how to treat new notifications."""
        if self._until and now >= self._until:
            self._answers.clear()
            self._state, self._until = "normal", None
        return self._state

    def note(self, now: datetime, seconds: float) -> None:
        """Note an attempt that was answered, or given up, after `seconds`. Only time improves the state."""
        self._answers.append((now, seconds))
        while self._answers[0][0] < now - WINDOW:
            self._answers.popleft()
        state = self.state(now)
        if len(self._answers) < SAMPLE:
            return
        if state != "drop" and self._share(self._timing.retry) > DROP_SHARE:
            self._state, self._until = "drop", now + WINDOW
        elif state == "normal" and self._share(self._timing.first) > SLOW_SHARE:
            self._state, self._until = "slow", now + WINDOW

    def _share(self, limit: float) -> float:
        return sum(seconds >= limit for _, seconds in self._answers) / len(self._answers)


class Deliveries:
    """Accept notifications, and deliver them while started."""

    def __init__(self, world: World, timing: WebhookTiming, ca: str | None) -> None:
        self._world = world
        self._timing = timing
        self._ca = ca
        self._random = Random(world.seed)  # noqa: S311 - shuffling, not secrets
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._open = False
        self._in_flight = 0
        self._generation = 0  # a reset begins another, and ends the posts of the one before
        self._forget()

    def _forget(self) -> None:
        self._unsent: list[tuple[datetime, Notification]] = []
        self._waiting: list[NotificationPost] = []
        self._log: deque[NotificationPost] = deque(maxlen=LOG_MAX)
        self._endpoints: dict[str, WebhookEndpoint] = {}

    def start(self) -> None:
        """Begin to deliver, in threads of its own."""
        self._open = True
        self._thread = threading.Thread(target=self._run, name="graph-notifications", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, after the posts in progress are answered or timed out."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._in_flight)
        if self._thread:
            self._thread.join()
            self._thread = None

    def send(self, notification: Notification, delay: float = 0.0) -> None:
        """Deliver a notification `delay` seconds from now, possibly together with others."""
        with self._changed:
            self._unsent.append((self._world.clock.now() + timedelta(seconds=delay), notification))
            if len(self._unsent) == 1:  # otherwise the thread looks by itself every TICK
                self._changed.notify_all()

    def send_post(self, url: str, items: list[Json]) -> None:
        """Deliver just these items in one POST, at once."""
        with self._changed:
            now = self._world.clock.now()
            self._take(NotificationPost(url, items, (), born=now, due=now))
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
                    f"after {deadline} s: {len(self._unsent)} notifications to send, "
                    f"{self._in_flight} posts under way, waiting: {waiting}"
                )

    def log(self) -> list[NotificationPost]:
        """Return every post, oldest first."""
        with self._changed:
            return [replace(post, items=list(post.items)) for post in self._log]

    def reset(self) -> None:
        """Forget all posts, delivered or not; those in progress still arrive."""
        with self._changed:
            self._forget()
            self._generation += 1
            self._random.seed(self._world.seed)
            self._changed.notify_all()

    def _empty(self) -> bool:
        return not (self._unsent or self._waiting or self._in_flight)

    def _run(self) -> None:
        with self._changed:
            while self._open:
                self._pack()
                for post in self._ready():
                    self._waiting.remove(post)
                    self._in_flight += 1
                    work = (post, self._generation)
                    threading.Thread(target=self._deliver, args=work, daemon=True).start()
                self._changed.wait(TICK if self._unsent or self._waiting else None)

    def _ready(self) -> list[NotificationPost]:
        now = self._world.clock.now()
        ready = [post for post in self._waiting if post.due <= now]
        return ready[: max(0, WORKERS - self._in_flight)]

    def _pack(self) -> None:
        """Make posts of the notifications that are due, once the first has waited for others."""
        now = self._world.clock.now()
        if any(due + GATHER <= now for due, _ in self._unsent):
            ready = [notification for due, notification in self._unsent if due <= now]
            self._unsent = [(due, notification) for due, notification in self._unsent if due > now]
            for post in pack(ready, self._world.knobs, self._random, now):
                self._take(post)
            self._changed.notify_all()  # for `idle`: dropped posts are finished

    def _take(self, post: NotificationPost) -> None:
        """Queue a new post: ten minutes later if its endpoint is slow, not at all if it drops."""
        self._log.append(post)
        state = self._endpoint(post.url).state(post.born)
        if state == "drop":
            post.outcome = "dropped"
            return
        if state == "slow":
            post.due += WINDOW
        self._waiting.append(post)

    def _endpoint(self, url: str) -> WebhookEndpoint:
        return self._endpoints.setdefault(url.partition("?")[0], WebhookEndpoint(self._timing))

    def _deliver(self, post: NotificationPost, generation: int) -> None:
        """Try once, in a thread of its own; a failed post is queued again."""
        try:
            status, seconds = self._post(post)
            with self._changed:
                if generation == self._generation:
                    self._settle(post, status, seconds)
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def _post(self, post: NotificationPost) -> tuple[int | None, float]:
        """Return the answer's status, None without one in time, and the seconds it took."""
        timeout = self._timing.retry if post.attempts else self._timing.first
        started = time.monotonic()
        try:
            reply = call_webhook(post.url, HEADERS, post.body(), timeout=timeout, ca=self._ca)
            status: int | None = reply.status
        except (TimeoutError, Unreachable):
            status = None
        seconds = time.monotonic() - started
        return (status if seconds < timeout else None), seconds

    def _settle(self, post: NotificationPost, status: int | None, seconds: float) -> None:
        now, base = self._world.clock.now(), self._world.knobs.delivery_retry_base
        post.attempts += 1
        post.status = status
        self._endpoint(post.url).note(now, seconds)
        post.due = now + timedelta(seconds=base * 2 ** (post.attempts - 1))
        if status is not None and 200 <= status < 300:
            post.outcome = "delivered"
        elif post.due > post.born + RETRY_FOR:
            post.outcome = "given up"
        else:
            post.outcome = "retrying"
            self._waiting.append(post)
