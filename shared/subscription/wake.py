"""A call to this app's own webhooks before Graph validates them."""

from http import HTTPStatus

import requests

from shared import logs
from shared.rest.session import new_session

WAKE_TIMEOUT = 30.0  # seconds


class WakeUp:
    """Calls this app's own webhooks, so that it is awake when Graph validates them.

    A cold start of a function app can take longer than the ten seconds that Graph waits
    (github.com/microsoftgraph/msgraph-sdk-dotnet/issues/531).
    """

    def __init__(self, user_agent: str) -> None:
        self._session = new_session(user_agent)

    def ring(self, url: str) -> None:
        """Send the handshake that Graph will send. Only Graph's own validation counts, not the answer."""
        try:
            handshake = {"validationToken": "wake up"}
            with self._session.post(url, params=handshake, timeout=WAKE_TIMEOUT) as response:
                status: int | None = response.status_code
        except requests.RequestException:
            status = None
        if status != HTTPStatus.OK:
            logs.warning("bell.unanswered", status=status)
