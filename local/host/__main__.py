"""Run an Azure Functions app on this machine: `python -m local.host`."""

import argparse
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Literal, TextIO

from local.host.app.functions import HttpTrigger, QueueTrigger
from local.host.app.settings import FILE
from local.host.host import Host
from local.host.http.endpoints import list_endpoints
from local.host.http.keys import FunctionKeys
from local.host.http.server import BODY_LIMIT, Server
from local.host.loading import LoadedApp, load
from local.host.queues.leases import LEASE_SECONDS

logger = logging.getLogger("Host.General")

DRAIN_SECONDS = 30
# After a timeout: enough for the call's 500 to reach its caller, or its message to return to the queue.
FLUSH_SECONDS = 1
EXIT_TIMEOUT = 3
LONGEST_WAIT_SECONDS = 1.0

type StopReason = Literal["signal", "timeout"]


def main(arguments: list[str] | None = None) -> int:
    """Run the host, or check the app; return the exit status."""
    options = _parse(arguments)
    out = _take_stdout()
    app_dir = options.app.resolve()
    if options.check:
        return _check(load(app_dir, options.settings, lambda: "localhost"), out)
    try:
        server = Server(options.port, tuple(options.tls) if options.tls else None)
    except OSError as error:
        _print_problems([f"cannot listen on port {options.port}, or cannot read the certificate: {error}"])
        return 1
    app = load(app_dir, options.settings, lambda: server.host)
    if app.problems:
        _print_problems(app.problems)
        server.stop()
        return 1
    return _run(app, server, options, out)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.host",
        description="Runs an Azure Functions app on this machine, on the worker library that Azure runs. "
        "Prints one JSON line when ready; logs to standard error; ends on SIGTERM or SIGINT after a drain.",
        epilog="Exit status: 0 drained; 1 the app has problems, or the drain took too long; "
        f"{EXIT_TIMEOUT} a function outlasted host.json's functionTimeout (Azure would restart the worker).",
    )
    _add_options(parser.add_argument)
    return parser.parse_args(arguments)


def _add_options(add: Callable[..., object]) -> None:
    add(
        "--app",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="the directory of host.json (default: the current one)",
    )
    add(
        "--settings",
        type=Path,
        default=Path(FILE),
        metavar="FILE",
        help="settings that complete the environment, relative to DIR (default: %(default)s)",
    )
    add("--port", type=int, default=0, help="a port of 127.0.0.1 (default: any free port)")
    add("--tls", nargs=2, type=Path, metavar=("CERT", "KEY"), help="PEM files; serve https instead of http")
    add("--check", action="store_true", help="list the functions, or the problems; run nothing")
    _add_options_of_running(add)


def _add_options_of_running(add: Callable[..., object]) -> None:
    add(
        "--message-lease",
        type=_whole_seconds,
        default=LEASE_SECONDS,
        metavar="SECONDS",
        help="how long a received queue message is hidden; renewed after half of that (default: %(default)s)",
    )
    add(
        "--drain",
        type=float,
        default=DRAIN_SECONDS,
        metavar="SECONDS",
        help="how long to wait for running calls when the host ends (default: %(default)s)",
    )
    add(
        "--key",
        action="append",
        default=[],
        type=_key,
        metavar="NAME=VALUE",
        help="a fixed key instead of a random one: NAME is master, default, or a function; repeatable",
    )


def _whole_seconds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of seconds, at least 1")
    return int(text)


def _key(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    return name, value


def _take_stdout() -> TextIO:
    """Keep standard output for the ready line: redirect what the app prints to standard error."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return output


def _check(app: LoadedApp, out: TextIO) -> int:
    _print_problems(app.problems)
    if app.problems:
        return 1
    endpoints = {
        each.function.name: each.template for each in list_endpoints(app.functions, app.options.route_prefix)
    }
    with out:
        for function in app.functions:
            match function.trigger:
                case HttpTrigger() as http:
                    methods = ",".join(sorted(http.methods)) or "any method"
                    what = f"http   {methods} /{endpoints[function.name]} ({http.auth_level})"
                case QueueTrigger() as queue:
                    what = f"queue  {app.settings.resolve(queue.queue).lower()}"
                case timer:
                    what = f"timer  {app.settings.resolve(timer.schedule)}"
            disabled = "  disabled" if app.settings.disables(function.name) else ""
            out.write(f"{function.name:<32} {what}{disabled}\n")
    app.worker.stop()
    return 0


def _print_problems(problems: Iterable[str]) -> None:
    for each in problems:
        sys.stderr.write(f"problem: {each}\n")


def _run(app: LoadedApp, server: Server, options: argparse.Namespace, out: TextIO) -> int:
    reasons: SimpleQueue[StopReason] = SimpleQueue()
    keys = FunctionKeys.generate((each.name for each in app.functions), dict(options.key))
    host = Host(app, server, keys, options.message_lease, lambda: reasons.put("timeout"))
    # learn.microsoft.com/azure/azure-functions/functions-app-settings#functions_request_body_size_limit
    server.body_limit = int(app.settings.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT") or BODY_LIMIT)
    _listen_to_signals(reasons)
    host.start()
    with out:
        out.write(_ready_line(server, keys))
    if _wait_for_stop_reason(reasons) == "timeout":
        logger.critical(
            "A function outlasted functionTimeout. Azure restarts the worker then; this host ends."
        )
        time.sleep(FLUSH_SECONDS)
        os._exit(EXIT_TIMEOUT)
    logger.info("Draining: %d calls under way", len(app.running))
    if not host.drain(options.drain):
        logger.critical("Not drained after %g s, abandoned: %s", options.drain, app.running.describe())
        os._exit(1)
    logger.info("Drained")
    return 0


def _wait_for_stop_reason(reasons: "SimpleQueue[StopReason]") -> StopReason:
    """Wait until there is a reason to stop, and return it.

    A signal that arrives just before a wait begins, or in another thread, does not interrupt the wait. Python
    runs the signal handler only when the main thread continues, so no wait is long.
    """
    while True:
        with suppress(Empty):
            return reasons.get(timeout=LONGEST_WAIT_SECONDS)


def _ready_line(server: Server, keys: FunctionKeys) -> str:
    shown = {"default": keys.default, "master": keys.master}
    line = {"ready": True, "url": server.url, "keys": shown, "function_keys": dict(keys.functions)}
    return json.dumps(line) + "\n"


def _listen_to_signals(reasons: "SimpleQueue[StopReason]") -> None:
    """Drain on the first SIGTERM or SIGINT, exit at once on the second.

    SIGINT is set explicitly, because a shell starts background jobs with SIGINT ignored.
    """

    def begin(_number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, exit_at_once)
        reasons.put("signal")

    def exit_at_once(number: int, _frame: FrameType | None) -> None:
        os._exit(128 + number)

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, begin)


if __name__ == "__main__":
    sys.exit(main())
