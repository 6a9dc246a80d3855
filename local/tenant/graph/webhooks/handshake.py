"""The validation of a webhook: Graph posts a token and expects it back, decoded, within ten seconds.

learn.microsoft.com/graph/change-notifications-delivery-webhooks; the request is the one captured in
github.com/microsoftgraph/msgraph-sdk-go/issues/237.
"""

import http
import time
from urllib.parse import quote_plus

from local.tenant.graph.webhooks.webhook import Unreachable, call_webhook
from local.tenant.graph.wire import GraphRefusal

TOKEN = "Validation: Testing client application reachability for subscription Request-Id: {}"  # noqa: S105
HEADERS = {"Accept": "text/plain", "Content-Type": "text/plain; charset=utf-8"}


def validate_webhook(url: str, request_id: str, *, timeout: float, ca: str | None) -> None:
    """Validate `url`.

    `timeout` is the seconds the whole answer may take; `ca` a file of authorities to trust.

    Raises:
        GraphRefusal: 400 with the reason, as the creation of a subscription answers it.
    """
    token = TOKEN.format(request_id)
    # As .NET encodes: a space is `+`, a colon the lower-case `%3a`.
    query = f"validationToken={quote_plus(token).replace('%3A', '%3a')}"
    started = time.monotonic()
    try:
        reply = call_webhook(url, HEADERS, query=query, timeout=timeout, ca=ca)
    except TimeoutError as error:
        raise _timed_out() from error
    except Unreachable as error:
        raise _not_ok() from error
    if time.monotonic() - started > timeout:
        raise _timed_out()
    if reply.status != http.HTTPStatus.OK:  # 202 is not good enough
        raise _not_ok()
    if reply.kind != "text/plain" or reply.body != token.encode():
        raise _not_exact()


def _not_ok() -> GraphRefusal:
    # github.com/splunk/azure-functions-splunk/issues/26
    return GraphRefusal(
        400,
        "ValidationError",
        "Subscription validation request failed. "
        "Notification endpoint must respond with 200 OK to validation request.",
    )


def _not_exact() -> GraphRefusal:
    # github.com/microsoftgraph/msgraph-sdk-go/issues/237
    return GraphRefusal(
        400,
        "InvalidRequest",
        "Subscription validation request failed. "
        "Response must exactly match validationToken query parameter.",
    )


def _timed_out() -> GraphRefusal:
    # github.com/microsoftgraph/nodejs-webhooks-sample/issues/350; the ten seconds cannot be changed:
    # github.com/microsoftgraph/microsoft-graph-docs/issues/5554
    return GraphRefusal(400, "InvalidRequest", "Subscription validation request timed out.")
