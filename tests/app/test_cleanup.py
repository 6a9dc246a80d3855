"""What the end of a sweep deletes, however often its instance dies."""

from collections.abc import Callable

import pytest

from tests.app.sweeps_seen import ended
from tests.fakes import bulk
from tests.fakes.external_steps import kill
from tests.fakes.world import World

HOUR = 3600.0
DAY = 24 * HOUR


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "step", [*(f"photoparts {n}" for n in range(1, 4)), *(f"photostate {n}" for n in range(2, 6))]
)
def test_the_eleventh_sweep_forgets_the_first_with_its_parts_however_often_it_dies(
    world: World, step: str, after: bool
) -> None:
    table, _, nth = step.partition(" ")
    bulk.add_users(world, 1)
    ids = []
    for number in range(12):
        world.clock.advance(1)
        ids.append(world.open_sweep())
        if number >= 10:
            world.steps.on(f"write {table}", kill, nth=int(nth) - (table == "photostate"), after=after)
        world.drain()
        world.steps.clear()
    world.clock.advance(1)
    ids.append(world.open_sweep())
    world.drain()

    assert [each["id"] for each in ended(world)] == ids[:-11:-1]
    assert {sweep for sweep, _ in world.parts.rows} == set(ids[-10:])


@pytest.mark.parametrize(("dry_run", "forgotten"), [("false", True), ("true", False)], ids=["", "dry run"])
def test_a_user_gone_for_thirty_days_is_forgotten_but_not_in_a_dry_run(
    new_world: Callable[..., World], dry_run: str, forgotten: bool
) -> None:
    world = new_world(DRY_RUN=dry_run)
    long_gone, gone = (f"{n:08x}-0000-4000-8000-000000000000" for n in (1, 2))
    world.note(long_gone, gone_since=world.clock.now() - 30 * DAY - 1)
    world.note(gone, gone_since=world.clock.now() - 30 * DAY + HOUR)
    world.add(photo=False)
    world.sweep()

    assert (world.row(long_gone).gone_since == 0.0) is forgotten
    assert world.row(gone).gone_since > 0.0


def test_a_sweep_forgets_past_minutes(world: World) -> None:
    user = world.add()
    world.ask(user)
    world.drain()
    assert [key for where, key in world.state.rows if where == "pace"]
    world.clock.advance(2 * HOUR)
    world.sweep()
    assert [key for where, key in world.state.rows if where == "pace"] == []
