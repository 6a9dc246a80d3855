"""Listen on the loopback interface, with one thread a connection."""

import logging
import socket
import threading
import time
from collections.abc import Callable

from local.net.connections import Connection

LOOPBACK = "127.0.0.1"

logger = logging.getLogger(__name__)


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
        """Begin to accept; the port is open since construction."""
        self._thread.start()

    def drain(self) -> None:
        """Accept no more and end idle connections. Return at once; answers under way continue."""
        self._stopping = True
        if self._thread.is_alive():
            with socket.create_connection(self.address):  # the only portable way to wake `accept`
                self._thread.join()
        self._socket.close()
        for connection in self._connections():
            connection.finish()

    def join(self, seconds: float) -> bool:
        """Wait until every connection has ended; return whether that is so."""
        deadline = time.monotonic() + seconds
        for thread in self._connections().values():
            thread.join(max(0.0, deadline - time.monotonic()))
        return not self._connections()

    def stop(self, grace: float = 3.0) -> None:
        """Drain for `grace` seconds, then cut every connection."""
        self.drain()
        if not self.join(grace):
            for connection in self._connections():
                connection.cut()
            self.join(1.0)

    def _connections(self) -> dict[Connection, threading.Thread]:
        with self._lock:
            return dict(self._open)

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
            self._serve(connection)
        except OSError as error:  # the peer ended the connection, refused the certificate or timed out
            logger.debug("connection ended: %s", error)
        finally:
            connection.sock.close()
            with self._lock:
                del self._open[connection]
