"""One user's sync: what it does, what it costs, and what it notes."""

from collections.abc import Callable

import pytest

from local.tenant.traffic.faults import Fault
from shared import jobs
from shared.attempt import FUNCTION_TIMEOUT, LONGEST_ATTEMPT
from shared.sharepoint.pace import UNITS_FIRST, UNITS_KNOWN, minute_of
from tests.fakes.external_steps import drop_connection
from tests.fakes.world import World

CLAIM_FOR = 420.0
DAY = 24 * 3600.0


def sharepoint_writes(world: World) -> list[str]:
    return [request for request in world.requests("sharepoint") if request.startswith("POST")]


# --- the normal course ---


def test_a_first_photo_is_shown_and_noted(world: World) -> None:
    user = world.add()
    world.ask(user, seen=world.clock.now() - 2.5)
    world.drain()
    world.settled(user)
    row = world.row(user)
    assert (row.outcome, row.reason, row.claim_until, row.lag_ms) == ("synced", "", 0.0, 2500.0)
    assert (row.upn, row.geo) == (world.person(user).upn, "contoso-my.sharepoint.com")
    assert row.folder == "/User Photos/Profile Pictures"
    assert len(world.requests()) == 7


def test_the_log_says_how_long_a_photo_took(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "photosync")
    world.ask(world.add(), seen=world.clock.now() - 2.5)
    world.drain()
    (synced,) = [text for text in caplog.messages if text.startswith("photo.synced")]
    assert " lag_ms=2500" in synced


def test_the_same_picture_under_a_new_etag_is_settled_without_a_call_to_sharepoint(
    world: World, known: str
) -> None:
    world.ask(known)
    world.drain()
    before = len(world.requests("sharepoint"))
    etag = world.change_photo(known, world.person(known).photo.data)
    world.ask(known)
    world.drain()
    row = world.row(known)
    assert (row.settled_etag, row.reason) == (etag, "the same picture under a new ETag")
    assert len(world.requests("sharepoint")) == before


def test_the_timestamp_of_a_picture_never_decreases(world: World, known: str) -> None:
    newest = 90_000_000_000.0
    world.note(known, stamp=newest)
    world.ask(known)
    world.drain()
    assert world.properties(known)["SPS-PictureTimestamp"] == str(int(newest))


@pytest.mark.parametrize(("setting", "written"), [("1", "1"), ("0", "0"), ("keep", "7")])
def test_the_exchange_sync_state_is_written_unless_configured_to_be_kept(
    new_world: Callable[..., World], setting: str, written: str
) -> None:
    world = new_world(EXCHANGE_SYNC_STATE=setting)
    user = world.add()
    world.tenant.sharepoint.configure(user, properties={"SPS-PictureExchangeSyncState": "7"})
    world.ask(user)
    world.drain()
    assert world.properties(user)["SPS-PictureExchangeSyncState"] == written


def test_a_user_out_of_scope_is_noted_and_not_written(world: World) -> None:
    user = world.add(enabled=False)
    world.ask(user)
    world.drain()
    row = world.row(user)
    assert (row.outcome, row.reason, row.claim_until) == ("skipped", "account is disabled", 0.0)
    assert world.requests("sharepoint") == []


def test_bytes_that_are_not_a_picture_are_read_twice_and_then_left(world: World, known: str) -> None:
    world.change_photo(known, b"GIF89a, or so it says")
    world.ask(known)
    world.host.deliver_due()
    assert world.hidden() == [pytest.approx(120, abs=13)]
    world.drain()
    row = world.row(known)
    assert (row.outcome, row.reason, row.refused_etag) == ("failed", "unreadable image", world.source(known))
    world.hint(known, why="rechecked")
    world.drain()
    assert world.host.delivered == 4  # the first photo's sync, two reads, one check and nothing after it
    world.change_photo(known)
    world.hint(known)
    world.drain()
    world.settled(known)
    assert world.row(known).refused_etag == ""


def test_a_photo_that_changes_while_it_is_read_is_never_settled_under_the_wrong_etag(
    world: World, known: str
) -> None:
    changes = iter(range(3))

    def change() -> None:
        if next(changes, None) is not None:
            world.change_photo(known)

    world.tenant.graph.between_parts = change
    world.ask(known)
    world.host.deliver_due()
    assert world.row(known).dirty is False
    assert world.hidden() == [pytest.approx(30, abs=4)]
    world.drain()
    world.settled(known)


# --- dry run ---


@pytest.mark.parametrize("known_before", [False, True])
def test_a_dry_run_writes_nothing_but_what_it_reserves(world: World, known_before: bool) -> None:
    user = world.add()
    if known_before:
        world.ask(user)
        world.drain()
        world.change_photo(user)
    row, shown = world.row(user), world.shown(user)
    world.restart(DRY_RUN="true")
    world.steps.taken.clear()
    world.ask(user)
    world.hint(user)
    world.drain()
    assert (world.row(user), world.shown(user)) == (row, shown)
    assert {step for step in world.steps.taken if step.startswith("write")} == {"write photostate"}
    assert {kind for kind, _ in world.state.rows} == {"pace"}


def test_a_dry_run_drops_what_was_queued_and_a_forced_sweep_brings_it_back(world: World, known: str) -> None:
    now = world.clock.now()
    world.note(known, queued_at=now)
    world.app.queues.send(jobs.Backfill(known, "swept", seen=now, born=now))
    world.restart(DRY_RUN="true")
    world.run(60)
    assert world.queued(jobs.Backfill) == []
    world.restart(DRY_RUN="false")
    world.sweep()
    assert world.shown(known) != world.source(known)
    world.sweep(force=True)
    world.settled(known)


def test_a_dry_run_reports_what_would_happen(world: World, known: str) -> None:
    job = jobs.Sync(known, "asked", 0.0, 0.0)
    result = world.services.syncer.attempt(job, dry_run=True)
    assert (result.outcome, result.etag) == ("synced", world.source(known))
    assert result.reason == "dry run: would write to contoso-my.sharepoint.com/User Photos/Profile Pictures"


# --- obstacles ---


def test_the_claim_of_another_attempt_defers_a_job_for_half_a_minute(world: World, known: str) -> None:
    world.note(known, claim_token="theirs", claim_until=world.clock.now() + 400)
    world.ask(known)
    world.host.deliver_due()
    assert world.hidden() == [pytest.approx(30, abs=4)]
    assert world.row(known).claim_token == "theirs"
    assert world.requests() == []
    world.drain()
    world.settled(known)


def reserved(world: World) -> float:
    """Return the units that live syncs have reserved in all minutes."""
    return sum(row.get("live", 0.0) for (kind, _), (row, _) in world.state.rows.items() if kind == "pace")


def test_a_target_under_another_sharepoint_host_is_reserved_for_as_a_first_contact(
    world: World, known: str
) -> None:
    before = reserved(world)
    world.note(known, home="fabrikam.sharepoint.com")
    world.change_photo(known)
    world.ask(known)
    world.drain()
    world.settled(known)
    assert reserved(world) == before + UNITS_FIRST


@pytest.mark.parametrize("how", ["the name is unknown", "force"])
def test_whatever_makes_a_first_contact_of_a_known_user_reserves_for_it(
    world: World, known: str, how: str
) -> None:
    before = reserved(world)
    if how == "the name is unknown":
        world.note(known, upn="")
    world.ask(known, force=how == "force")
    world.drain()
    world.settled(known)
    assert reserved(world) == before + UNITS_FIRST


def test_a_job_that_called_a_service_reserves_again_when_it_comes_back(world: World, known: str) -> None:
    before = reserved(world)
    world.ask(known, slot=minute_of(world.clock.now()))
    world.fault(Fault(path="ProcessQuery", status=503, retry_after=5, next=1))  # the last of four calls
    world.host.deliver_due()
    assert [job.slot for job in world.queued()] == [0.0]
    assert reserved(world) == before
    world.drain()
    world.settled(known)
    assert reserved(world) == before + UNITS_KNOWN


def test_a_job_that_called_no_service_keeps_its_minute(world: World, known: str) -> None:
    slot = minute_of(world.clock.now())
    world.ask(known, slot=slot)
    world.note(known, claim_token="theirs", claim_until=world.clock.now() + 5)
    world.host.deliver_due()
    assert [job.slot for job in world.queued()] == [slot]


def test_a_user_who_is_refused_five_times_in_a_row_fails(world: World, known: str) -> None:
    world.fault(Fault(service="sharepoint", method="POST", status=400))
    world.ask(known)
    world.drain()
    row = world.row(known)
    assert (row.outcome, row.dirty) == ("failed", True)
    assert row.reason == "sharepoint-files: 400"
    assert world.host.failures == []
    assert len([each for each in world.requests() if "SThumb" in each and "400" in each]) == 5
    world.fault()
    world.hint(known)
    world.drain()
    world.settled(known)


def test_meeting_anothers_claim_adds_no_try_for_a_user_who_is_refused(world: World, known: str) -> None:
    world.fault(Fault(service="sharepoint", method="POST", status=400))
    world.ask(known)
    for _ in range(12):
        world.run(60)
        world.note(known, claim_token="theirs", claim_until=world.clock.now() + 45)
    world.drain()
    assert world.row(known).outcome == "failed"
    assert len([each for each in world.requests() if "SThumb" in each and "400" in each]) == 5


def test_after_a_day_a_job_is_left_to_the_next_sweep(world: World, known: str) -> None:
    world.fault(Fault(service="graph", status=503))
    world.ask(known)
    began = world.clock.now()
    world.drain()
    row = world.row(known)
    assert DAY < world.clock.now() - began < DAY + 1000
    assert row.outcome == "failed"
    assert row.reason.startswith("gave up after a day: graph: 503")
    assert row.claim_until == 0.0


def test_after_a_day_a_job_that_cannot_be_noted_is_not_given_up(world: World, known: str) -> None:
    world.ask(known, born=world.clock.now() - DAY - 1)
    world.steps.on("(read|write) photoledger", drop_connection, times=None)
    world.host.deliver_due()
    assert len(world.queued()) == 1
    world.steps.clear()
    world.drain()
    world.settled(known)


def test_an_unexpected_error_ends_the_claim(world: World, known: str) -> None:
    def stumble() -> None:
        raise ZeroDivisionError

    world.steps.on("call graph.microsoft.com", stumble)
    world.ask(known)
    world.host.deliver_due()
    assert [type(each) for each in world.host.failures] == [ZeroDivisionError]
    row = world.row(known)
    assert (row.claim_until, row.outcome, row.reason) == (0.0, "failed", "unexpected ZeroDivisionError")
    world.drain()
    world.settled(known)


# --- time ---


def slow(world: World, seconds: float) -> None:
    """Let every call take this long."""
    world.steps.on("call .*", lambda: world.clock.advance(seconds), times=None)


def test_an_attempt_whose_claim_runs_out_stops_writing(world: World, known: str) -> None:
    world.ask(known)
    world.steps.on("call contoso-my.sharepoint.com", lambda: world.clock.advance(CLAIM_FOR - 50))
    world.host.deliver_due()
    assert len(sharepoint_writes(world)) == 1
    assert (world.row(known).dirty, world.row(known).claim_until) == (True, 0.0)
    world.drain()
    world.settled(known)


@pytest.mark.parametrize("seconds", [40.0, 59.0])
@pytest.mark.parametrize("claim_for", ["PT7M", "PT1H"])
def test_an_attempt_with_slow_services_ends_before_azure_would_end_its_process(
    new_world: Callable[..., World], seconds: float, claim_for: str
) -> None:
    world = new_world(CLAIM_FOR=claim_for)
    user = world.add()
    slow(world, seconds)
    began = world.clock.now()
    result = world.services.syncer.sync(world.ask(user))
    assert world.clock.now() - began <= LONGEST_ATTEMPT < FUNCTION_TIMEOUT
    assert (result.outcome, result.reason.partition(": ")[2]) == ("deferred", "this attempt has no time left")
    assert world.row(user).claim_until == 0.0

    world.steps.clear()
    world.drain()
    world.settled(user)


def test_a_first_contact_with_slow_services_is_not_deferred_for_ever(world: World) -> None:
    user = world.add()
    slow(world, 29.0)
    assert world.services.syncer.attempt(world.ask(user)).outcome == "synced"


@pytest.mark.parametrize("claim_for", ["PT1M", "PT1H"])
def test_an_attempt_has_time_for_every_call_whatever_the_length_of_its_claim(
    new_world: Callable[..., World], claim_for: str
) -> None:
    world = new_world(CLAIM_FOR=claim_for)
    user = world.add()
    assert world.services.syncer.attempt(world.ask(user)).outcome == "synced"


def test_the_caller_of_an_attempt_sets_its_deadline(world: World, known: str) -> None:
    slow(world, 35.0)
    began = world.clock.now()
    result = world.services.syncer.attempt(world.ask(known), ends=world.clock.monotonic() + 100)
    assert world.clock.now() - began <= 100
    assert result.hindrance == "throttled"
