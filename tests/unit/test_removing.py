"""Releasing the brake of a sweep: what is removed then, and when it cannot be."""

from collections.abc import Callable
from typing import NoReturn

import pytest

from shared.errors import NotOurs, TryLater
from shared.sweepbook import SweepBook
from tests.unit.sweeps_seen import ended, record
from tests.world import crowd
from tests.world.steps import cut_off, kill
from tests.world.world import World

HOUR = 3600.0


def run_braked(world: World) -> tuple[str, list[str]]:
    """Let a sweep brake over five users whose photos are gone; return it and them."""
    users = crowd.let_in(world, 5, photo=False)
    for user in users:
        world.note(user, missing_since=world.clock.now() - 2 * HOUR)
    sweep = world.open_sweep()
    world.drain()
    assert [each["state"] for each in ended(world)] == ["braked"]
    return sweep, users


def test_a_released_brake_removes_exactly_what_its_sweep_found(world: World) -> None:
    sweep, users = run_braked(world)
    later = crowd.let_in(world, 1, photo=False)[0]
    world.note(later, missing_since=world.clock.now() - 2 * HOUR)
    back = users.pop()
    world.change_photo(back)
    world.services.sweeper.release(sweep)
    world.drain()

    assert {world.row(user).outcome for user in users} == {"cleared"}
    assert world.row(later).outcome == "synced"  # as it was noted: another sweep's business
    world.settled(back)
    assert [(each["state"], each["reason"]) for each in ended(world)] == [
        ("finished", "released by a person")
    ]


@pytest.mark.parametrize("mishap", [kill, cut_off], ids=["killed", "cut off"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_released_brake_outlives_every_mishap(
    world: World, mishap: Callable[[], NoReturn], after: bool
) -> None:
    sweep, users = run_braked(world)
    world.services.sweeper.release(sweep)
    for nth in (1, 3, 5):
        world.steps.on("put photo-backfill", mishap, nth=nth, after=after)
    world.drain()
    for user in users:
        world.settled(user)
        assert world.row(user).settled_etag == ""


@pytest.mark.parametrize("sweep", ["20270115T080000-0a1b", "", "x'y/../z"])
def test_there_is_no_brake_to_release_of_a_sweep_that_nobody_knows(world: World, sweep: str) -> None:
    run_braked(world)
    with pytest.raises(NotOurs):
        world.services.sweeper.release(sweep)


def test_there_is_no_brake_to_release_of_a_sweep_that_finished(world: World) -> None:
    world.add()
    figures = world.sweep()
    with pytest.raises(NotOurs):
        world.services.sweeper.release(figures["id"])


def test_a_brake_is_not_released_while_its_sweep_is_still_ending(world: World) -> None:
    """Its figures stand before its end does; released in between it would brake again."""
    users = crowd.let_in(world, 5, photo=False)
    for user in users:
        world.note(user, missing_since=world.clock.now() - 2 * HOUR)
    sweep = world.open_sweep()
    book = SweepBook(world.state)

    def die_after_the_figures() -> None:
        if book.kept():
            kill()

    mishap = world.steps.on("write photostate", die_after_the_figures, times=None)
    while not book.kept():
        world.run(1)
    world.steps.forget(mishap)
    assert (book.kept()[0][1]["state"], record(world).state) == ("braked", "running")
    with pytest.raises(TryLater):
        world.services.sweeper.release(sweep)

    world.drain()
    assert record(world).state == "braked"
    world.services.sweeper.release(sweep)
    world.drain()
    assert {world.row(user).outcome for user in users} == {"cleared"}
