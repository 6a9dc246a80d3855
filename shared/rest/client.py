"""Call a remote service: bearer token, bounded answer, short retries, errors by consequence.

Not here: what to ask (`graph`, `sharepoint`), what an answer means (`rest.status`), longer waits (queues).
"""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from http import HTTPStatus
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from shared import backoff, logs
from shared.attempt import Attempt
from shared.clock import Clock
from shared.errors import (
    DENIED_AFTER,
    GRAPH,
    Denied,
    OutOfTime,
    PutOff,
    RoleMissing,
    ServiceError,
    Throttled,
    TryLater,
)
from shared.rest import roles
from shared.rest import status as statuses
from shared.rest.call import Request, Response
from shared.rest.gates import Gates
from shared.rest.session import Bearer, Transport, never_sent, new_session
from shared.rest.tokens import Tokens

CONNECT_TIMEOUT = 5.0  # seconds
LARGEST_ANSWER = 16 * 1024 * 1024  # bytes; a $batch with a 4 MB photo in base64 is 5.4 MB
_POLICY = backoff.Policy()  # of the retries within one call


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

    def send[T](self, call: Request, attempt: Attempt, read: Callable[[Response], T]) -> T:
        """Return what `read` makes of the answer to `call`; repeat it within the policy where that may help.

        An answer that `read` does not understand is a failure like any other. Closes the gate of a service
        that asks all callers to wait, or for which the token lacks the role. Whether another refusal concerns
        one user or the service is for the caller to find out (`Gates.only_of`).

        Raises:
            Throttled: the service asks all callers to wait; its gate is closed.
            NotSent: its gate was closed already, or the attempt has no time left.
            TryLater: no answer, or a temporary error after the last retry.
            Denied: 401 or 403.
            Gone: 404 or 410; `Moved` for a redirect of SharePoint.
            Refused: any other status that is neither 2xx nor in `call.accept`.
            ConfigError: no token is available until an operator acts.
        """
        spent, tried, renewed = 0.0, 0, False
        while True:
            self._require_open(call, attempt)
            tried += 1
            try:
                return self._ask(call, attempt, read)
            except Denied as error:
                self._renew_token(call, error, renewed=renewed)
                renewed = True
            except TryLater as error:
                wait = self._wait_here(call, attempt, error, tried, spent)
                self.clock.sleep(wait)
                spent += wait

    def _wait_here(self, call: Request, attempt: Attempt, error: TryLater, tried: int, spent: float) -> float:
        """Return the seconds to wait before a call is repeated; raise `error` where that must be later."""
        wait = backoff.wait_here(
            _POLICY, attempt=tried, spent=spent, retry_after=error.after, jitter=self.jitter()
        )
        if wait is None or not call.repeatable or not attempt.has_time(self.clock, wait):
            if isinstance(error, Throttled):
                error.after = self.close_gate(call.gate, error.after, str(error))
            raise error
        return wait

    def trust(self, gate: str, operation: str) -> None:
        """Note that a service did what it was asked for; see `Gates.trust`."""
        if self.gates:
            with suppress(ServiceError):  # of storage: the suspicion stands, and may close the gate too soon
                self.gates.trust(gate, operation)

    def close_gate(self, gate: str, after: float | None, why: str) -> float | None:
        """Close a gate and return for how many seconds; `after` if it cannot be closed."""
        if self.gates is None:
            return after
        try:
            return self.gates.close(gate, after, why)
        except ServiceError as error:  # of storage: the message is deferred without a gate
            logs.warning("gate.unreachable", service=gate, error=str(error))
            return after

    def _require_open(self, call: Request, attempt: Attempt) -> None:
        if self.gates:  # before a retry, too: another call may have closed it
            self.gates.require_open(call.gate)
        if not attempt.has_time(self.clock):
            raise OutOfTime(call.service)

    def _ask[T](self, call: Request, attempt: Attempt, read: Callable[[Response], T]) -> T:
        """Send once; what goes wrong says which gate and operation it concerns."""
        try:
            answer = self._once(call, attempt)
            try:
                found = read(answer)
            except TryLater:
                attempt.unanswered |= call.writes
                raise
        except ServiceError as error:
            if error.service == call.service:  # not Entra, which has no gate
                error.gate, error.operation = call.gate, call.operation
            raise
        self.trust(call.gate, call.operation)
        return found

    def _renew_token(self, call: Request, error: Denied, *, renewed: bool) -> None:
        """Discard a denied token; raise an error unless the call is to be sent again, with a new token.

        A token that is rejected (401) may only be out of date: a new one is tried first, once in each call.
        """
        if error.status != HTTPStatus.UNAUTHORIZED or not call.repeatable or renewed:
            raise self.denied(call, error) from error
        self.tokens.forget(call.host)

    def denied(self, call: Request, error: Denied) -> Denied:
        """Discard the denied token of a call, and return the error with what its roles explain.

        A token states the application's permissions as of when it was issued. One that lacks the role is
        refused for every user: the gate is closed, and says which role that is.
        """
        found = roles.Explanation()
        with suppress(PutOff):  # it is in a cache; where it is no longer, the refusal stands unexplained
            found = roles.explain(call.service, call.url, self.tokens.token(call.host))
        self.tokens.forget(call.host)
        facts: dict[str, Any] = {"status": error.status, "code": error.code, "request_id": error.request_id}
        kind = RoleMissing if found.lacking else Denied
        explained = kind(call.service, f"{error.what}{found.text}", **facts)
        explained.gate, explained.operation = call.gate, error.operation or call.operation
        if found.lacking:
            self.close_gate(call.gate, DENIED_AFTER, str(explained))
        return explained

    def _once(self, call: Request, attempt: Attempt) -> Response:
        auth = Bearer(self.tokens.token(call.host))
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
                self.close_gate(call.gate, reset, "its quota is nearly spent")
            if status < 300 and body.lstrip()[:1] == b"<":
                # Of a proxy, or a login in front of the service: these APIs answer with JSON and pictures.
                attempt.unanswered |= call.writes
                raise TryLater(call.service, f"{status} with a page instead of an answer", status=status)
            return Response(status, headers, body, call.service)
        attempt.unanswered |= call.writes and status in statuses.GATEWAY_LOST_IT
        raise statuses.error_of(call.service, status, headers, body, self.clock.now())

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
