"""HTTP requests and responses as the servers of this machine exchange them with their handlers."""

from collections.abc import Callable
from dataclasses import dataclass


class Malformed(Exception):
    """The request is not acceptable; the client gets `status` and a reason, then the connection ends."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """A request line and its headers. `target` is not decoded.

    `headers` has lower-case names; the values of a repeated one are joined by commas.
    """

    method: str
    target: str
    version: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Request(Head):
    """A request with its whole body, decoded if it came in chunks."""

    scheme: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """A response; the server adds length, date and connection.

    With a `share` below 1, only that part of the body is sent, under headers that promise the whole, and the
    connection ends.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    share: float = 1


type Handler = Callable[[Request], Response | None]
"""Answer a request; return `None` to reset the connection instead. Called from many threads.

Raises:
    Malformed: the request is not acceptable.
"""
