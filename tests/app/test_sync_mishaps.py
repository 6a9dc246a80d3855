"""Whatever happens at whatever step, the newest photo is shown in the end, and the row says so.

Each mishap happens at each step of a sync in turn: an instance dies, a store is out of reach, an answer is
lost after its write took effect, or attempts interleave in every order.
"""

from collections.abc import Sequence

import pytest

from local.tenant.traffic.faults import Fault
from shared.jobs import Check, Sync
from tests.fakes.external_steps import drop_connection, fail_precondition, kill
from tests.fakes.host import DeliveryFaults
from tests.fakes.schedules import Schedule, Turn, explore, play
from tests.fakes.world import World

CLAIM_FOR = 420.0
FIRST_CONTACT = 11  # steps: read, claim, gather, profile, folders, mark, three files, properties, settle
KNOWN = 9
STEPS = [
    *(pytest.param(False, n, id=f"first contact, step {n}") for n in range(1, FIRST_CONTACT + 1)),
    *(pytest.param(True, n, id=f"known user, step {n}") for n in range(1, KNOWN + 1)),
]


def prepare(world: World, known: bool) -> str:
    """Return a user whose newest photo SharePoint does not show yet."""
    user = world.add()
    if known:
        world.ask(user)
        world.drain()
        world.change_photo(user)
    return user


def deliver_one(world: World, user: str) -> None:
    """Deliver one message, and assert that nothing is lost and nothing is reported too early."""
    world.host.deliver_due()
    row = world.row(user)
    assert world.outbox.messages or (row.settled_etag, row.dirty) == (world.source(user), False)
    if row.settled_etag == world.source(user) and not row.dirty:
        assert world.shown(user) == world.source(user)


def end(world: World, user: str) -> None:
    world.drain()
    world.settled(user)
    assert world.outbox.poisoned == []
    assert world.row(user).claim_until == 0.0


@pytest.mark.parametrize(("known", "step"), STEPS)
def test_an_instance_may_die_at_any_step(world: World, known: bool, step: int) -> None:
    user = prepare(world, known)
    death = world.steps.on("(read|write|call) .*", kill, nth=step)
    world.ask(user)
    deliver_one(world, user)
    assert death.seen == step
    end(world, user)


@pytest.mark.parametrize(("known", "step"), STEPS)
def test_the_photo_may_change_and_be_notified_at_any_step(world: World, known: bool, step: int) -> None:
    user = prepare(world, known)

    def change() -> None:
        world.change_photo(user)
        world.hint(user)

    world.steps.on("(read|write|call) .*", change, nth=step)
    world.ask(user)
    world.host.deliver_due()
    end(world, user)


@pytest.mark.parametrize("after", [False, True], ids=["out of reach", "answer lost"])
@pytest.mark.parametrize("step", range(1, 5), ids=["read", "claim", "mark", "settle"])
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for the rest"])
def test_the_ledger_may_fail_at_any_step(world: World, step: int, after: bool, lasting: bool) -> None:
    user = prepare(world, known=True)
    world.steps.on("(read|write) .*", drop_connection, after=after, nth=step, times=None if lasting else 1)
    world.ask(user)
    deliver_one(world, user)
    world.steps.clear()
    end(world, user)
    assert world.host.failures == []  # an outage must not count against the message


@pytest.mark.parametrize("step", range(1, 4), ids=["claim", "mark", "settle"])
def test_a_repeated_write_that_meets_itself_is_a_success(world: World, step: int) -> None:
    user = prepare(world, known=True)
    world.steps.on("write .*", fail_precondition, after=True, nth=step)
    world.ask(user)
    result = world.services.syncer.sync(world.queued()[0])
    assert (result.outcome, result.requests) == ("synced", 5)
    world.settled(user)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", range(5), ids=["gather", "small", "medium", "large", "properties"])
def test_a_service_may_fail_at_any_call(world: World, call: int, when: str) -> None:
    user = prepare(world, known=True)
    world.fault(Fault(drop=True, when=when, skip=call, next=6))
    world.ask(user)
    deliver_one(world, user)
    assert world.row(user).claim_until == 0.0
    end(world, user)
    assert world.host.failures == []


@pytest.mark.parametrize("after", [False, True], ids=["out of reach", "answer lost"])
def test_a_queue_that_fails_leaves_the_message_where_it_is(world: World, after: bool) -> None:
    user = prepare(world, known=True)
    world.fault(Fault(service="sharepoint", status=503, retry_after=60, next=1))
    world.ask(user)
    world.steps.on("put photo-syncs", drop_connection, after=after)
    deliver_one(world, user)
    assert len(world.queued()) == 1 + after  # a duplicate is safe, a gap is not
    end(world, user)


def test_a_queue_that_fails_at_a_doubtful_settle_leaves_the_row_dirty(world: World) -> None:
    user = prepare(world, known=True)
    world.fault(Fault(service="sharepoint", drop=True, when="after", next=1))
    world.ask(user)
    world.steps.on("put photo-checks", drop_connection, times=2)
    deliver_one(world, user)
    row = world.row(user)
    assert (row.dirty, row.settled_etag == world.source(user), row.claim_until) == (True, False, 0.0)
    assert row.unsure_until == world.clock.now() + CLAIM_FOR
    end(world, user)


@pytest.mark.parametrize("after", [False, True], ids=["out of reach", "answer lost"])
def test_a_doubtful_settle_that_fails_has_one_successor(world: World, after: bool) -> None:
    user = prepare(world, known=True)
    world.fault(Fault(service="sharepoint", drop=True, when="after", next=1))
    world.ask(user)
    world.steps.on("write photoledger", drop_connection, nth=3, times=None, after=after)
    deliver_one(world, user)
    assert world.queued() == []
    assert [job.users for job in world.queued(Check)] == [(user,)]
    world.steps.clear()
    end(world, user)


@pytest.mark.parametrize("seed", range(8))
def test_duplicates_in_any_order_have_the_effect_of_one(world: World, seed: int) -> None:
    user = prepare(world, known=False)
    world.host.delivery_faults = DeliveryFaults(seed, shuffled=True, twice=0.4)
    world.tenant.faults.arm([Fault(service="sharepoint", drop=True, when="after", rate=0.15)], seed=seed)
    for _ in range(3):
        world.change_photo(user)
        world.hint(user)
        world.ask(user)
        world.host.deliver_due()
    world.fault()
    end(world, user)


# --- interleaved attempts ---


@pytest.mark.parametrize(
    ("event", "changes", "schedules"),
    [
        pytest.param("nothing", 2, 30, id="two attempts"),
        pytest.param("a stall", 2, 150, id="a stall longer than a claim, while the photo changes"),
        pytest.param("a change", 1, 20, id="a photo that changes"),
    ],
)
def test_two_attempts_in_every_order_have_the_effect_of_one(
    world: World, event: str, changes: int, schedules: int
) -> None:
    assert explore(Runs(world, event), changes) >= schedules


# The steps between which turns may change; between two reads it makes no difference.
STOPS = r"write .*|put .*|call (graph|.*-my|.*-admin)\..*"


class Runs:
    """Plays a schedule of two attempts at a known user, and checks the end."""

    def __init__(self, world: World, event: str) -> None:
        self._world = world
        self._event = event

    def __call__(self, schedule: Schedule) -> Sequence[Turn]:
        world = self._world
        user = world.add()
        upn, geo = world.person(user).upn, "contoso-my.sharepoint.com"
        world.note(user, upn=upn, geo=geo, folder="/User Photos/Profile Pictures")
        job = Sync(user, "notified", world.clock.now(), world.clock.now())

        def change() -> None:
            if self._event == "a stall":
                world.clock.advance(CLAIM_FOR + 1)
            world.change_photo(user)
            world.hint(user)

        attempts = {name: lambda: world.services.syncer.sync(job) for name in ("one", "other")}
        events = {} if self._event == "nothing" else {self._event: change}
        try:
            turns = play(world.steps, attempts, events, schedule, STOPS)
            end(world, user)
        except BaseException as error:
            error.add_note(f"schedule: {schedule}")
            raise
        return turns
