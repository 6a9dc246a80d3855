"""Users without a SharePoint profile: sweeps look for it ever less often, and everything else at once."""

from collections.abc import Callable

import pytest

from shared.ledger.row import DAY, LONGEST_WAIT
from tests.fakes.world import World

HOUR = 3600.0
SWEEP_EVERY = 6 * HOUR
REASON = "SharePoint has no profile of this user yet"
DAYS_OF_LOOKS = (0, 0.25, 0.5, 0.75, 1, 2, 4, 8, 16, 32, 48)  # after the first one


@pytest.fixture
def user(world: World) -> str:
    """A user with a photo and without a profile."""
    user = world.add()
    lose_profile(world, user)
    return user


def lose_profile(world: World, user: str) -> None:
    world.tenant.sharepoint.configure(user, profile=False)


def get_profile(world: World, user: str) -> None:
    world.tenant.sharepoint.configure(user, profile=True)


def sweep_for(world: World, seconds: float) -> list[float]:
    """Let sweeps run; return the times of the calls to SharePoint, in seconds from now."""
    began, times = world.clock.now(), list[float]()

    def note() -> None:
        times.append(world.clock.now() - began)

    world.steps.on(r"call contoso-\w+\.sharepoint\.com", note, times=None)
    while world.clock.now() < began + seconds:
        opened = world.clock.now()
        world.sweep()
        world.run(opened + SWEEP_EVERY - world.clock.now())
    world.steps.clear()
    return times


def calls(world: World, do: Callable[[], object]) -> int:
    """Return how many calls to SharePoint follow, within half an hour."""
    world.tenant.history.clear()
    do()
    world.run(HOUR / 2)
    return len(world.requests("sharepoint"))


def wait_long(world: World) -> None:
    """Let sweeps run until they look for the profile again only in days."""
    sweep_for(world, 5 * DAY)
    assert calls(world, world.sweep) == 0


# --- what it costs, and how long it takes ---


def test_sweeps_look_for_a_missing_profile_ever_less_often(world: World, user: str) -> None:
    looked = sweep_for(world, 60 * DAY)
    assert looked == pytest.approx([days * DAY for days in DAYS_OF_LOOKS], abs=HOUR)
    assert (world.row(user).outcome, world.row(user).reason) == ("deferred", REASON)


@pytest.mark.parametrize("after", [0.1, 0.5, 0.9, 1.5, 3, 7, 12, 20, 33], ids=lambda days: f"{days} days")
def test_a_profile_that_comes_is_found_in_as_long_again_as_it_was_missing_or_in_16_days(
    world: World, user: str, after: float
) -> None:
    sweep_for(world, after * DAY)
    get_profile(world, user)
    came = world.clock.now()
    missing_for = after * DAY
    early = missing_for < DAY - SWEEP_EVERY
    most = SWEEP_EVERY if early else min(missing_for, LONGEST_WAIT) + 2 * SWEEP_EVERY
    sweep_for(world, most)
    world.settled(user)
    assert world.clock.now() - came <= most + SWEEP_EVERY
    row = world.row(user)
    assert (row.no_profile_since, row.no_profile_until, row.no_profile_etag) == (0.0, 0.0, "")


def test_a_profile_that_is_lost_once_more_is_looked_for_as_often_as_at_first(world: World, user: str) -> None:
    wait_long(world)
    get_profile(world, user)
    world.sweep(force=True)
    world.settled(user)
    lose_profile(world, user)
    world.change_photo(user)
    looked = sweep_for(world, 3 * DAY)
    assert len([each for each in looked if each < DAY]) >= 4


# --- what looks at once ---


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(lambda world, user: world.hint(user), id="a notification"),
        pytest.param(lambda world, _: world.sweep(force=True), id="a forced sweep"),
        pytest.param(lambda world, user: world.ask(user, "asked"), id="an administrator"),
        pytest.param(lambda world, user: world.ask(user, "asked", force=True), id="by force"),
        pytest.param(lambda world, user: (world.change_photo(user), world.sweep()), id="another photo"),
    ],
)
def test_whatever_is_new_looks_for_the_profile_at_once(
    world: World, user: str, look: Callable[[World, str], object]
) -> None:
    wait_long(world)
    assert calls(world, lambda: look(world, user)) == 1
    get_profile(world, user)
    assert calls(world, lambda: look(world, user)) == 6
    world.settled(user)


def test_a_new_name_looks_at_once_by_its_notification(world: World, user: str) -> None:
    wait_long(world)
    other = world.add(photo=False)
    name = world.person(other).upn
    world.tenant.world.remove(world.person(other))
    world.tenant.world.rename(world.person(user), name)
    get_profile(world, user)
    world.tenant.sharepoint.settle_renames()
    world.hint(user)
    world.run(HOUR)
    world.settled(user)


def test_later_looks_after_a_notification_make_no_call_for_the_same_photo(world: World, user: str) -> None:
    wait_long(world)
    assert calls(world, lambda: world.hint(user)) == 1
    world.hint(user)
    world.run(60.0)
    get_profile(world, user)
    world.change_photo(user)  # Graph's store had it after the notification
    world.run(HOUR)
    world.settled(user)


# --- other users without a target ---


def test_a_known_user_whose_profile_is_gone_waits_like_a_new_one(world: World) -> None:
    user = world.add()
    world.ask(user)
    world.drain()
    lose_profile(world, user)
    world.change_photo(user)
    looked = sweep_for(world, 30 * DAY)
    assert [each for each in looked if each > 16 * DAY + SWEEP_EVERY] == []
    assert len([each for each in looked if each > DAY]) <= 5
    get_profile(world, user)
    sweep_for(world, LONGEST_WAIT + SWEEP_EVERY)
    world.settled(user)


def test_a_removal_without_a_profile_waits_too_and_is_done_in_the_end(world: World) -> None:
    user = world.add()
    world.ask(user)
    world.drain()
    lose_profile(world, user)
    world.remove_photo(user)
    looked = sweep_for(world, 30 * DAY)
    assert len([each for each in looked if each > 2 * DAY]) <= 4
    get_profile(world, user)
    sweep_for(world, LONGEST_WAIT + SWEEP_EVERY)
    assert (world.row(user).outcome, world.row(user).settled_etag) == ("cleared", "")


def another_person(world: World, user: str) -> None:
    world.tenant.sharepoint.configure(user, object_id="0f000000-0000-4000-8000-000000000001")


def the_right_one(world: World, user: str) -> None:
    world.tenant.sharepoint.configure(user, object_id=user)


@pytest.mark.parametrize(
    ("hinder", "end"),
    [
        pytest.param(another_person, the_right_one, id="a profile of another person"),
        pytest.param(
            lambda world, _: world.tenant.sharepoint.add_folder("Profilbilder"),
            lambda world, _: world.restart(PHOTO_FOLDER="Profilbilder"),
            id="several folders",
        ),
        pytest.param(
            lambda world, _: world.tenant.sharepoint.rename("fabrikam"),
            lambda world, _: world.restart(SHAREPOINT_HOST="fabrikam.sharepoint.com"),
            id="a renamed tenant",
        ),
    ],
)
def test_what_others_set_right_is_found_by_the_next_sweep_however_long_it_took(
    world: World, hinder: Callable[[World, str], object], end: Callable[[World, str], object]
) -> None:
    user = world.add()
    hinder(world, user)
    looked = sweep_for(world, 20 * DAY)
    assert len(looked) >= 80  # in each sweep
    assert world.row(user).outcome == "deferred"
    end(world, user)
    world.sweep()
    world.settled(user)


def test_a_user_who_comes_back_into_scope_does_not_wait_for_what_was_before(world: World, user: str) -> None:
    wait_long(world)
    world.person(user).enabled = False
    world.hint(user)
    world.run(HOUR)
    assert world.row(user).outcome == "skipped"
    world.person(user).enabled = True
    get_profile(world, user)
    world.sweep()
    world.settled(user)
