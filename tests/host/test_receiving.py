"""Receiving messages: one listener at first, one page a batch, and again after any failure."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from socket import socket
from threading import Barrier, Event
from types import SimpleNamespace

import pytest
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.queue import QueueClient

from local.host.app.hostjson import QueueOptions
from local.host.queues.listeners import QueueListener, Receiver
from local.host.queues.sending import QueueSignals
from tests.fakes.scripted_server import ScriptedServer, overtakes, reply

MESSAGE = b"<QueueMessage><MessageId>1</MessageId><PopReceipt>r</PopReceipt></QueueMessage>"
FOUND = reply(200, b"<QueueMessagesList>" + MESSAGE + b"</QueueMessagesList>", Content_Type="application/xml")
NOTHING = reply(200, b"<QueueMessagesList />", Content_Type="application/xml")


def client_of(url: str) -> QueueClient:
    """Return a client that ignores the proxy of the environment."""
    transport = RequestsTransport(use_env_settings=False)
    return QueueClient(f"{url}/account?sig=made-up", "jobs", transport=transport)


def fetch(receiver: Receiver, url: str) -> list[str]:
    with client_of(url) as client:
        return [each.id for each in receiver.fetch(client, 16, 600)]


def test_one_listener_at_a_time_receives_until_the_first_message() -> None:
    """Azure's library initializes itself with it, and fails if two threads do so at once."""
    receiver = Receiver()

    assert not overtakes(lambda url: partial(fetch, receiver, url), FOUND)


@pytest.mark.parametrize("before", [NOTHING, reply(500, b"")], ids=["nothing", "an error"])
def test_listeners_receive_concurrently_only_after_a_message(before: bytes) -> None:
    met = Barrier(2)

    def together(connection: socket) -> None:
        met.wait(10)
        connection.sendall(FOUND)

    receiver = Receiver()
    with ScriptedServer(before, FOUND, together) as wire, ThreadPoolExecutor() as pool:
        with contextlib.suppress(HttpResponseError):
            assert fetch(receiver, wire.url) == []
        assert fetch(receiver, wire.url) == ["1"]
        fetches = [pool.submit(fetch, receiver, wire.url) for _ in range(2)]
        assert [each.result() for each in fetches] == [["1"], ["1"]]


def test_a_batch_is_one_request() -> None:
    """If a second request failed, the messages of the first would stay hidden."""
    with ScriptedServer(FOUND) as wire:
        assert fetch(Receiver(), wire.url) == ["1"]
        assert len(wire.requests) == 1


class FailingReceiver:
    """Fails three times with an unexpected error, then returns a message, then none."""

    def __init__(self) -> None:
        self.failures = 3
        self.found = [SimpleNamespace(id="1")]

    def fetch(self, *_: object) -> list[SimpleNamespace]:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("dictionary changed size during iteration")
        found, self.found = self.found, []
        return found


def test_a_listener_continues_after_an_unexpected_error(caplog: pytest.LogCaptureFixture) -> None:
    processed = Event()
    with client_of("http://127.0.0.1:9") as client:
        processor = SimpleNamespace(
            client=client,
            trigger_queue=SimpleNamespace(queue="jobs", function=SimpleNamespace(name="work")),
            lease_seconds=600,
            process=lambda _: processed.set(),
        )
        listener = QueueListener(processor, QueueOptions(), FailingReceiver(), QueueSignals())
        listener.start()
        came = processed.wait(10)
        listener.stop()
        assert listener.join(10)

    assert came
    assert "The queue jobs was not read, trying again" in caplog.text
