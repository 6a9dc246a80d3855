"""Listen on the loopback interface with one thread a connection, and answer HTTP/1.1 requests."""

import logging
import socket
import struct
import threading
import time
from collections.abc import Callable

from werkzeug.wrappers import Request, Response

from local.tenant.net import wire

IDLE = 120.0  # seconds that a connection may be silent
LINGER = 2.0  # seconds for which the rest of a refused request is read and discarded
CHUNK = 64 * 1024  # bytes
LOOPBACK = "127.0.0.1"

logger = logging.getLogger(__name__)

Handler = Callable[[Request], Response]


class Connection:
    """One accepted connection. `sock` is replaced when it turns to TLS; `busy` while it answers."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.busy = False
        self.closing = False

    def converse(self, handle: Handler, scheme: str, port: int) -> None:
        """Answer requests with `handle` until one side ends the connection."""
        with self.sock.makefile("rb") as stream:
            while not self.closing:
                try:
                    head = wire.read_head(stream)
                    if head is None:
                        return
                    self.busy = True
                    self._acknowledge()
                    if head.headers.get("expect", "").lower() == "100-continue":
                        self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    environ = wire.make_environ(head, wire.read_body(stream, head), scheme, port)
                except wire.Malformed as error:
                    self.refuse(error.status, str(error))
                    return
                if not self._answer(handle, environ, head.keeps_alive):
                    return
                self.busy = False

    def _answer(self, handle: Handler, environ: wire.Environ, keep_alive: bool) -> bool:
        try:
            response = handle(Request(environ))
        except wire.Hangup as hangup:
            if hangup.response is None:
                self.reset()
            else:
                wire.send(self.sock, hangup.response, environ, keep_alive=keep_alive, share=0.5)
            return False
        keep_alive = keep_alive and not self.closing
        wire.send(self.sock, response, environ, keep_alive=keep_alive)
        return keep_alive

    def _acknowledge(self) -> None:
        # urllib3 leaves Nagle's algorithm on towards a proxy: a body sent after its headers waits until they
        # are acknowledged, which Linux puts off for 40 ms unless told otherwise, each time anew.
        if hasattr(socket, "TCP_QUICKACK"):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def refuse(self, status: int, reason: str) -> None:
        """Answer with a line of plain text; the caller ends the connection."""
        response = Response(f"{reason}\n", status, mimetype="text/plain")
        wire.send(self.sock, response, {"REQUEST_METHOD": "GET"}, keep_alive=False)
        self._drain()

    def _drain(self) -> None:
        # Closing a socket with unread bytes would reset the connection, and the client would lose the answer.
        self.sock.shutdown(socket.SHUT_WR)
        self.sock.settimeout(LINGER)
        deadline = time.monotonic() + LINGER
        while time.monotonic() < deadline and self.sock.recv(CHUNK):
            pass

    def reset(self) -> None:
        """Make the next close reset the connection."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def wake(self) -> None:
        """End a read that waits for the peer."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            logger.debug("already closed by its peer")


def reserve(port: int = 0) -> socket.socket:
    """Return a listening socket on 127.0.0.1:`port`, 0 for any free one.

    Raises:
        OSError: the port is taken.
        OverflowError: the port number is not valid.
    """
    return socket.create_server((LOOPBACK, port), backlog=128)


class Listener:
    """Accept connections on `sock` (left out: any free port) and give each to `serve` in its own thread.

    `address` is where it listens: host and port.
    """

    def __init__(self, serve: Callable[[Connection], None], sock: socket.socket | None = None) -> None:
        self._serve = serve
        self._socket = sock or reserve()
        self.address: tuple[str, int] = self._socket.getsockname()
        self._open: dict[Connection, threading.Thread] = {}
        self._lock = threading.Lock()
        self._stopping = False
        self._thread = threading.Thread(target=self._accept, name=f"listen-{self.address[1]}", daemon=True)

    def start(self) -> None:
        """Begin to accept; the port was open since construction."""
        self._thread.start()

    def stop(self, grace: float = 3.0) -> None:
        """Accept no more, let answers under way finish for `grace` seconds, then cut every connection."""
        self._stopping = True
        if self._thread.is_alive():
            with socket.create_connection(self.address):  # the only portable way to wake `accept`
                self._thread.join()
        self._socket.close()
        with self._lock:
            threads = dict(self._open)
        for connection in threads:
            connection.closing = True
            if not connection.busy:
                connection.wake()
        deadline = time.monotonic() + grace
        for connection, thread in threads.items():
            thread.join(max(0.0, deadline - time.monotonic()))
            connection.wake()
        for thread in threads.values():
            thread.join(1.0)

    def _accept(self) -> None:
        while True:
            sock, _ = self._socket.accept()
            if self._stopping:
                sock.close()
                return
            connection = Connection(sock)
            thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
            with self._lock:
                self._open[connection] = thread
            thread.start()

    def _run(self, connection: Connection) -> None:
        try:
            # Without it, delayed acknowledgements hold a request with a body back for 40 ms.
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sock.settimeout(IDLE)
            self._serve(connection)
        except OSError as error:  # the peer ended the connection, refused the certificate or timed out
            logger.debug("connection ended: %s", error)
        finally:
            connection.sock.close()
            with self._lock:
                del self._open[connection]
