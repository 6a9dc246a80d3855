"""A CONNECT proxy that ends every TLS connection itself.

A client that has `HTTPS_PROXY` set and trusts the tenant's authority reaches `graph.microsoft.com` and the
other hosts here under their own names, without any other setting.
"""

import logging
import selectors
import socket
import ssl
from collections.abc import Callable

from werkzeug.wrappers import Request, Response

from local.net.connections import Connection
from local.net.listener import Listener
from local.net.messages import Malformed
from local.tenant.net.wire import adapt

CHUNK = 64 * 1024  # bytes
DIAL = 10.0  # seconds to connect to a host that the tenant does not emulate

logger = logging.getLogger(__name__)


class Proxy:
    """Answer `CONNECT name:443` with TLS and `handle` where `plays(name)`; refuse or pass on the rest.

    `sock` is where to listen; `refused(name)` is called with each name refused.
    """

    def __init__(
        self,
        handle: Callable[[Request], Response],
        plays: Callable[[str], bool],
        context: ssl.SSLContext,
        *,
        sock: socket.socket,
        pass_through: bool,
        refused: Callable[[str], None],
    ) -> None:
        self._handle = adapt(handle, 443)
        self._plays = plays
        self._context = context
        self._pass_through = pass_through
        self._refused = refused
        self.listener = Listener(self._serve, sock)

    def _serve(self, connection: Connection) -> None:
        try:
            head = connection.read_head()
        except Malformed as error:
            connection.refuse(error.status, str(error))
            return
        if head is None:
            return
        if head.method != "CONNECT":
            connection.refuse(405, "this is a CONNECT proxy for https: set HTTPS_PROXY, not HTTP_PROXY")
            return
        self._connect(connection, head.target)

    def _connect(self, connection: Connection, target: str) -> None:
        name, _, port = target.rpartition(":")
        if port == "443" and self._plays(name.lower()):
            self._answer_for(connection, name.lower())
        elif self._pass_through and port.isdecimal():
            _tunnel(connection, name, int(port))
        else:
            self._refused(target)
            connection.refuse(502, f"the tenant does not emulate {target}; --pass-through would pass it on")

    def _answer_for(self, connection: Connection, name: str) -> None:
        connection.sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            connection.start_tls(self._context)
        except ssl.SSLEOFError:
            return  # the client closed the connection without an alert
        except ssl.SSLError as error:
            logger.warning("no TLS as %s; does REQUESTS_CA_BUNDLE name the tenant's CA? %s", name, error)
            return
        connection.converse(self._handle, "https")


def _tunnel(connection: Connection, host: str, port: int) -> None:
    try:
        remote = socket.create_connection((host, port), timeout=DIAL)
    except OSError as error:
        connection.refuse(502, f"cannot reach {host}:{port}: {error}")
        return
    with remote, selectors.DefaultSelector() as ready:
        remote.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        ready.register(connection.sock, selectors.EVENT_READ, remote)
        ready.register(remote, selectors.EVENT_READ, connection.sock)
        while not connection.closing:
            for key, _ in ready.select(timeout=1.0):
                data = key.fileobj.recv(CHUNK)  # type: ignore[union-attr]  # sockets, as registered above
                if not data:
                    return
                key.data.sendall(data)
