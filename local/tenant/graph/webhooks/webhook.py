"""One POST to an application's webhook, over a connection of its own.

Made with `http.client`: `requests` would turn the lower-case `%3a` of a validation token into `%3A`, and
would take a proxy from the environment, possibly this tenant. A redirect is an answer like any other.
"""

import gzip
import http.client
import ssl
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

LONGEST = 8192  # bytes of an answer that are read


class Unreachable(Exception):
    """The endpoint gave no HTTP answer."""


@dataclass(frozen=True, slots=True)
class WebhookReply:
    """An endpoint's answer; `kind` is its media type in lower case, "" without one."""

    status: int
    kind: str
    body: bytes


def call_webhook(
    url: str, headers: dict[str, str], body: bytes = b"", *, query: str = "", timeout: float, ca: str | None
) -> WebhookReply:
    """Post `body` and return the answer. `query` is sent as it is, after the URL's own.

    `timeout` is the seconds that each step may take; `ca` a file of authorities to trust besides the
    machine's.

    Raises:
        TimeoutError: a step took longer.
        Unreachable: no connection, no TLS, no HTTP.
    """
    parts = urlsplit(url)
    whole = "&".join(filter(None, (parts.query, query)))
    target = (parts.path or "/") + (f"?{whole}" if whole else "")
    try:
        connection = _connect(parts.scheme, parts.hostname or "", parts.port, timeout, ca)
        try:
            return _exchange(connection, target, headers, body)
        finally:
            connection.close()
    except TimeoutError:
        raise
    except (OSError, EOFError, ValueError, http.client.HTTPException) as error:
        raise Unreachable(url) from error


def _exchange(
    connection: http.client.HTTPConnection, target: str, headers: dict[str, str], body: bytes
) -> WebhookReply:
    connection.putrequest("POST", target, skip_accept_encoding=True)
    for name, value in {"Content-Length": str(len(body)), **headers, "Accept-Encoding": "gzip"}.items():
        connection.putheader(name, value)
    connection.endheaders(body or None)
    with connection.getresponse() as response:
        read = response.read(LONGEST)
        if response.headers.get("Content-Encoding", "").lower() == "gzip":
            read = gzip.decompress(read)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return WebhookReply(response.status, kind, read)


def _connect(
    scheme: str, host: str, port: int | None, timeout: float, ca: str | None
) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=timeout)
    return http.client.HTTPSConnection(host, port, timeout=timeout, context=_trust(ca))


@cache
def _trust(ca: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca:
        context.load_verify_locations(ca)
    return context
