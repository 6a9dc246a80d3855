"""Fixtures of the HTTP server's tests."""

import socket
from collections.abc import Callable, Iterator

import pytest

from local.net.connections import Connection
from local.net.listener import Listener
from local.net.messages import Handler

MAX_BODY = 1000


@pytest.fixture
def serve() -> Iterator[Callable[..., Listener]]:
    """Start a listener; it is stopped at the test's end."""
    listeners: list[Listener] = []

    def serve(handle: Handler, max_body: int = MAX_BODY) -> Listener:
        def converse(connection: Connection) -> None:
            connection.converse(handle, "http", max_body)

        listeners.append(Listener(converse))
        listeners[-1].start()
        return listeners[-1]

    yield serve
    for each in listeners:
        each.stop(grace=0.5)


@pytest.fixture
def connect() -> Iterator[Callable[[Listener], socket.socket]]:
    sockets: list[socket.socket] = []

    def connect(listener: Listener) -> socket.socket:
        sockets.append(socket.create_connection(listener.address, timeout=10))
        return sockets[-1]

    yield connect
    for each in sockets:
        each.close()
