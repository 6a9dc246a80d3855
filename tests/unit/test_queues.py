"""Messages as the storage account keeps them."""

import base64
import uuid
from collections.abc import Callable

import pytest
from azure.storage.queue import QueueClient

from local.azurite import Azurite
from shared import jobs
from shared.errors import TryLater
from shared.jobs import Check, Sync
from shared.queues import LONGEST_HIDING, AzureOutbox, Queues, Receipt
from shared.storage import Storage
from tests.world.steps import cut_off
from tests.world.wire import Wire, overtakes, reply
from tests.world.world import World

USER = "0f000000-0000-4000-8000-000000000001"


@pytest.fixture
def outbox(azurite: Azurite) -> AzureOutbox:
    return AzureOutbox(Storage({"AzureWebJobsStorage": azurite.connection_string}))


@pytest.fixture
def name() -> str:
    return f"queue-{uuid.uuid4()}"


@pytest.fixture
def queue(azurite: Azurite, name: str):
    with QueueClient.from_connection_string(azurite.connection_string, name) as client:
        yield client


def test_the_first_message_makes_the_queue(outbox: AzureOutbox, queue: QueueClient, name: str) -> None:
    outbox.put(name, '{"größe": 1}', 0)
    (message,) = queue.peek_messages()
    assert base64.b64decode(message.content).decode() == '{"größe": 1}'


def test_a_message_never_expires(outbox: AzureOutbox, queue: QueueClient, name: str) -> None:
    outbox.put(name, "{}", 0)
    (message,) = queue.peek_messages()
    assert message.expires_on.year == 9999


def test_a_hidden_message_is_not_seen(outbox: AzureOutbox, queue: QueueClient, name: str) -> None:
    outbox.put(name, "{}", 3600)
    assert queue.peek_messages() == []
    assert queue.get_queue_properties().approximate_message_count == 1


def test_a_message_can_be_taken_back(outbox: AzureOutbox, queue: QueueClient, name: str) -> None:
    receipt = outbox.put(name, "{}", 0)
    outbox.take_back(receipt)
    assert queue.peek_messages() == []
    outbox.take_back(receipt)  # gone is gone


def test_a_message_that_somebody_has_taken_is_left_to_him(
    outbox: AzureOutbox, queue: QueueClient, name: str
) -> None:
    receipt = outbox.put(name, "{}", 0)
    taken = queue.receive_message(visibility_timeout=60)
    outbox.take_back(receipt)
    assert queue.get_queue_properties().approximate_message_count == 1
    queue.delete_message(taken)


def outbox_at(url: str) -> AzureOutbox:
    text = f"AccountName=a;AccountKey=AAAA;QueueEndpoint={url}/a;TableEndpoint={url}/a"
    return AzureOutbox(Storage({"AzureWebJobsStorage": text}))


SENT = b"""<QueueMessagesList><QueueMessage><MessageId>1</MessageId><PopReceipt>r</PopReceipt>
</QueueMessage></QueueMessagesList>"""


NO_QUEUE = reply(404, b"", x_ms_error_code="QueueNotFound")
QUEUE_MADE = reply(201, b"")


@pytest.mark.parametrize("before", [[], [NO_QUEUE, QUEUE_MADE]], ids=["at once", "after its queue was made"])
def test_nobody_else_sends_until_the_first_message_of_all_was_sent(
    monkeypatch: pytest.MonkeyPatch, before: list[bytes]
) -> None:
    """Azure's library prepares itself with it, and cannot do so for two threads at once."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def prepare(url: str) -> Callable[[], Receipt]:
        outbox = outbox_at(url)
        return lambda: outbox.put("jobs", "{}", 0)

    assert not overtakes(prepare, reply(201, SENT, Content_Type="application/xml"), *before)


@pytest.mark.parametrize(("status", "code"), [(404, "MessageNotFound"), (400, "PopReceiptMismatch")])
def test_both_answers_to_a_receipt_that_is_not_valid_any_more_are_known(
    monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Wire(reply(status, b"", x_ms_error_code=code)) as wire:
        outbox_at(wire.url).take_back(Receipt("photo-syncs", "message", "receipt"))
        assert wire.asked[0].line.startswith("DELETE ")


# --- jobs in it ---


@pytest.mark.parametrize(
    ("hidden", "seconds"),
    [
        pytest.param(0.0, 0, id="at once"),
        pytest.param(-3.0, 0, id="already due"),
        pytest.param(0.2, 1, id="rounded up"),
        pytest.param(421.0, 421, id="whole"),
        pytest.param(1e9, LONGEST_HIDING, id="no longer than the service allows"),
    ],
)
def test_a_job_is_hidden_in_whole_seconds(world: World, hidden: float, seconds: int) -> None:
    world.app.queues.send(Sync(USER, "notified", 1.0, 1.0), hidden=hidden)
    assert world.hidden() == [seconds]


@pytest.mark.parametrize(
    ("asked", "age", "jitter", "seconds"),
    [
        pytest.param(100.0, 0.0, 0.0, 100, id="as asked"),
        pytest.param(99.5, 0.0, 0.0, 100, id="rounded up"),
        pytest.param(100.0, 0.0, 0.99, 110, id="and up to a tenth more"),
        pytest.param(1e9, 0.0, 0.0, 900, id="absurd"),
        pytest.param(0.0, 0.0, 0.0, 1, id="at once is a second"),
        pytest.param(None, 0.0, 0.0, 30, id="nobody said: half a minute"),
        pytest.param(None, 100.0, 0.0, 100, id="nobody said: as long again"),
        pytest.param(None, 1e6, 0.0, 900, id="nobody said: fifteen minutes at most"),
        pytest.param(None, -400.0, 0.0, 30, id="a job that is not born yet"),
    ],
)
def test_a_deferred_job_waits_as_long_as_it_should(
    world: World, asked: float | None, age: float, jitter: float, seconds: int
) -> None:
    now = world.clock.now()
    job = Sync(USER, "notified", 5.0, now - age, tries=3, force=True)
    waited = Queues(world.outbox, jitter=lambda: jitter).defer(job, asked, now=now)
    assert (waited, world.hidden(), world.queued()) == (seconds, [seconds], [job])


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda queues: queues.send(Sync(USER, "notified", 1.0, 1.0)), id="send"),
        pytest.param(
            lambda queues: queues.defer(Check((USER,), "notified", 1.0, 1.0), None, now=2.0), id="defer"
        ),
        pytest.param(lambda queues: queues.defer_raw("photo-syncs", "{}", 9), id="as it came"),
    ],
)
def test_a_queue_out_of_reach_is_said(world: World, work: Callable[[Queues], object]) -> None:
    world.steps.on("put .*", cut_off)
    with pytest.raises(TryLater):
        work(world.app.queues)
    assert world.outbox.messages == []


def test_a_message_that_waits_for_settings_stays_as_it_came(world: World) -> None:
    body = jobs.write(Sync(USER, "notified", 1.0, 1.0))
    world.app.queues.defer_raw(Sync.queue, body, 900)
    assert [(each.body, each.queue) for each in world.outbox.messages] == [(body, Sync.queue)]
    assert world.hidden() == [900]
