"""What an attempt leaves behind if it wrote to SharePoint and cannot be sure of the effect."""

from collections.abc import Callable

import pytest

from local.tenant.traffic.faults import Fault
from shared import jobs
from shared.attempt import LONGEST_ATTEMPT
from shared.jobs import Check
from shared.ledger.row import RECHECK_MARGIN
from shared.sync.result import Result
from tests.fakes import bulk
from tests.fakes.external_steps import kill
from tests.fakes.world import World

CLAIM_FOR = 420.0
MARGIN = RECHECK_MARGIN


def checks(world: World) -> list[tuple[str, float]]:
    """Return the user of each queued check, and the seconds until it becomes visible."""
    users = [user for job in world.queued(Check) for user in job.users]
    return list(zip(users, world.hidden(Check.queue), strict=True))


def sharepoint_writes(world: World) -> list[str]:
    return [request for request in world.requests("sharepoint") if request.startswith("POST")]


def test_an_attempt_that_froze_before_its_mark_marks_and_writes_nothing(world: World) -> None:
    user = world.add()
    # After the last answer about the profile's owner; another user may have the name by now.
    world.steps.on("call contoso-my.sharepoint.com", lambda: world.clock.advance(240), after=True)
    result = world.services.syncer.sync(world.ask(user))
    row = world.row(user)
    assert (result.outcome, result.reason.partition(": ")[2]) == ("deferred", "this attempt has no time left")
    assert (row.dirty, row.claim_until, row.unsure_until) == (False, 0.0, 0.0)
    assert sharepoint_writes(world) == []
    world.drain()
    world.settled(user)


def test_a_mark_gives_an_attempt_no_more_time(world: World, known: str) -> None:
    began = world.clock.now()
    world.steps.on("call graph.microsoft.com", lambda: world.clock.advance(150), after=True)
    world.steps.on("call contoso-.*", lambda: world.clock.advance(28), times=None)
    result = world.services.syncer.sync(world.ask(known))
    assert (result.outcome, world.row(known).dirty) == ("deferred", True)
    assert world.clock.now() - began < LONGEST_ATTEMPT
    world.steps.clear()
    world.drain()
    world.settled(known)


def test_a_dead_instances_claim_is_waited_for_and_its_writes_are_doubted(world: World, known: str) -> None:
    world.steps.on("call contoso-my.sharepoint.com", kill, nth=3)
    world.ask(known)
    assert not world.steps.survive(lambda: world.services.syncer.sync(world.queued()[0]))
    assert world.shown(known) == "torn"
    world.host.deliver_due()
    assert world.hidden() == [pytest.approx(30, abs=4)]
    world.clock.advance(CLAIM_FOR)
    world.host.deliver_due()
    row, until = world.row(known), world.clock.now() + CLAIM_FOR
    assert (row.dirty, row.unsure_until, row.outcome) == (True, until, "synced")
    assert (checks(world), row.recheck_at) == ([(known, CLAIM_FOR + MARGIN)], until + MARGIN)
    world.drain()
    world.settled(known)


def test_a_write_without_an_answer_is_checked_once_it_can_no_longer_arrive(world: World, known: str) -> None:
    world.fault(Fault(service="sharepoint", method="POST", drop=True, when="after", next=1))
    world.ask(known)
    world.host.deliver_due()
    assert (world.row(known).dirty, world.row(known).outcome) == (True, "synced")
    assert (world.queued(), checks(world)) == ([], [(known, CLAIM_FOR + MARGIN)])
    lag = world.row(known).lag_ms
    world.drain()
    world.settled(known)
    assert world.row(known).lag_ms == lag  # the photo was shown before
    assert len(sharepoint_writes(world)) == 5 + 4


def test_a_settle_in_doubt_queues_no_check_while_a_later_one_is_queued(world: World, known: str) -> None:
    later = world.clock.now() + 2 * CLAIM_FOR
    world.note(known, dirty=True, unsure_until=world.clock.now() + 100, recheck_at=later)
    world.ask(known)
    world.host.deliver_due()
    assert (world.row(known).dirty, world.row(known).recheck_at, checks(world)) == (True, later, [])


def test_a_failing_attempt_leaves_its_doubt_behind(world: World, known: str) -> None:
    world.fault(
        Fault(service="sharepoint", path="SThumb", drop=True, when="after", next=3),
        Fault(service="sharepoint", path="SThumb", status=503),
    )
    world.ask(known)
    world.host.deliver_due()
    row = world.row(known)
    assert (row.dirty, row.claim_until, row.unsure_until) == (True, 0.0, world.clock.now() + CLAIM_FOR)
    assert [job.cause for job in world.queued()] == ["notified"]
    world.fault()
    world.drain()
    world.settled(known)


@pytest.mark.parametrize("then", ["dies", "finishes"])
def test_a_claim_lost_before_the_mark_writes_nothing(world: World, known: str, then: str) -> None:
    def take_over() -> None:
        world.clock.advance(CLAIM_FOR + 1)
        world.change_photo(known)
        if then == "dies":
            world.steps.on("call graph.microsoft.com", kill)
            assert not world.steps.survive(lambda: world.services.syncer.sync(theirs))
        else:
            world.services.syncer.sync(theirs)

    theirs = ours = jobs.Sync(known, "notified", world.clock.now(), world.clock.now())
    world.steps.on("write photoledger", take_over, nth=2)
    world.services.syncer.sync(ours)
    assert len(sharepoint_writes(world)) == (4 if then == "finishes" else 0)
    assert world.row(known).unsure_until == 0.0
    assert [job.cause for job in world.queued()] == ["notified"]
    world.drain()
    world.settled(known)


class TakenOver:
    """A sync that settles so late that another attempt takes its claim, and dies at a call of `host`."""

    def __init__(self, world: World, user: str, host: str, then: Callable[[], object] = int) -> None:
        self._world, self._host, self._then = world, host, then
        self._job = jobs.Sync(user, "notified", world.clock.now(), world.clock.now())
        world.steps.on("write photoledger", self._take_over, nth=3)

    def sync(self) -> Result:
        return self._world.services.syncer.sync(self._job)

    def _take_over(self) -> None:
        self._world.clock.advance(CLAIM_FOR + 1)
        self._world.steps.on(f"call {self._host}", kill)
        assert not self._world.steps.survive(self.sync)
        self._then()


@pytest.mark.parametrize(
    ("doubtful", "since"),
    [
        pytest.param(False, 0.0, id="the doubt is that of the loss"),
        pytest.param(True, 50.0, id="a check is queued already, and the taker's doubt lasts longer"),
    ],
)
def test_a_claim_lost_at_the_settle_is_checked_later(world: World, known: str, doubtful, since) -> None:
    if doubtful:
        world.fault(Fault(service="sharepoint", drop=True, when="after", next=1))
    result = TakenOver(world, known, "graph.microsoft.com", lambda: world.clock.advance(50)).sync()
    row = world.row(known)
    assert (result.outcome, result.again) == ("deferred", None)
    assert (row.dirty, row.unsure_until) == (True, world.clock.now() - since + CLAIM_FOR)
    assert len(checks(world)) == 1
    world.drain()
    world.settled(known)


def test_a_claim_found_lost_late_shortens_no_doubt_that_others_left(world: World, known: str) -> None:
    """The attempt that finds the loss freezes again for a long time, after it has queued its check."""

    def freeze() -> None:
        world.clock.advance(2 * CLAIM_FOR)
        world.note(known, dirty=True, unsure_until=later, recheck_at=later)

    later = world.clock.now() + 10 * CLAIM_FOR
    world.steps.on("put photo-checks", freeze)
    assert TakenOver(world, known, "contoso-my.sharepoint.com").sync().outcome == "deferred"
    row = world.row(known)
    assert (row.dirty, row.unsure_until, row.recheck_at) == (True, later, later)


def test_a_lost_claim_is_noted_even_if_the_row_is_written_to_meanwhile(world: World, known: str) -> None:
    def keep_writing() -> None:
        world.steps.on("write photoledger", lambda: world.note(known, lag_ms=1.0), nth=2, times=3)

    TakenOver(world, known, "contoso-my.sharepoint.com", keep_writing).sync()
    until = world.clock.now() + CLAIM_FOR
    row = world.row(known)
    assert (row.dirty, row.unsure_until, row.recheck_at) == (True, until, until + MARGIN)


# --- doubt about a removal ---


def test_a_removal_without_an_answer_stays_dirty_until_the_next_sweep(world: World) -> None:
    (user,) = bulk.add_users(world, 1, photo=False)
    world.note(user, missing_since=world.clock.now() - 7200)
    world.fault(Fault(service="sharepoint", method="POST", drop=True, when="after", next=1))
    world.ask(user, "swept", removal=True)
    world.drain()
    row = world.row(user)
    assert (row.settled_etag, row.dirty, row.outcome, world.shown(user)) == ("", True, "cleared", "")
    world.sweep()
    row = world.row(user)
    assert (row.settled_etag, row.dirty, row.missing_since) == ("", False, 0.0)
