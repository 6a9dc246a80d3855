"""Read HTTP/1.1 requests from a byte stream, and write responses to a socket.

Every size is bounded, and an ambiguous request is refused. Nothing here knows of TLS, proxies or the tenant.
"""

import io
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

from werkzeug.wrappers import Response

MAX_LINE = 16 * 1024  # bytes; Graph's skip tokens are long
MAX_HEADERS = 100
MAX_BODY = 16 * 1024 * 1024  # bytes; four times the largest photo or webhook body

Environ = dict[str, Any]


class Malformed(Exception):
    """The request is not acceptable; the client gets `status` and a reason, then the connection ends."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Hangup(Exception):
    """The handler wants the connection cut: with `response`, in the middle of its body; else at once."""

    def __init__(self, response: Response | None = None) -> None:
        super().__init__("the connection is cut")
        self.response = response


@dataclass(frozen=True, slots=True)
class Head:
    """A request line and its headers; `headers` has lower-case names and joins repeated ones with a comma."""

    method: str
    target: str
    version: str
    headers: dict[str, str]

    @property
    def keeps_alive(self) -> bool:
        """Whether the client may send another request on this connection."""
        wish = self.headers.get("connection", "").lower()
        return "close" not in wish and (self.version == "HTTP/1.1" or "keep-alive" in wish)


def read_head(stream: BinaryIO) -> Head | None:
    """Return the next request's head, or None where the peer has ended the connection.

    Raises:
        Malformed: the bytes are not an HTTP/1.x request, or too many.
    """
    line = _line(stream) or _line(stream)  # RFC 9112 §2.2: one empty line before a request is ignored
    if line is None:
        return None
    try:
        method, target, version = line.split(" ")
    except ValueError:
        raise Malformed(400, "not an HTTP request line") from None
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise Malformed(505, f"not HTTP/1.1: {version}")
    return Head(method, target, version, _headers(stream))


def _headers(stream: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADERS):
        line = _line(stream)
        if not line:
            return headers
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise Malformed(400, "not a header line")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    raise Malformed(431, f"more than {MAX_HEADERS} headers")


def _line(stream: BinaryIO) -> str | None:
    line = stream.readline(MAX_LINE)
    if not line:
        return None
    if not line.endswith(b"\n"):
        raise Malformed(431, f"a line longer than {MAX_LINE} bytes, or cut short")
    return line.rstrip(b"\r\n").decode("latin-1")


def read_body(stream: BinaryIO, head: Head) -> bytes:
    """Return the request's body, framed by its length or in chunks.

    Raises:
        Malformed: the framing is not valid or ambiguous, or the body is cut short or too long.
    """
    coding, length = head.headers.get("transfer-encoding"), head.headers.get("content-length")
    if coding is not None:
        if coding.lower() != "chunked" or length is not None:
            raise Malformed(400, "framed neither by Content-Length nor by chunks alone")
        return b"".join(_chunks(stream))
    return _exactly(stream, _count(length or "0", 10, MAX_BODY))


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    room = MAX_BODY
    while size := _count((_line(stream) or "").partition(";")[0].strip(), 16, room):
        yield _exactly(stream, size)
        _line(stream)
        room -= size
    _headers(stream)  # trailers are ignored


def _count(text: str, base: int, most: int) -> int:
    if not text.isalnum():
        raise Malformed(400, "not a length")
    try:
        count = int(text, base)
    except ValueError:
        raise Malformed(400, "not a length") from None
    if count > most:
        raise Malformed(413, f"more than {MAX_BODY} bytes")
    return count


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size) if size else b""
    if len(data) < size:
        raise Malformed(400, "the body was cut short")
    return data


def make_environ(head: Head, body: bytes, scheme: str, port: int) -> Environ:
    """Return the WSGI environment of a request; `REQUEST_URI` keeps its target as it was sent.

    Raises:
        Malformed: the target is not a path.
    """
    if not head.target.startswith("/"):
        raise Malformed(400, "the request target is not a path")
    path, _, query = head.target.partition("?")
    environ: Environ = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),  # PEP 3333: bytes decoded as Latin-1
        "QUERY_STRING": query,
        "REQUEST_URI": head.target,
        "RAW_URI": head.target,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": head.version,
        "wsgi.url_scheme": scheme,
        "wsgi.input": io.BytesIO(body),
    }
    for name, value in head.headers.items():
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    environ.pop("HTTP_CONTENT_LENGTH", None)
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["CONTENT_LENGTH"] = str(len(body))
    return environ


def send(
    sock: socket.socket, response: Response, environ: Environ, *, keep_alive: bool, share: float = 1
) -> None:
    """Write `response`; of its body only `share` (0 to 1), under headers that promise the whole."""
    body = b"" if environ["REQUEST_METHOD"] == "HEAD" else response.get_data()
    headers = response.get_wsgi_headers(environ)
    headers["Date"] = formatdate(usegmt=True)
    headers["Connection"] = "keep-alive" if keep_alive else "close"
    lines = [f"HTTP/1.1 {response.status}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    sock.sendall("\r\n".join(lines).encode("latin-1") + body[: int(len(body) * share)])
