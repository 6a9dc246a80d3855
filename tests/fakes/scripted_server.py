"""A server that sends exactly the bytes that a test gives it."""

import contextlib
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

type Reply = bytes | Callable[[socket.socket], object]


@dataclass(frozen=True)
class ReceivedRequest:
    """One request as it arrived. Header names are in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes


def reply(status: int = 200, body: bytes = b"{}", **headers: str) -> bytes:
    """Return a whole HTTP response; underscores in header names stand for hyphens."""
    given = {"Content-Length": str(len(body)), "Connection": "close"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status} Reason\r\n{head}\r\n".encode() + body


def overtakes(prepare: Callable[[str], Callable[[], object]], answer: bytes, *before: Reply) -> bool:
    """Return whether a second call is sent before the first one was answered.

    Args:
        prepare: gets the server's URL, and returns the call.
        answer: the response to both calls.
        before: the responses to what the first call requests before that.
    """
    first_came, second_came, early = threading.Event(), threading.Event(), threading.Event()

    def first(connection: socket.socket) -> None:
        first_came.set()
        if second_came.wait(0.3):
            early.set()
        connection.sendall(answer)

    def second(connection: socket.socket) -> None:
        second_came.set()
        connection.sendall(answer)

    with ScriptedServer(*before, first, second) as server, ThreadPoolExecutor() as pool:
        call = prepare(server.url)
        calls = [pool.submit(call)]
        assert first_came.wait(10)
        calls.append(pool.submit(call))
        for each in calls:
            each.result()
    assert second_came.is_set()
    return early.is_set()


class ScriptedServer:
    """Plain HTTP on 127.0.0.1. Each request gets the next of `replies`, and the last one repeats."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies) or [reply()]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.ended = threading.Event()
        self.requests: list[ReceivedRequest] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def trickle(self, connection: socket.socket) -> None:
        """Announce a long response, and send it one byte at a time, slower than any client waits."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not self.ended.wait(0.02):
            connection.sendall(b".")

    def silence(self, connection: socket.socket) -> None:
        """Receive the request and never respond."""
        del connection
        self.ended.wait(30)

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file, contextlib.suppress(OSError):  # the client left
            if request := _read(file):
                with self._lock:
                    self.requests.append(request)
                    answer = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
                if callable(answer):
                    answer(connection)
                else:
                    connection.sendall(answer)


def _read(file: object) -> ReceivedRequest | None:
    line = file.readline().decode().strip()
    if not line:
        return None
    headers = {}
    while field := file.readline().decode().strip():
        name, _, value = field.partition(":")
        headers[name.lower()] = value.strip()
    return ReceivedRequest(line, headers, file.read(int(headers.get("content-length", 0))))
