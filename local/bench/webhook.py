"""`make bench-webhook`: Graph at its highest rate, with POSTs to the real host through TLS, and Azurite.

A benchmark, not a test. It prints how long Graph waits for answers at 50 POSTs of 100 notifications a second,
and whether every named user is checked afterwards. Exit status 1: the target is missed, or a user is not
checked.
"""

import argparse
import http.client
import json
import math
import os
import random
import re
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import batched
from urllib.parse import urlsplit

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from local.bench.machine import cpu_printed, settle_all_users
from local.stage import Stage

TARGET = 100  # milliseconds, of the 99th percentile
USERS_A_MESSAGE = 20  # as many as one Graph $batch takes
CONNECTIONS = 16  # Graph has many; with more late answers than this, a POST has to wait for a connection
TIMEOUT = 30.0  # seconds; Graph gives up after ten
PATIENCE = 900.0  # seconds; longer than all checks take
POLL = 0.5  # seconds
OFF = {f"AzureWebJobs.{name}.Disabled": "true" for name in ("check_photos", "sweep_users", "start_sweep")}
ON = {"AzureWebJobs.check_photos.Disabled": "false"}
LATER = {"RECHECK_AFTER": "PT1H,PT2H"}  # no second check within the benchmark
ASKED = re.compile(r"/users/([0-9a-f-]{36})/photo")


@dataclass(frozen=True, slots=True)
class PostResult:
    """The result of a POST: the HTTP status or the name of the error; `seconds` since the POST was due."""

    status: int | str
    seconds: float


def main() -> int:
    """Post for half a minute, then check the users; print the figures."""
    parser = argparse.ArgumentParser(prog="make bench-webhook", description=__doc__.partition("\n")[0])
    for name, default, what in (
        ("--rate", 50, "POSTs a second"),
        ("--seconds", 30, "how long to post"),
        ("--notifications", 100, "in a POST"),
        ("--users", 2000, "how many users the notifications name"),
    ):
        parser.add_argument(name, type=int, default=default, help=f"{what} ({default})")
    options = parser.parse_args()
    with Stage(settings={**OFF, **LATER}) as stage:
        users = stage.people.add(count=options.users, photo="shared")
        settle_all_users(stage)
        named = assign_users(users, options.rate * options.seconds, options.notifications)
        answers = _send_posts(stage, named, options.rate)
        held = [_in_time(answers), _all_queued(stage, named), _all_checked(stage, named)]
    print("The target is met." if all(held) else "THE TARGET IS MISSED.")
    return 0 if all(held) else 1


def assign_users(users: Sequence[str], posts: int, notifications: int) -> list[tuple[str, ...]]:
    """Return the users of each POST: all users once, in random order, then all users again."""
    drawn: list[tuple[str, ...]] = []
    randomness = random.Random(1)  # noqa: S311 - not for secrets, and the same in every run
    while len(drawn) < posts:
        drawn += batched(randomness.sample(users, len(users)), notifications, strict=False)
    return drawn[:posts]


class PostLoad:
    """Send POSTs to `url` at fixed times, `rate` a second, whether or not the ones before are answered."""

    def __init__(self, url: str, trust: ssl.SSLContext, bodies: Sequence[bytes], rate: float) -> None:
        self._url = urlsplit(url)
        self._trust = trust
        self._due = enumerate(bodies)  # shared by all threads: next() is atomic
        self._rate = rate
        self._began = 0.0
        self._start = threading.Barrier(CONNECTIONS, action=self._begin)
        self._answers: list[PostResult] = []

    def run(self) -> list[PostResult]:
        """Send all POSTs and return their results."""
        threads = [threading.Thread(target=self._send, name=f"graph-{n}") for n in range(CONNECTIONS)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return self._answers

    def _begin(self) -> None:
        self._began = time.monotonic()

    def _send(self) -> None:
        host, port = self._url.hostname or "", self._url.port
        with closing(http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=self._trust)) as client:
            client.connect()
            self._start.wait()
            for number, body in self._due:
                due = self._began + number / self._rate
                time.sleep(max(0.0, due - time.monotonic()))
                status = self._post(client, body)
                self._answers.append(PostResult(status, time.monotonic() - due))

    def _post(self, client: http.client.HTTPSConnection, body: bytes) -> int | str:
        try:
            client.request("POST", self._url.path, body, {"Content-Type": "application/json"})
            with client.getresponse() as answer:
                answer.read()
                return answer.status
        except (OSError, http.client.HTTPException) as error:
            client.close()  # the next request connects again
            return type(error).__name__


def _send_posts(stage: Stage, named: Sequence[Sequence[str]], rate: int) -> list[PostResult]:
    """Send the POSTs and return their results; print the CPU time."""
    subscription, graph = stage.subscribe().json()["subscription"], stage.tenant.graph
    items = {user: graph.notification(subscription, user) for some in named for user in some}
    bodies = [json.dumps({"value": [items[user] for user in some]}).encode() for some in named]
    trust = ssl.create_default_context(cafile=str(stage.tenant.ca))
    load = PostLoad(f"{stage.url}/api/notifications", trust, bodies, rate)
    print(
        f"{len(bodies)} POSTs of {len(named[0])} notifications about {len(items)} users, {rate} a second; "
        f"the machine's load before it was {os.getloadavg()[0]:.2f}",
        flush=True,
    )
    with cpu_printed(stage, [stage.host.pid] if stage.host else []):
        return load.run()


def _in_time(answers: Sequence[PostResult]) -> bool:
    """Print how the POSTs were answered, and return whether the target is met."""
    statuses = Counter(answer.status for answer in answers)
    times = sorted(answer.seconds * 1000 for answer in answers)
    figures = ", ".join(f"p{per_cent} {percentile(times, per_cent):.0f}" for per_cent in (50, 95, 99))
    print(f"  answers: {', '.join(f'{count} x {status}' for status, count in statuses.items())}")
    print(f"  answer time in ms: {figures}, max {times[-1]:.0f}; p99 should be {TARGET:.0f} at most")
    return statuses.keys() == {202} and percentile(times, 99) <= TARGET


def _all_queued(stage: Stage, named: Sequence[Sequence[str]]) -> bool:
    """Print how many messages are queued, and return whether there is one for each 20 users of a POST."""
    expected = sum(math.ceil(len(some) / USERS_A_MESSAGE) for some in named)
    queued = _waiting(stage)
    print(f"  messages in the queue: {queued} of {expected}", flush=True)
    return queued == expected


def percentile(ordered: Sequence[float], per_cent: int) -> float:
    """Return the smallest value that is not exceeded by this percentage of the values."""
    return ordered[max(0, math.ceil(len(ordered) * per_cent / 100) - 1)]


def _all_checked(stage: Stage, named: Sequence[Sequence[str]]) -> bool:
    """Run the checks, print when the last user was checked, and return whether all users were."""
    stage.stop_host()
    last = stage.people.clear_history()
    stage.start_host(**ON)
    began = time.monotonic()
    expected = {user for some in named for user in some}
    missing = set(expected)
    while missing and time.monotonic() - began < PATIENCE:
        time.sleep(POLL)
        for request in stage.people.history(service="graph", since=last):
            last = request["number"]
            missing -= {user for _, url, _ in request["parts"] for user in ASKED.findall(url)}
    checked = len(expected) - len(missing)
    print(f"  users checked: {checked} of {len(expected)}, after {time.monotonic() - began:.1f} s")
    return not missing


def _waiting(stage: Stage) -> int:
    """Return how many messages are in the queue of checks."""
    with QueueClient.from_connection_string(stage.storage.connection_string, "photo-checks") as queue:
        try:
            return queue.get_queue_properties().approximate_message_count or 0
        except ResourceNotFoundError:
            return 0  # no message was ever sent to it


if __name__ == "__main__":
    sys.exit(main())
