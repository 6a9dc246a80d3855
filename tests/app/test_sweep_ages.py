"""No sweep runs for ever: its steps have an age, and an administrator can end it."""

from collections.abc import Callable

import pytest

from local.tenant.traffic.faults import Fault
from shared.jobs import Backfill, SweepPage, SweptCheck
from shared.sweeps.state import SWEEP_LEASE
from tests.app.sweeps_seen import ended, record
from tests.fakes import bulk
from tests.fakes.external_steps import drop_connection, kill
from tests.fakes.world import World

HOUR = 3600.0
DAY = 24 * HOUR
TWO_PAGES = 1010  # users; a page has 999
GROUP = "0a0a0a0a-0000-4000-8000-000000000003"


def run_days(world: World, days: int) -> None:
    """Let time pass, with the timer that opens a sweep every six hours."""
    for _ in range(4 * days):
        world.open_sweep()
        world.run(6 * HOUR)


@pytest.mark.parametrize(
    ("fault", "settings"),
    [
        pytest.param({"path": r"/users\?"}, {}, id="the first page"),
        pytest.param({"path": "skiptoken"}, {}, id="the second page"),
        pytest.param({"path": "transitiveMembers"}, {"EXCLUDE_GROUP": GROUP}, id="the excluded group"),
        pytest.param({"path": "transitiveMembers"}, {"SCOPE": f"group:{GROUP}"}, id="the group in scope"),
    ],
)
@pytest.mark.parametrize("status", [504, 429, 403])
def test_a_page_that_cannot_be_read_for_a_day_fails_its_sweep_and_others_open(
    new_world: Callable[..., World], fault: dict, settings: dict, status: int
) -> None:
    world = new_world(direct=True, **settings)
    world.tenant.world.knobs.page_token_life = 30 * DAY
    bulk.add_users(world, TWO_PAGES, photo=False, settled=False)
    world.fault(Fault(service="graph", status=status, **fault))

    run_days(world, 3)

    sweeps = ended(world)
    assert [each["state"] for each in sweeps] == ["failed"] * len(sweeps)
    assert len(sweeps) in (2, 3)
    assert all(each["reason"].startswith("no progress for a day: graph") for each in sweeps)
    assert all(each["ended_at"] - each["opened_at"] < DAY + HOUR for each in sweeps)


def test_a_sweep_whose_pages_are_slow_but_come_is_not_ended(world: World) -> None:
    """Its second page takes twenty hours, and so do its users' answers: each step is younger than a day."""
    world.tenant.world.knobs.page_token_life = 30 * DAY
    users = bulk.add_users(world, TWO_PAGES, photo=False, settled=False)
    world.fault(Fault(service="graph", path="skiptoken", status=504))
    sweep = world.open_sweep()
    world.run(20 * HOUR)
    world.fault()
    world.drain(deliveries=5000)
    figures = world.figures(sweep)
    assert (figures["state"], figures["seen"]) == ("finished", len(users))


def test_storage_out_of_reach_for_days_leaves_one_message_and_then_the_next_sweep_is_complete(
    world: World,
) -> None:
    bulk.add_users(world, 3)
    first = world.open_sweep()
    outage = world.steps.on("(read|scan|write) photostate", drop_connection, times=None)
    world.run(3 * DAY)
    assert len(world.queued(SweepPage)) == 1
    world.steps.forget(outage)
    run_days(world, 1)
    assert {each["id"] for each in ended(world)} >= {first}
    assert ended(world)[0]["state"] == "finished"


def test_a_message_of_an_ended_sweep_is_not_deferred_for_more_than_a_day(world: World) -> None:
    bulk.add_users(world, 3)
    world.sweep()
    old = record(world)
    world.note("0f000000-0000-4000-8000-000000000001", gone_since=1.0)
    world.clock.advance(1)
    sweep = world.open_sweep()
    outage = world.steps.on("scan photoledger", drop_connection, times=None)
    world.run(DAY - HOUR)
    assert [job.sweep for job in world.queued(SweepPage)] == [sweep]
    world.run(2 * HOUR)
    assert world.queued(SweepPage) == []
    world.steps.forget(outage)
    assert [each["id"] for each in ended(world)] == [sweep, old.id]


@pytest.mark.parametrize("after", [30, 3600, 5400])
def test_a_sweep_that_waits_keeps_its_lease_for_as_long_as_it_waits(world: World, after: int) -> None:
    bulk.add_users(world, 3)
    sweep = world.open_sweep()
    world.fault(Fault(service="graph", path="/users", status=503, retry_after=after, next=3))
    world.run(15)
    (message,) = [each for each in world.outbox.messages if each.queue == SweepPage.queue]
    assert record(world).lease_until >= message.visible_at + SWEEP_LEASE - 1
    world.drain()
    assert [(each["id"], each["state"]) for each in ended(world)] == [(sweep, "finished")]


# --- an administrator ends one ---


def test_no_sweep_is_ended_where_none_runs(world: World) -> None:
    assert world.services.sweeper.cancel() == ""
    world.add()
    world.sweep()
    assert world.services.sweeper.cancel() == ""
    assert [each["state"] for each in ended(world)] == ["finished"]


@pytest.mark.parametrize("seconds", [0, 12, 14, 60])
def test_a_cancelled_sweep_is_failed_removes_no_picture_and_another_can_open(
    world: World, seconds: float
) -> None:
    users = bulk.add_users(world, 45)
    world.remove_photo(users[0])
    world.note(users[0], missing_since=world.clock.now() - 2 * HOUR)
    world.fault(Fault(service="graph", path="batch", status=503))
    sweep = world.open_sweep()
    world.run(seconds)

    assert world.services.sweeper.cancel() == sweep
    assert world.services.sweeper.cancel() == ""

    assert [(each["id"], each["state"], each["reason"]) for each in ended(world)] == [
        (sweep, "failed", "cancelled")
    ]
    world.fault()
    world.run(2 * HOUR)
    assert world.queued(Backfill) == []
    assert world.shown(users[0]) == ""  # nothing was written or removed
    assert world.requests("sharepoint") == []
    world.clock.advance(1)
    assert world.open_sweep() != sweep


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_cancellation_that_dies_halfway_is_completed_by_the_sweeps_own_message(
    world: World, nth: int, after: bool
) -> None:
    bulk.add_users(world, 3)
    world.fault(Fault(service="graph", path="batch", status=503))
    sweep = world.open_sweep()
    world.run(20)
    world.steps.on("write photostate", kill, nth=nth, after=after)
    world.steps.survive(world.services.sweeper.cancel)
    world.fault()
    world.drain(deliveries=2000)
    state = "finished" if (nth, after) == (1, False) else "failed"
    assert [(each["id"], each["state"]) for each in ended(world)] == [(sweep, state)]
    assert world.outbox.messages == []


def test_a_sweep_is_cancelled_at_the_page_that_another_instance_reads_meanwhile(world: World) -> None:
    bulk.add_users(world, TWO_PAGES, photo=False, settled=False)
    sweep = world.open_sweep()
    world.steps.on("write photostate", world.services.sweeper.cancel)
    world.services.sweeper.step(SweepPage(sweep, 0, born=world.clock.now()))
    world.drain(deliveries=5000)
    assert [(each["id"], each["state"]) for each in ended(world)] == [(sweep, "failed")]
    assert world.queued(SweptCheck) == []


def test_a_wish_outlives_a_cancellation(world: World) -> None:
    bulk.add_users(world, 3)
    world.open_sweep()
    world.services.opener.request("changes were missed")
    world.clock.advance(1)
    world.services.sweeper.cancel()
    world.drain()
    assert [(each["why"], each["state"]) for each in ended(world)] == [
        ("changes were missed", "finished"),
        ("the timer", "failed"),
    ]
