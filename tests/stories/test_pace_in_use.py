"""What syncs reserve of SharePoint's quota, and what they use of it."""

from collections import Counter
from collections.abc import Callable

import pytest

from local.tenant.directory.world import Photo
from shared.admin.sync_user import UserSyncRequest
from shared.jobs import Backfill
from shared.sharepoint.pace import MINUTE, UNITS_A_CALL, minute_of
from tests.fakes import bulk
from tests.fakes.external_steps import kill
from tests.fakes.world import World

PACE = 100  # units a minute; the least that can be set
SHARE = 80  # of it for a sweep
USERS = 200
HOUR = 3600.0


@pytest.fixture
def small(new_world: Callable[..., World]) -> World:
    return new_world(SHAREPOINT_UNITS_PER_MINUTE=str(PACE))


def calls_a_minute(world: World) -> Counter[float]:
    """Count the calls to SharePoint from now on, by minute."""
    counted: Counter[float] = Counter()

    def count() -> None:
        counted[minute_of(world.clock.now())] += 1

    world.steps.on(r"call contoso-(my|admin)\.sharepoint\.com", count, times=None)
    return counted


def reserved(world: World) -> float:
    rows = [row for (kind, _), (row, _) in world.state.rows.items() if kind == "pace"]
    return sum(row.get("live", 0.0) + row.get("backfill", 0.0) for row in rows)


def minutes(world: World, since: float) -> float:
    return (world.clock.now() - since) / MINUTE


def settle_same_bytes(world: World, count: int) -> list[str]:
    """Let users in whose picture SharePoint shows, and give each photo a new ETag over the same bytes."""
    first = world.add(photo=False)
    world.change_photo(first, bulk.PICTURE)
    world.ask(first)
    world.drain()
    digest = world.row(first).settled_sha256
    users = bulk.add_users(world, count)
    for user in users:
        world.note(user, settled_sha256=digest)
        old = world.person(user).photo
        assert old
        world.person(user).photo = Photo(bulk.PICTURE, world.tenant.world.new_etag(), 64, 64)
    return users


# --- dry runs ---


def test_a_dry_run_keeps_the_pace_and_reaches_every_user(new_world: Callable[..., World]) -> None:
    world = new_world(SHAREPOINT_UNITS_PER_MINUTE=str(PACE), DRY_RUN="true")
    users, began = bulk.add_users(world, 150, settled=False), world.clock.now()
    counted = calls_a_minute(world)
    world.sweep()
    assert sum(counted.values()) == 2 * len(users)
    assert max(counted.values()) * UNITS_A_CALL <= 2 * SHARE  # a minute's late jobs may come in the next
    assert 7 <= minutes(world, began) <= 20
    assert (world.ledger.rows, world.outbox.poisoned, world.host.failures) == ({}, [], [])


def test_a_dry_run_that_is_put_off_keeps_its_minute(new_world: Callable[..., World]) -> None:
    world = new_world(SHAREPOINT_UNITS_PER_MINUTE=str(PACE), DRY_RUN="true")
    now = minute_of(world.clock.now())
    world.state.merge("pace", f"{now:.0f}", {"backfill": float(SHARE)}, "")
    (user,) = bulk.add_users(world, 1, settled=False)
    world.app.queues.send(Backfill(user, "swept", seen=now, born=now))
    world.host.deliver_due()
    assert [job.slot for job in world.queued(Backfill)] == [now + MINUTE]
    before = reserved(world)
    world.drain()
    assert (reserved(world), world.ledger.rows) == (before, {})


def test_a_dry_run_of_known_users_makes_no_call_and_no_user_wait(new_world: Callable[..., World]) -> None:
    world = new_world(SHAREPOINT_UNITS_PER_MINUTE=str(PACE), DRY_RUN="true")
    for user in bulk.add_users(world, USERS):
        bulk.settle(world, user, '"OTHER"')
    began, counted = world.clock.now(), calls_a_minute(world)
    world.sweep()
    assert (sum(counted.values()), minutes(world, began) < 1) == (0, True)


def test_an_asked_dry_run_waits_like_all_others_and_is_not_queued(small: World) -> None:
    now = minute_of(small.clock.now())
    for minute in range(3):
        small.state.merge("pace", f"{now + minute * MINUTE:.0f}", {"live": float(PACE)}, "")
    user = small.add()
    result = small.services.user_sync.sync_user(UserSyncRequest(user, dry_run=True))
    assert (result.outcome, result.hindrance) == ("deferred", "paced")
    assert result.after is not None
    assert result.after > 2 * MINUTE
    assert (small.outbox.messages, small.ledger.rows) == ([], {})


# --- what needs no call, or fewer ---


@pytest.mark.parametrize("lane", ["a sweep", "notifications"])
def test_new_etags_over_the_same_bytes_take_no_minutes(small: World, lane: str) -> None:
    users = settle_same_bytes(small, USERS)
    small.run(MINUTE)
    began, before, counted = small.clock.now(), reserved(small), calls_a_minute(small)
    if lane == "a sweep":
        small.sweep()
    else:
        small.hint(*users)
        small.run(1.0)
    assert {small.row(user).reason for user in users} == {"the same picture under a new ETag"}
    assert all(small.row(user).settled_etag == small.source(user) for user in users)
    assert (sum(counted.values()), minutes(small, began) < 2) == (0, True)
    assert reserved(small) - before <= 2 * 8  # of one sync, or of one in each of two minutes


def test_what_needs_no_call_does_not_wait_behind_what_does(small: World) -> None:
    same = settle_same_bytes(small, 100)
    changed = bulk.add_users(small, 40)
    for user in changed:
        bulk.settle(small, user, '"OTHER"')
    small.run(MINUTE)
    began, counted = small.clock.now(), calls_a_minute(small)
    small.sweep()
    for user in [*same, *changed]:
        assert small.row(user).settled_etag == small.source(user)
    assert sum(counted.values()) == 4 * len(changed)
    assert max(counted.values()) * UNITS_A_CALL <= 2 * SHARE
    assert minutes(small, began) <= 4 * len(changed) * UNITS_A_CALL / SHARE + 3


@pytest.mark.parametrize(
    ("who", "most"),
    [
        pytest.param("guests out of scope", 2, id="out of scope"),
        pytest.param("no mailbox any more", 2, id="no mailbox"),
        pytest.param("gone", 2, id="gone"),
        pytest.param("no profile", 8, id="no profile: one call of seven that were reserved"),
    ],
)
def test_users_for_whom_nothing_is_written_take_few_minutes(small: World, who: str, most: float) -> None:
    users = [small.add(guest=who == "guests out of scope") for _ in range(60)]
    for user in users:
        if who == "no mailbox any more":
            small.person(user).mailbox = False
        elif who == "no profile":
            small.tenant.sharepoint.configure(user, profile=False)
        elif who == "gone":
            small.tenant.world.remove(small.person(user))
    began, now = small.clock.now(), small.clock.now()
    for user in users:
        small.app.queues.send(Backfill(user, "swept", seen=now, born=now))
    small.drain()
    assert {small.row(user).outcome for user in users} <= {"skipped", "deferred", "gone"}
    assert minutes(small, began) <= most


def test_an_attempt_that_dies_in_between_loses_its_units_and_gives_none_back(small: World) -> None:
    (user,) = settle_same_bytes(small, 1)
    small.run(MINUTE)
    before = reserved(small)
    small.steps.on("call graph.microsoft.com", kill)
    small.ask(user)
    small.host.deliver_due()
    assert reserved(small) == before + 8
    small.run(HOUR)
    assert small.row(user).settled_etag == small.source(user)
    assert reserved(small) == before + 2 * 8
