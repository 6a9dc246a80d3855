"""How the HTTP server stops."""

import threading

import pytest

from local.net.listener import Listener
from local.net.messages import Request, Response

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class SlowAnswer:
    """A handler that waits."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self, _request: Request) -> Response:
        self.begun.set()
        self.may_end.wait(10)
        return Response(200)


def test_a_stop_closes_idle_connections_and_waits_for_an_answer_under_way(serve, connect) -> None:
    slow = SlowAnswer()
    listener = serve(slow)
    idle, busy = connect(listener), connect(listener)
    busy.sendall(GET)
    assert slow.begun.wait(10)

    listener.drain()
    assert idle.recv(1) == b""
    assert not listener.join(0)
    slow.may_end.set()
    answer = b"".join(iter(lambda: busy.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close" in answer
    assert listener.join(10)
    with pytest.raises(ConnectionRefusedError):
        connect(listener)


def test_a_stop_cuts_an_answer_that_takes_longer_than_its_grace(serve, connect) -> None:
    slow = SlowAnswer()
    listener = serve(slow)
    connection = connect(listener)
    connection.sendall(GET)
    assert slow.begun.wait(10)
    listener.stop(grace=0)
    slow.may_end.set()

    assert connection.recv(1) == b""
    assert listener.join(10)


def test_a_listener_that_was_never_started_can_be_stopped() -> None:
    listener = Listener(lambda _: None)
    listener.drain()

    assert listener.join(0)
