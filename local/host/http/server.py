"""Serve HTTP on the loopback interface for the host: optional TLS, and a stop that drains."""

import ssl
from pathlib import Path

from local.net.connections import Connection
from local.net.listener import Listener, reserve
from local.net.messages import Handler

# learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger#limits
BODY_LIMIT = 104_857_600


class Server:
    """Listen on 127.0.0.1 from construction on, answer from `start` to `stop`.

    Args:
        port: 0 means any free port.
        tls: certificate (with its chain) and key, both PEM files; `None` is plain HTTP.
        body_limit: bytes; a longer body is answered 413.

    Raises:
        OSError: the port is taken, or the certificate cannot be read.
    """

    def __init__(
        self, port: int = 0, tls: tuple[Path, Path] | None = None, body_limit: int = BODY_LIMIT
    ) -> None:
        self._context = _context(*tls) if tls else None
        self._listener = Listener(self._serve, reserve(port))
        self._handle: Handler | None = None
        self.address = self._listener.address
        self.scheme = "https" if tls else "http"
        self.host = f"{self.address[0]}:{self.address[1]}"
        self.url = f"{self.scheme}://{self.host}"
        self.body_limit = body_limit
        self.join = self._listener.join

    def start(self, handle: Handler) -> None:
        """Begin to answer with *handle*, which must be thread-safe."""
        self._handle = handle
        self._listener.start()

    def stop(self) -> None:
        """Accept no more requests. Return at once; answers under way continue."""
        self._listener.drain()

    def _serve(self, connection: Connection) -> None:
        if self._context:
            connection.start_tls(self._context)
        if self._handle:
            connection.converse(self._handle, self.scheme, self.body_limit)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    return context
