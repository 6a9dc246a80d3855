"""A backfill of a thousand users within SharePoint's quota, and a live change in the middle of it."""

from collections.abc import Callable

import pytest

from local.tenant.traffic.quota import Limits
from shared.sharepoint.pace import MINUTE, UNITS_FIRST, UNITS_KNOWN, minute_of
from tests.fakes import bulk
from tests.fakes.world import World

USERS = 1000
QUOTA = 1250  # units a minute; the smallest tenant's
PACE = 1000  # SHAREPOINT_UNITS_PER_MINUTE
BACKFILL_SHARE = 0.8  # of the pace; the rest is kept for live changes
SOON = 120.0  # seconds


@pytest.fixture
def busy(new_world: Callable[..., World]) -> World:
    """A world in which each user has another photo than SharePoint shows, and a sweep has begun."""
    world = new_world(SHAREPOINT_UNITS_PER_MINUTE=str(PACE))
    for user in bulk.add_users(world, USERS):
        bulk.settle(world, user, '"OTHER"')
    world.tenant.quota.limit(Limits(sharepoint_units_per_minute=QUOTA))
    world.open_sweep()
    return world


def reserved(world: World) -> list[float]:
    """Return how many units were reserved for the backfill in each minute that had any, in order."""
    minutes = sorted(
        (float(key), row) for (kind, key), (row, _) in world.state.rows.items() if kind == "pace"
    )
    return [row["backfill"] for _, row in minutes if row.get("backfill")]


def minutes_taken(world: World) -> float:
    """Return the number of minutes until the end of the last one that was reserved for the backfill."""
    slots = [
        float(key)
        for (kind, key), (row, _) in world.state.rows.items()
        if kind == "pace" and row.get("backfill")
    ]
    return (max(slots) + MINUTE - minute_of(world.clock.began)) / MINUTE


@pytest.mark.timeout(300)  # five thousand requests and three thousand pictures
def test_a_backfill_uses_its_share_and_no_more_and_a_live_change_overtakes_it(busy: World) -> None:
    world = busy
    world.run(5 * 60)
    live = world.add()
    world.hint(live)
    world.run(SOON)
    world.settled(live)
    world.drain(deliveries=20_000)

    for user in list(world.tenant.world.people):
        assert world.row(user).settled_etag == world.source(user)
    minutes = reserved(world)
    share = BACKFILL_SHARE * PACE
    assert max(minutes) <= share
    whole = minutes[:-1]  # the last one has only the rest
    assert sum(whole) / len(whole) >= 0.9 * share
    twice = sum(minutes) - USERS * UNITS_KNOWN  # by the jobs that were at work when a gate closed
    assert 0 <= twice <= 10 * UNITS_KNOWN
    used = world.tenant.quota.report()
    assert used["throttled"]["all"] < 0.01 * used["calls"]["all"]
    assert used["used"]["sharepoint_units_per_minute"]["peak"] <= QUOTA
    assert world.tenant.early_returns.recorded() == []
    assert world.host.failures == []
    assert minutes_taken(world) <= USERS * UNITS_KNOWN / share + 3


def test_first_contacts_stay_within_a_small_pace_by_the_tenants_own_count(
    new_world: Callable[..., World],
) -> None:
    world = new_world(SHAREPOINT_UNITS_PER_MINUTE="100")
    users = bulk.add_users(world, 30, settled=False)
    world.tenant.quota.limit(Limits(sharepoint_units_per_minute=QUOTA))
    world.sweep()
    assert all(world.row(user).settled_etag == world.source(user) for user in users)
    # Our minutes are those of the clock, the tenant's begin with a call: one of its may contain parts of two.
    assert world.tenant.quota.report()["used"]["sharepoint_units_per_minute"]["peak"] <= 2 * 80
    assert max(reserved(world)) <= 80


def test_a_job_that_finds_the_next_hour_full_comes_back_after_it_and_reserves_once(
    new_world: Callable[..., World],
) -> None:
    world = new_world(SHAREPOINT_UNITS_PER_MINUTE="100")
    now = minute_of(world.clock.now())
    for minute in range(55):  # which are full
        world.state.merge("pace", f"{now + minute * MINUTE:.0f}", {"backfill": 80.0}, "")
    room = 5 * 5  # first contacts in the five minutes after these: 80 units a minute, 14 each
    users = bulk.add_users(world, room + 20, settled=False)
    world.sweep()
    assert all(world.row(user).settled_etag == world.source(user) for user in users)
    assert sum(reserved(world)) == 55 * 80 + len(users) * UNITS_FIRST
    assert minutes_taken(world) > 60
    steps = 10  # of the sweep, and its checks
    assert world.host.delivered <= 2 * room + 3 * 20 + steps
