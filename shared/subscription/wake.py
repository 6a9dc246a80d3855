"""A call to this app's own webhooks before Graph validates them."""

from http import HTTPStatus

import requests

from shared import logs
from shared.rest.session import new_session

WAKE_TIMEOUT = 30.0  # seconds


def ring(user_agent: str, url: str) -> None:
    """Send the handshake that Graph will send, so that this app is awake when Graph validates its webhooks.

    A cold start of a function app can take longer than the ten seconds that Graph waits
    (github.com/microsoftgraph/msgraph-sdk-dotnet/issues/531). Only Graph's own validation counts, not the
    answer.
    """
    try:
        with new_session(user_agent) as session:
            answer = session.post(url, params={"validationToken": "wake up"}, timeout=WAKE_TIMEOUT)
        status: int | None = answer.status_code
    except requests.RequestException:
        status = None
    if status != HTTPStatus.OK:
        logs.warning("bell.unanswered", status=status)
