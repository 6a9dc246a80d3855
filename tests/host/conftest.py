"""What the tests of the local host share: one host with the app of apps/main, and patience."""

import base64
import datetime as dt
import ipaddress
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueServiceClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from local.azurite import Azurite
from local.host.process import HostProcess

APP = Path(__file__).parent / "apps" / "main"
PATIENCE_SECONDS = 15

type Eventually = Callable[[Callable[[], Any]], Any]


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """Ask again until the answer is truthy, and give it; fail with the last answer when patience ends."""

    def wait(ask: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (seen := ask()):
            assert time.monotonic() < deadline, f"after {PATIENCE_SECONDS} s still {seen!r}"
            time.sleep(0.02)
        return seen

    return wait


class Notes:
    """What the app of apps/main noted, from a file it appends to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def of(self, kind: str, containing: str = "") -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]
        return [each for each in found if each["kind"] == kind and containing in json.dumps(each)]


@pytest.fixture(scope="session")
def take_notes() -> type[Notes]:
    """Read the notes of an app from a file."""
    return Notes


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    """Notes of a host of this test's own."""
    return Notes(tmp_path / "notes")


@pytest.fixture(scope="session")
def app_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of apps/main with a local.settings.json, which git is told to ignore."""
    copy = tmp_path_factory.mktemp("app") / "main"
    shutil.copytree(APP, copy)
    values = {"FROM_FILE": "yes", "JOBS": "the-environment-wins", "YEARLY": "0 0 0 1 1 *"}
    (copy / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Values": values}))
    return copy


@pytest.fixture
def environment(azurite: Azurite, notes: Notes, request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings for a host of this test's own, with a queue of its own."""
    queue = (
        "".join(each if each.isalnum() else "-" for each in request.node.originalname)
        .strip("-")[-40:]
        .strip("-")
    )
    return {"AzureWebJobsStorage": azurite.connection_string, "JOBS": queue, "NOTES": str(notes.path)}


@pytest.fixture
def start(app_dir: Path, environment: dict[str, str]) -> Iterator[Callable[..., HostProcess]]:
    """Start hosts of this test's own, up soon for they are forked; all are stopped at its end."""
    started: list[HostProcess] = []

    def start(directory: Path = app_dir, env: dict[str, str] | None = None, **options: Any) -> HostProcess:
        started.append(HostProcess.start(directory, {**environment, **(env or {})}, forked=True, **options))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture(scope="session")
def shared_notes(tmp_path_factory: pytest.TempPathFactory) -> Notes:
    return Notes(tmp_path_factory.mktemp("notes") / "notes")


@pytest.fixture(scope="package")  # not longer: even an idle host looks for messages
def host(azurite: Azurite, app_dir: Path, shared_notes: Notes) -> Iterator[HostProcess]:
    """One host for every test that neither stops nor disturbs it."""
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
    """A session that knows the shared host's address."""

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
    """Put a message into a queue, base64 as host.json says."""

    def send(queue: str, body: str) -> None:
        with queues.get_queue_client(queue) as client:
            client.send_message(base64.b64encode(body.encode()).decode())

    return send


@pytest.fixture
def read(queues):
    """Peek at what lies in a queue, decoded; nothing if there is no such queue."""

    def read(queue: str) -> list[str]:
        with queues.get_queue_client(queue) as client:
            try:
                return [base64.b64decode(each.content).decode() for each in client.peek_messages(32)]
            except ResourceNotFoundError:
                return []

    return read


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "local host")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now, now.replace(year=now.year + 1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), loopback]), critical=False)
        .sign(key, hashes.SHA256())
    )
    directory = tmp_path_factory.mktemp("tls")
    (directory / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    pem = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (directory / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *pem))
    return directory / "cert.pem", directory / "key.pem"
