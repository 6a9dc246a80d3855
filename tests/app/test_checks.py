"""A check: the users that it queues, what it notes, and the users that it checks again."""

import pytest

from local.tenant.traffic.faults import Fault
from shared.jobs import Check, SweptCheck, Sync, write
from shared.sweeps.store import PartStore
from tests.fakes.external_steps import drop_connection
from tests.fakes.world import World

DAY = 24 * 3600.0


def check(world: World, *users: str, why: str = "notified", **facts: object) -> None:
    now = world.clock.now()
    job = Check(users, why, **{"seen": now, "born": now, **facts})
    world.services.checker.check(job)


def syncs(world: World) -> list[str]:
    return [job.user for job in world.queued(Sync)]


def part(user: str, **fault: object) -> Fault:
    return Fault(service="graph", part=True, path=user, **fault)


@pytest.fixture
def shown(world: World) -> str:
    """A user whose photo SharePoint shows."""
    user = world.add()
    world.ask(user)
    world.drain()
    world.tenant.history.clear()
    world.steps.taken.clear()
    return user


# --- how long it may take ---


def test_a_check_without_time_left_for_graph_is_deferred(world: World, shown: str) -> None:
    world.change_photo(shown)
    world.steps.on("read photoledger", lambda: world.clock.advance(250), after=True)
    check(world, shown)
    assert (world.requests(), syncs(world)) == ([], [])
    assert [job.users for job in world.queued(Check)] == [(shown,)]
    world.drain()
    world.settled(shown)


# --- the comparison ---


def test_a_changed_photo_is_queued_and_an_unchanged_one_is_not(world: World, shown: str) -> None:
    check(world, shown)
    assert syncs(world) == []
    world.change_photo(shown)
    now = world.clock.now()
    check(world, shown, seen=now - 5)
    assert world.queued(Sync) == [Sync(shown, "notified", now - 5, now)]


def test_a_sync_says_whether_it_is_a_repair_and_whether_it_is_forced(world: World, shown: str) -> None:
    check(world, shown, force=True)
    world.note(shown, dirty=True)
    check(world, shown)
    assert [(job.cause, job.force) for job in world.queued(Sync)] == [("notified", True), ("repaired", False)]


def test_a_missing_photo_is_noted_once_and_queues_nothing(world: World, shown: str) -> None:
    world.remove_photo(shown)
    check(world, shown)
    since = world.clock.now()
    world.clock.advance(100)
    check(world, shown)
    assert world.row(shown).missing_since == since
    assert syncs(world) == []


# --- other attempts at work ---


def test_a_note_is_dropped_if_a_sync_wrote_meanwhile(world: World, shown: str) -> None:
    world.remove_photo(shown)
    world.steps.on("call graph.microsoft.com", lambda: world.note(shown, claim_token="theirs"))
    check(world, shown)
    assert (world.row(shown).missing_since, world.row(shown).claim_token) == (0.0, "theirs")


def test_a_note_that_cannot_be_written_fails_no_user(world: World, shown: str) -> None:
    other = world.add()
    world.remove_photo(shown)
    world.steps.on("write photoledger", drop_connection)
    check(world, shown, other, why="rechecked")
    assert world.row(shown).missing_since == 0.0
    assert (syncs(world), world.queued(Check)) == ([other], [])


# --- users without an answer ---


def test_only_users_without_an_answer_are_checked_again(world: World) -> None:
    answered, busy, late = world.add(), world.add(), world.add()
    world.fault(part(busy, status=429, retry_after=50), part(late, status=503, retry_after=90))
    check(world, answered, busy, late, why="rechecked", seen=1.0, born=world.clock.now() - 10)
    assert syncs(world) == [answered]
    (again,) = world.queued(Check)
    assert (set(again.users), again.seen, again.tries) == ({busy, late}, 1.0, 1)
    assert again.born == world.clock.now() - 10
    (hidden,) = world.hidden(Check.queue)
    assert 50 <= hidden <= 55  # the first; the row of the other says until when it is not asked for
    assert world.steps.taken[-1] == "put photo-checks"  # the deferral is the last step
    world.fault()
    world.drain()
    for user in (answered, busy, late):
        world.settled(user)


def test_denied_users_wait_for_themselves_unless_all_are_denied(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = world.add(), world.add()
    world.fault(*(part(user, status=403, code="ErrorAccessDenied") for user in (one, two)))
    check(world, one, two, world.add(), why="rechecked")
    check(world, one, two)
    assert [job.users for job in world.queued(Check)] == [(one, two), (one, two)]
    own, service = world.hidden(Check.queue)
    assert 30 <= own <= 34
    assert 900 <= service <= 991
    assert any(record.levelname == "ERROR" for record in caplog.records)


def test_a_user_with_an_invalid_answer_is_checked_again_and_finally_given_up(world: World) -> None:
    odd, fine = world.add(), world.add()
    world.fault(part(odd, status=404, code="SomethingNew"))
    check(world, odd, fine, why="rechecked")
    (again,) = world.queued(Check)
    assert (again.users, again.tries) == ((odd,), 1)
    world.drain()
    world.settled(fine)
    row = world.row(odd)
    assert (row.outcome, row.reason) == ("failed", "Graph answered 404 SomethingNew")
    assert world.steps.taken.count("put photo-checks") == 5
    world.fault()
    world.hint(odd)
    world.drain()
    world.settled(odd)


# --- outages ---


def test_a_check_is_deferred_as_a_whole_if_graph_is_busy(world: World) -> None:
    users = [world.add(), world.add()]
    world.fault(Fault(service="graph", status=503, retry_after=70))
    check(world, *users)
    assert [job.users for job in world.queued(Check)] == [tuple(users)]
    (hidden,) = world.hidden(Check.queue)
    assert 100 <= hidden <= 111  # after all others, for which the gate opens then, too
    assert len(world.requests()) == 1


@pytest.mark.parametrize("after", [False, True], ids=["out of reach", "answer lost"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_queue_that_fails_at_any_step_loses_no_user(world: World, after: bool, nth: int) -> None:
    users = [world.add() for _ in range(3)]
    world.fault(part(users[2], status=503, next=1))
    world.hint(*users)
    world.steps.on("put .*", drop_connection, nth=nth, after=after)
    world.host.deliver_due()
    assert world.queued(Check)  # the message itself, or its replacement
    world.drain()
    for user in users:
        world.settled(user)


def test_after_a_day_users_are_left_to_the_next_sweep(world: World) -> None:
    user = world.add()
    world.fault(Fault(service="graph", status=503))
    check(world, user, born=world.clock.now() - DAY - 1)
    assert world.outbox.messages == []
    row = world.row(user)
    assert row.outcome == "failed"
    assert row.reason.startswith("gave up after a day: Graph does not answer for this user's photo")


def test_a_dry_run_queues_users_and_notes_nothing(new_world) -> None:
    world = new_world(DRY_RUN="true")
    changed, no_mailbox = world.add(), world.add(mailbox=False)
    check(world, changed, no_mailbox)
    world.fault(Fault(service="graph", status=503))
    check(world, changed, born=world.clock.now() - DAY - 1)
    assert world.ledger.rows == {}
    assert syncs(world) == [changed]


# --- asked by a sweep ---

PART = ("20270115T080000-0a1b", "00000-000")


def sweep_check(world: World, *users: str, **facts: object) -> None:
    """Let a sweep ask for these users, as its only part."""
    PartStore(world.parts).add(*PART, users)
    now = world.clock.now()
    world.app.queues.send(SweptCheck(users, "swept", **{"seen": now, "born": now, "part": PART, **facts}))


def letters(world: World) -> str:
    ((_, part),) = PartStore(world.parts).all(PART[0])
    return part.letters


def test_after_a_day_a_sweep_learns_which_users_not_to_wait_for(world: World, shown: str) -> None:
    stranger = world.add()
    world.fault(Fault(service="graph", status=503))
    sweep_check(world, shown, stranger, born=world.clock.now() - DAY - 1)
    world.host.deliver_due()
    assert letters(world) == "Ff"
    assert world.outbox.messages == []


@pytest.mark.parametrize("force", [False, True], ids=["", "forced"])
def test_a_part_out_of_reach_for_hours_queues_no_user_twice_and_is_answered_in_the_end(
    new_world, force: bool
) -> None:
    world = new_world(DRY_RUN="false" if force else "true")  # neither notes which users it queued
    changed, empty = world.add(), world.add(photo=False)
    sweep_check(world, changed, empty, force=force)
    outage = world.steps.on("write photoparts", drop_connection, times=None)
    world.run(3 * 3600)
    assert world.steps.taken.count("put photo-backfill") == 1
    assert letters(world) == "??"
    world.steps.forget(outage)
    world.run(1800)
    assert letters(world) == "cn"
    assert world.queued(SweptCheck) == []


def test_answers_wait_for_their_part_no_longer_than_a_day(world: World) -> None:
    sweep_check(world, world.add(photo=False))
    world.steps.on("write photoparts", drop_connection, times=None)
    world.run(DAY + 3600)
    assert world.outbox.messages == []
    assert letters(world) == "?"


def test_poisoned_answers_are_recorded_in_the_part_and_fail_no_user(world: World, shown: str) -> None:
    PartStore(world.parts).add(*PART, (shown,))
    job = SweptCheck((shown,), "swept", seen=1.0, born=1.0, part=PART, letters="U")
    world.app.recorder.record(SweptCheck, write(job).encode())
    assert letters(world) == "U"
    assert world.row(shown).outcome == "synced"
