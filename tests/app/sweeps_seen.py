"""Read the sweeps from the tables: the record, the ended ones, and the users in their parts."""

from typing import Any

from shared.sweeps.state import SweepRecord
from shared.sweeps.store import SweepStore
from tests.fakes.world import World


def record(world: World) -> SweepRecord:
    return SweepStore(world.state).record()


def ended(world: World) -> list[dict[str, Any]]:
    return list(world.app.status_report.status()["sweeps"])


def parts(world: World, sweep: str) -> list[tuple[str, ...]]:
    found = sorted((key, row) for (where, key), (row, _) in world.parts.rows.items() if where == sweep)
    return [tuple(row["users"].split(",")) for _, row in found if "users" in row]
