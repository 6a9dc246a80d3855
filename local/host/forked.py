"""Fork a host from a process that has imported the libraries already.

This only makes tests faster: most of a host's start is imports, and the end-to-end tests take about a
seventh longer without it. A forked host shares nothing else with its parent, and ends like any other process.
"""

import gc
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

from local.host.__main__ import main

# None of them reads the environment while it is imported; the app itself is imported after the fork.
LIBRARIES = [
    "local.host.__main__",
    "azure.data.tables",
    "azure.functions",
    "azure.storage.queue",
    "itsdangerous",
    "msal",
    "PIL.JpegImagePlugin",
    "requests",
]


class Forked:
    """Implement the part of `subprocess.Popen` that `HostProcess` needs, for a forked host.

    Args:
        arguments: of `python -m local.host`.
        cwd: its working directory.
        env: its whole environment.
    """

    def __init__(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(LIBRARIES)
        out, its_out = context.Pipe(duplex=False)
        err, its_err = context.Pipe(duplex=False)
        whole = (list(arguments), str(cwd), dict(env), its_out, its_err)
        self._process = context.Process(target=_become, args=whole, daemon=True)
        self._process.start()
        its_out.close()
        its_err.close()
        self.pid: int = self._process.pid or 0
        self.stdout, self.stderr = _text(out), _text(err)

    def poll(self) -> int | None:
        """Return the exit status, or `None` while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status; see `subprocess.Popen.wait`."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("local.host", timeout or 0.0)
        return self._process.exitcode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()


def _text(pipe: Connection) -> IO[str]:
    with pipe:
        return os.fdopen(os.dup(pipe.fileno()), encoding="utf-8", errors="replace")


def _become(arguments: list[str], cwd: str, env: dict[str, str], out: Connection, err: Connection) -> None:
    """Replace this process by `python -m local.host`."""
    gc.freeze()  # the libraries contain no garbage
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    out.close()
    err.close()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.exit(main(arguments))
