"""The brake remembers: many small removals are as suspicious as a large one."""

from collections.abc import Callable

import pytest

from local.tenant.traffic.faults import Fault
from tests.fakes import bulk
from tests.fakes.world import World

HOUR = 3600.0
DAY = 24 * HOUR
MANY = 500


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    return new_world(direct=True)


def lose(world: World, users: list[str]) -> None:
    """Let these users' photos be missing for long enough to be removed."""
    for user in users:
        world.person(user).photo = None
        world.note(user, missing_since=world.clock.now() - 2 * HOUR)


def sweep_after(world: World, hours: float) -> dict:
    """Sweep after this time, and return the figures."""
    world.run(hours * HOUR)
    return world.sweep()


def shown(world: World, users: list[str]) -> int:
    return sum(world.row(user).shows_a_photo for user in users)


def test_small_bites_of_four_and_a_half_per_cent_do_not_empty_a_tenant(world: World) -> None:
    """24 sweeps in six days, each of which finds 4.5 % of the rest missing."""
    users = bulk.add_users(world, MANY)
    left, states = list(users), []
    for _ in range(24):
        bite = max(1, round(0.045 * len(left)))
        lose(world, left[:bite])
        left = left[bite:]
        states.append(sweep_after(world, 6)["state"])
    assert shown(world, users) == MANY - 22
    assert states == ["finished"] + ["braked"] * 23


@pytest.mark.parametrize("size", [10, 15])
def test_small_bites_do_not_empty_a_small_tenant(world: World, size: int) -> None:
    """Two of them may always remove their photos, but not two in every sweep."""
    users = bulk.add_users(world, size)
    for number in range(0, size - 1, 2):
        lose(world, users[number : number + 2])
        sweep_after(world, 6)
    assert shown(world, users) >= size / 2


def test_removals_are_forgotten_after_seven_days_and_not_before(world: World) -> None:
    users = bulk.add_users(world, MANY)
    lose(world, users[:22])
    assert sweep_after(world, 6)["state"] == "finished"
    for _ in range(27):  # more sweeps than the ten that the status shows
        assert sweep_after(world, 6)["state"] == "finished"
    lose(world, users[22:27])
    figures = sweep_after(world, 3)
    assert figures["state"] == "braked"
    assert figures["reason"].startswith("27 of 500 photos are missing at once (22 of them removed in the la")
    assert sweep_after(world, 7)["state"] == "finished"
    assert shown(world, users) == MANY - 27


def test_what_a_person_released_does_not_count(world: World) -> None:
    users = bulk.add_users(world, MANY)
    lose(world, users[:150])
    braked = sweep_after(world, 6)
    assert braked["state"] == "braked"
    world.services.removals.release(braked["id"])
    world.drain(deliveries=100_000)
    world.run(6 * HOUR)
    world.drain(deliveries=100_000)
    lose(world, users[150:165])
    assert sweep_after(world, 6)["state"] == "finished"
    assert shown(world, users) == MANY - 165


def test_a_removal_that_is_still_queued_counts_once_however_many_sweeps_find_it(world: World) -> None:
    """SharePoint is out of reach for a day: every sweep finds the same 4 %, and a few more."""
    users = bulk.add_users(world, MANY)
    lose(world, users[:20])
    world.fault(Fault(service="sharepoint", status=503))
    for number in range(4):
        sweep = world.open_sweep()
        world.run(6 * HOUR)
        figures = world.figures(sweep)
        assert (figures["state"], figures["removable"]) == ("finished", 20 + max(0, number - 1))
        lose(world, users[19 + number : 20 + number] if number else [])
    world.fault()
    assert world.sweep()["state"] == "finished"
    assert shown(world, users) == MANY - 23


def test_a_removal_that_cannot_be_done_counts_once_for_longer_than_parts_are_kept(world: World) -> None:
    """SharePoint refuses the same 4.8 % in more sweeps than the ten whose parts are kept."""
    users = bulk.add_users(world, 230)
    lose(world, users[:11])
    world.fault(Fault(path="ProcessQuery", status=400))
    for _ in range(13):
        sweep = world.open_sweep()
        world.run(6 * HOUR)
        assert world.figures(sweep)["state"] == "finished"
    world.fault()
    assert world.sweep()["state"] == "finished"
    assert shown(world, users) == 230 - 11


def test_what_a_sweep_removed_before_it_was_ended_counts(new_world: Callable[..., World]) -> None:
    world = new_world(direct=True, REMOVAL_BRAKE="50")
    users = bulk.add_users(world, 1200)
    lose(world, users[:550])
    world.open_sweep()
    while not world.services.opener.store.record().removed_to:
        if not world.host.deliver_due():
            world.run(1.0)
    assert world.services.sweeper.cancel()
    world.run(HOUR)
    assert shown(world, users) == 1200 - 500
    lose(world, users[550:601])
    assert sweep_after(world, 6)["reason"].startswith("601 of 1200 photos are missing at once (500 of them")


def test_a_dry_run_removes_nothing_that_would_count(new_world: Callable[..., World]) -> None:
    world = new_world(direct=True, DRY_RUN="true")
    users = bulk.add_users(world, MANY)
    photos = {user: world.person(user).photo for user in users}
    lose(world, users[:22])
    assert sweep_after(world, 6)["removable"] == 22
    for user in users[:22]:
        world.person(user).photo = photos[user]
    lose(world, users[22:44])
    world.restart(DRY_RUN="false")
    assert sweep_after(world, 6)["state"] == "finished"
    assert shown(world, users) == MANY - 22
