"""A page of users: read again after an instance died while reading, and without the excluded group."""

from collections.abc import Callable

import pytest

from local.tenant.directory.groups import Group
from local.tenant.traffic.faults import Fault
from shared.jobs import SweepPage
from tests.app.sweeps_seen import ended, parts
from tests.fakes import bulk
from tests.fakes.external_steps import kill
from tests.fakes.world import World

TWO_PAGES = 1010  # users; a page has 999
EXCLUDED = "0a0a0a0a-0000-4000-8000-000000000003"


@pytest.mark.parametrize("parts_before", [1, 2])
@pytest.mark.parametrize(
    ("gone", "come"),
    [
        pytest.param(0, 0, id="the same users"),
        pytest.param(1, 0, id="one fewer at the front"),
        pytest.param(0, 1, id="one more"),
        pytest.param(3, 25, id="three fewer, twenty-five more"),
    ],
)
def test_a_page_that_is_read_again_leaves_out_no_user_and_checks_no_user_twice(
    world: World, parts_before: int, gone: int, come: int
) -> None:
    users = bulk.add_users(world, 50)
    opened = world.open_sweep()
    world.steps.on("put photo-sweep-checks", kill, nth=parts_before, after=True)
    world.run(20)
    assert len(parts(world, opened)) == parts_before

    asked_before = parts(world, opened)[0]
    never_asked = [user for user in users if all(user not in part for part in parts(world, opened))]
    for user in [*asked_before[:gone], *never_asked[:gone]]:
        world.tenant.world.remove(world.person(user))
    expected = set(users) - set(never_asked[:gone])
    if come:
        expected |= set(bulk.add_users(world, come))
    world.drain(deliveries=2000)

    asked = [user for some in parts(world, opened) for user in some]
    assert len(asked) == len(set(asked))
    assert set(asked) == expected
    assert [each["seen"] for each in ended(world)] == [len(asked)]


def test_an_answered_part_is_not_checked_again(world: World) -> None:
    bulk.add_users(world, 30)
    world.open_sweep()
    world.steps.on("write photostate", kill)  # every check was sent, and the record was not advanced
    world.run(20)
    world.drain()
    checks = sum(step == "put photo-sweep-checks" for step in world.steps.taken)
    assert checks == 2
    assert [each["seen"] for each in ended(world)] == [30]


def test_a_page_without_time_left_is_read_later(world: World) -> None:
    bulk.add_users(world, 30)
    sweep = world.open_sweep()
    slow = world.steps.on("call graph.microsoft.com", lambda: world.clock.advance(250), after=True)
    world.fault(Fault(service="graph", path="/users", status=503, next=1))
    read(world, sweep, 0)
    assert [job.page for job in world.queued(SweepPage)] == [0, 0]  # the sweep's own, and this one again
    assert parts(world, sweep) == []

    world.steps.forget(slow)
    world.drain(deliveries=2000)

    assert [each["seen"] for each in ended(world)] == [30]


# --- without the excluded group ---


def exclude(world: World, *users: str) -> None:
    with world.tenant.world.lock:
        world.tenant.world.groups.put(Group(EXCLUDED, "no photos", users))


def read(world: World, sweep: str, page: int) -> None:
    world.services.sweeper.step(SweepPage(sweep, page, born=world.clock.now()))


def times_asked(world: World) -> int:
    return sum("transitiveMembers" in request for request in world.requests("graph"))


@pytest.fixture
def excluding(new_world: Callable[..., World]) -> World:
    """A world of two pages, whose last user is in the excluded group."""
    world = new_world(direct=True, EXCLUDE_GROUP=EXCLUDED)
    world.tenant.permissions.consent("graph", ["User.Read.All", "GroupMember.ReadBasic.All"])
    exclude(world, bulk.add_users(world, TWO_PAGES, photo=False, settled=False)[-1])
    return world


def test_the_excluded_group_is_read_once_a_sweep_whatever_happens_to_the_instance(excluding: World) -> None:
    for times in (1, 2, 3):
        sweep = excluding.open_sweep()
        read(excluding, sweep, 0)
        if times == 3:  # another instance takes over
            excluding.restart(EXCLUDE_GROUP=EXCLUDED)
        read(excluding, sweep, 1)
        read(excluding, sweep, 2)
        assert times_asked(excluding) == times
        assert sum(len(part) for part in parts(excluding, sweep)) == TWO_PAGES - 1
        excluding.drain(deliveries=1000)


def test_a_user_who_joins_the_excluded_group_during_a_sweep_is_not_written(excluding: World) -> None:
    *_, joins, excluded = excluding.tenant.world.people
    excluding.change_photo(joins)
    sweep = excluding.open_sweep()
    read(excluding, sweep, 0)
    read(excluding, sweep, 1)
    exclude(excluding, joins, excluded)
    excluding.drain(deliveries=1000)
    assert times_asked(excluding) == 1
    assert excluding.shown(joins) == ""
    row = excluding.row(joins)
    assert (row.outcome, row.reason) == ("skipped", "is in the excluded group")
