"""Calls of an application's webhook: one POST over its own connection, and the handshake.

Made with `http.client`: `requests` would turn the lower-case `%3a` of a validation token into `%3A`, and
would take a proxy from the environment, possibly this tenant. A redirect is an answer like any other.
"""

import gzip
import http.client
import ssl
import time
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote_plus, urlsplit

from local.tenant.graph.wire import GraphRefusal

LONGEST = 8192  # bytes of an answer that are read
TOKEN = "Validation: Testing client application reachability for subscription Request-Id: {}"  # noqa: S105
# github.com/splunk/azure-functions-splunk/issues/26
NOT_OK = "failed. Notification endpoint must respond with 200 OK to validation request."
# github.com/microsoftgraph/msgraph-sdk-go/issues/237
NOT_EXACT = "failed. Response must exactly match validationToken query parameter."
# github.com/microsoftgraph/nodejs-webhooks-sample/issues/350; the ten seconds cannot be changed:
# github.com/microsoftgraph/microsoft-graph-docs/issues/5554
TIMED_OUT = "timed out."
HEADERS = {"Accept": "text/plain", "Content-Type": "text/plain; charset=utf-8"}


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
        host, port = parts.hostname or "", parts.port
        with closing(
            http.client.HTTPConnection(host, port, timeout=timeout)
            if parts.scheme == "http"
            else http.client.HTTPSConnection(host, port, timeout=timeout, context=_trust(ca))
        ) as connection:
            return _exchange(connection, target, headers, body)
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


@cache
def _trust(ca: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca:
        context.load_verify_locations(ca)
    return context


def validate_webhook(url: str, request_id: str, *, timeout: float, ca: str | None) -> None:
    """Validate `url`: post a token and expect it back, decoded, in time.

    learn.microsoft.com/graph/change-notifications-delivery-webhooks; the request is the one captured in
    github.com/microsoftgraph/msgraph-sdk-go/issues/237.

    `timeout` is the seconds the whole answer may take; `ca` a file of authorities to trust. A refusal has the
    reason, as the creation of a subscription answers it.
    """
    token = TOKEN.format(request_id)
    # As .NET encodes: a space is `+`, a colon the lower-case `%3a`.
    query = f"validationToken={quote_plus(token).replace('%3A', '%3a')}"
    started = time.monotonic()
    try:
        reply = call_webhook(url, HEADERS, query=query, timeout=timeout, ca=ca)
    except TimeoutError as error:
        raise _failed("InvalidRequest", TIMED_OUT) from error
    except Unreachable as error:
        raise _failed("ValidationError", NOT_OK) from error
    if time.monotonic() - started > timeout:
        raise _failed("InvalidRequest", TIMED_OUT)
    if reply.status != http.HTTPStatus.OK:  # 202 is not good enough
        raise _failed("ValidationError", NOT_OK)
    if reply.kind != "text/plain" or reply.body != token.encode():
        raise _failed("InvalidRequest", NOT_EXACT)


def _failed(code: str, reason: str) -> GraphRefusal:
    return GraphRefusal(400, code, f"Subscription validation request {reason}")
