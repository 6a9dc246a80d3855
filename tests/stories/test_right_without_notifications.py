"""Graph does not promise a notification for each new photo: sweeps and second looks find the others."""

from collections import Counter

import pytest

from local.tenant.traffic.faults import Fault
from shared.jobs import Backfill
from tests.fakes import bulk
from tests.fakes.world import World

HOUR = 3600.0
BETWEEN = 6 * HOUR  # seconds from one sweep to the next


@pytest.mark.parametrize("answer", ["404", "1x1"])
def test_every_removal_is_shown_after_two_sweeps(world: World, answer: str) -> None:
    world.tenant.world.knobs.no_photo = answer  # the answer of Graph without a photo
    users = [world.add() for _ in range(4)]
    world.sweep()
    world.remove_photo(users[0])
    world.run(BETWEEN)
    first = world.sweep()
    assert world.shown(users[0]) != ""
    world.run(BETWEEN)
    second = world.sweep()
    assert (first["missing"], first["removable"], second["removable"]) == (1, 0, 1)
    assert world.row(users[0]).outcome == "cleared"
    for user in users:
        world.settled(user)


def test_two_sweeps_in_a_row_remove_no_picture_whose_photo_is_missing_for_less_than_an_hour(
    world: World,
) -> None:
    users = [world.add() for _ in range(4)]
    world.sweep()
    world.remove_photo(users[0])
    for _ in range(3):
        world.sweep()
        world.run(10 * 60)
    assert world.shown(users[0]) != ""


def test_a_photo_that_comes_back_between_two_sweeps_is_not_removed(world: World) -> None:
    users = [world.add() for _ in range(4)]
    world.sweep()
    world.remove_photo(users[0])
    world.run(BETWEEN)
    world.sweep()
    world.change_photo(users[0])
    world.run(BETWEEN)
    world.sweep()
    world.settled(users[0])


def test_a_sweep_finds_a_change_whose_notification_was_lost(world: World) -> None:
    told, lost = world.add(), world.add()
    world.hint(told)
    world.drain()
    world.settled(told)
    assert world.shown(lost) == ""
    world.sweep()
    world.settled(lost)


@pytest.mark.parametrize(
    ("late", "caught"),
    [
        pytest.param(90, 130, id="by the second look after two minutes"),
        pytest.param(600, 910, id="by the last look after fifteen"),
    ],
)
def test_a_photo_that_arrives_after_its_hint_is_found(world: World, late: float, caught: float) -> None:
    user = world.add()
    world.hint(user)
    world.run(late)
    world.change_photo(user)
    world.run(caught - late)
    world.settled(user)


def test_a_hundred_unchanged_users_cost_five_batches_and_a_read_each_and_no_write(world: World) -> None:
    users = bulk.add_users(world, 90) + bulk.add_users(world, 10, photo=False, settled=False)
    figures = world.sweep()
    graph = Counter(line.partition("?")[0] for line in world.requests("graph"))
    assert graph == {"GET /v1.0/users": 1, "POST /v1.0/$batch → 200": 5}
    assert world.requests("sharepoint") == []
    steps = Counter(world.steps.taken)
    assert (steps["read photoledger"], steps["write photoledger"]) == (len(users), 0)
    assert steps["write photoparts"] == 2 * 5
    assert (figures["unchanged"], figures["empty"], figures["seen"]) == (90, 10, 100)


# --- users that a sweep has queued ---


def test_a_changed_user_who_is_queued_by_a_sweep_is_not_queued_by_the_next(world: World) -> None:
    users = [world.add() for _ in range(3)]
    world.fault(Fault(service="sharepoint", status=503, retry_after=600))
    for _ in range(3):  # at 0, 6 and 12 hours
        world.open_sweep()
        world.run(BETWEEN - HOUR)
        assert sorted(job.user for job in world.queued(Backfill)) == sorted(users)
        world.run(HOUR)
    world.fault()
    world.drain()
    for user in users:
        world.settled(user)
        assert world.row(user).queued_at == 0


def test_a_forced_sweep_queues_a_queued_user_all_the_same(world: World) -> None:
    user = world.add()
    world.note(user, queued_at=world.clock.now())
    world.sweep()
    assert world.shown(user) == ""
    world.sweep(force=True)
    world.settled(user)
