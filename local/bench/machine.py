"""Shared by the benchmarks: a ledger that contains all users, and the CPU time of processes."""

import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import batched
from pathlib import Path
from typing import Any

from azure.data.tables import TableServiceClient

from local.stage import Stage


def settle_all_users(stage: Stage) -> None:
    """Write the ledger as if every photo had been synced, so that checks find nothing to do."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for person in stage.tenant.world.living():
        etag = person.photo.etag if person.photo else ""
        row = {"settled_etag": etag, "settled_sha256": "0" * 64, "upn": person.upn, "outcome": "synced"}
        rows[person.id[:2]].append({"PartitionKey": person.id[:2], "RowKey": person.id, **row})
    with TableServiceClient.from_connection_string(stage.storage.connection_string) as service:
        table = service.create_table_if_not_exists("photoledger")
        for partition in rows.values():
            for some in batched(partition, 100, strict=False):
                table.submit_transaction([("upsert", row) for row in some])


@contextmanager
def cpu_printed(stage: Stage, pids: Sequence[int]) -> Iterator[None]:
    """Print the CPU seconds that hosts, Azurite and tenant use meanwhile (Linux): what bounds the work."""
    processes = {f"host {number}": pid for number, pid in enumerate(pids, 1)} | {"Azurite": stage.storage.pid}
    before, tenant = {name: cpu_seconds(pid) for name, pid in processes.items()}, time.process_time()
    yield
    used = {name: cpu_seconds(pid) - before[name] for name, pid in processes.items()}
    used["tenant"] = time.process_time() - tenant
    print("  seconds of CPU: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in used.items()))


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
