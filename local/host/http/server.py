"""Serve HTTP/1.1 on the loopback interface: keep-alive, optional TLS, and a stop that drains.

The server knows nothing of functions: it reads a request, calls a handler and writes the response.
"""

import contextlib
import logging
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from local.host.http.bodies import LONGEST_LINE, BadRequestError, read_body

logger = logging.getLogger("Host.Http")

HANDSHAKE_SECONDS = 10
LINGER_SECONDS = 0.5
LINGER_BYTES = 16 * 1024 * 1024
# learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger#limits
BODY_LIMIT = 104_857_600


@dataclass(frozen=True)
class Request:
    """One request: *target* is not decoded, a body without a length is not read."""

    scheme: str
    method: str
    target: str
    headers: "Message[str, str]"
    body: bytes


@dataclass(frozen=True)
class Response:
    """One response; the server adds the length."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


type RequestHandler = Callable[[Request], Response]


class Server(ThreadingHTTPServer):
    """Listen on 127.0.0.1 from construction on, answer from `start` to `stop`.

    Args:
        port: 0 means any free port.
        tls: certificate (with its chain) and key, both PEM files; `None` is plain HTTP.
        body_limit: bytes; a longer body is answered 413.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, port: int = 0, tls: tuple[Path, Path] | None = None, body_limit: int = BODY_LIMIT
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.scheme = "https" if tls else "http"
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.url = f"{self.scheme}://{self.host}"
        self.body_limit = body_limit
        self.draining = False
        self.handler: RequestHandler = _answer_nothing_yet
        self._tls = _context(*tls) if tls else None
        self._idle: set[socket.socket] = set()
        self._open = 0
        self._changed = threading.Condition()
        self._accepting = threading.Thread(target=self.serve_forever, args=(0.05,), name="http", daemon=True)

    def start(self, handler: RequestHandler) -> None:
        """Begin to answer with *handler*, which must be thread-safe."""
        self.handler = handler
        self._accepting.start()

    def stop(self) -> None:
        """Accept no more requests. Return at once; answers under way continue."""
        with self._changed:
            self.draining = True
            for each in self._idle:
                _stop_reading(each)
        if self._accepting.is_alive():
            self.shutdown()
        self.server_close()

    def join(self, seconds: float) -> bool:
        """Wait until every answer is sent; return whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, seconds)

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Count the connection before its thread starts, so that a drain cannot miss it."""
        with self._changed:
            self._open += 1
        super().process_request(request, client_address)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Serve one connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

    def finish_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Shake hands if there is TLS, in the connection's own thread, and serve it."""
        if self._tls is None or not isinstance(request, socket.socket):
            super().finish_request(request, client_address)
            return
        request.settimeout(HANDSHAKE_SECONDS)
        try:
            wrapped = self._tls.wrap_socket(request, server_side=True)
        except OSError as error:
            logger.info("A TLS handshake failed: %s", error)
            return
        with wrapped:
            wrapped.settimeout(None)
            super().finish_request(wrapped, client_address)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the signature is socketserver's
        """Note a connection that broke off."""
        logger.info("A connection broke off: %s", sys.exception())

    def rest(self, connection: socket.socket) -> bool:
        """Mark a connection as idle; return whether it may wait for a request."""
        with self._changed:
            if not self.draining:
                self._idle.add(connection)
            return not self.draining

    def wake(self, connection: socket.socket) -> None:
        """Mark a connection as busy."""
        with self._changed:
            self._idle.discard(connection)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    command = ""  # until a request line was read

    def handle_one_request(self) -> None:
        """Read a request, answer it. Called until `close_connection` is set."""
        self.close_connection = True
        if not self.server.rest(self.connection):
            return
        try:
            self.raw_requestline = self.rfile.readline(LONGEST_LINE + 1)
        finally:
            self.server.wake(self.connection)
        if not self.raw_requestline:
            return
        if len(self.raw_requestline) > LONGEST_LINE:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG)
        elif self.parse_request():
            self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is http.server's
        """Log nothing: every invocation has its own record."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - the signature is http.server's
        """Refuse what `parse_request` could not read, without its words: they repeat the request's."""
        self._refuse(HTTPStatus(code))

    def _answer(self) -> None:
        try:
            body = read_body(self.rfile, self.headers, self.server.body_limit)
        except BadRequestError as error:
            self._refuse(error.status)
            return
        request = Request(self.server.scheme, self.command, self.path, self.headers, body)
        try:
            response = self.server.handler(request)
        except Exception:
            logger.exception("The host failed to answer %s %s", self.command, self.path.partition("?")[0])
            response = Response(HTTPStatus.INTERNAL_SERVER_ERROR)
        self._write(response)

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer a request that was not read to its end, and close the connection.

        What still comes in is thrown away for a moment: closing at once would reset the connection, and the
        client might never see the answer.
        """
        self.close_connection = True
        self._write(Response(status))
        self.wfile.flush()
        self.connection.settimeout(LINGER_SECONDS)
        with contextlib.suppress(OSError):
            for _ in range(LINGER_BYTES // LONGEST_LINE):
                if not self.connection.recv(LONGEST_LINE):
                    break

    def _write(self, response: Response) -> None:
        """Write head and body at once."""
        self.close_connection = self.close_connection or self.server.draining
        reason = HTTPStatus(response.status).phrase if response.status in set(HTTPStatus) else ""
        lines = [f"HTTP/1.1 {response.status} {reason}", f"Date: {self.date_time_string(time.time())}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        bodiless = response.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
        if not bodiless:
            lines.append(f"Content-Length: {len(response.body)}")
        if self.close_connection:
            lines.append("Connection: close")
        body = b"" if bodiless or self.command == "HEAD" else response.body
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _stop_reading(connection: socket.socket) -> None:
    """Let a thread that waits for a request see the end; past TLS, whose own shutdown would disturb it."""
    try:
        socket.socket.shutdown(connection, socket.SHUT_RD)
    except OSError as error:
        logger.debug("A connection was closed already: %s", error)


def _answer_nothing_yet(_request: Request) -> Response:
    return Response(HTTPStatus.SERVICE_UNAVAILABLE)
