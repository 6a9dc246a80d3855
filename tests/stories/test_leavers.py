"""Users who leave without a notification are forgotten; users out of scope, who exist, come to no harm."""

from collections.abc import Callable

import pytest

from local.tenant.directory.groups import Group
from shared.jobs import SweptCheck
from tests.fakes import bulk
from tests.fakes.world import World

HOUR = 3600.0
DAY = 24 * HOUR
GROUP = "0a0a0a0a-0000-4000-8000-000000000003"


def sweep_for(world: World, days: int, every: int = 6) -> None:
    for _ in range(days * 24 // every):
        world.run(every * HOUR)
        world.sweep()


def leave(world: World, user: str) -> None:
    """Let a person leave without a notification."""
    with world.tenant.world.lock:
        world.tenant.world.remove(world.person(user))
    world.outbox.messages.clear()


def known(world: World, user: str) -> bool:
    return (user[:2], user) in world.ledger.rows


@pytest.mark.parametrize("every", [6, 24, 72])
def test_a_user_who_leaves_is_forgotten_within_two_months(world: World, every: int) -> None:
    stays, leaves = bulk.add_users(world, 2)
    world.sweep()
    leave(world, leaves)

    sweep_for(world, 30, every)
    assert known(world, leaves)
    sweep_for(world, 36, every)

    assert (known(world, stays), known(world, leaves)) == (True, False)


def test_a_failing_user_who_leaves_fails_no_more_after_the_next_sweep(world: World) -> None:
    bulk.add_users(world, 1)
    user = world.add(photo=False)
    world.ledger.merge("failed", user, {"since": 1.0, "at": 1.0, "reason": "unexpected"}, "")
    world.note(user, outcome="failed", reason="unexpected")
    leave(world, user)

    world.sweep()

    assert (world.row(user).outcome, world.row(user).gone_since > 0) == ("gone", True)
    assert world.app.status_report.status()["failed"]["users"] == 0


def outside(new_world: Callable[..., World], how: str) -> tuple[World, str]:
    """Return a world with a user whose photo SharePoint shows, and who is out of scope since then."""
    settings = {"group": {"SCOPE": f"group:{GROUP}"}, "excluded": {"EXCLUDE_GROUP": GROUP}}.get(how, {})
    world = new_world(**settings)
    world.tenant.permissions.consent("graph", ["User.Read.All", "GroupMember.ReadBasic.All"])
    inside, user = bulk.add_users(world, 2)
    person, members = world.person(user), {"group": (inside,), "excluded": (user,)}.get(how, ())
    with world.tenant.world.lock:
        world.tenant.world.groups.put(Group(GROUP, "photos", members))
        person.enabled = how != "disabled"
        person.guest = how == "guest"
    return world, user


@pytest.mark.parametrize("how", ["disabled", "guest", "group", "excluded"])
@pytest.mark.parametrize("photo", ["unchanged", "changed", "removed"])
def test_a_user_out_of_scope_keeps_row_and_picture(
    new_world: Callable[..., World], how: str, photo: str
) -> None:
    world, user = outside(new_world, how)
    before = world.ledger.rows[user[:2], user]
    if photo == "changed":
        world.change_photo(user)
    elif photo == "removed":
        world.remove_photo(user)

    sweep_for(world, 62, 24)

    row = world.row(user)
    assert (row.settled_etag, row.gone_since) == (before[0]["settled_etag"], 0.0)
    assert world.requests("sharepoint") == []
    if photo == "unchanged":
        assert world.ledger.rows[user[:2], user] == before
    if photo == "changed":
        assert row.outcome == "skipped"


def test_a_failing_user_out_of_scope_is_skipped_and_fails_no_more(new_world: Callable[..., World]) -> None:
    world, user = outside(new_world, "disabled")
    world.change_photo(user)
    world.ledger.merge("failed", user, {"since": 1.0, "at": 1.0, "reason": "unexpected"}, "")
    world.note(user, outcome="failed", reason="unexpected")

    world.sweep()

    assert world.row(user).outcome == "skipped"
    assert world.app.status_report.status()["failed"]["users"] == 0


def checked_alone(world: World, days: int) -> int:
    """Return how many checks of no sweep's part there are in so many days."""
    found = 0

    def count() -> None:
        nonlocal found
        found += sum(job.part is None for job in world.queued(SweptCheck)[-1:])

    watch = world.steps.on(f"put {SweptCheck.queue}", count, times=None, after=True)
    sweep_for(world, days)
    world.steps.forget(watch)
    return found


def test_a_row_that_no_sweep_meets_is_looked_at_once_a_month_and_others_never(world: World) -> None:
    bulk.add_users(world, 5)
    user = bulk.add_users(world, 1)[0]
    world.person(user).enabled = False

    assert checked_alone(world, 60) == 2


def test_a_dry_run_looks_at_no_more_than_its_sweep(new_world: Callable[..., World]) -> None:
    world = new_world(DRY_RUN="true")
    user = bulk.add_users(world, 2)[0]
    world.person(user).enabled = False

    assert checked_alone(world, 60) == 0


def test_an_incomplete_sweep_says_nothing_about_who_was_not_met(new_world: Callable[..., World]) -> None:
    """Its pages expire, so that it meets the first 999 users only."""
    world = new_world(direct=True)
    bulk.add_users(world, 1010)
    world.tenant.world.knobs.page_token_life = 0.0

    assert checked_alone(world, 1) == 0
