"""Whatever happens at whatever step, the newest photo is shown in the end, and the row says so.

Each mishap happens at each step of a sync in turn: an instance dies, a store is out of reach, or an answer is
lost after its write took effect. The simulation interleaves attempts, changes and duplicates.
"""

import pytest

from local.tenant.traffic.faults import Fault
from shared.jobs import Check
from tests.fakes.external_steps import drop_connection, fail_precondition, kill
from tests.fakes.world import World

CLAIM_FOR = 420.0
FIRST_CONTACT = 11  # steps: read, claim, gather, profile, folders, mark, three files, properties, settle
KNOWN = 9
STEPS = [*(("first", n) for n in range(1, FIRST_CONTACT + 1)), *(("known", n) for n in range(1, KNOWN + 1))]


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


@pytest.mark.parametrize(("contact", "step"), STEPS)
def test_an_instance_may_die_at_any_step(world: World, known: str, contact: str, step: int) -> None:
    user = known if contact == "known" else world.add()
    death = world.steps.on("(read|write|call) .*", kill, nth=step)
    world.ask(user)
    deliver_one(world, user)
    assert death.seen == step
    end(world, user)


@pytest.mark.parametrize("after", [False, True], ids=["out of reach", "answer lost"])
@pytest.mark.parametrize("step", range(1, 5), ids=["read", "claim", "mark", "settle"])
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for the rest"])
def test_the_ledger_may_fail_at_any_step(world: World, known: str, step, after, lasting) -> None:
    world.steps.on("(read|write) .*", drop_connection, after=after, nth=step, times=None if lasting else 1)
    world.ask(known)
    deliver_one(world, known)
    world.steps.clear()
    end(world, known)
    assert world.host.failures == []  # an outage must not count against the message


@pytest.mark.parametrize("step", range(1, 4), ids=["claim", "mark", "settle"])
def test_a_repeated_write_that_meets_itself_is_a_success(world: World, known: str, step: int) -> None:
    world.steps.on("write .*", fail_precondition, after=True, nth=step)
    world.ask(known)
    result = world.services.syncer.sync(world.queued()[0])
    assert (result.outcome, result.requests) == ("synced", 5)
    world.settled(known)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", range(5), ids=["gather", "small", "medium", "large", "properties"])
def test_a_service_may_fail_at_any_call(world: World, known: str, call: int, when: str) -> None:
    world.fault(Fault(drop=True, when=when, skip=call, next=6))
    world.ask(known)
    deliver_one(world, known)
    assert world.row(known).claim_until == 0.0
    end(world, known)
    assert world.host.failures == []


@pytest.mark.parametrize("after", [False, True], ids=["out of reach", "answer lost"])
def test_a_queue_that_fails_leaves_the_message_where_it_is(world: World, known: str, after: bool) -> None:
    world.fault(Fault(service="sharepoint", status=503, retry_after=60, next=1))
    world.ask(known)
    world.steps.on("put photo-syncs", drop_connection, after=after)
    deliver_one(world, known)
    assert len(world.queued()) == 1 + after  # a duplicate is safe, a gap is not
    end(world, known)


def test_a_queue_that_fails_at_a_doubtful_settle_leaves_the_row_dirty(world: World, known: str) -> None:
    world.fault(Fault(service="sharepoint", drop=True, when="after", next=1))
    world.ask(known)
    world.steps.on("put photo-checks", drop_connection, times=2)
    deliver_one(world, known)
    row = world.row(known)
    assert (row.dirty, row.settled_etag == world.source(known), row.claim_until) == (True, False, 0.0)
    assert row.unsure_until == world.clock.now() + CLAIM_FOR
    end(world, known)


@pytest.mark.parametrize("after", [False, True], ids=["out of reach", "answer lost"])
def test_a_doubtful_settle_that_fails_has_one_successor(world: World, known: str, after: bool) -> None:
    world.fault(Fault(service="sharepoint", drop=True, when="after", next=1))
    world.ask(known)
    world.steps.on("write photoledger", drop_connection, nth=3, times=None, after=after)
    deliver_one(world, known)
    assert world.queued() == []
    assert [job.users for job in world.queued(Check)] == [(known,)]
    world.steps.clear()
    end(world, known)
