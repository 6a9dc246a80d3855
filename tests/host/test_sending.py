"""Sending messages: with a plain request, and with the library if that fails."""

import uuid
from collections.abc import Iterator

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.storage.queue import QueueServiceClient

from local.azurite import KEY, Azurite
from local.host.app.settings import AppSettings
from local.host.app.storage import DEFAULT, Accounts
from local.host.queues.sending import QueueSignals, Sender

NEAT = "eyJ2IjoxfQ=="
ODD = "a<b>&\"' \N{LATIN SMALL LETTER E WITH ACUTE} \N{GRINNING FACE}"


@pytest.fixture
def queue(azurite: Azurite) -> Iterator[str]:
    name = f"sent-{uuid.uuid4().hex}"
    yield name
    with QueueServiceClient.from_connection_string(azurite.connection_string) as service:
        service.delete_queue(name)


def sender_to(connection: str) -> Sender:
    return Sender(Accounts(AppSettings({DEFAULT: connection})), QueueSignals())


def contents(azurite: Azurite, queue: str) -> list[str]:
    with QueueServiceClient.from_connection_string(azurite.connection_string) as service:
        return [each.content for each in service.get_queue_client(queue).peek_messages(max_messages=32)]


def test_a_queue_is_created_for_its_first_message(azurite: Azurite, queue: str) -> None:
    sender = sender_to(azurite.connection_string)
    for _ in range(3):
        sender.send("", queue, NEAT)

    assert contents(azurite, queue) == [NEAT] * 3


def test_a_message_arrives_unchanged(azurite: Azurite, queue: str) -> None:
    sender = sender_to(azurite.connection_string)
    sender.send("", queue, NEAT)
    sender.send("", queue, ODD)

    assert contents(azurite, queue) == [NEAT, ODD]


def test_a_wrong_key_raises_the_librarys_error(azurite: Azurite, queue: str) -> None:
    sender_to(azurite.connection_string).send("", queue, NEAT)

    with pytest.raises(ClientAuthenticationError):
        sender_to(azurite.connection_string.replace(KEY, KEY[::-1].lstrip("=") + "==")).send("", queue, NEAT)

    assert contents(azurite, queue) == [NEAT]
