"""Fixtures of the local host's tests: one host with the app of apps/main, and waiting with a deadline."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite
from local.host.process import ROOT, HostProcess
from local.tenant.net.certificates import Certificates

APP = Path(__file__).parent / "apps" / "main"
WAIT_SECONDS = 15

type Eventually = Callable[[Callable[[], Any]], Any]


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """Repeat a question until the answer is truthy, and return it; fail with the last answer after 15 s."""

    def wait(ask: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + WAIT_SECONDS
        while not (seen := ask()):
            assert time.monotonic() < deadline, f"after {WAIT_SECONDS} s still {seen!r}"
            time.sleep(0.02)
        return seen

    return wait


class Notes:
    """The notes of the app of apps/main, from the file that it appends to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def of(self, kind: str, containing: str = "") -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]
        return [each for each in found if each["kind"] == kind and containing in json.dumps(each)]


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    """The notes of this test's own host."""
    return Notes(tmp_path / "notes")


@pytest.fixture(scope="session")
def app_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of apps/main with a local.settings.json, which git ignores."""
    copy = tmp_path_factory.mktemp("app") / "main"
    shutil.copytree(APP, copy)
    values = {"FROM_FILE": "yes", "JOBS": "the-environment-wins", "YEARLY": "0 0 0 1 1 *"}
    (copy / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Values": values}))
    return copy


@pytest.fixture
def environment(azurite: Azurite, notes: Notes, request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings of this test's own host, with its own queue."""
    queue = re.sub("[^a-z0-9]", "-", request.node.originalname)[-40:].strip("-")
    return {"AzureWebJobsStorage": azurite.connection_string, "JOBS": queue, "NOTES": str(notes.path)}


@pytest.fixture
def start(app_dir: Path, environment: dict[str, str]) -> Iterator[Callable[..., HostProcess]]:
    """Start hosts of this test; all are stopped at its end."""
    started: list[HostProcess] = []

    def start(directory: Path = app_dir, env: dict[str, str] | None = None, **options: Any) -> HostProcess:
        started.append(HostProcess.start(directory, {**environment, **(env or {})}, forked=True, **options))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def run_host() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python -m local.host` with arguments until it ends."""

    def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "local.host", *arguments]
        whole = {**os.environ, **(env or {})}
        return subprocess.run(
            command, cwd=ROOT, env=whole, capture_output=True, text=True, timeout=60, check=False
        )

    return run


@pytest.fixture(scope="session")
def shared_notes(tmp_path_factory: pytest.TempPathFactory) -> Notes:
    return Notes(tmp_path_factory.mktemp("notes") / "notes")


@pytest.fixture(scope="package")  # not longer, because even an idle host polls
def host(azurite: Azurite, app_dir: Path, shared_notes: Notes) -> Iterator[HostProcess]:
    """One host for all tests that do not stop it or change its state."""
    env = {
        "AzureWebJobsStorage": azurite.connection_string,
        "JOBS": "Shared-Jobs",
        "NOTES": str(shared_notes.path),
        "AzureWebJobs.switched_off.Disabled": "true",
        "AzureWebJobs.silent.Disabled": "1",
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "100000",
    }
    with HostProcess.start(app_dir, env, forked=True) as running:
        yield running


@pytest.fixture
def web(host: HostProcess) -> Iterator[requests.Session]:
    """A session with the shared host's address."""

    class Session(requests.Session):
        def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
            return super().request(method, host.url + url, **options)

    with Session() as session:
        yield session


@pytest.fixture
def queues(azurite: Azurite) -> Iterator[QueueServiceClient]:
    with QueueServiceClient.from_connection_string(azurite.connection_string) as client:
        yield client


@pytest.fixture
def send(queues):
    """Send a message to a queue, in base64 as in host.json."""

    def send(queue: str, body: str) -> None:
        with queues.get_queue_client(queue) as client:
            client.send_message(base64.b64encode(body.encode()).decode())

    return send


@pytest.fixture
def read(queues):
    """Peek at the messages of a queue, decoded; [] if the queue does not exist."""

    def read(queue: str) -> list[str]:
        with queues.get_queue_client(queue) as client:
            try:
                return [base64.b64decode(each.content).decode() for each in client.peek_messages(32)]
            except ResourceNotFoundError:
                return []

    return read


@pytest.fixture(scope="session")
def certificates() -> Iterator[Certificates]:
    """A certificate for 127.0.0.1, and the authority that has issued it."""
    certificates = Certificates([])
    yield certificates
    certificates.remove()
