"""One accepted connection: HTTP/1.1, parsed and written by h11, with or without TLS.

Every size is bounded, and an ambiguous request is refused.
"""

import logging
import socket
import ssl
import struct
import time
from email.utils import formatdate
from http.client import responses
from typing import Any

import h11

from local.net.messages import Handler, Head, Malformed, Request, Response

CHUNK = 64 * 1024  # bytes
MAX_HEAD = 64 * 1024  # bytes; Graph's skip tokens are long
MAX_HEADERS = 100
MAX_BODY = 16 * 1024 * 1024  # bytes; four times the largest photo or webhook body

HANDSHAKE = 10.0  # seconds
IDLE = 120.0  # seconds that a connection may be silent
LINGER = 1.0  # seconds for which the rest of a refused request is read and discarded

# The server writes these itself.
OWN_HEADERS = frozenset({"content-length", "transfer-encoding", "connection", "date", "keep-alive"})
BODILESS = frozenset({204, 304})

logger = logging.getLogger(__name__)


class Connection:
    """A client's connection. `start_tls` replaces `sock`; `busy` is true while a request is answered.

    `closing` ends the connection after the answer under way.
    """

    def __init__(self, sock: socket.socket) -> None:
        # Without it, delayed acknowledgements would hold a response back for 40 ms.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(IDLE)
        self.sock = sock
        self.busy = False
        self.closing = False
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Do the TLS handshake.

        Raises:
            OSError: the handshake failed.
        """
        self.sock.settimeout(HANDSHAKE)
        # The handshake comes after the assignment, so that `cut` can end a client that never sends one.
        self.sock = secure = context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
        secure.do_handshake()
        secure.settimeout(IDLE)
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)

    def converse(self, handle: Handler, scheme: str, max_body: int = MAX_BODY) -> None:
        """Answer requests with `handle` until one side ends the connection."""
        while not self.closing:
            try:
                head = self.read_head()
                if head is None:
                    return
                self.busy = True
                body = self._read_body(head, max_body)
                request = Request(head.method, head.target, head.version, head.headers, scheme, body)
                response = _ask(handle, request)
            except Malformed as error:
                self.refuse(error.status, str(error))
                return
            if response is None:
                self._reset()
                return
            if not self._write(response, head.method):
                return
            self.busy = False

    def read_head(self) -> Head | None:
        """Return the next request's head, or None if the client has ended the connection.

        Raises:
            Malformed: the bytes are not an HTTP/1.x request, or too many.
        """
        event = self._next_event()
        if not isinstance(event, h11.Request):
            return None
        headers: dict[str, str] = {}
        for raw, value in event.headers:
            name, text = raw.decode("ascii"), value.decode("latin-1")
            headers[name] = f"{headers[name]},{text}" if name in headers else text
        version = event.http_version.decode("ascii")
        if version not in ("1.0", "1.1"):
            raise Malformed(400, "not HTTP/1.1")
        if len(event.headers) > MAX_HEADERS:
            raise Malformed(431, f"more than {MAX_HEADERS} headers")
        if "transfer-encoding" in headers and "content-length" in headers:
            raise Malformed(400, "framed by both Content-Length and Transfer-Encoding")
        self._acknowledge()
        return Head(event.method.decode("ascii"), event.target.decode("ascii"), f"HTTP/{version}", headers)

    def _read_body(self, head: Head, max_body: int) -> bytes:
        too_long = Malformed(413, f"more than {max_body} bytes")
        if int(head.headers.get("content-length", 0)) > max_body:
            raise too_long
        if self._http.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
            self.sock.sendall(self._http.send(go_on) or b"")
        body = bytearray()
        while isinstance(event := self._next_event(), h11.Data):
            body += event.data
            if len(body) > max_body:
                raise too_long
        return bytes(body)

    def _next_event(self) -> Any:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(self.sock.recv(CHUNK))
        except h11.RemoteProtocolError as error:
            # h11's own words may repeat the request. It answers 501 to an unknown Transfer-Encoding.
            status = 400 if error.error_status_hint == 501 else error.error_status_hint  # the client's fault
            raise Malformed(status, "not an acceptable HTTP/1.1 request") from error
        return event

    def _acknowledge(self) -> None:
        # urllib3 leaves Nagle's algorithm on towards a proxy: a body sent after its headers waits until they
        # are acknowledged, which Linux delays by 40 ms unless told otherwise, each time anew.
        if hasattr(socket, "TCP_QUICKACK"):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _write(self, response: Response, method: str) -> bool:
        """Send a response, head and body at once; return whether the connection stays open."""
        try:
            head = self._make_head(response)
        except (h11.LocalProtocolError, UnicodeEncodeError) as error:
            logger.error("a response cannot be written: %s", error)  # noqa: TRY400 - the handler made it, not this code
            response = Response(500)
            head = self._make_head(response)
        body = b"" if method == "HEAD" or response.status in BODILESS else response.body
        data = self._http.send(head) or b""
        if response.share < 1:
            self.sock.sendall(data + body[: int(len(body) * response.share)])
            return False
        data += self._http.send(h11.Data(body)) or b"" if body else b""
        self.sock.sendall(data + (self._http.send(h11.EndOfMessage()) or b""))
        if self._http.our_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    def _make_head(self, response: Response) -> h11.Response:
        headers = [
            (name.encode("ascii"), value.encode("ascii"))
            for name, value in response.headers
            if name.lower() not in OWN_HEADERS
        ]
        headers.append((b"Date", formatdate(usegmt=True).encode()))
        if response.status not in BODILESS:
            headers.append((b"Content-Length", b"%d" % len(response.body)))
        if self.closing:
            headers.append((b"Connection", b"close"))
        reason = responses.get(response.status, "").encode()
        return h11.Response(status_code=response.status, headers=headers, reason=reason)

    def refuse(self, status: int, reason: str) -> None:
        """Answer with a line of plain text; the caller ends the connection."""
        self.closing = True
        text = (("Content-Type", "text/plain; charset=utf-8"),)
        self._write(Response(status, text, f"{reason}\n".encode()), "GET")
        self._linger()

    def _linger(self) -> None:
        self.busy = False
        # Closing a socket with unread bytes would reset the connection, and the client would lose the answer.
        socket.socket.shutdown(self.sock, socket.SHUT_WR)
        self.sock.settimeout(LINGER)
        deadline = time.monotonic() + LINGER
        while time.monotonic() < deadline and self.sock.recv(CHUNK):
            pass

    def _reset(self) -> None:
        """Make the next close reset the connection."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def finish(self) -> None:
        """End after the answer under way, or at once if there is none."""
        self.closing = True
        if not self.busy:
            self._shut(socket.SHUT_RD)

    def cut(self) -> None:
        """End at once."""
        self._shut(socket.SHUT_RDWR)

    def _shut(self, how: int) -> None:
        try:
            # Not `SSLSocket.shutdown`, which would disturb the connection's own thread.
            socket.socket.shutdown(self.sock, how)
        except OSError:
            logger.debug("already closed by its peer")


def _ask(handle: Handler, request: Request) -> Response | None:
    try:
        return handle(request)
    except Malformed:
        raise
    except Exception:
        logger.exception(
            "The server failed to answer %s %s", request.method, request.target.partition("?")[0]
        )
        return Response(500)
