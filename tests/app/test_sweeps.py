"""Sweeps are opened, wished for and ended correctly, whatever fails at any step."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NoReturn

import pytest

from shared.errors import Denied, Stale
from shared.jobs import Backfill, SweepPage, SweptCheck, Tend, write
from shared.sweeps.state import FEW, LAST_PAGE_READ
from shared.sweeps.store import SweepStore
from shared.sweeps.sweeper import FAILED_A_STEP
from shared.sweeps.tally import part_key
from tests.app.sweeps_seen import ended, record
from tests.fakes import bulk
from tests.fakes.external_steps import drop_connection, fail_precondition, kill
from tests.fakes.world import World

HOUR = 3600.0
DAY = 24 * HOUR
STEPS = ["read", "write", "scan"]


def refuse_us() -> NoReturn:
    raise Denied("storage", "403 AuthorizationPermissionMismatch", status=403)


# --- opening ---


def test_a_sweep_is_opened_unless_one_runs(world: World) -> None:
    first = world.services.opener.open("the timer")
    second = world.services.opener.open("an administrator", force=True)
    assert (first.new, second.new, second.id) == (True, False, first.id)
    assert (record(world).why, record(world).force) == ("the timer", False)
    assert world.queued(SweepPage) == [SweepPage(first.id, 0, born=world.clock.now())]
    assert world.hidden(SweepPage.queue) == [10.0]


def test_an_opening_that_meets_itself_counts_as_new(world: World) -> None:
    world.steps.on("write photostate", fail_precondition, after=True)
    opened = world.services.opener.open("the timer")

    assert opened.new
    assert record(world).id == opened.id


def test_one_of_two_simultaneous_openings_opens_a_sweep(world: World) -> None:
    world.add()
    world.steps.on("write photostate", lambda: world.services.opener.open("theirs"))
    opened = world.services.opener.open("ours")

    assert not opened.new
    assert (record(world).id, record(world).why) == (opened.id, "theirs")
    world.drain()
    assert [each["seen"] for each in ended(world)] == [1]


# --- wishes ---


def test_a_wish_opens_a_sweep_if_none_runs(world: World) -> None:
    world.services.opener.request("missed")
    assert (record(world).state, record(world).why, record(world).again) == ("running", "missed", False)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_wish_at_any_write_of_a_sweep_is_not_lost(world: World, after: bool) -> None:
    user = bulk.add_users(world, 1)[0]
    for nth in range(1, 7):
        fresh(world, user)
        world.open_sweep()
        wish = partial(world.services.opener.request, "missed")
        world.steps.on("write photostate", wish, nth=nth, after=after)
        world.drain()
        wished = [each["why"] for each in ended(world)]
        assert wished in (["the timer"], ["missed", "the timer"])
        assert not record(world).again
        # Nothing was wished only if the sweep made fewer writes.
        assert len(wished) == 2 or nth > 2


def fresh(world: World, *settled: str) -> None:
    """Reset everything, so that the test can run again; the photos of `settled` are in SharePoint."""
    world.steps.clear()
    world.steps.taken.clear()
    for table in (world.state, world.parts, world.ledger):
        table.rows.clear()
    world.outbox.messages.clear()
    for user in settled:
        bulk.settle(world, user, world.source(user))


@pytest.mark.parametrize(
    "mishap", [kill, drop_connection, fail_precondition], ids=["killed", "cut off", "met itself"]
)
def test_a_wish_survives_every_mishap(world: World, mishap: Callable[[], NoReturn]) -> None:
    """The wanted sweep runs, whatever fails at any write of the record."""
    user = bulk.add_users(world, 1)[0]
    for nth in range(1, 9):
        fresh(world, user)
        world.open_sweep()
        world.services.opener.request("changes were missed")
        world.steps.on("write photostate", mishap, nth=nth, after=True)
        world.drain()
        wished = [each for each in ended(world) if each["why"] == "changes were missed"]
        assert [each["state"] for each in wished] == ["finished"]
        assert not record(world).again


# --- steps ---


@pytest.mark.parametrize(
    ("kind", "mishap", "after"),
    [
        pytest.param("write", fail_precondition, True, id="a write met itself"),
        pytest.param("write", drop_connection, True, id="a write's answer lost"),
        *(pytest.param(kind, drop_connection, False, id=f"a {kind} cut off") for kind in STEPS),
        *(pytest.param(kind, refuse_us, False, id=f"a {kind} denied") for kind in STEPS),
    ],
)
def test_a_sweep_ends_once_whatever_happens_to_its_tables(world: World, kind, mishap, after) -> None:
    users = bulk.add_users(world, 3)
    for nth in range(1, 12):
        fresh(world, *users)
        opened = world.services.opener.open("the timer")
        world.steps.on(f"{kind} photo(state|parts)", mishap, nth=nth, after=after)
        world.drain()
        world.steps.clear()
        assert [(each["id"], each["state"], each["unchanged"]) for each in ended(world)] == [
            (opened.id, "finished", 3)
        ]
        # An unconditional write never meets itself; if it did here, the message came again.
        assert all(isinstance(failure, Stale) for failure in world.host.failures)


def test_a_duplicate_that_ends_the_sweep_first_and_dies_leaves_the_wish_its_message(world: World) -> None:
    """One still sees an unanswered user; the faster one sees the answer, ends the sweep, and dies then."""
    bulk.add_users(world, 1)
    opened = world.services.opener.open("the timer")
    world.services.sweeper.step(SweepPage(opened.id, 0, born=world.clock.now()))
    (check,) = world.queued(SweptCheck)
    waiting = SweepPage(opened.id, 1, born=world.clock.now())
    world.outbox.messages.clear()  # both are being worked on
    world.services.opener.request("changes were missed")

    def be_faster() -> None:
        world.services.checker.check(check)
        world.steps.on("put photo-sweeps", kill)  # the sweep has ended, and is about to be tidied
        world.steps.survive(lambda: world.services.sweeper.step(waiting))

    world.steps.on("write photostate", be_faster)
    assert world.steps.survive(lambda: world.services.sweeper.step(waiting))
    assert (record(world).state, record(world).again) == ("finished", True)
    world.drain()
    assert sorted(each["why"] for each in ended(world)) == ["changes were missed", "the timer"]


# --- the end ---


def to_its_last_step(world: World, sweep: str) -> tuple[SweepPage, list[SweptCheck]]:
    """Read a sweep's only page; return the messages of its last step and its checks, both being worked on."""
    world.services.sweeper.step(SweepPage(sweep, 0, born=world.clock.now()))
    checks = world.queued(SweptCheck)
    world.outbox.messages.clear()
    return SweepPage(sweep, 1, born=world.clock.now()), checks


def test_a_last_step_that_froze_does_not_undo_a_release(world: World) -> None:
    for user in bulk.add_users(world, 5, photo=False):
        world.note(user, missing_since=world.clock.now() - 2 * HOUR)
    sweep = world.open_sweep()
    last, (check,) = to_its_last_step(world, sweep)
    world.services.checker.check(check)

    def be_faster() -> None:
        world.services.sweeper.step(last)
        world.services.removals.release(sweep)
        world.drain()

    world.steps.on("write photostate", be_faster)
    world.services.sweeper.step(last)
    world.drain()
    assert [(each["state"], each["reason"]) for each in ended(world)] == [
        ("finished", "released by a person")
    ]


def test_the_last_few_users_without_an_answer_fail_after_an_hour_and_hold_up_no_removal(world: World) -> None:
    removed, _, strange = bulk.add_users(world, 3, photo=False)
    world.note(removed, missing_since=world.clock.now() - 2 * HOUR)
    world.note(strange, settled_etag="")
    last, (check,) = to_its_last_step(world, world.open_sweep())
    world.services.checker.check(replace(check, users=(removed,)))
    world.services.sweeper.step(last)
    world.clock.advance(HOUR)
    world.services.sweeper.step(last)
    assert record(world).state == "running"
    world.clock.advance(1)
    world.services.sweeper.step(last)
    (figures,) = ended(world)
    assert (figures["state"], figures["failed"], figures["shown"]) == ("finished", 2, 2)
    assert [job.user for job in world.queued(Backfill)] == [removed]


def test_many_users_without_an_answer_are_counted_as_failed_in_bounded_steps(world: World) -> None:
    """A hundredth of all users may be many: each message does some of them, without another hour between."""
    sweep = world.open_sweep()
    world.outbox.messages.clear()
    users = ",".join(f"{number:08x}-0000-4000-8000-000000000000" for number in range(20))
    for number in range(100 * FAILED_A_STEP // 20 * 3 // 2):
        letters = "u" * 19 + ("?" if number < FAILED_A_STEP * 3 // 2 else "u")
        world.parts.rows[sweep, part_key(0, number)] = ({"users": users, "letters": letters}, "v")
    left = float(FAILED_A_STEP * 3 // 2)
    place = {"page": 1.0, "next": LAST_PAGE_READ, "unanswered": left}
    assert SweepStore(world.state).advance(sweep, 0, place)
    world.clock.advance(HOUR + 1)
    step = SweepPage(sweep, 1, born=world.clock.now())

    world.services.sweeper.step(step)
    assert (record(world).state, record(world).unanswered) == ("running", left - FAILED_A_STEP)
    world.services.sweeper.step(step)

    assert [(each["state"], each["failed"]) for each in ended(world)] == [("finished", int(left))]


def test_a_verdict_stands_although_its_instance_died_before_the_sweep_had_ended(world: World) -> None:
    (removed, *_) = bulk.add_users(world, FEW + 1, photo=False)
    world.note(removed, missing_since=world.clock.now() - 2 * HOUR)
    last, checks = to_its_last_step(world, world.open_sweep())
    world.services.sweeper.step(last)
    world.clock.advance(2 * HOUR + 1)  # without an answer
    world.steps.on("write photostate", kill, after=True)
    assert not world.steps.survive(lambda: world.services.sweeper.step(last))
    for check in checks:
        world.services.checker.check(check)
    world.drain()
    assert [each["state"] for each in ended(world)] == ["incomplete"]
    assert record(world).state == "incomplete"
    assert world.row(removed).settled_etag == '"OTHER"'


def test_a_poisoned_page_opens_the_wanted_sweep(world: World) -> None:
    world.add()
    sweep = world.open_sweep()
    world.services.opener.request("changes were missed")
    world.clock.advance(1)
    world.outbox.messages.clear()
    # The first attempt to record it ends the sweep and dies.
    world.steps.on("put photo-sweeps", kill)
    poison = write(SweepPage(sweep, 0, born=1.0)).encode()
    world.steps.survive(lambda: world.app.recorder.record(SweepPage, poison))
    assert record(world).state == "failed"
    world.app.recorder.record(SweepPage, poison)
    world.drain()
    assert [(each["why"], each["state"]) for each in ended(world)] == [
        ("changes were missed", "finished"),
        ("the timer", "failed"),
    ]


def test_a_poisoned_page_of_an_older_sweep_ends_no_sweep(world: World) -> None:
    world.add()
    old = world.sweep()["id"]
    world.clock.advance(1)
    running = world.open_sweep()
    world.services.sweeper.fail(old)
    assert (record(world).id, record(world).state) == (running, "running")


def test_a_poisoned_check_is_answered_as_failed_and_the_sweep_ends(world: World) -> None:
    shown, stranger = bulk.add_users(world, 1)[0], world.add(photo=False)
    world.open_sweep()
    world.run(12)
    while not world.queued(SweptCheck) and not ended(world):
        world.run(1)
    fresh(world, shown)
    sweep = world.open_sweep()
    world.steps.on("read photoledger", lambda: 1 / 0, times=5)  # a bug, for five deliveries
    world.drain()
    (figures,) = ended(world)
    assert (figures["id"], figures["state"], figures["failed"], figures["shown"]) == (sweep, "finished", 2, 1)
    assert {world.row(user).outcome for user in (shown, stranger)} == {"failed"}


def kept(world: World) -> set[str]:
    """Return the contents of the kept poison."""
    return {row["body"] for (partition, _), (row, _) in world.state.rows.items() if partition == "poison"}


@pytest.mark.parametrize("dry_run", ["false", "true"])
def test_poison_is_forgotten_after_thirty_days(new_world: Callable[..., World], dry_run: str) -> None:
    world = new_world(DRY_RUN=dry_run)
    world.app.recorder.record(Tend, b"old")
    world.clock.advance(HOUR)
    world.app.recorder.record(Tend, b"newer")
    world.clock.advance(30 * DAY - HOUR / 2)
    assert kept(world) == {"newer", "old"}

    world.sweep()

    assert kept(world) == {"newer"}
