"""A failing user is listed as long as they fail, even if instances die meanwhile."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from local.tenant.traffic.faults import Fault
from shared.errors import TryLater
from shared.jobs import Sync, write
from tests.fakes.external_steps import drop_connection, kill
from tests.fakes.world import World

ONE, TWO = "0f000000-0000-4000-8000-000000000001", "a0000000-0000-4000-8000-000000000002"
GAVE_UP = "gave up after repeated failures"
NONE_FAILED = {"users": 0, "more": False, "since": None, "newest": []}


def poison(world: World, user: str) -> None:
    """Let a sync of this user become poison."""
    world.app.recorder.record(Sync, write(Sync(user, "swept", 1.0, 1.0)).encode())


def failed(world: World) -> dict:
    return world.app.status_report.status()["failed"]


def test_failing_users_are_listed_with_their_first_time_and_the_newest_reason_first(world: World) -> None:
    began = world.clock.now()
    poison(world, ONE)
    world.clock.advance(60)
    poison(world, TWO)
    world.clock.advance(60)
    poison(world, ONE)

    one = {"user": ONE, "reason": GAVE_UP, "since": began, "at": began + 120}
    two = {"user": TWO, "reason": GAVE_UP, "since": began + 60, "at": began + 60}
    assert failed(world) == {"users": 2, "more": False, "since": began, "newest": [one, two]}


def test_of_many_the_newest_ten_are_shown_and_no_more_than_a_thousand_are_counted(world: World) -> None:
    for number in range(1001):
        user = f"{number:08x}-0000-4000-8000-000000000000"
        columns = {"since": 7.0, "at": float(number), "reason": GAVE_UP}
        world.ledger.merge("failed", user, columns, "")

    shown = failed(world)

    assert (shown["users"], shown["more"]) == (1000, True)
    assert [each["at"] for each in shown["newest"]] == [float(n) for n in range(999, 989, -1)]


@pytest.mark.parametrize("photo", [True, False], ids=["a photo", "no photo"])
def test_a_poisoned_user_whose_photo_is_settled_is_healed_by_the_next_sweep(world: World, photo) -> None:
    user = world.add(photo=photo)
    world.sweep()
    poison(world, user)
    assert failed(world)["users"] == 1
    world.tenant.history.clear()

    world.sweep()

    assert failed(world) == NONE_FAILED
    assert world.row(user).outcome == "unchanged"
    assert world.requests("sharepoint") == []


@pytest.mark.parametrize("mishap", [kill, drop_connection])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("nth", [1, 2])
def test_an_instance_that_dies_while_it_records_a_failure_lists_at_most_one_too_many(
    world: World, mishap: Callable[[], None], after: bool, nth: int
) -> None:
    user = world.add()
    world.steps.on("write photoledger", mishap, nth=nth, after=after)
    with suppress(TryLater):
        world.steps.survive(lambda: poison(world, user))
    world.steps.clear()

    assert (world.row(user).outcome == "failed") <= (failed(world)["users"] == 1)
    world.sweep()
    world.sweep()
    assert failed(world) == NONE_FAILED
    world.settled(user)


def test_a_failure_that_could_not_be_removed_is_removed_by_the_next_sweep(world: World) -> None:
    user = world.add()
    poison(world, user)
    world.steps.on("write photoledger", drop_connection, nth=4)  # after the claim, the mark and the settle
    world.ask(user)
    world.drain()
    assert world.row(user).outcome == "synced"
    assert failed(world)["users"] == 1

    world.sweep()

    assert failed(world) == NONE_FAILED


def test_a_refused_sync_names_the_service_until_it_is_done(world: World) -> None:
    user = world.add()
    world.fault(Fault(service="sharepoint", path="SThumb", status=400, next=1))
    world.ask(user)
    world.host.deliver_due()
    (shown,) = failed(world)["newest"]
    assert (shown["user"], shown["reason"]) == (user, world.row(user).reason)
    assert shown["reason"].startswith("sharepoint-files: 400")

    world.drain()

    assert failed(world) == NONE_FAILED
    assert world.row(user).outcome == "synced"


def test_a_user_whose_entry_is_removed_while_they_fail_again_is_still_listed(world: World) -> None:
    # The note of its begin was removed.
    world.ledger.merge("failed", ONE, {"at": 7.0, "reason": "graph: 400"}, "")
    assert (failed(world)["users"], failed(world)["since"]) == (1, 7.0)
    world.sweep()  # which removes the entry
    assert failed(world) == NONE_FAILED
