"""Releasing the brake of a sweep: what is removed then, and when a release is refused."""

from collections.abc import Callable, Iterator

import pytest

from shared.errors import NotOurs, TryLater
from shared.jobs import Backfill, SweepPage, read
from shared.sweeps.removals import REMOVALS_A_STEP
from shared.sweeps.state import LAST_PAGE_READ
from shared.sweeps.store import PartStore, SweepStore
from shared.sweeps.tally import part_key
from tests.app.sweeps_seen import ended, record
from tests.fakes import bulk
from tests.fakes.external_steps import drop_connection, kill
from tests.fakes.world import World

HOUR = 3600.0


def brake(world: World) -> tuple[str, list[str]]:
    """Open a sweep that will brake over five users whose photos are gone; return it and them."""
    users = bulk.add_users(world, 5, photo=False)
    for user in users:
        world.note(user, missing_since=world.clock.now() - 2 * HOUR)
    return world.open_sweep(), users


@pytest.mark.parametrize("sweep", ["20270115T080000-0a1b", "", "x'y/../z", "one that finished"])
def test_the_brake_of_an_unknown_or_finished_sweep_cannot_be_released(world: World, sweep: str) -> None:
    finished = world.sweep()["id"]
    brake(world)
    world.drain()
    with pytest.raises(NotOurs):
        world.services.removals.release(finished if "finished" in sweep else sweep)


def test_a_brake_is_not_released_while_its_sweep_is_still_ending(world: World) -> None:
    """Its figures are written before its end; a release in between would be followed by another brake."""
    sweep, users = brake(world)
    book = SweepStore(world.state)

    def die_after_the_figures() -> None:
        if book.kept():
            kill()

    mishap = world.steps.on("write photostate", die_after_the_figures, times=None)
    while not book.kept():
        world.run(1)
    world.steps.forget(mishap)
    assert (book.kept()[0][1]["state"], record(world).state) == ("braked", "running")
    with pytest.raises(TryLater):
        world.services.removals.release(sweep)

    world.drain()
    assert record(world).state == "braked"
    world.services.removals.release(sweep)
    world.drain()
    assert {world.row(user).outcome for user in users} == {"cleared"}


# --- more removals than one message has time for ---

LOST, FINE = 60, 65  # parts of twenty; three messages' removals
PEOPLE = [f"{number:08x}-0000-4000-8000-000000000001" for number in range(20 * (LOST + FINE))]


def answered_sweep(world: World) -> str:
    """Create a sweep with an answer for every user, the first parts' to be removed; return its id."""
    sweep = world.open_sweep()
    world.outbox.messages.clear()
    for number in range(LOST + FINE):
        users = tuple(PEOPLE[20 * number : 20 * number + 20])
        key = part_key(0, number)
        PartStore(world.parts).add(sweep, key, users)
        PartStore(world.parts).answer(sweep, key, dict.fromkeys(users, "R" if number < LOST else "U"))
    assert SweepStore(world.state).advance(sweep, 0, {"page": 1.0, "next": LAST_PAGE_READ})
    world.app.queues.send(SweepPage(sweep, 1, born=world.clock.now()))
    return sweep


def removed(world: World) -> list[str]:
    return [job.user for job in world.queued(Backfill)]


def take_steps(world: World) -> Iterator[None]:
    """Deliver only the sweep's own messages, one after the other."""
    while waiting := [each for each in world.outbox.messages if each.queue == SweepPage.queue]:
        first = min(waiting, key=lambda each: each.visible_at)
        world.clock.advance(max(0.0, first.visible_at - world.clock.now()))
        world.host.deliver(first)
        yield


def braked_sweep(world: World) -> None:
    """Let a sweep brake and an administrator release it; none of its removals is queued yet."""
    sweep = answered_sweep(world)
    for _ in take_steps(world):
        assert removed(world) == []
    assert [each["state"] for each in ended(world)] == ["braked"]
    world.services.removals.release(sweep)


@pytest.fixture(params=[("60", answered_sweep), ("5", braked_sweep)], ids=["by verdict", "released"])
def begun(new_world: Callable[..., World], request: pytest.FixtureRequest) -> World:
    """A world in which a sweep has found many pictures to remove."""
    brake, begin = request.param
    world = new_world(REMOVAL_BRAKE=brake)
    begin(world)
    return world


def states(world: World) -> list[str]:
    return [each["state"] for each in ended(world)]


def test_each_message_queues_a_bounded_number_of_removals_and_the_last_one_finishes(begun: World) -> None:
    before, meanwhile = 0, states(begun)
    for _ in take_steps(begun):
        queued = len(removed(begun))
        assert queued - before < REMOVALS_A_STEP + 20
        assert states(begun) == (["finished"] if queued in (before, 20 * LOST) else meanwhile)
        before = queued
    assert removed(begun) == PEOPLE[: 20 * LOST]


@pytest.mark.parametrize("mishap", [kill, drop_connection], ids=["killed", "cut off"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("step", "nth"),
    [
        *(("put photo-backfill", nth) for nth in (1, 700, 20 * LOST)),
        *(("write photostate", nth) for nth in (1, 2, 3)),
        *(("put photo-sweeps", nth) for nth in (1, 2)),
    ],
)
def test_a_mishap_between_two_of_these_messages_loses_no_user(begun: World, mishap, after, step, nth) -> None:
    begun.steps.on(step, mishap, nth=nth, after=after)
    for _ in take_steps(begun):
        if states(begun) == ["finished"]:
            assert set(removed(begun)) == set(PEOPLE[: 20 * LOST])
    assert states(begun) == ["finished"]
    assert len(removed(begun)) < 20 * LOST + 2 * (REMOVALS_A_STEP + 20)


def test_two_messages_of_the_same_removals_lose_no_user(begun: World) -> None:
    (message,) = [each for each in begun.outbox.messages if each.queue == SweepPage.queue]
    begun.app.queues.send(read(SweepPage, message.body))
    for _ in take_steps(begun):
        pass
    assert set(removed(begun)) == set(PEOPLE[: 20 * LOST])
    assert states(begun) == ["finished"]
