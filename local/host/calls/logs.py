"""What is written to standard error: the host's lines, and the app's own, each with its invocation.

Levels follow host.json's `logging.logLevel`, whose categories are Azure's: `Function.<name>` for the line
about an invocation, `Function.<name>.User` for what the app logs in it, `Host.*` for the host.
learn.microsoft.com/azure/azure-functions/configure-monitoring#configure-categories
"""

import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

import azure_functions_runtime as runtime

from local.host.calls.invocations import Running

LEVELS = {
    "trace": logging.NOTSET,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}
OWN = ("Host.", "Function.")
# The worker's own chatter, and that of the libraries through which this host (not the app) speaks to storage.
QUIET_OUTSIDE_CALLS = ("azure", "azure_functions_runtime", "urllib3", "asyncio")
WORKER = "azure.functions"


class Lines(logging.Formatter):
    """Formats a record as one line: moment, level, function and invocation, text; then a traceback."""

    def __init__(self, running: Running) -> None:
        super().__init__()
        self._running = running

    def format(self, record: logging.LogRecord) -> str:
        """Make the text of a record."""
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        invocation = runtime.invocation_id_cv.get()
        name = self._running.name(invocation)
        where = f"[{name} {invocation}] " if name else ""
        text = f"{moment} {record.levelname:<8} {where}{record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class Categories(logging.Filter):
    """Lets through what host.json's `logLevel` lets through."""

    def __init__(self, levels: Mapping[str, str], running: Running) -> None:
        super().__init__()
        self._levels = {name.lower(): LEVELS[level.lower()] for name, level in levels.items()}
        self._running = running

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide on one record."""
        if record.name.startswith(OWN):
            return record.levelno >= self._level(record.name)
        name = self._running.name(runtime.invocation_id_cv.get())
        if record.name == WORKER or (name is None and record.name.split(".")[0] in QUIET_OUTSIDE_CALLS):
            return record.levelno >= logging.WARNING
        return record.levelno >= self._level(f"Function.{name}.User" if name else "Host")

    def _level(self, category: str) -> int:
        """Find the level of the longest configured prefix of a category."""
        parts = category.lower().split(".")
        for end in range(len(parts), 0, -1):
            prefix = ".".join(parts[:end])
            if prefix in self._levels:
                return self._levels[prefix]
        return self._levels.get("default", logging.INFO)


def configure(levels: Mapping[str, str], running: Running) -> None:
    """Send every log record of this process to standard error. To be called before the app is imported.

    The root logger lets INFO through as in Azure, or DEBUG with `PYTHON_ENABLE_DEBUG_LOGGING`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(running))
    handler.addFilter(Categories(levels, running))
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
