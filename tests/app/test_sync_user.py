"""An administrator syncs one user now: the answer, and the message that continues after a timeout."""

import pytest

from local.tenant.traffic.faults import Fault
from shared.admin.sync_user import HIDDEN_FOR, LONGEST_UPN, UserSyncRequest
from shared.attempt import LONGEST_REQUEST
from shared.errors import Denied, Gone, NotOurs, TryLater
from shared.jobs import Sync
from shared.sync.result import Result
from tests.fakes.external_steps import drop_connection, fail_precondition, kill
from tests.fakes.world import World

UNKNOWN = "11111111-1111-4111-8111-111111111111"


def ask(world: World, user: str, **how: bool) -> Result:
    return world.services.user_sync.sync_user(UserSyncRequest(user, **how))


def test_a_user_is_synced_at_once_and_nothing_is_left_in_the_queue(world: World) -> None:
    user = world.add()
    result = ask(world, user)
    assert (result.outcome, result.user, result.etag) == ("synced", user, world.source(user))
    assert result.requests == len(world.requests()) == 8
    assert result.request_id
    world.settled(user)
    assert world.outbox.messages == []


@pytest.mark.parametrize(
    "upn", ["anna@contoso.com", "O'Hara+x@contoso.com", "ines_fabrikam.com#EXT#@contoso.onmicrosoft.com"]
)
def test_a_user_is_named_by_upn_or_by_id_in_any_case(new_world, upn: str) -> None:
    world = new_world(SCOPE="members+guests")
    user = world.add(upn=upn, guest="#" in upn)
    for name in (upn, upn.upper(), user, user.upper()):
        assert ask(world, name).user == user
    world.settled(user)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "anna",
        "@contoso.com",
        "anna @contoso.com",
        "anna@contoso.com/photo",
        "../me@x",
        "me?x=a@b",
        "a@b@c",
        "a%2f@b.c",
        "a\u202e@b.c",
        f"{'a' * LONGEST_UPN}@b.c",
        "11111111-1111-4111-8111-11111111111",
    ],
    ids=ascii,
)
def test_an_invalid_name_is_refused_before_any_request(world: World, name: str) -> None:
    with pytest.raises(NotOurs) as caught:
        ask(world, name)
    assert name == "" or name not in str(caught.value)
    assert (world.requests(), world.outbox.messages) == ([], [])


@pytest.mark.parametrize("name", [UNKNOWN, "unknown@contoso.com"])
def test_an_unknown_user_is_gone(world: World, name: str) -> None:
    with pytest.raises(Gone):
        ask(world, name)
    assert world.outbox.messages == []


@pytest.fixture
def left(world: World) -> str:
    """A user whose picture SharePoint shows, and who was deleted; the app did not hear of it."""
    user = world.add(upn="anna@contoso.com")
    ask(world, user)
    world.tenant.world.remove(world.person(user))
    return user


@pytest.mark.parametrize("how", [{}, {"force": True}, {"remove": True}], ids=["", "forced", "removal"])
def test_a_user_who_left_is_noted_as_gone_once_and_is_no_failure_any_more(
    world: World, left: str, how
) -> None:
    world.app.recorder.ledger.overwrite(left, {"outcome": "failed", "reason": "of before"})
    result = ask(world, left.upper(), **how)
    since = world.clock.now()
    assert (result.user, result.outcome, result.requests) == (left, "gone", 1)
    assert result.request_id
    row = world.row(left)
    assert (row.gone_since, row.outcome, row.reason) == (since, "gone", result.reason)
    assert world.app.status_report.status()["failed"]["users"] == 0
    world.clock.advance(60)
    world.steps.taken.clear()
    assert ask(world, left, **how).outcome == "gone"
    assert "write photoledger" not in world.steps.taken
    assert (world.row(left).gone_since, world.outbox.messages) == (since, [])


def test_a_deleted_user_cannot_be_found_by_name_and_the_answer_says_so(world: World, left: str) -> None:
    with pytest.raises(Gone, match="object id"):
        ask(world, "anna@contoso.com")
    assert world.row(left).gone_since == 0.0


def test_a_user_without_a_row_gets_none(world: World) -> None:
    user = world.add()
    world.tenant.world.remove(world.person(user))
    with pytest.raises(Gone):
        ask(world, user)
    assert world.ledger.rows == {}


@pytest.mark.parametrize("how", ["asked", "set"])
def test_a_dry_run_says_that_a_user_is_gone_and_notes_nothing(world: World, left: str, how: str) -> None:
    before = world.row(left)
    if how == "set":
        world.restart(DRY_RUN="true")
    assert ask(world, left, dry_run=how == "asked").outcome == "gone"
    assert world.row(left) == before


def test_a_404_with_an_unknown_code_is_not_noted(world: World, left: str) -> None:
    world.fault(Fault(path="/v1.0/users/", status=404, code="SomethingNew"))
    with pytest.raises(Gone):
        ask(world, left)
    assert world.row(left).gone_since == 0.0


def test_a_note_that_an_attempt_at_work_or_an_outage_prevents_changes_no_answer(
    world: World, left: str
) -> None:
    for mishap in (fail_precondition, drop_connection):
        world.steps.on("write photoledger", mishap)
        assert ask(world, left).outcome == "gone"
        assert world.row(left).gone_since == 0.0


@pytest.mark.parametrize("how", [{}, {"dry_run": True}])
def test_the_answer_comes_before_azure_times_out_and_a_message_continues(world: World, how) -> None:
    user = world.add()
    slow = world.steps.on("call .*", lambda: world.clock.advance(50), times=None)
    began = world.clock.now()
    result = ask(world, user, **how)
    assert world.clock.now() - began <= LONGEST_REQUEST < 230
    assert (result.outcome, result.hindrance) == ("deferred", "throttled")
    if not how:
        world.steps.forget(slow)
        world.drain()
        world.settled(user)


def test_force_applies_to_this_user_now(world: World) -> None:
    user = world.add()
    ask(world, user)
    assert ask(world, user).outcome == "unchanged"
    assert ask(world, user, force=True).outcome == "synced"


def test_a_dry_run_reports_what_would_happen_and_queues_nothing(world: World) -> None:
    user = world.add()
    result = ask(world, user, dry_run=True)
    assert result.outcome == "synced"
    assert result.reason.startswith("dry run: ")
    assert (world.shown(user), world.ledger.rows, world.outbox.messages) == ("", {}, [])


def test_the_job_is_queued_before_the_work_begins(world: World) -> None:
    user = world.add()
    world.steps.on("read photoledger", kill)
    assert not world.steps.survive(lambda: ask(world, user, force=True))
    (job,) = world.queued(Sync)
    assert (job.user, job.cause, job.force) == (user, "asked", True)
    assert world.hidden() == [HIDDEN_FOR]
    world.drain()
    world.settled(user)


@pytest.mark.parametrize(
    ("fault", "hindrance", "after"),
    [
        pytest.param(Fault(path=r"\$batch", status=429, retry_after=200), "throttled", 230.0, id="throttled"),
        pytest.param(Fault(path=r"\$batch", status=403), "denied", 30.0, id="denied"),
    ],
)
def test_the_queued_job_continues_if_the_sync_must_wait(world: World, fault, hindrance, after) -> None:
    user = world.add()
    world.fault(fault)
    result = ask(world, user)
    assert (result.outcome, result.hindrance, result.after) == ("deferred", hindrance, after)
    assert [job.user for job in world.queued(Sync)] == [user]
    assert after <= world.hidden()[0] <= 1.1 * after + 1
    world.fault()
    world.drain()
    world.settled(user)


def test_the_claim_of_another_attempt_is_reported_and_the_job_continues(world: World) -> None:
    user = world.add()
    world.note(user, claim_token="theirs", claim_until=world.clock.now() + 12)
    result = ask(world, user)
    assert (result.outcome, result.hindrance, result.after) == ("deferred", "busy", pytest.approx(12))
    assert len(world.queued(Sync)) == 1
    world.drain()
    world.settled(user)


def test_a_refusal_is_reported_and_the_job_stays(world: World) -> None:
    user = world.add()
    world.fault(Fault(path="AddUsingPath", status=400, headers={"SPRequestGuid": "abc"}))
    result = ask(world, user)
    assert (result.outcome, result.reason) == ("deferred", "sharepoint-files: 400")
    assert (result.hindrance, result.request_id) == ("refused", "abc")
    assert len(world.queued(Sync)) == 1
    assert world.row(user).claim_until == 0.0


def test_a_missing_permission_for_the_directory_is_reported(world: World) -> None:
    user = world.add()
    world.fault(Fault(path="/v1.0/users/", status=403))
    with pytest.raises(Denied):
        ask(world, user)
    assert world.outbox.messages == []


def test_no_work_begins_without_a_queue(world: World) -> None:
    user = world.add()
    world.steps.on("put .*", drop_connection)
    with pytest.raises(TryLater):
        ask(world, user)
    assert world.shown(user) == ""


@pytest.mark.parametrize("after", [False, True])
def test_a_job_that_cannot_be_taken_back_does_not_change_the_answer(world: World, after: bool) -> None:
    user = world.add()
    world.steps.on("take back .*", drop_connection, after=after)
    assert ask(world, user).outcome == "synced"
    world.drain()
    world.settled(user)
