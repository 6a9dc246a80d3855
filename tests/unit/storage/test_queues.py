"""Messages in the storage account."""

import base64
import uuid
from collections.abc import Callable

import pytest
from azure.storage.queue import QueueClient

from local.azurite import Azurite
from shared.storage.account import Storage
from shared.storage.queues import AzureOutbox, Receipt
from tests.fakes.scripted_server import overtakes, reply


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


def test_the_first_message_makes_the_queue_and_never_expires(
    outbox: AzureOutbox, queue: QueueClient, name: str
) -> None:
    outbox.put(name, '{"größe": 1}', 0)
    (message,) = queue.peek_messages()
    assert base64.b64decode(message.content).decode() == '{"größe": 1}'
    assert message.expires_on.year == 9999


def test_a_hidden_message_is_not_seen(outbox: AzureOutbox, queue: QueueClient, name: str) -> None:
    outbox.put(name, "{}", 3600)
    assert queue.peek_messages() == []
    assert queue.get_queue_properties().approximate_message_count == 1


def test_the_length_of_a_queue_counts_hidden_messages_and_those_that_are_not_base64(
    outbox: AzureOutbox, queue: QueueClient, name: str
) -> None:
    assert outbox.length(name) == 0  # it does not exist yet
    outbox.put(name, "{}", 0)
    outbox.put(name, "{}", 3600)
    queue.send_message("put by hand")
    assert outbox.length(name) == 3


def test_a_message_can_be_taken_back(outbox: AzureOutbox, queue: QueueClient, name: str) -> None:
    receipt = outbox.put(name, "{}", 0)
    outbox.take_back(receipt)
    assert queue.peek_messages() == []
    outbox.take_back(receipt)  # already deleted


def test_a_message_that_was_dequeued_is_not_taken_back(
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
def test_no_second_message_is_sent_before_the_first_one_was_answered(
    monkeypatch: pytest.MonkeyPatch, before: list[bytes]
) -> None:
    """Azure's library initialises itself with the first one, and cannot do so in two threads at once."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def prepare(url: str) -> Callable[[], Receipt]:
        outbox = outbox_at(url)
        return lambda: outbox.put("jobs", "{}", 0)

    assert not overtakes(prepare, reply(201, SENT, Content_Type="application/xml"), *before)


@pytest.mark.parametrize(("status", "code"), [(404, "MessageNotFound"), (400, "PopReceiptMismatch")])
def test_taking_back_accepts_both_answers_to_an_expired_receipt(serve, status: int, code: str) -> None:
    server = serve(reply(status, b"", x_ms_error_code=code))
    outbox_at(server.url).take_back(Receipt("photo-syncs", "message", "receipt"))
    assert server.requests[0].line.startswith("DELETE ")
