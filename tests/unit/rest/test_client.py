"""One HTTP call: its token, repetition, time limits and errors."""

import contextlib
import gzip
import time
from typing import Any

import pytest

from local.tenant.directory.world import Clock as TenantClock
from local.tenant.tenant import Tenant
from local.tenant.traffic.faults import Fault
from shared.attempt import Attempt
from shared.clock import SystemClock
from shared.errors import Denied, Moved, Refused, ServiceError, TryLater
from shared.rest.call import Request, Response, whole
from shared.rest.client import LARGEST_ANSWER, HttpClient
from tests.fakes.clock import Clock
from tests.fakes.scripted_server import Reply, ScriptedServer, reply

pytestmark = pytest.mark.timeout(20)

AGENT = "NONISV|contoso|PhotoSync/1"


class Tokens:
    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.forgotten: list[str] = []

    def token(self, host: str) -> str:
        self.hosts.append(host)
        return f"token-{len(self.forgotten)}"

    def forget(self, host: str) -> None:
        self.forgotten.append(host)


@pytest.fixture
def clock() -> Clock:
    return Clock(TenantClock())


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def rest(tokens: Tokens, clock: Clock) -> HttpClient:
    return HttpClient(tokens, AGENT, clock, jitter=lambda: 0.5)


def get(server: ScriptedServer, **facts: object) -> Request:
    return Request("graph", "thing", "GET", f"{server.url}/thing", **facts)


def write(url: str) -> Request:
    return Request("sharepoint-files", "upload", "POST", url, body=b"{}", writes=True, repeatable=False)


def hang_up(connection: object) -> None:
    """Close without an answer."""


# --- what is sent ---


def test_every_request_has_the_bearer_token_of_its_host_and_the_decorated_user_agent(
    rest: HttpClient, tokens: Tokens, serve
) -> None:
    server = serve()
    rest.send(get(server, headers={"Accept": "text/x"}), Attempt(), whole)
    assert tokens.hosts == ["127.0.0.1"]
    (asked,) = server.requests
    assert asked.headers["authorization"] == "Bearer token-0"
    assert asked.headers["user-agent"] == AGENT
    assert asked.headers["accept"] == "text/x"


def test_a_netrc_never_replaces_the_bearer_token(rest: HttpClient, serve, tmp_path, monkeypatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve()
    rest.send(get(server), Attempt(), whole)
    assert server.requests[0].headers["authorization"] == "Bearer token-0"


def test_cookies_are_neither_kept_nor_sent(rest: HttpClient, serve) -> None:
    server = serve(reply(Set_Cookie="who=me; Path=/"), reply())
    rest.send(get(server), Attempt(), whole)
    rest.send(get(server), Attempt(), whole)
    assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_refusal_and_the_token_goes_nowhere_else(
    rest: HttpClient, serve, status: int
) -> None:
    elsewhere = serve()
    server = serve(reply(status, Location=f"{elsewhere.url}/trap"))
    with pytest.raises(Refused) as caught:
        rest.send(get(server), Attempt(), whole)
    assert caught.value.status == status
    assert elsewhere.requests == []


@pytest.mark.parametrize("service", ["graph", "sharepoint-files", "sharepoint-profiles"])
@pytest.mark.parametrize("location", ["https://[evil", "//", "http://x:y", "\x01", "%", ""], ids=ascii)
def test_a_redirect_to_no_address_is_a_refusal_like_any_other(
    rest: HttpClient, serve, service: str, location: str
) -> None:
    server = serve(reply(302, Location=location))
    with pytest.raises(Refused) as caught:
        rest.send(Request(service, "thing", "GET", server.url), Attempt(), whole)
    assert (caught.value.status, isinstance(caught.value, Moved)) == (302, service != "graph")


# --- responses ---


def test_a_status_that_was_asked_for_is_an_answer(rest: HttpClient, serve) -> None:
    assert rest.send(get(serve(reply(404, b"none")), accept=(404,)), Attempt(), whole).status == 404


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff", b"[" * 200_000])
def test_an_answer_that_should_be_json_and_is_not_means_later(rest: HttpClient, serve, body: bytes) -> None:
    with pytest.raises(TryLater):
        rest.send(get(serve(reply(200, body))), Attempt(), Response.json)


def test_a_write_whose_answer_is_not_understood_may_have_taken_effect(rest: HttpClient, serve) -> None:
    attempt = Attempt()
    with pytest.raises(TryLater):
        rest.send(write(serve(reply(200, b"<html>")).url), attempt, Response.json)
    assert attempt.unanswered


def test_an_answer_that_is_not_understood_is_asked_for_again(rest: HttpClient, serve) -> None:
    server = serve(reply(200, b"<html>"), reply(200, b"[1]"))
    assert rest.send(get(server), Attempt(), Response.json) == [1]


# --- repetition ---


def test_a_call_is_repeated_and_then_answered(rest: HttpClient, serve, clock: Clock) -> None:
    server = serve(reply(503), reply(503), reply(200, b"[1]"))
    attempt = Attempt()
    assert rest.send(get(server), attempt, Response.json) == [1]
    assert attempt.requests == 3
    assert clock.monotonic() == pytest.approx(0.5 + 1.0)


@pytest.mark.parametrize(
    ("header", "waited", "tried", "after"),
    [
        pytest.param("2", 4.0, 3, 2.0, id="seconds, obeyed each time"),
        pytest.param("1.5", 3.0, 3, 1.5, id="a decimal"),
        pytest.param("3", 3.0, 2, 3.0, id="the second wait would be beyond the four seconds of one call"),
        pytest.param("312", 0.0, 1, 312.0, id="too long to wait here"),
        pytest.param("0", 0.0, 3, 0.0, id="at once"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", 0.0, 1, 900.0, id="a date beyond belief"),
        pytest.param("soon", 1.5, 3, None, id="a word"),
        pytest.param("-1", 1.5, 3, None, id="less than nothing"),
    ],
)
def test_retry_after_is_obeyed_to_the_second_or_left_to_the_queue(
    rest: HttpClient, serve, clock: Clock, header: str, waited: float, tried: int, after: float | None
) -> None:
    server = serve(reply(429, Retry_After=header))
    with pytest.raises(TryLater) as caught:
        rest.send(get(server), Attempt(), whole)
    assert (clock.monotonic(), len(server.requests)) == (pytest.approx(waited), tried)
    assert caught.value.after == after


@pytest.mark.parametrize("answer", [reply(503), hang_up], ids=["503", "no answer"])
def test_a_call_that_must_not_be_sent_twice_is_not(rest: HttpClient, serve, answer: Reply) -> None:
    server = serve(answer)
    with pytest.raises(TryLater):
        rest.send(get(server, repeatable=False, writes=True), Attempt(), whole)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 409])
def test_a_refusal_is_not_repeated(rest: HttpClient, serve, status: int) -> None:
    server = serve(reply(status))
    with pytest.raises(ServiceError):
        rest.send(get(server), Attempt(), whole)
    assert len(server.requests) == 1


# --- a token that is rejected, or permits too little ---


def bearers(server: ScriptedServer) -> list[str]:
    return [asked.headers["authorization"] for asked in server.requests]


def test_a_rejected_token_is_forgotten_and_the_call_repeated_at_once_with_another(
    rest: HttpClient, serve, clock: Clock
) -> None:
    server, attempt = serve(reply(401), reply(200, b"[1]")), Attempt()
    assert rest.send(get(server), attempt, Response.json) == [1]
    assert bearers(server) == ["Bearer token-0", "Bearer token-1"]
    assert (attempt.requests, clock.monotonic()) == (2, 0.0)


def test_a_call_whose_new_token_is_rejected_too_is_denied(rest: HttpClient, tokens: Tokens, serve) -> None:
    server = serve(reply(401))
    with pytest.raises(Denied):
        rest.send(get(server), Attempt(), whole)
    assert len(server.requests) == len(tokens.forgotten) == 2


@pytest.mark.parametrize(
    ("status", "facts"),
    [
        pytest.param(401, {"repeatable": False, "writes": True}, id="rejected, and not to be sent twice"),
        pytest.param(403, {}, id="without the permission"),
    ],
)
def test_a_denied_token_is_not_used_again(
    rest: HttpClient, tokens: Tokens, serve, status: int, facts: dict[str, bool]
) -> None:
    server = serve(reply(status))
    for _ in range(2):
        with pytest.raises(Denied):
            rest.send(get(server, **facts), Attempt(), whole)
    assert bearers(server) == ["Bearer token-0", "Bearer token-1"]
    assert tokens.forgotten == ["127.0.0.1"] * 2


def test_no_time_for_a_new_token_means_later(rest: HttpClient, serve, clock: Clock) -> None:
    def answer_late(connection: Any) -> None:
        clock.advance(1)
        connection.sendall(reply(401))

    server = serve(answer_late)
    with pytest.raises(TryLater):
        rest.send(get(server), Attempt(timeout=30, ends=clock.monotonic() + 60), whole)
    assert len(server.requests) == 1


# --- time ---


def test_a_call_is_not_begun_without_twice_its_time(rest: HttpClient, serve, clock: Clock) -> None:
    server = serve()
    with pytest.raises(TryLater):
        rest.send(get(server), Attempt(timeout=30, ends=clock.monotonic() + 59), whole)
    rest.send(get(server), Attempt(timeout=30, ends=clock.monotonic() + 60), whole)
    assert len(server.requests) == 1


def test_an_attempt_says_whether_a_call_may_begin(clock: Clock) -> None:
    attempt = Attempt(timeout=30, ends=clock.monotonic() + 100)
    assert attempt.has_time(clock)
    assert attempt.has_time(clock, 40)
    assert not attempt.has_time(clock, 40.5)
    clock.advance(40.5)
    assert not attempt.has_time(clock)


def test_a_call_is_not_repeated_when_the_attempt_would_be_over(rest: HttpClient, serve, clock: Clock) -> None:
    server = serve(reply(503, Retry_After="1"))
    with pytest.raises(TryLater):
        rest.send(get(server), Attempt(timeout=30, ends=clock.monotonic() + 60.5), whole)
    assert len(server.requests) == 1


@pytest.mark.parametrize("how", [ScriptedServer.trickle, ScriptedServer.silence], ids=["slow", "none at all"])
def test_a_response_is_not_waited_for_when_the_calls_time_is_over(serve, how) -> None:
    server = serve(lambda connection: how(server, connection))
    began = time.monotonic()
    with pytest.raises(TryLater):
        HttpClient(Tokens(), AGENT, SystemClock()).send(
            get(server, repeatable=False), Attempt(timeout=0.3), whole
        )
    assert time.monotonic() - began < 2


# --- incomplete responses ---


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(hang_up, id="none"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", id="truncated"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{", id="truncated in a chunk"
        ),
        pytest.param(b"SMTP ready\r\n", id="another protocol"),
        pytest.param(reply(200, b"not gzip", Content_Encoding="gzip"), id="not what it is encoded as"),
    ],
)
def test_an_incomplete_response_counts_as_no_response(rest: HttpClient, serve, answer: Reply) -> None:
    attempt = Attempt()
    with pytest.raises(TryLater):
        rest.send(get(serve(answer), writes=True, repeatable=False), attempt, whole)
    assert attempt.unanswered


def test_a_compressed_answer_is_read(rest: HttpClient, serve) -> None:
    body = gzip.compress(b'{"a": "' + b"x" * 200_000 + b'"}')
    answer = rest.send(get(serve(reply(200, body, Content_Encoding="gzip"))), Attempt(), whole)
    assert len(answer.json()["a"]) == 200_000


@pytest.mark.parametrize("length", [True, False], ids=["announced", "unannounced"])
def test_an_answer_larger_than_any_photo_is_not_read_to_its_end(
    rest: HttpClient, serve, length: bool
) -> None:
    size = LARGEST_ANSWER + 1

    def send_too_much(connection) -> None:
        head = f"Content-Length: {size}\r\n" if length else "Connection: close\r\n"
        connection.sendall(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + b"." * size)

    with pytest.raises(TryLater, match="ContentDecodingError"):
        rest.send(get(serve(send_too_much), repeatable=False), Attempt(), whole)


# --- a write without an answer ---


@pytest.mark.parametrize(
    ("answer", "unsure"),
    [
        pytest.param(reply(), False, id="answered"),
        pytest.param(hang_up, True, id="cut off after it was sent"),
        pytest.param(reply(504), True, id="gateway timeout"),
        pytest.param(reply(502), True, id="bad gateway"),
        pytest.param(reply(408), True, id="half received"),
        pytest.param(reply(503), False, id="refused by the service itself"),
        pytest.param(reply(429), False, id="throttled"),
        pytest.param(reply(400), False, id="refused"),
    ],
)
def test_a_write_that_may_still_arrive_leaves_the_attempt_unsure(
    rest: HttpClient, serve, answer: Reply, unsure: bool
) -> None:
    attempt = Attempt()
    with contextlib.suppress(ServiceError):
        rest.send(get(serve(answer), writes=True, repeatable=False), attempt, whole)
    assert attempt.unanswered is unsure


@pytest.mark.parametrize(("facts", "unsure"), [({"writes": True}, True), ({}, False)], ids=["write", "read"])
def test_a_repetition_with_an_answer_leaves_a_write_unsure_and_a_read_sure(
    rest: HttpClient, serve, facts: dict[str, bool], unsure: bool
) -> None:
    attempt = Attempt()
    rest.send(get(serve(hang_up, reply()), **facts), attempt, whole)
    assert attempt.unanswered is unsure


def test_a_write_that_never_left_is_sure(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer() as server:
        closed = server.url
    for proxy, url in [("", closed), (closed, "https://graph.microsoft.com/")]:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        attempt = Attempt()
        with pytest.raises(TryLater):
            HttpClient(Tokens(), AGENT, clock).send(write(url), attempt, whole)
        assert not attempt.unanswered


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_cut_behind_a_proxy_leaves_a_write_unsure(tenant: Tenant, clock: Clock, when) -> None:
    # Through CONNECT the library calls it a proxy's error, although the request went through.
    rest, attempt = HttpClient(Tokens(), AGENT, clock), Attempt()
    tenant.faults.arm([Fault(service="graph", drop=True, when=when)])
    with pytest.raises(TryLater):
        rest.send(write("https://graph.microsoft.com/v1.0/subscriptions"), attempt, whole)
    assert attempt.unanswered


@pytest.mark.usefixtures("tenant")
def test_a_write_that_a_proxy_would_not_pass_on_is_sure(clock: Clock) -> None:
    rest, attempt = HttpClient(Tokens(), AGENT, clock), Attempt()
    with pytest.raises(TryLater):
        rest.send(write("https://not-of-this-tenant.example/"), attempt, whole)
    assert not attempt.unanswered
