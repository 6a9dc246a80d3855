"""Call a remote service: bearer token, bounded answer, short retries, errors by consequence.

Not here: what to ask (`graph`, `sharepoint`), what an answer means (`rest.status`), longer waits (queues).
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from shared import backoff, logs
from shared.attempt import NO_TIME, Attempt
from shared.clock import Clock
from shared.errors import DENIED_AFTER, Denied, ServiceError, TryLater
from shared.rest import status as statuses
from shared.rest.gates import Gates
from shared.rest.session import Bearer, Transport, never_sent, new_session
from shared.rest.tokens import Tokens

CONNECT_TIMEOUT = 5.0  # seconds
LARGEST_ANSWER = 16 * 1024 * 1024  # bytes; a $batch with a 4 MB photo in base64 is 5.4 MB
_POLICY = backoff.Policy()


@dataclass(frozen=True, slots=True)
class Response:
    """A successful answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    service: str

    def json(self) -> Any:
        """Return the decoded body; raise `TryLater` if it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise TryLater(self.service, "the answer is not JSON", status=self.status) from error


@dataclass(frozen=True, slots=True)
class Request:
    """What to send.

    Attributes:
        service: name of the service, for errors and gates.
        method: HTTP method.
        url: absolute, https; its host is the audience of the token.
        writes: the call changes data, so without an answer its outcome is unknown.
        repeatable: sending it twice has the same effect as sending it once.
        accept: statuses besides 2xx that are not errors.
        denied_alone: a 403 concerns only this call (a quota), not the application's permissions.
    """

    service: str
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    writes: bool = False
    repeatable: bool = True
    accept: tuple[int, ...] = ()
    denied_alone: bool = False


class HttpClient:
    """Sends requests. One long-lived object, shared by all threads.

    Args:
        tokens: the source of bearer tokens.
        user_agent: sent with every request.
        clock: measures time and waits.
        gates: checked before a service is called, and closed when it asks for a pause.
        policy: limits the retries within one call.
        jitter: a random number of [0, 1).
        transport: carries requests and answers; TLS over TCP by default.
    """

    def __init__(
        self,
        tokens: Tokens,
        user_agent: str,
        clock: Clock,
        *,
        gates: Gates | None = None,
        policy: backoff.Policy = _POLICY,
        jitter: Callable[[], float] = random.random,
        transport: Transport | None = None,
    ) -> None:
        self._tokens = tokens
        self._clock = clock
        self._gates = gates
        self._policy = policy
        self._jitter = jitter
        self._session = new_session(user_agent, transport)

    def send(self, call: Request, attempt: Attempt) -> Response:
        """Return the answer to `call`; repeat it within the policy where that is safe and may help.

        Closes the gate of a service that asks for a longer wait or denies the application. A token that it
        rejects (401) may only be out of date: a new one is tried first, once in each call.

        Raises:
            TryLater: no answer or a temporary error after the last retry, or a closed gate.
            Denied: 401 or 403.
            Gone: 404 or 410.
            Refused: any other status that is neither 2xx nor in `call.accept`.
            ConfigError: no token is available until an operator acts.
        """
        spent, tried, renewed = 0.0, 0, False
        while True:
            if self._gates:  # before a retry, too: another call may have closed it
                self._gates.require_open(call.service)
            if not attempt.has_time(self._clock):
                raise TryLater(call.service, NO_TIME)
            tried += 1
            try:
                return self._once(call, attempt)
            except Denied as error:
                # A token states the application's permissions as of when it was issued:
                # learn.microsoft.com/entra/identity-platform/access-token-claims-reference, "roles"
                self._tokens.forget(_host(call.url))
                if error.status == HTTPStatus.UNAUTHORIZED and call.repeatable and not renewed:
                    renewed = True
                    continue
                if not call.denied_alone:
                    self.close_gate(call.service, DENIED_AFTER, str(error))
                raise
            except TryLater as error:
                wait = backoff.wait_here(
                    self._policy, attempt=tried, spent=spent, retry_after=error.after, jitter=self._jitter()
                )
                if wait is None or not call.repeatable or not attempt.has_time(self._clock, wait):
                    if error.service == call.service:  # not Entra, which has no gate
                        error.after = self._close_gate_for(call.service, error)
                    raise
            self._clock.sleep(wait)
            spent += wait

    def _close_gate_for(self, service: str, error: TryLater) -> float | None:
        """Close a service's gate because of this error, and return for how many seconds its job is to wait.

        A failure without a waiting time may be specific to one user and recur whenever the gate opens. It
        closes the gate for half a minute, never for longer and longer; its job waits by its own age (None).
        """
        if error.after is None and error.status not in statuses.BUSY:
            self.close_gate(service, backoff.SHORTEST, str(error))
            return None
        return self.close_gate(service, error.after, str(error))

    def close_denied(self, service: str, url: str, why: str) -> None:
        """Close the gate of a service that denies this application, and discard the denied token."""
        self._tokens.forget(_host(url))
        self.close_gate(service, DENIED_AFTER, why)

    def close_gate(self, service: str, after: float | None, why: str) -> float | None:
        """Close a service's gate and return for how many seconds; `after` if it cannot be closed."""
        if self._gates is None:
            return after
        try:
            return self._gates.close(service, after, why)
        except ServiceError as error:  # of storage: the message is deferred without a gate
            logs.warning("gate.unreachable", service=service, error=str(error))
            return after

    def _once(self, call: Request, attempt: Attempt) -> Response:
        auth = Bearer(self._tokens.token(_host(call.url)))
        attempt.requests += 1
        try:
            response, body = self._exchange(call, auth, attempt.timeout)
        except (requests.RequestException, HTTPError) as error:  # HTTPError: from reading the body
            attempt.unanswered |= call.writes and not never_sent(error)
            raise TryLater(call.service, f"no answer ({type(error).__name__})") from error
        status = response.status_code
        headers = {name.lower(): value for name, value in response.headers.items()}
        attempt.request_id = statuses.request_id(headers) or attempt.request_id
        if 200 <= status < 300 or status in call.accept:
            if (reset := statuses.nearly_spent(headers)) is not None:
                self.close_gate(call.service, reset, "its quota is nearly spent")
            return Response(status, headers, body, call.service)
        attempt.unanswered |= call.writes and status in statuses.GATEWAY_LOST_IT
        raise statuses.error_of(call.service, status, headers, body)

    def _exchange(self, call: Request, auth: Bearer, timeout: float) -> tuple[requests.Response, bytes]:
        until = self._clock.monotonic() + timeout
        with self._session.request(
            call.method,
            call.url,
            data=call.body,
            headers=dict(call.headers),
            auth=auth,
            timeout=(CONNECT_TIMEOUT, timeout),
            allow_redirects=False,  # a token never follows a redirect
            stream=True,
        ) as response:
            return response, self._read(response, until)

    def _read(self, response: requests.Response, until: float) -> bytes:
        chunks, size = [], 0
        # `iter_content` would wait until each chunk is full, however slowly its bytes arrive.
        while chunk := response.raw.read1(65_536, decode_content=True):
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST_ANSWER:
                raise requests.exceptions.ContentDecodingError("the answer is larger than any photo")
            if self._clock.monotonic() > until:
                raise requests.ReadTimeout("the answer did not end in time")
        return b"".join(chunks)


def _host(url: str) -> str:
    return str(urlsplit(url).hostname)
