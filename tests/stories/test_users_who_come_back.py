"""Users who leave and come back, and answers that seem to say that they left: no row is lost meanwhile."""

from collections.abc import Callable

import pytest

from local.tenant.traffic.faults import Fault
from shared.jobs import Backfill
from tests.fakes.world import World

HOUR, DAY = 3600.0, 86_400.0

NO_SUCH_USER = {"no_mailbox_code": "Request_ResourceNotFound"}  # said of the photo of a user who exists
UNKNOWN = {"no_photo_code": "SomethingNew", "batch_no_photo": "error"}


def knobs(world: World, **turned: str) -> None:
    for name, value in turned.items():
        setattr(world.tenant.world.knobs, name, value)


def shown_user(world: World, **facts: object) -> str:
    """Return a user whose photo SharePoint shows."""
    user = world.add(**facts)
    world.ask(user)
    world.drain()
    return user


def sweeps(world: World, days: float, *, a_day: int = 1) -> None:
    for _ in range(round(days * a_day)):
        world.run(DAY / a_day)
        world.sweep()


def leave(world: World, user: str) -> None:
    """Let a user be deleted, and the app hear of it."""
    world.tenant.world.remove(world.person(user))
    world.hint(user)
    world.drain()
    assert world.row(user).gone_since


# --- restored ---


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({}, id="no mailbox"),
        pytest.param({"no_mailbox": "400"}, id="400"),
        pytest.param({"no_mailbox": "unresolved"}, id="unknown to the photo service"),
        pytest.param(NO_SUCH_USER, id="no such resource"),
        pytest.param({"no_mailbox_code": "NeverHeardOf"}, id="an unknown code"),
    ],
)
@pytest.mark.parametrize("way", ["by sweeps", "by a sync"])
def test_a_user_restored_without_a_mailbox_loses_the_old_picture_when_the_mailbox_is_back_without_a_photo(
    world: World, answers: dict[str, str], way: str
) -> None:
    user, other = shown_user(world), shown_user(world)
    leave(world, user)
    knobs(world, **answers)
    world.person(user).mailbox = False
    world.tenant.world.restore(world.person(user))
    if way == "by a sync":
        world.ask(user)
        world.drain()
        assert world.row(user).gone_since == 0.0
        world.run(31 * DAY)
    else:
        sweeps(world, 31)
    assert world.row(user).settled_etag
    assert world.row(user).gone_since == 0.0

    world.person(user).mailbox = True
    world.remove_photo(user)
    knobs(world, no_mailbox="404", no_mailbox_code="ErrorNonExistentMailbox")
    sweeps(world, 1, a_day=3)
    assert (world.shown(user), world.row(user).outcome) == ("", "cleared")
    world.settled(other)


@pytest.mark.parametrize(
    ("turned", "photo"),
    [
        pytest.param({}, True, id="the same photo"),
        pytest.param({}, False, id="no photo"),
        pytest.param(UNKNOWN, False, id="no photo, by an unknown code"),
    ],
)
@pytest.mark.parametrize("why", ["notified", "rechecked"])
def test_a_check_of_a_restored_user_ends_that_they_are_gone_with_one_write(
    world: World, turned: dict[str, str], photo: bool, why: str
) -> None:
    user = shown_user(world)
    leave(world, user)
    knobs(world, **turned)
    world.tenant.world.restore(world.person(user))
    if not photo:
        world.remove_photo(user)
    for writes in (1, 0):
        world.steps.taken.clear()
        world.hint(user, why=why)
        world.host.deliver_due()
        assert world.steps.taken.count("write photoledger") == writes
        assert world.row(user).gone_since == 0.0


def test_a_user_whom_every_page_lists_is_not_gone_although_graph_never_answers_about_their_photo(
    world: World,
) -> None:
    user = shown_user(world)
    leave(world, user)
    world.tenant.world.restore(world.person(user))
    world.fault(Fault(service="graph", part=True, path=f"{user}/photo", status=503))
    world.open_sweep()
    world.run(HOUR / 2)
    assert world.row(user).gone_since == 0.0


def test_a_sync_that_fails_after_it_met_a_restored_user_ends_that_they_are_gone(world: World) -> None:
    user = shown_user(world)
    leave(world, user)
    world.tenant.world.restore(world.person(user))
    world.change_photo(user)
    world.fault(Fault(path="ProcessQuery|AddUsingPath", status=400))
    world.ask(user)
    world.drain()
    row = world.row(user)
    assert (row.outcome, row.gone_since) == ("failed", 0.0)


# --- a photo service that says "no such user" of users who exist ---


@pytest.mark.parametrize(
    "answers", [NO_SUCH_USER, {"no_mailbox": "unresolved"}], ids=["no such", "unresolved"]
)
@pytest.mark.parametrize("enabled", [True, False], ids=["", "disabled"])
def test_a_user_whom_only_the_photo_service_does_not_know_is_skipped_by_checks_and_syncs(
    world: World, answers: dict[str, str], enabled: bool
) -> None:
    user = shown_user(world)
    knobs(world, **answers)
    world.person(user).mailbox, world.person(user).enabled = False, enabled
    world.hint(user)
    world.drain()
    row = world.row(user)
    assert (row.outcome, row.gone_since) == ("skipped", 0.0)
    world.ask(user)
    world.drain()
    row = world.row(user)
    assert (row.outcome, row.gone_since) == ("skipped", 0.0)


@pytest.mark.parametrize("gone_code", ["Request_ResourceNotFound", "UnknownError"])
def test_a_user_who_left_is_gone_whatever_the_photo_service_calls_it(world: World, gone_code: str) -> None:
    user, other = shown_user(world), shown_user(world)
    knobs(world, photo_user_gone=gone_code)
    world.tenant.world.remove(world.person(user))
    world.tenant.history.clear()
    world.hint(user, other)
    world.host.deliver_due()
    assert world.row(user).gone_since
    assert world.row(other).outcome == "synced"
    assert len(world.requests("graph")) == 2


@pytest.mark.parametrize("status", [429, 503, 400, 403])
def test_where_graph_cannot_say_whether_a_user_exists_only_that_user_waits(world: World, status: int) -> None:
    user, other = shown_user(world), shown_user(world)
    knobs(world, **NO_SUCH_USER)
    world.person(user).mailbox = False
    world.change_photo(other)
    world.fault(Fault(service="graph", part=True, path=f"{user}\\?", status=status, next=1))
    world.hint(user, other)
    world.host.deliver_due()
    assert world.row(user).outcome == "synced"  # nothing is known, and nothing is noted
    world.drain()
    world.settled(other)
    assert (world.row(user).outcome, world.row(user).gone_since) == ("skipped", 0.0)


# --- a code that no document names ---


def test_an_unknown_404_costs_a_sweep_no_more_requests_than_a_known_one_and_fails_no_user(
    new_world: Callable[..., World],
) -> None:
    costs = {}
    for code in ("ImageNotFound", "SomethingNew"):
        world = new_world()
        world.tenant.reset()
        knobs(world, no_photo_code=code, batch_no_photo="error")
        for number in range(200):
            world.add(photo=number >= 180)
        world.tenant.history.clear()
        figures = world.sweep()
        world.run(HOUR)
        costs[code] = sum("$batch" in each for each in world.requests("graph")) - 20  # of those with a photo
        assert (figures["empty"], figures["failed"], figures["changed"]) == (180, 0, 20)
        assert world.app.status_report.status()["failed"]["users"] == 0
    assert costs == {"ImageNotFound": 10, "SomethingNew": 10}


def test_a_hint_of_a_user_with_an_unknown_404_is_checked_with_one_more_request_and_not_repeated(
    world: World,
) -> None:
    user = shown_user(world)
    knobs(world, **UNKNOWN)
    world.remove_photo(user)
    world.tenant.history.clear()
    world.hint(user, why="rechecked")
    world.drain()
    assert len(world.requests("graph")) == 2
    assert world.row(user).outcome == "synced"


@pytest.mark.parametrize("setting", ["clear", "keep"])
def test_nothing_is_removed_on_an_unknown_404_and_the_time_of_a_removal_begins_anew(
    new_world: Callable[..., World], setting: str
) -> None:
    world = new_world(ON_PHOTO_REMOVED=setting)
    users = [shown_user(world) for _ in range(4)]
    user = users[0]
    before = world.shown(user)
    world.remove_photo(user)
    world.sweep()
    assert world.row(user).missing_since
    knobs(world, **UNKNOWN)
    for _ in range(4):
        world.run(6 * HOUR)
        figures = world.sweep()
        assert (figures["missing"], figures["removable"]) == (1, 0)
        assert world.row(user).missing_since == 0.0
    assert (world.shown(user), world.row(user).settled_etag) == (before, before)

    knobs(world, no_photo_code="ImageNotFound", batch_no_photo="null")
    world.run(6 * HOUR)
    assert world.sweep()["removable"] == 0
    world.run(6 * HOUR)
    world.sweep()
    assert world.row(user).outcome == {"clear": "cleared", "keep": "kept"}[setting]


@pytest.mark.parametrize(
    "where", ["the batch", "the bytes"], ids=["metadata say so", "only the separate request says so"]
)
def test_a_removal_that_meets_an_unknown_404_removes_nothing(world: World, where: str) -> None:
    user = shown_user(world)
    before, writes = world.shown(user), len(world.requests("sharepoint"))
    world.remove_photo(user)
    world.note(user, missing_since=world.clock.now() - DAY)
    if where == "the batch":
        world.fault(Fault(service="graph", part=True, path="/photo$", status=404, code="SomethingNew"))
    else:
        world.fault(Fault(service="graph", path=r"/photo/\$value", status=404, code="SomethingNew"))
    now = world.clock.now()
    world.app.queues.send(Backfill(user, "swept", seen=now, born=now, removal=True))
    world.drain()
    asked = world.services.syncer.attempt(world.ask(user), remove=True)
    assert (world.shown(user), asked.outcome) == (before, "unchanged")
    assert world.requests("sharepoint")[writes:] == []
