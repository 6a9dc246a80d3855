"""The world that other tests rely on is as unkind as Azure."""

import pytest

from shared.errors import Stale, TryLater
from shared.jobs import Sync
from shared.storage.queues import Receipt
from shared.storage.tables import ANY
from tests.fakes.external_steps import ExternalSteps, Killed, drop_connection, fail_precondition, kill
from tests.fakes.host import LEASE, DeliveryFaults, MessageLost
from tests.fakes.schedules import Schedule, Turn, explore, play
from tests.fakes.table import Table
from tests.fakes.world import World

USER = "0f000000-0000-4000-8000-000000000001"
DAY = 24 * 3600.0


@pytest.fixture
def steps() -> ExternalSteps:
    return ExternalSteps()


def test_time_passes_for_the_app_and_for_the_tenant_alike(world: World) -> None:
    app, tenant = world.clock.now(), world.tenant.world.clock.now().timestamp()
    world.clock.advance(30 * DAY)
    world.clock.sleep(2.5)
    assert world.clock.now() == app + 30 * DAY + 2.5
    assert world.clock.monotonic() == 30 * DAY + 2.5
    assert world.tenant.world.clock.now().timestamp() == pytest.approx(tenant + 30 * DAY, abs=5)


# --- steps ---


def test_an_answer_can_be_lost_after_its_step_took_effect_but_not_that_of_a_refusal(
    steps: ExternalSteps,
) -> None:
    table = Table("photoledger", steps)
    lost = steps.on("write photoledger", drop_connection, after=True)
    with pytest.raises(Stale):
        table.merge("0f", "key", {}, 'W/"0"')
    assert lost.seen == 0
    with pytest.raises(TryLater):
        table.merge("0f", "key", {"outcome": "synced"}, "")
    assert table.rows["0f", "key"][0] == {"outcome": "synced"}


def test_a_dead_instance_does_nothing_until_the_next_one_starts(steps: ExternalSteps) -> None:
    done: list[str] = []

    def work() -> None:
        try:
            with steps.take("write one"):
                done.append("one")
        finally:
            with steps.take("write two"):
                done.append("two")

    steps.on("write one", kill)
    assert not steps.survive(work)
    assert done == []
    assert steps.survive(work)
    assert done == ["one", "two"]


# --- a table ---


def test_versions_never_repeat_and_a_row_that_was_read_is_a_copy(steps: ExternalSteps) -> None:
    table = Table("photoledger", steps)
    first = table.merge("0f", "a", {"stamp": 1.0}, "")
    table.delete("0f", "a")
    second = table.merge("0f", "a", {"stamp": 1.0}, "")
    assert len({first, second, table.merge("0f", "a", {}, second)}) == 3
    table.read("0f", "a")[0]["stamp"] = 2.0
    assert table.read("0f", "a")[0]["stamp"] == 1.0


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"reason": "x" * 40_000}, id="longer than a column"),
        pytest.param({"stamp": float("nan")}, id="not a number"),
        pytest.param({"lag_ms": 2**40}, id="beyond 32 bits"),
        pytest.param({"body": b"a" * 10}, id="bytes, which the app never stores"),
    ],
)
def test_a_value_that_no_column_can_hold_raises_an_error(
    steps: ExternalSteps, columns: dict[str, object]
) -> None:
    with pytest.raises((ValueError, TypeError)):
        Table("photoledger", steps).merge("0f", "a", columns, ANY)


# --- queues and their host ---


def put(world: World, hidden: int = 0, user: str = USER) -> Receipt:
    job = Sync(user, "notified", world.clock.now(), world.clock.now())
    return world.app.queues.send(job, hidden=hidden)


def test_a_message_is_due_when_it_is_no_longer_hidden_and_taken_back_unless_it_was_taken(
    world: World,
) -> None:
    world.outbox.take_back(put(world))
    receipt = put(world, hidden=60)
    assert world.outbox.due() == []
    world.clock.advance(60)
    (message,) = world.outbox.due()
    world.outbox.dequeue(message, LEASE)
    world.outbox.take_back(receipt)
    assert world.outbox.messages == [message]
    assert world.outbox.due() == []


@pytest.mark.parametrize(("body", "hidden"), [("x" * 40_000, 0), ("{}", 7 * 86_400), ("{}", -1)])
def test_a_message_that_no_queue_accepts_raises_an_error(world: World, body: str, hidden: int) -> None:
    with pytest.raises(ValueError):
        world.outbox.put("photo-syncs", body, hidden)


def test_a_failing_message_comes_back_after_half_a_minute_and_is_poison_after_five_times(
    world: World,
) -> None:
    world.outbox.put("photo-syncs", "not ours", 0)
    began = world.clock.now()
    for _ in range(5):
        world.clock.advance(max(0.0, world.outbox.messages[0].visible_at - world.clock.now()))
        world.host.deliver_due()
    assert world.clock.now() == began + 4 * 30
    assert [message.queue for message in world.outbox.messages] == ["photo-syncs-poison"]
    world.drain()
    assert len(world.state.rows) == 1


def test_poison_that_fails_five_times_is_lost_and_reported(world: World) -> None:
    world.outbox.put("photo-syncs-poison", "not ours", 0)
    world.steps.on("(write photostate|put photo-syncs-poison)", drop_connection, times=None)
    with pytest.raises(MessageLost):
        world.drain()
    assert len(world.host.failures) == 5
    assert world.outbox.messages == []


def test_a_message_whose_instance_died_comes_back_after_its_lease(world: World) -> None:
    put(world)
    world.steps.on(".*", kill)
    world.host.deliver_due()
    (message,) = world.outbox.messages
    assert (message.visible_at, message.dequeue_count) == (world.clock.now() + LEASE, 1)


def test_an_unkind_host_delivers_twice_and_out_of_order_and_repeatably_by_seed(
    world: World,
) -> None:
    def play_once() -> list[str]:
        world.host.delivery_faults = DeliveryFaults(seed=7, shuffled=True, twice=0.5)
        world.ledger.rows.clear()
        world.steps.taken.clear()
        delivered: list[str] = []
        world.steps.on("read photoledger", lambda: delivered.append("read"), times=None)
        for user in users:
            put(world, user=user)
        world.drain()
        world.steps.clear()
        return delivered

    users = [world.add(photo=False) for _ in range(6)]
    first = play_once()
    assert len(first) > 6
    assert play_once() == first


# --- what SharePoint shows ---


def test_a_mixture_of_two_photos_is_recognized_and_a_row_does_not_hide_it(world: World) -> None:
    user = world.add()
    world.ask(user)
    world.drain()
    assert world.shown(user) == world.source(user)
    world.change_photo(user)
    world.steps.on("call contoso-my.*", kill, nth=2)
    world.ask(user)
    world.host.deliver_due()
    assert world.shown(user) == "torn"
    world.note(user, settled_etag=world.source(user), dirty=False)
    with pytest.raises(AssertionError):
        world.settled(user)


# --- schedules ---


def counter(steps: ExternalSteps) -> tuple[list[int], dict[str, object]]:
    """Return a number that two attempts raise by one each, and those attempts: read, then write."""
    value = [0]

    def add() -> None:
        with steps.take("read"):
            seen = value[0]
        with steps.take("write"):
            value[0] = seen + 1

    return value, {"one": add, "other": add}


def test_exploring_finds_a_lost_update(steps: ExternalSteps) -> None:
    ends: dict[int, Schedule] = {}

    def run(schedule: Schedule) -> list[Turn]:
        value, attempts = counter(steps)
        turns = play(steps, attempts, {}, schedule)
        ends.setdefault(value[0], schedule)
        return turns

    explore(run, 0)
    assert set(ends) == {2}
    explore(run, 1)
    assert set(ends) == {1, 2}


def test_exploring_tries_every_event_at_every_turn(steps: ExternalSteps) -> None:
    seen: set[int] = set()

    def run(schedule: Schedule) -> list[Turn]:
        value, attempts = counter(steps)
        return play(steps, attempts, {"event": lambda: seen.add(value[0])}, schedule)

    assert explore(run, 1) > 6
    assert seen == {0, 1}  # no turn is left after the last step


@pytest.mark.parametrize("error", [ValueError, Killed])
def test_an_error_in_an_attempt_ends_the_schedule_and_every_thread(steps: ExternalSteps, error: type) -> None:
    def fail() -> None:
        with steps.take("read"):
            raise error

    value, attempts = counter(steps)
    with pytest.raises(error):
        play(steps, {**attempts, "failing": fail}, {}, ("failing", "failing"))
    assert value == [2]  # the others ran to their ends
    steps.on(".*", fail_precondition)
    with pytest.raises(Stale), steps.take("read"):
        pass
