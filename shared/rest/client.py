"""Call a remote service: bearer token, bounded answer, short retries, errors by consequence.

Not here: what to ask (`graph`, `sharepoint`), what an answer means (`rest.status`), longer waits (queues).
"""

import json
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from shared import backoff, logs
from shared.attempt import NO_TIME, Attempt
from shared.clock import Clock
from shared.errors import DENIED_AFTER, GRAPH, Denied, Locked, PutOff, ServiceError, TryLater
from shared.rest import roles
from shared.rest import status as statuses
from shared.rest.gates import Gates
from shared.rest.session import Bearer, Transport, never_sent, new_session
from shared.rest.tokens import Tokens

CONNECT_TIMEOUT = 5.0  # seconds
LARGEST_ANSWER = 16 * 1024 * 1024  # bytes; a $batch with a 4 MB photo in base64 is 5.4 MB
_POLICY = backoff.Policy()  # of the retries within one call


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
    """What to send."""

    service: str  # its name, for errors and gates
    method: str
    url: str  # absolute, https; its host is the audience of the token
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    writes: bool = False  # the call changes data, so without an answer its outcome is unknown
    repeatable: bool = True  # sending it twice has the same effect as sending it once
    accept: tuple[int, ...] = ()  # statuses besides 2xx that are not errors
    denied_alone: bool = False  # a 403 concerns only this call (a quota), not the application's permissions


@dataclass(slots=True)
class HttpClient:
    """Sends requests. One long-lived object, shared by all threads."""

    tokens: Tokens
    user_agent: str  # sent with every request
    clock: Clock
    _: KW_ONLY
    gates: Gates | None = None  # checked before a service is called, and closed when it asks for a pause
    jitter: Callable[[], float] = random.random  # a random number of [0, 1)
    transport: Transport | None = None  # carries requests and answers; TLS over TCP by default
    _session: requests.Session = field(init=False)

    def __post_init__(self) -> None:
        self._session = new_session(self.user_agent, self.transport)

    def send(self, call: Request, attempt: Attempt) -> Response:
        """Return the answer to `call`; repeat it within the policy where that is safe and may help.

        Closes the gate of a service that asks for a longer wait or denies the application.

        Raises:
            TryLater: no answer or a temporary error after the last retry, or a closed gate.
            Denied: 401 or 403.
            Gone: 404 or 410; `Moved` for a redirect of SharePoint.
            Refused: any other status that is neither 2xx nor in `call.accept`.
            ConfigError: no token is available until an operator acts.
        """
        spent, tried, renewed = 0.0, 0, False
        while True:
            self._require_open(call.service, attempt)
            tried += 1
            try:
                return self._once(call, attempt)
            except Denied as error:
                self._renew_token(call, error, renewed=renewed)
                renewed = True
            except TryLater as error:
                wait = backoff.wait_here(
                    _POLICY, attempt=tried, spent=spent, retry_after=error.after, jitter=self.jitter()
                )
                if wait is None or not call.repeatable or not attempt.has_time(self.clock, wait):
                    self._close_gate_for(call.service, error)
                    raise
                self.clock.sleep(wait)
                spent += wait

    def _require_open(self, service: str, attempt: Attempt) -> None:
        if self.gates:  # before a retry, too: another call may have closed it
            self.gates.require_open(service)
        if not attempt.has_time(self.clock):
            raise TryLater(service, NO_TIME)

    def _renew_token(self, call: Request, error: Denied, *, renewed: bool) -> None:
        """Discard a denied token; raise `error` unless the call is to be sent again, with a new token.

        A token that is rejected (401) may only be out of date: a new one is tried first, once in each call.
        """
        if error.status == HTTPStatus.UNAUTHORIZED and call.repeatable and not renewed:
            self.tokens.forget(_host(call.url))
        elif call.denied_alone:
            self.tokens.forget(_host(call.url))
            raise error
        else:
            self.close_denied(call.service, call.url, str(error))
            raise error

    def _close_gate_for(self, service: str, error: TryLater) -> None:
        """Close a service's gate because of this error, whose `after` becomes the time its job is to wait.

        A failure without a waiting time may be specific to one user and recur whenever the gate opens. It
        closes the gate for half a minute, never for longer and longer; its job waits by its own age (None).
        """
        if error.service != service or isinstance(error, Locked):  # Entra has no gate; a lock is one file's
            return
        if error.after is None and error.status not in statuses.BUSY:
            self.close_gate(service, backoff.SHORTEST, str(error))
        else:
            error.after = self.close_gate(service, error.after, str(error))

    def close_denied(self, service: str, url: str, why: str) -> None:
        """Close the gate of a service that denies this application, and discard the denied token.

        A token states the application's permissions as of when it was issued; the gate says which it lacks.
        """
        host = _host(url)
        with suppress(PutOff):  # it is in a cache; where it is no longer, the refusal stands unexplained
            why += roles.explain(service, url, self.tokens.token(host))
        self.tokens.forget(host)
        self.close_gate(service, DENIED_AFTER, why)

    def close_gate(self, service: str, after: float | None, why: str) -> float | None:
        """Close a service's gate and return for how many seconds; `after` if it cannot be closed."""
        if self.gates is None:
            return after
        try:
            return self.gates.close(service, after, why)
        except ServiceError as error:  # of storage: the message is deferred without a gate
            logs.warning("gate.unreachable", service=service, error=str(error))
            return after

    def _once(self, call: Request, attempt: Attempt) -> Response:
        auth = Bearer(self.tokens.token(_host(call.url)))
        attempt.requests += 1
        attempt.metered += call.service != GRAPH
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
        until = self.clock.monotonic() + timeout
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
            if self.clock.monotonic() > until:
                raise requests.ReadTimeout("the answer did not end in time")
        return b"".join(chunks)


def _host(url: str) -> str:
    return str(urlsplit(url).hostname)
