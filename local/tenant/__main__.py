"""Run the tenant alone: `python -m local.tenant`. One JSON line says that it is ready."""

import argparse
import json
import logging
import signal
import sys
import threading

from local.tenant.tenant import Tenant


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; return the exit status."""
    parser = _build_parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="tenant: %(message)s")  # to stderr
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        tenant = Tenant(**vars(options))
    except (OSError, OverflowError, ValueError) as error:  # the port is taken, the organisation not valid
        parser.exit(1, f"{parser.prog}: cannot start: {error}\n")
    with tenant:
        sys.stdout.write(json.dumps({"ready": True, **tenant.describe()}) + "\n")
        sys.stdout.flush()
        while not ended.wait(1.0):
            pass  # a signal that arrives just before a wait begins does not interrupt it
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.tenant",
        description="An emulated Microsoft 365 tenant on this machine. Never for production.",
    )
    parser.add_argument("--port", type=int, default=0, help="the proxy's port (default: any free one)")
    parser.add_argument("--organisation", default="contoso", help="contoso gives contoso.sharepoint.com")
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same ids, order and faults")
    parser.add_argument("--people", type=int, default=0, help="how many people with photos exist at first")
    for name, what in (
        ("--allow-http-webhook", "let a subscription name an http URL on this machine"),
        ("--pass-through", "pass requests for other hosts on to the internet"),
    ):
        parser.add_argument(name, action="store_true", help=what)
    return parser


if __name__ == "__main__":
    sys.exit(main())
