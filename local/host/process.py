"""Run the host as a child process, for tests and the demo.

with HostProcess.start(app_dir, {"AzureWebJobsStorage": storage.connection_string}) as host:
requests.get(f"{host.url}/api/status", headers={"x-functions-key": host.keys["default"]})
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from local.host.forked import Forked

ROOT = Path(__file__).resolve().parent.parent.parent

READY_SECONDS = 30
STOP_SECONDS = 40


class HostDiedError(Exception):
    """The host ended or timed out before it was ready; the message is its log."""


class HostProcess:
    """One process of `python -m local.host`, made by `start`; a context manager that stops it."""

    def __init__(self, process: "subprocess.Popen[str] | Forked") -> None:
        self._process = process
        self._lines: list[str] = []
        self._ready: dict[str, Any] = {}
        self._answered = threading.Event()
        self._readers = [
            threading.Thread(target=self._read_log, args=(process.stderr,), name="host-log", daemon=True),
            threading.Thread(
                target=self._read_ready_line, args=(process.stdout,), name="host-ready", daemon=True
            ),
        ]
        for each in self._readers:
            each.start()

    @classmethod
    def start(
        cls,
        app_dir: Path,
        env: Mapping[str, str],
        *,
        port: int = 0,
        tls: tuple[Path, Path] | None = None,
        message_lease: int | None = None,
        drain: float | None = None,
        keys: Mapping[str, str] | None = None,
        forked: bool = False,
    ) -> Self:
        """Start the host and wait until it is ready.

        Args:
            app_dir: the directory of `function_app.py` and host.json.
            env: settings that take precedence over this process's environment.
            port: 0 means any free port.
            tls: certificate and key, PEM files.
            message_lease: in seconds.
            drain: in seconds.
            keys: fixed instead of random: `master`, `default`, or a function's name.
            forked: see `forked`.

        Raises:
            HostDiedError: the host ended before it was ready, or took longer than 30 s.
        """
        options = {"app": app_dir.resolve(), "port": port, "message-lease": message_lease, "drain": drain}
        arguments = _make_arguments(options, tls, keys or {})
        host = cls((Forked if forked else _spawn)(arguments, ROOT, {**os.environ, **env}))
        host._wait_until_ready()
        return host

    @property
    def url(self) -> str:
        """The base URL: scheme, address and port, without a path."""
        return str(self._ready["url"])

    @property
    def keys(self) -> dict[str, str]:
        """The host key `default` and the `master` key."""
        return dict(self._ready["keys"])

    @property
    def function_keys(self) -> dict[str, str]:
        """The key of each function."""
        return dict(self._ready["function_keys"])

    @property
    def log(self) -> str:
        """The log so far."""
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status (negative: the signal that ended it), or `None` while it runs."""
        return self._process.poll()

    def wait(self, seconds: float) -> int:
        """Wait for the end and return the exit status.

        Raises:
            subprocess.TimeoutExpired: the host still runs.
        """
        status = self._process.wait(seconds)
        for each in self._readers:
            each.join(STOP_SECONDS)
        return status

    def stop(self) -> int:
        """Let it drain and end (SIGTERM); return the exit status. A second call has no effect."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End it at once, like a crash (SIGKILL)."""
        self._process.kill()
        return self.wait(STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_until_ready(self) -> None:
        answered = self._answered.wait(READY_SECONDS)
        if self._ready:
            return
        status = self.stop() if answered else self.kill()
        raise HostDiedError(f"the host was not ready (exit status {status}):\n{self.log}")

    def _read_log(self, stream: IO[str]) -> None:
        with stream:
            self._lines.extend(stream)

    def _read_ready_line(self, stream: IO[str]) -> None:
        with stream:
            line = stream.readline()
            self._ready = json.loads(line) if line else {}
            if not line:
                self._process.wait()
            self._answered.set()
            stream.read()


def _make_arguments(
    options: Mapping[str, object], tls: tuple[Path, Path] | None, keys: Mapping[str, str]
) -> list[str]:
    arguments = [f"--{name}={value}" for name, value in options.items() if value is not None]
    arguments += ["--tls", *map(str, tls)] if tls else []
    return arguments + [f"--key={name}={value}" for name, value in keys.items()]


def _spawn(arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603 - this project's program and arguments
        [sys.executable, "-m", "local.host", *arguments],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
