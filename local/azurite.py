"""Run Azurite, the storage emulator, as a child process on free ports of 127.0.0.1.

    with Azurite() as storage:
        QueueServiceClient.from_connection_string(storage.connection_string)

It is started with node directly, not through npx, so that it receives signals and leaves no process behind.
"""

import re
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Self

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
SERVICES = ("blob", "queue", "table")
ACCESS = re.compile(r'\] "(?P<method>[A-Z]+) (?P<path>\S+) HTTP/1\.1" \d{3} ')  # a line of its access log

# The emulator's published account and key, the same on every machine:
# learn.microsoft.com/azure/storage/common/storage-use-azurite#well-known-storage-account-and-key
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

type OnRequest = Callable[[str, str], object]

START_SECONDS = 30
STOP_SECONDS = 10
PORT_TRIES = 5


class AzuriteError(Exception):
    """Azurite is not installed or did not start; the message contains its output."""


class Azurite:
    """One storage account with blobs, queues and tables.

    Args:
        location: a directory for the data; without it, the data is in memory and ends with the process.
        program: Azurite's main file.
        on_request: called with each request's method and path, as in Azurite's access log.
    """

    def __init__(
        self,
        location: Path | None = None,
        program: Path = PROGRAM,
        on_request: OnRequest | None = None,
    ) -> None:
        self._location = location
        self._program = program
        self._on_request = on_request
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[str] | None = None
        self._output = _AzuriteOutput()

    @property
    def connection_string(self) -> str:
        """The account's connection string, with all three endpoints. A restart does not change it."""
        endpoints = ";".join(
            f"{service.capitalize()}Endpoint=http://127.0.0.1:{self._ports[service]}/{ACCOUNT}"
            for service in SERVICES
        )
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{endpoints};"

    @property
    def pid(self) -> int:
        """The process id."""
        if self._process is None:
            raise AzuriteError("Azurite is not running")
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until all three ports answer; on the ports of the last start, if any.

        Raises:
            AzuriteError: it is not installed, or not ready in time.
        """
        if not self._program.exists():
            raise AzuriteError(f"Azurite is not installed (no {self._program}): run `npm ci` in {ROOT}.")
        if self._ports:
            self._start_on(self._ports)
            return
        for tries_left in reversed(range(PORT_TRIES)):
            ports = _free_ports()
            try:
                self._start_on(ports)
            except AzuriteError:
                # Another process can take a port between the search for free ports and Azurite's bind.
                if not tries_left:
                    raise
            else:
                self._ports = ports
                return

    def stop(self) -> None:
        """Stop and wait; with a `location`, the data is on disk then. A second call has no effect."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()
        self._process = None

    def _start_on(self, ports: dict[str, int]) -> None:
        process = subprocess.Popen(  # noqa: S603 - this project's program and arguments
            [  # noqa: S607 - the node on the developer's path
                "node",
                str(self._program),
                *([] if self._on_request else ["--silent"]),  # this option disables the access log
                "--disableTelemetry",
                "--skipApiVersionCheck",  # current SDKs request newer API versions than Azurite lists
                *(["--location", str(self._location)] if self._location else ["--inMemoryPersistence"]),
                *(arg for name, port in ports.items() for arg in (f"--{name}Port", str(port))),
            ],
            cwd=tempfile.gettempdir(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._process, self._output = process, _AzuriteOutput(process.stdout, self._on_request)
        try:
            self._wait_until_ready(process, ports)
        except AzuriteError:
            self.stop()
            raise

    def _wait_until_ready(self, process: subprocess.Popen[str], ports: dict[str, int]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not (self._output.text.count("successfully listening") == len(ports) and _all_accept(ports)):
            if process.poll() is not None:
                self._output.join()
                raise AzuriteError(f"Azurite ended with {process.returncode}: {self._output.text}")
            if time.monotonic() > deadline:
                raise AzuriteError(f"Azurite was not ready after {START_SECONDS} s: {self._output.text}")
            time.sleep(0.02)


class _AzuriteOutput:
    """Read a child's output at once, so that the child never blocks on a full pipe."""

    def __init__(self, stream: IO[str] | None = None, on_request: OnRequest | None = None) -> None:
        self._stream = stream
        self._on_request = on_request
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, name="azurite-output", daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        return "".join(self._lines)

    def join(self) -> None:
        self._reader.join(STOP_SECONDS)

    def close(self) -> None:
        self.join()
        if self._stream:
            self._stream.close()

    def _read(self) -> None:
        for line in self._stream or ():
            request = ACCESS.search(line) if self._on_request else None
            if request and self._on_request:
                self._on_request(request["method"], request["path"])
            else:
                self._lines.append(line)


def _free_ports() -> dict[str, int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in SERVICES]
    try:
        return {service: each.getsockname()[1] for service, each in zip(SERVICES, sockets, strict=True)}
    finally:
        for each in sockets:
            each.close()


def _all_accept(ports: dict[str, int]) -> bool:
    try:
        for port in ports.values():
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
