"""Log to standard error: the host's records and the app's, each with its invocation id.

Levels follow host.json's `logging.logLevel`, whose categories are Azure's: `Function.<name>` for the record
about an invocation, `Function.<name>.User` for what the app logs in it, `Host.*` for the host.
learn.microsoft.com/azure/azure-functions/configure-monitoring#configure-categories
"""

import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

import azure_functions_runtime as runtime

from local.host.calls.invocations import RunningCalls

LEVELS = {
    "trace": logging.NOTSET,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}
HOST_CATEGORIES = ("Host.", "Function.")
# Loggers of the worker, and of the libraries that this host (not the app) uses for storage.
QUIET_OUTSIDE_CALLS = ("azure", "azure_functions_runtime", "urllib3", "asyncio")
WORKER_LOGGER = "azure.functions"


class LineFormatter(logging.Formatter):
    """Format a record as one line: time, level, function and invocation id, text; then a traceback."""

    def __init__(self, running: RunningCalls) -> None:
        super().__init__()
        self._running = running

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        invocation = runtime.invocation_id_cv.get()
        name = self._running.name(invocation)
        where = f"[{name} {invocation}] " if name else ""
        text = f"{moment} {record.levelname:<8} {where}{record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class LevelFilter(logging.Filter):
    """Keep the records that host.json's `logLevel` asks for."""

    def __init__(self, levels: Mapping[str, str], running: RunningCalls) -> None:
        super().__init__()
        self._levels = {name.lower(): LEVELS[level.lower()] for name, level in levels.items()}
        self._running = running

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is kept."""
        if record.name.startswith(HOST_CATEGORIES):
            return record.levelno >= self._level(record.name)
        name = self._running.name(runtime.invocation_id_cv.get())
        if record.name == WORKER_LOGGER or (
            name is None and record.name.split(".")[0] in QUIET_OUTSIDE_CALLS
        ):
            return record.levelno >= logging.WARNING
        return record.levelno >= self._level(f"Function.{name}.User" if name else "Host")

    def _level(self, category: str) -> int:
        """Return the level of the longest configured prefix of a category."""
        parts = category.lower().split(".")
        for end in range(len(parts), 0, -1):
            prefix = ".".join(parts[:end])
            if prefix in self._levels:
                return self._levels[prefix]
        return self._levels.get("default", logging.INFO)


def configure(levels: Mapping[str, str], running: RunningCalls) -> None:
    """Send every log record of this process to standard error. Call it before the app is imported.

    As in Azure, the root logger keeps INFO, or DEBUG with `PYTHON_ENABLE_DEBUG_LOGGING`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(running))
    handler.addFilter(LevelFilter(levels, running))
    debug = os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING", "").strip().lower() in (
        "1",
        "true",
        "t",
        "yes",
        "y",
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)
