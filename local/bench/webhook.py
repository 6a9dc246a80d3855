"""`make bench-webhook`: Graph at its busiest, posting to the real host through TLS, with Azurite behind it.

A benchmark, not a test. It says how long Graph waits for its answers while 50 POSTs of 100 notifications
come every second, and whether every user whom they named was checked afterwards. Exit status 1: the target
was missed, or somebody was lost.
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

from local.bench.machine import cpu_seconds, settle_everybody
from local.stage import Stage

TARGET = 100  # milliseconds, of the 99th percentile
USERS_A_MESSAGE = 20  # as many as one Graph $batch takes
CONNECTIONS = 16  # Graph has many; so many answers may be late before a POST has to wait for its turn
TIMEOUT = 30.0  # seconds; Graph gives up after ten
PATIENCE = 900.0  # seconds; longer than all checks take
POLL = 0.5  # seconds
OFF = {f"AzureWebJobs.{name}.Disabled": "true" for name in ("check_photos", "sweep_users", "start_sweep")}
ON = {"AzureWebJobs.check_photos.Disabled": "false"}
LATER = {"RECHECK_AFTER": "PT1H,PT2H"}  # no second look within the benchmark
ASKED = re.compile(r"/users/([0-9a-f-]{36})/photo")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a POST: HTTP's status, or why there was none; `seconds` since the POST was due."""

    status: int | str
    seconds: float


def main() -> int:
    """Post for half a minute, then let the users be checked; print the figures."""
    parser = argparse.ArgumentParser(prog="make bench-webhook", description=__doc__.partition("\n")[0])
    for name, default, what in (
        ("--rate", 50, "POSTs a second"),
        ("--seconds", 30, "how long they come"),
        ("--notifications", 100, "in a POST"),
        ("--users", 2000, "whom they name"),
    ):
        parser.add_argument(name, type=int, default=default, help=f"{what} ({default})")
    options = parser.parse_args()
    with Stage(settings={**OFF, **LATER}) as stage:
        users = stage.people.add(count=options.users, photo="shared")
        settle_everybody(stage)
        named = draw(users, options.rate * options.seconds, options.notifications)
        answers = _fire(stage, named, options.rate)
        held = [_in_time(answers), _all_queued(stage, named), _all_checked(stage, named)]
    print("The target is met." if all(held) else "THE TARGET IS MISSED.")
    return 0 if all(held) else 1


def draw(users: Sequence[str], posts: int, notifications: int) -> list[tuple[str, ...]]:
    """Return whom each POST names: everybody once, in random order, then everybody again."""
    drawn: list[tuple[str, ...]] = []
    chance = random.Random(1)  # noqa: S311 - not for secrets, and the same in every run
    while len(drawn) < posts:
        drawn += batched(chance.sample(users, len(users)), notifications, strict=False)
    return drawn[:posts]


class Load:
    """POSTs that come at fixed moments, whether or not the ones before are answered.

    Args:
        url: where to.
        trust: the authority that vouches for the host.
        bodies: one a POST.
        rate: POSTs a second.
    """

    def __init__(self, url: str, trust: ssl.SSLContext, bodies: Sequence[bytes], rate: float) -> None:
        self._url = urlsplit(url)
        self._trust = trust
        self._due = enumerate(bodies)  # shared by all threads: next() is atomic
        self._rate = rate
        self._began = 0.0
        self._start = threading.Barrier(CONNECTIONS, action=self._begin)
        self._answers: list[Answer] = []

    def run(self) -> list[Answer]:
        """Send them all, and return what came of each."""
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
                self._answers.append(Answer(status, time.monotonic() - due))

    def _post(self, client: http.client.HTTPSConnection, body: bytes) -> int | str:
        try:
            client.request("POST", self._url.path, body, {"Content-Type": "application/json"})
            with client.getresponse() as answer:
                answer.read()
                return answer.status
        except (OSError, http.client.HTTPException) as error:
            client.close()  # the next request connects again
            return type(error).__name__


def _fire(stage: Stage, named: Sequence[Sequence[str]], rate: int) -> list[Answer]:
    """Send the POSTs and return what came of them; print what that cost."""
    subscription, graph = stage.subscribe().json()["subscription"], stage.tenant.graph
    items = {user: graph.notification(subscription, user) for some in named for user in some}
    bodies = [json.dumps({"value": [items[user] for user in some]}).encode() for some in named]
    trust = ssl.create_default_context(cafile=str(stage.tenant.ca))
    load = Load(f"{stage.url}/api/notifications", trust, bodies, rate)
    print(
        f"{len(bodies)} POSTs of {len(named[0])} notifications about {len(items)} users, {rate} a second; "
        f"the machine's load before it was {os.getloadavg()[0]:.2f}",
        flush=True,
    )
    worked = _work(stage)
    answers = load.run()
    worked = {name: seconds - worked[name] for name, seconds in _work(stage).items()}
    print("  seconds of CPU: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in worked.items()))
    return answers


def _in_time(answers: Sequence[Answer]) -> bool:
    """Print how the POSTs were answered, and return whether that is as it should be."""
    statuses = Counter(answer.status for answer in answers)
    times = sorted(answer.seconds * 1000 for answer in answers)
    figures = ", ".join(f"p{per_cent} {percentile(times, per_cent):.0f}" for per_cent in (50, 95, 99))
    print(f"  answers: {', '.join(f'{count} x {status}' for status, count in statuses.items())}")
    print(f"  answer time in ms: {figures}, max {times[-1]:.0f}; p99 should be {TARGET:.0f} at most")
    return statuses.keys() == {202} and percentile(times, 99) <= TARGET


def _all_queued(stage: Stage, named: Sequence[Sequence[str]]) -> bool:
    """Print how many messages were queued, and return whether that is one for each 20 users of a POST."""
    expected = sum(math.ceil(len(some) / USERS_A_MESSAGE) for some in named)
    queued = _waiting(stage)
    print(f"  messages in the queue: {queued} of {expected}", flush=True)
    return queued == expected


def percentile(ordered: Sequence[float], per_cent: int) -> float:
    """Return the smallest value that so many per cent of the others do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * per_cent / 100) - 1)]


def _all_checked(stage: Stage, named: Sequence[Sequence[str]]) -> bool:
    """Let the checks be made, print when the last user was checked, and return whether that came about."""
    stage.stop_host()
    last = stage.people.clear_history()
    stage.start_host(**ON)
    began = time.monotonic()
    everybody = {user for some in named for user in some}
    missing = set(everybody)
    while missing and time.monotonic() - began < PATIENCE:
        time.sleep(POLL)
        for request in stage.people.history(service="graph", since=last):
            last = request["number"]
            missing -= {user for _, url, _ in request["parts"] for user in ASKED.findall(url)}
    checked = len(everybody) - len(missing)
    print(f"  users checked: {checked} of {len(everybody)}, after {time.monotonic() - began:.1f} s")
    return not missing


def _waiting(stage: Stage) -> int:
    """Return how many messages wait for the checks."""
    with QueueClient.from_connection_string(stage.storage.connection_string, "photo-checks") as queue:
        try:
            return queue.get_queue_properties().approximate_message_count or 0
        except ResourceNotFoundError:
            return 0  # nothing was ever put into it


def _work(stage: Stage) -> dict[str, float]:
    host = cpu_seconds(stage.host.pid) if stage.host else 0.0
    return {"host": host, "Azurite": cpu_seconds(stage.storage.pid), "Graph": time.process_time()}


if __name__ == "__main__":
    sys.exit(main())
