"""Photos that cannot be written the first time that they are read: what that costs, and how it ends."""

import pytest

from local.tenant.traffic.faults import Fault
from shared.admin.sync_user import HIDDEN_FOR, UserSyncRequest
from shared.jobs import Sync
from shared.ledger.row import Row
from shared.sync.result import Result
from tests.fakes.external_steps import drop_connection, kill
from tests.fakes.world import World

HOUR = 3600.0
NO_PICTURE = b"GIF89a, or so it says"


def ask(world: World, user: str, **how: bool) -> Result:
    return world.services.user_sync.sync_user(UserSyncRequest(user, **how))


def reads(world: World) -> int:
    """Return how often the bytes of a photo were requested, alone or in a batch."""
    entries = world.tenant.history.entries(service="graph")
    asked = [path for each in entries for path in (each["path"], *(part[1] for part in each["parts"]))]
    return sum(path.endswith("/photo/$value") for path in asked)


@pytest.fixture
def user(world: World) -> str:
    """A user whose photo SharePoint shows."""
    user = world.add()
    world.ask(user)
    world.drain()
    world.tenant.history.clear()
    return user


@pytest.fixture
def torn(world: World, user: str) -> str:
    """A user whose new photo keeps one label in its metadata and another on its bytes."""
    world.change_photo(user)
    world.tenant.world.knobs.photo_labels = "two"
    return user


@pytest.fixture
def unreadable(world: World, user: str) -> str:
    """A user whose new photo is not a picture."""
    world.change_photo(user, NO_PICTURE)
    return user


def ask_every(world: World, user: str, seconds: float, **how: bool) -> list[Result]:
    """Ask for a user again and again until the answer is final; return all answers."""
    answers = [ask(world, user, **how)]
    while answers[-1].again and len(answers) < 20:
        world.run(seconds)
        answers.append(ask(world, user, **how))
        assert len(world.queued(Sync)) <= 1 + how.get("force", False) * len(answers)
    return answers


# --- an administrator asks again ---


@pytest.mark.parametrize("seconds", [31.0, 40.0, 300.0])
@pytest.mark.parametrize("force", [False, True], ids=["", "forced"])
def test_the_second_request_writes_a_photo_whose_labels_differ(
    world: World, torn: str, seconds: float, force: bool
) -> None:
    first, second = ask_every(world, torn, seconds, force=force)
    assert (first.outcome, first.after) == ("deferred", 30.0)
    assert second.outcome == ("synced" if force or seconds == 31.0 else second.outcome)
    assert world.shown(torn) == world.source(torn) == world.row(torn).settled_etag


@pytest.mark.parametrize("how", [{}, {"force": True}], ids=["", "forced"])
def test_a_photo_whose_labels_differ_is_written_after_half_a_minute_if_no_one_asks_again(
    world: World, torn: str, how: dict[str, bool]
) -> None:
    ask(world, torn, **how)
    assert 30 <= world.hidden()[0] <= 34
    world.run(35)
    assert world.shown(torn) == world.source(torn)
    assert world.outbox.messages == []


def test_requests_for_an_unreadable_photo_are_told_when_it_is_read_again_and_then_that_it_failed(
    world: World, unreadable: str
) -> None:
    answers = ask_every(world, unreadable, 31)
    assert [answer.after for answer in answers[:-1]] == [pytest.approx(120 - 31 * n, abs=2) for n in range(4)]
    assert (answers[-1].outcome, answers[-1].reason) == ("failed", "unreadable image")
    world.drain()
    assert world.row(unreadable).refused_etag == world.source(unreadable)
    assert world.requests("sharepoint") == []


def test_an_unreadable_photo_that_is_replaced_meanwhile_is_written_by_the_next_request(
    world: World, unreadable: str
) -> None:
    ask(world, unreadable)
    world.run(10)
    world.change_photo(unreadable)
    assert ask(world, unreadable).outcome == "synced"
    world.drain()
    world.settled(unreadable)


def test_another_unreadable_photo_is_read_twice_itself(world: World, unreadable: str) -> None:
    ask(world, unreadable)
    world.run(10)
    world.change_photo(unreadable, NO_PICTURE + b"!")
    assert ask(world, unreadable).after == 120.0
    world.drain()
    row = world.row(unreadable)
    assert (row.outcome, row.refused_etag) == ("failed", world.source(unreadable))


def test_an_unreadable_photo_that_was_refused_is_refused_again_at_once_if_that_is_forced(
    world: World, unreadable: str
) -> None:
    ask_every(world, unreadable, 124)
    assert ask(world, unreadable, force=True).outcome == "failed"


# --- an instance that stops, and queues out of reach ---


@pytest.mark.parametrize("step", ["write photoledger", "put photo-syncs", "take back photo-syncs"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_instance_that_stops_anywhere_in_a_request_leaves_the_job_in_the_queue(
    world: World, torn: str, step: str, after: bool
) -> None:
    nth = 1 if step.startswith("take") else 2  # the claim, its end; the hidden message, its successor
    death = world.steps.on(step, kill, nth=nth, after=after)
    assert not world.steps.survive(lambda: ask(world, torn))
    assert death.seen == nth
    assert world.queued(Sync)
    world.run(HIDDEN_FOR + 500)
    assert world.shown(torn) == world.source(torn)
    assert world.outbox.messages == []


@pytest.mark.parametrize("after", [False, True], ids=["out of reach", "answer lost"])
@pytest.mark.parametrize(("step", "nth"), [("put photo-syncs", 2), ("take back photo-syncs", 1)])
def test_a_queue_that_fails_changes_no_answer_and_loses_no_job(
    world: World, torn: str, step: str, nth: int, after: bool
) -> None:
    world.steps.on(step, drop_connection, nth=nth, after=after)
    assert ask(world, torn).after == 30.0
    world.run(HIDDEN_FOR + 60)
    assert world.shown(torn) == world.source(torn)
    assert world.outbox.messages == []


def test_a_request_that_must_wait_for_a_service_waits_no_longer_than_it_says(world: World, user: str) -> None:
    world.change_photo(user)
    world.fault(Fault(service="sharepoint", status=429, retry_after=40, next=1))
    assert ask(world, user).after == 70.0
    world.run(78)
    world.settled(user)


# --- what a hint costs ---


@pytest.mark.parametrize("why", ["", "a hint", "a sweep"])
@pytest.mark.parametrize("after", [0.0, 45.0, 130.0, 200.0, 1000.0])
def test_an_unreadable_photo_is_read_twice_whatever_comes_meanwhile_and_sharepoint_is_asked_nothing(
    world: World, unreadable: str, why: str, after: float
) -> None:
    world.hint(unreadable)
    world.run(1)
    world.run(after)
    if why == "a hint":
        world.hint(unreadable)
    elif why:
        world.open_sweep()
    world.run(2 * HOUR)
    assert world.row(unreadable).outcome == "failed"
    assert reads(world) == 2
    assert world.requests("sharepoint") == []


def test_an_unreadable_photo_of_a_new_user_is_read_twice_and_sharepoint_is_asked_nothing(
    world: World,
) -> None:
    user = world.add(photo=False)
    world.change_photo(user, NO_PICTURE)
    world.hint(user)
    world.run(2 * HOUR)
    assert (world.row(user).outcome, reads(world), world.requests("sharepoint")) == ("failed", 2, [])


def test_a_sweep_that_finds_a_photo_which_a_job_reads_again_counts_it_as_changed(
    world: World, unreadable: str
) -> None:
    world.hint(unreadable)
    world.run(1)
    assert world.sweep()["changed"] == 1


def test_a_retry_that_was_lost_is_made_up_for_by_the_next_sweep(world: World, unreadable: str) -> None:
    world.hint(unreadable)
    world.host.deliver_due()
    world.host.deliver_due()
    assert world.row(unreadable).tries == 2
    world.outbox.messages.clear()
    world.run(6 * HOUR)
    world.sweep()
    assert world.row(unreadable).outcome == "failed"


def test_a_photo_whose_labels_always_differ_is_written_once_and_read_no_more_than_once_a_check(
    world: World, torn: str
) -> None:
    world.hint(torn)
    world.run(2 * HOUR)
    assert world.shown(torn) == world.source(torn)
    assert reads(world) == 4  # two for the hint, one for each of its later checks
    assert len(world.requests("sharepoint")) == 4


def test_a_row_of_an_earlier_release_is_read_as_one_of_a_photo_that_was_never_read(
    world: World, unreadable: str
) -> None:
    columns, version = world.ledger.rows[unreadable[:2], unreadable]
    new = {"tried_etag", "tries", "retry_at"}
    world.ledger.rows[unreadable[:2], unreadable] = (
        {name: value for name, value in columns.items() if name not in new},
        version,
    )
    assert (world.row(unreadable).tries, world.row(unreadable).retry_at) == (0.0, Row("").retry_at)
    assert ask(world, unreadable).after == 120.0
