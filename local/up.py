"""`make up`: run everything on one machine until Ctrl-C; print what to try first."""

import argparse
import signal
import sys
import threading

from local.stage import Stage

GUIDE = """
The app        {app}/api        key: {key}
The tenant     {admin}        users: {admin}/users
Storage        {storage}

Try:
  curl -s {admin}/users
  curl -s -X PUT '{admin}/users/{person}/photo?notify=on' --data-binary @me.jpg
  curl -s {admin}/users/{person}
  curl -s -o shown.jpg {admin}/users/{person}/shown
  curl -s --cacert {ca} -X POST -H 'x-functions-key: {key}' {app}/api/users/{person}/sync

The host's log follows. Ctrl-C stops everything; no data is kept.
"""


def main() -> int:
    """Start everything, print what to try, and wait for SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="make up", description=__doc__.partition("\n")[0])
    parser.add_argument("--people", type=int, default=5, help="how many users with photos (5)")
    people = parser.parse_args().people
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with Stage(settings={"SCOPE": "members+guests"}) as stage:
        ids = stage.people.add(count=people, photo=True)
        for user in ids:
            stage.sync(user)
        stage.subscribe()
        facts = {"app": stage.url, "key": stage.key, "admin": stage.tenant.admin_url, "person": ids[0]}
        storage = stage.storage.connection_string
        print(GUIDE.format(**facts, ca=stage.tenant.ca, storage=storage), flush=True)
        _follow(stage, stopped)
    return 0


def _follow(stage: Stage, stopped: threading.Event) -> None:
    """Print the host's log as it grows, until a signal arrives."""
    shown = 0
    while not stopped.wait(0.5):
        log = stage.log
        print(log[shown:], end="", flush=True)
        shown = len(log)


if __name__ == "__main__":
    sys.exit(main())
