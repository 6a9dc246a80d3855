"""`make bench-sweep`: a sweep over 100 000 users whose photos did not change, through real host and Azurite.

A benchmark, not a test. It prints how many requests to Graph and SharePoint and how much memory a sweep
needs, and how long it takes with one host process and with two.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from local.azurite import Azurite
from local.bench.machine import cpu_printed, settle_all_users
from local.host.process import HostProcess
from local.stage import ROOT, Stage

PATIENCE = 3600.0  # seconds
POLL = 5.0  # seconds
SERVICES = {"Graph": ["graph"], "SharePoint": ["sharepoint-files", "sharepoint-profiles"]}


def main() -> int:
    """Sweep once with each number of host processes, and print the figures."""
    parser = argparse.ArgumentParser(prog="make bench-sweep", description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=100_000, help="how many users (100000)")
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 2], help="host processes of a run (1 2)")
    options = parser.parse_args()
    rows = LedgerRequests()
    with Azurite(on_request=rows.note) as storage, Stage(storage=storage) as stage:
        began = time.monotonic()
        stage.people.add(count=options.users, photo="shared")
        print(f"{options.users} users with photos after {time.monotonic() - began:.0f} s", flush=True)
        began = time.monotonic()
        settle_all_users(stage)
        print(f"a ledger with all of them after {time.monotonic() - began:.0f} s", flush=True)
        for hosts in options.hosts:
            _run(stage, hosts, rows)
    return 0


class LedgerRequests:
    """Count the requests to the ledger, from storage's access log."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Reset the counts."""
        self._reads: Counter[str] = Counter()
        self._others: Counter[str] = Counter()

    def note(self, method: str, path: str) -> None:
        """Count one request, if it goes to the ledger."""
        if "/photoledger" not in path:
            return
        if method == "GET" and "RowKey=" in path:
            self._reads[path] += 1
        else:
            self._others[method] += 1

    def __str__(self) -> str:
        """Return how often rows were read and written."""
        most = max(self._reads.values(), default=0)
        others = ", ".join(f"{count} {method}" for method, count in self._others.items()) or "none"
        reads = f"{self._reads.total()} reads of {len(self._reads)} rows, {most} of one at most"
        return f"{reads}; other requests: {others}"


def _run(stage: Stage, hosts: int, rows: LedgerRequests) -> None:
    """Sweep with this number of host processes and print the figures."""
    with ExitStack() as more:
        others = [
            more.enter_context(HostProcess.start(ROOT, stage.environment, tls=stage.tenant.host_certificate))
            for _ in range(hosts - 1)
        ]
        pids = [process.pid for process in (stage.host, *others) if process]
        last = stage.people.clear_history()
        rows.clear()
        began = time.monotonic()
        sweep = stage.call("POST", "sweeps").json()["sweep"]
        print(f"\n{hosts} host process(es), sweep {sweep}")
        with cpu_printed(stage, pids):
            figures = _watch(stage, sweep, pids)
        took = time.monotonic() - began
    requests = {
        name: sum(stage.people.summary(since=last, service=each)["requests"] for each in services)
        for name, services in SERVICES.items()
    }
    print(f"  {figures['seen']} users, {figures['unchanged']} unchanged, {figures['state']}: {took:.0f} s")
    print("  requests: " + ", ".join(f"{name} {count}" for name, count in requests.items()))
    print(f"  ledger: {rows}")
    print(f"  a host's memory grew by {figures['grew']:.0f} MB at most, from the second page on")


def _watch(stage: Stage, sweep: str, pids: list[int]) -> dict[str, Any]:
    """Print the progress of the sweep until it ends, and return its figures.

    Memory is measured from the second page on, because each host loads its libraries before that.
    """
    before: list[float] = []
    most = 0.0
    for status in _statuses(stage):
        running = status["sweep"] or {}
        resident = [_resident(pid) for pid in pids]
        if not before and running.get("pages", 0) > 1:
            before = resident
        most = max([most, *(now - then for now, then in zip(resident, before, strict=False))])
        for ended in status["sweeps"]:
            if ended["id"] == sweep:
                print()
                return {**ended, "grew": most}
        answered, seen = running.get("users_answered", 0), running.get("seen", 0)
        print(f"\r  {answered} of {seen} answered, {running.get('pages', 0)} pages ", end="", flush=True)
    raise TimeoutError(f"the sweep did not end within {PATIENCE:.0f} s")


def _statuses(stage: Stage) -> Iterator[dict[str, Any]]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        yield stage.call("GET", "status").json()
        time.sleep(POLL)


def _resident(pid: int) -> float:
    """Return the resident memory of a process in megabytes (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    sys.exit(main())
