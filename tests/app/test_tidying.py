"""What is left to tidy after a sweep is done in bounded steps, which no other sweep waits for."""

from collections.abc import Callable, Iterator

import pytest

from shared.jobs import SweepPage
from shared.ledger.failures import FAILURES_A_STEP
from shared.sweeps.state import LAST_PAGE_READ, TIDIED, SweepRecord
from shared.sweeps.store import PartStore, SweepStore
from shared.sweeps.tally import Totals, part_key
from tests.app.sweeps_seen import ended, record
from tests.fakes import bulk
from tests.fakes.external_steps import drop_connection, kill
from tests.fakes.world import World

HOUR = 3600.0
DAY = 24 * HOUR
OLD_PARTS, OLD_USERS, OLD_FAILURES = 15_000, 50_000, 1200
POISON = {"queue": "photo-syncs", "why": "x", "body": "x"}
CALLS_A_STEP = 500  # storage calls


def user(number: int) -> str:
    return f"{number % 256:02x}{number:06x}-0000-4000-8000-000000000000"


def keep_old_sweeps(world: World, count: int, *, removed: int = 0) -> list[str]:
    """Let sweeps have ended before this one."""
    ids = [f"20200101T{number:06}-0a1b" for number in range(count)]
    now = world.clock.now()
    for sweep in ids:
        old = SweepRecord(id=sweep, why="the timer", opened_at=now - 60 * DAY)
        SweepStore(world.state).keep(old, "finished", "", Totals(), now - 50 * DAY, removed=removed)
    return ids


def fill(world: World) -> None:
    """Leave as much as there can be after a month in which no sweep was tidied."""
    (first, *_) = keep_old_sweeps(world, 11)
    now = world.clock.now()
    for number in range(OLD_PARTS):
        key = part_key(number // 50, number % 50)
        world.parts.rows[first, key] = ({"users": "x", "letters": "u"}, "v")
    for number in range(OLD_USERS):
        world.note(user(number), gone_since=now - 31 * DAY)
    for number in range(OLD_FAILURES):
        world.ledger.rows["failed", user(number)] = ({"at": now, "since": now, "reason": "x"}, "v")
    for minute in range(12_000):
        world.state.rows["pace", f"{now - 10 * DAY + 60 * minute:.0f}"] = ({"live": 8.0}, "v")
    for number in range(12_000):
        old = now - 31 * DAY if number % 2 else now
        world.state.rows["poison", f"photo-syncs-{number:06}"] = (POISON | {"at": old}, "v")


def tidying_steps(world: World) -> Iterator[int]:
    """Deliver the sweep's own messages one after the other; yield the storage calls that each one makes."""
    while waiting := [each for each in world.outbox.messages if each.queue == SweepPage.queue]:
        before = len(world.steps.taken)
        world.clock.advance(max(0.0, waiting[0].visible_at - world.clock.now()))
        world.host.deliver(waiting[0])
        yield len(world.steps.taken) - before


def end_a_sweep(world: World) -> str:
    """End a sweep that has met no user."""
    sweep = world.open_sweep()
    world.outbox.messages.clear()
    assert SweepStore(world.state).advance(sweep, 0, {"page": 1.0, "next": LAST_PAGE_READ})
    world.steps.taken.clear()
    world.services.sweeper.step(SweepPage(sweep, 1, born=world.clock.now()))
    return sweep


def assert_tidy(world: World) -> None:
    left = {(where, key) for where, key in world.ledger.rows}
    assert left == set()
    assert {where for where, _ in world.parts.rows} == set()
    assert sum(where == "pace" for where, _ in world.state.rows) <= 61
    assert sum(where == "poison" for where, _ in world.state.rows) == 6000


def test_a_sweep_ends_at_once_and_much_is_tidied_in_bounded_steps(world: World) -> None:
    fill(world)

    sweep = end_a_sweep(world)

    assert len(world.steps.taken) < 20  # the verdict does not wait
    assert (record(world).state, ended(world)[0]["id"]) == ("finished", sweep)
    calls = list(tidying_steps(world))
    assert_tidy(world)
    assert max(calls) < CALLS_A_STEP
    # 2400 of them are for the failures. One call for each row would be 90 000.
    assert sum(calls) < 4000
    assert SweepStore(world.state).figures(sweep).items() >= {"tidied_to": TIDIED}.items()


@pytest.mark.parametrize("mishap", [kill, drop_connection], ids=["killed", "cut off"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["write photoparts", "write photostate", "write photoledger", "put .*"])
def test_tidying_goes_on_whatever_happens_to_its_instances(
    world: World, mishap: Callable[[], object], after: bool, step: str
) -> None:
    fill(world)
    end_a_sweep(world)
    for nth in (1, 90, 180):
        world.steps.on(step, mishap, nth=nth, after=after)
    for _ in tidying_steps(world):
        pass
    assert_tidy(world)
    assert world.outbox.messages == []


def test_the_next_sweep_opens_and_ends_before_the_last_one_is_tidy(world: World) -> None:
    fill(world)
    bulk.add_users(world, 3)
    end_a_sweep(world)
    world.clock.advance(1)
    world.services.opener.open("the timer")
    world.drain(deliveries=5000)
    assert [(each["state"], each["seen"]) for each in ended(world)[:2]] == [("finished", 3), ("finished", 0)]
    assert sum(where == "poison" for where, _ in world.state.rows) == 6000


def test_two_messages_that_tidy_the_same_sweep_end_both(world: World) -> None:
    fill(world)
    sweep = end_a_sweep(world)
    world.app.queues.send(SweepPage(sweep, 1, born=world.clock.now()))
    for _ in tidying_steps(world):
        assert len(world.outbox.messages) <= 2
    assert_tidy(world)


def test_a_tidy_world_costs_a_sweep_few_calls(world: World) -> None:
    bulk.add_users(world, 3)
    world.sweep()
    world.clock.advance(6 * HOUR)
    end_a_sweep(world)
    calls = list(tidying_steps(world))
    assert len(calls) == 1
    assert sum(calls) < 30


@pytest.mark.parametrize(("removed", "kept"), [(0, 10), (3, 12)], ids=["nothing removed", "removals"])
def test_figures_stay_as_long_as_the_brake_counts_them_and_parts_as_long_as_ten_sweeps(
    world: World, removed: int, kept: int
) -> None:
    now, store = world.clock.now(), SweepStore(world.state)
    for number in range(12):
        sweep = f"20200101T{number:06}-0a1b"
        store.keep(SweepRecord(id=sweep), "finished", "", Totals(), now - 6 * DAY, removed=removed)
        PartStore(world.parts).add(sweep, "00000-000", ("x",))

    end_a_sweep(world)
    list(tidying_steps(world))

    assert len(store.kept()) == kept + bool(removed)
    assert len({where for where, _ in world.parts.rows}) == 9
    world.clock.advance(2 * DAY)
    end_a_sweep(world)
    list(tidying_steps(world))
    assert len(store.kept()) == 10


def test_every_entry_of_the_list_of_failures_is_looked_at(world: World) -> None:
    """Of users who left without a notification, more than one step looks at."""
    now, count = world.clock.now(), 2 * FAILURES_A_STEP + 10
    for number in range(count):
        who = f"{number:08x}-0000-4000-8000-000000000000"
        world.ledger.rows["failed", who] = ({"at": now, "since": now, "reason": "x"}, "v")
        world.note(who, outcome="failed" if number % 2 else "synced", reason="x")
    bulk.add_users(world, 1)
    world.sweep()
    assert [key for where, key in world.ledger.rows if where == "failed"] == []
    gone = [row for row, _ in world.ledger.rows.values() if row.get("outcome") == "gone"]
    assert len(gone) == count // 2
