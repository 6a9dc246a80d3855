"""Poison: every message that no function could handle is recorded, whatever its content."""

import json

import pytest

from local.tenant.tenant import Tenant
from shared.errors import TryLater
from shared.jobs import Backfill, Check, Job, SweepPage, SweptCheck, Sync, Tend, write
from shared.triggers import Triggers
from tests.fakes.external_steps import drop_connection
from tests.fakes.world import World

ONE, TWO = "0f000000-0000-4000-8000-000000000001", "a0000000-0000-4000-8000-000000000002"
POISONED = ("failed", "gave up after repeated failures", 0.0)


def record(world: World, kind: type, body: bytes) -> None:
    world.app.recorder.record(kind, body)


def noted(world: World, user: str) -> tuple[str, str, float]:
    row = world.row(user)
    return row.outcome, row.reason, row.queued_at


def kept(world: World) -> dict[str, object]:
    (row,) = [row for (partition, _), (row, _) in world.state.rows.items() if partition == "poison"]
    return row


def test_a_poisoned_sync_is_its_users_failure(world: World) -> None:
    world.note(ONE, queued_at=7.0, settled_etag='"A"', dirty=True)
    record(world, Sync, write(Sync(ONE, "swept", 1.0, 1.0)).encode())
    assert noted(world, ONE) == POISONED
    assert (world.row(ONE).settled_etag, world.row(ONE).dirty) == ('"A"', True)


def test_a_poisoned_check_is_the_failure_of_all_its_users(world: World) -> None:
    record(world, Check, write(Check((ONE, TWO), "notified", 1.0, 1.0)).encode())
    assert noted(world, ONE) == noted(world, TWO) == POISONED


def test_a_poisoned_event_names_no_user_and_is_kept_as_a_whole(world: World) -> None:
    body = write(Tend("missed", ONE, 1.0))
    record(world, Tend, body.encode())
    assert (kept(world)["body"], kept(world)["queue"]) == (body, "photo-subscription")
    assert kept(world)["at"] == world.clock.now()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xfe\x00", id="not a text"),
        pytest.param(b"[" * 50_000, id="deep"),
        pytest.param(json.dumps({"v": 2, "job": {}}).encode(), id="another version"),
        pytest.param(write(Check((ONE,), "notified", 1.0, 1.0)).encode(), id="a job of another queue"),
        pytest.param(b"x" * 60_000, id="long"),
    ],
)
def test_an_unreadable_message_is_kept_as_it_is(world: World, body: bytes) -> None:
    record(world, Sync, body)
    assert kept(world)["queue"] == "photo-syncs"
    assert kept(world)["why"]
    assert body.decode("utf-8", "backslashreplace").startswith(str(kept(world)["body"]))
    assert world.ledger.rows == {}


def test_a_kept_message_is_not_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    record(world, Sync, b'{"v": 1, "job": {"user": "secret@contoso.com"}}')
    assert "secret" not in caplog.text
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_poison_is_kept_once_per_queue_however_often_it_is_delivered(world: World) -> None:
    record(world, Sync, b"hello")
    world.clock.advance(10)
    record(world, Sync, b"hello")
    assert kept(world)["at"] == world.clock.now()
    record(world, Check, b"hello")
    assert len([key for key in world.state.rows if key[0] == "poison"]) == 2


@pytest.mark.parametrize("name", ["a/b", "\t", "x" * 2000])
def test_a_body_with_an_id_of_its_own_is_kept_too(world: World, name: str) -> None:
    body = json.dumps({"id": name})  # in Azure's worker this becomes the message's id
    world.app.queues.defer_raw(Sync.queue, body, 0)
    world.drain()
    assert kept(world)["body"] == body


# --- while it cannot be recorded ---


@pytest.mark.parametrize("body", ["hello", write(Sync(ONE, "swept", 1.0, 1.0))], ids=["kept", "a user's"])
def test_poison_waits_for_the_end_of_an_outage_of_hours_and_is_then_recorded(world: World, body: str) -> None:
    world.app.queues.defer_raw(f"{Sync.queue}-poison", body, 0)
    outage = world.steps.on("write .*", drop_connection, times=None)
    world.run(6 * 3600)
    assert [message.body for message in world.outbox.messages] == [body]

    world.steps.forget(outage)
    world.drain()

    status = world.app.status_report.status()
    assert len(status["poison"]) + status["failed"]["users"] == 1


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        pytest.param(b"\xff\xfe\x00", "\\xff\\xfe", id="half a letter of UTF-16"),
        pytest.param("Bäcker".encode("latin-1"), "B\\xe4cker", id="Latin-1"),
        pytest.param(b"caf\xc3", "caf\\xc3", id="half a letter of UTF-8"),
        pytest.param(b"\x80" * 48_000, "\\x80\\x80", id="nothing but other bytes, as long as messages are"),
        pytest.param("hello".encode("utf-16"), "hello", id="UTF-16"),
        pytest.param(b"\xef\xbb\xbfhello", "hello", id="a byte-order mark"),
        pytest.param(b"", "", id="nothing"),
    ],
)
def test_poison_in_any_encoding_waits_for_the_tables_and_is_then_kept(
    world: World, body: bytes, shown: str
) -> None:
    outage = world.steps.on("write photostate", drop_connection)
    Triggers(world.app).record(Sync, body)
    (waiting,) = world.outbox.messages
    assert (waiting.queue, waiting.body[: len(shown)]) == ("photo-syncs-poison", shown)

    world.steps.forget(outage)
    world.drain()

    assert str(kept(world)["body"]).startswith(shown)
    assert world.outbox.messages == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_job_in_any_encoding_of_json_waits_while_the_settings_are_wrong(
    world: World, encoding: str
) -> None:
    body = write(Sync(ONE, "asked", 1.0, 1.0))
    world.restart(CLIENT_ID="")
    Triggers(world.app).work(Sync, body.encode(encoding))

    (waiting,) = world.outbox.messages
    assert (waiting.queue, waiting.body) == ("photo-syncs", body)


def test_poison_that_cannot_be_recorded_is_queued_again_hidden_for_half_a_minute(world: World) -> None:
    world.app.queues.defer_raw("photo-syncs-poison", "hello", 0)
    (old,) = world.outbox.messages
    world.steps.on("write photostate", drop_connection)
    world.host.deliver_due()
    (new,) = world.outbox.messages
    assert (new.queue, new.body, new.dequeue_count) == ("photo-syncs-poison", "hello", 0)
    assert new.id != old.id
    assert new.visible_at - world.clock.now() == 30


def test_a_message_stays_where_it_is_if_the_queue_is_out_of_reach_too(world: World) -> None:
    world.app.queues.defer_raw("photo-syncs-poison", "hello", 0)
    world.steps.on("write photostate", drop_connection, times=4)
    world.steps.on("put photo-syncs-poison", drop_connection, times=4)
    world.drain()
    assert [type(error) for error in world.host.failures] == [TryLater] * 4
    assert kept(world)["body"] == "hello"


def test_a_sync_that_works_on_the_user_meanwhile_takes_precedence(world: World) -> None:
    user = world.add()
    poison = write(Sync(user, "notified", 1.0, 1.0)).encode()
    world.steps.on("call graph.microsoft.com", lambda: record(world, Sync, poison))
    world.ask(user)
    world.drain()
    world.settled(user)
    assert world.row(user).outcome == "synced"


def test_a_dry_run_leaves_the_ledger_alone_and_keeps_the_message(tenant: Tenant) -> None:
    world = World(tenant, direct=True, DRY_RUN="true")
    body = write(Sync(ONE, "notified", 1.0, 1.0))
    record(world, Sync, body.encode())
    assert world.ledger.rows == {}
    assert kept(world)["body"] == body


@pytest.mark.parametrize("kind", [Sync, Backfill, Check, SweptCheck], ids=lambda kind: kind.queue)
def test_users_named_by_a_message_of_another_release_are_checked_again(world: World, kind: type[Job]) -> None:
    world.note(ONE, queued_at=world.clock.now(), settled_etag='"A"')
    body = json.dumps({"v": 2, "job": {"users": [ONE.upper(), ONE, TWO]}}).encode()
    record(world, kind, body)
    row = world.row(ONE)
    assert (row.outcome, row.queued_at, row.settled_etag) == ("failed", 0.0, '"A"')
    assert row.reason.startswith("a message that names this user is not to be read: ")
    assert kept(world)["body"] == body.decode()
    assert world.row(TWO).version == ""  # the user was never known


@pytest.mark.parametrize("kind", [Tend, SweepPage], ids=lambda kind: kind.queue)
def test_a_message_that_names_no_users_fails_none(world: World, kind: type[Job]) -> None:
    world.note(ONE, settled_etag='"A"')
    record(world, kind, json.dumps({"v": 2, "job": {"subscription": ONE}}).encode())
    assert world.row(ONE).outcome == ""


GAVE_UP = POISONED[1]


@pytest.mark.parametrize(
    ("outcome", "before", "after"),
    [
        pytest.param("synced", "identity unconfirmed", GAVE_UP, id="it was synced before"),
        pytest.param("failed", "graph: 400", f"{GAVE_UP}: graph: 400", id="it has a reason"),
        pytest.param("failed", f"{GAVE_UP}: graph: 400", f"{GAVE_UP}: graph: 400", id="it gave up before"),
        pytest.param("failed", GAVE_UP, GAVE_UP, id="it gave up before without a reason"),
    ],
)
def test_a_poisoned_sync_keeps_the_reason_of_its_last_attempt(world: World, outcome, before, after) -> None:
    world.note(ONE, outcome=outcome, reason=before)
    record(world, Sync, write(Sync(ONE, "swept", 1.0, 1.0)).encode())
    assert noted(world, ONE) == ("failed", after, 0.0)
