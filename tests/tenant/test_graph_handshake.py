"""The validation of a webhook: what is sent, what is accepted, what is refused and in which words."""

import gzip
from dataclasses import replace

import pytest

from tests.tenant.graph_desk import HASTY, Desk, Hook, Posted, Reply, echo

PLAIN = {"Content-Type": "text/plain"}


@pytest.fixture(scope="module")
def one() -> Desk:
    return Desk()


@pytest.fixture
def desk(one: Desk) -> Desk:
    return one.clear()


@pytest.fixture
def hook():
    with Hook() as hook:
        yield hook


def test_a_handshake_looks_like_the_captured_one(desk: Desk, hook: Hook) -> None:
    created = desk.call("POST", "/subscriptions", desk.wish(f"{hook.url}?code=a%2Fb%2b"))
    (posted,) = hook.handshakes
    request_id = created.headers["request-id"]
    assert posted.target == (
        "/api/notifications?code=a%2Fb%2b&validationToken=Validation%3a+Testing+client+application+reachability"
        f"+for+subscription+Request-Id%3a+{request_id}"
    )
    assert posted.body == b""
    del posted.headers["Host"]
    assert posted.headers == {
        "Content-Length": "0",
        "Accept": "text/plain",
        "Content-Type": "text/plain; charset=utf-8",
        "Accept-Encoding": "gzip",
    }


def test_both_urls_are_validated_and_the_same_url_twice(desk: Desk, hook: Hook) -> None:
    desk.subscribe(hook, lifecycleNotificationUrl=f"{hook.url}/lifecycle")
    assert [posted.target.partition("?")[0] for posted in hook.handshakes] == [
        "/api/notifications",
        "/api/notifications/lifecycle",
    ]
    desk.subscribe(hook, changeType="updated", lifecycleNotificationUrl=hook.url)
    assert len(hook.handshakes) == 4


NOT_OK = "Notification endpoint must respond with 200 OK to validation request."
NOT_EXACT = "Response must exactly match validationToken query parameter."


def raw(posted: Posted) -> bytes:
    """The token as it stands in the request line, still encoded."""
    return posted.target.partition("validationToken=")[2].encode()


@pytest.mark.parametrize(
    ("handshake", "code", "message"),
    [
        pytest.param(lambda p: Reply(202, echo(p).body, PLAIN), "ValidationError", NOT_OK, id="202"),
        pytest.param(lambda _: Reply(204, b"", PLAIN), "ValidationError", NOT_OK, id="204"),
        pytest.param(lambda p: Reply(500, echo(p).body, PLAIN), "ValidationError", NOT_OK, id="500"),
        pytest.param(
            lambda p: Reply(302, b"", {"Location": p.target + "&again=1"}),
            "ValidationError",
            NOT_OK,
            id="302",
        ),
        pytest.param(lambda p: Reply(200, raw(p), PLAIN), "InvalidRequest", NOT_EXACT, id="still encoded"),
        pytest.param(
            lambda p: Reply(200, raw(p).replace(b"%3a", b":"), PLAIN),
            "InvalidRequest",
            NOT_EXACT,
            id="a plus is no space",
        ),
        pytest.param(
            lambda p: Reply(200, b'"%s"' % echo(p).body, PLAIN), "InvalidRequest", NOT_EXACT, id="quoted"
        ),
        pytest.param(
            lambda p: Reply(200, echo(p).body + b"\n", PLAIN), "InvalidRequest", NOT_EXACT, id="newline"
        ),
        pytest.param(lambda _: Reply(200, b"", PLAIN), "InvalidRequest", NOT_EXACT, id="empty"),
        pytest.param(
            lambda p: Reply(200, echo(p).body, {"Content-Type": "application/json"}),
            "InvalidRequest",
            NOT_EXACT,
            id="JSON",
        ),
        pytest.param(lambda p: Reply(200, echo(p).body), "InvalidRequest", NOT_EXACT, id="no content type"),
    ],
)
def test_a_wrong_answer_prevents_the_subscription(desk: Desk, hook: Hook, handshake, code, message) -> None:
    hook.handshake = handshake
    answer = desk.call("POST", "/subscriptions", desk.wish(hook.url))
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, code)
    assert answer.get_json()["error"]["message"].endswith(message)
    assert len(hook.posted) == 1
    assert desk.graph.subscriptions() == []


@pytest.mark.parametrize(
    "late",
    [
        pytest.param({"held": True}, id="not at all"),
        pytest.param({"trickle": HASTY.handshake * 0.7}, id="each half in time, the whole too late"),
    ],
)
def test_an_answer_that_comes_too_late_prevents_the_subscription(hook: Hook, late) -> None:
    desk = Desk(timing=HASTY)
    hook.handshake = lambda posted: replace(echo(posted), **late)
    answer = desk.call("POST", "/subscriptions", desk.wish(hook.url))
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"]) == (400, "InvalidRequest")
    assert error["message"] == "Subscription validation request timed out."
    assert desk.graph.subscriptions() == []


@pytest.mark.parametrize(
    ("pack", "status"),
    [pytest.param(gzip.compress, 201, id="packed"), pytest.param(bytes, 400, id="only said to be packed")],
)
def test_an_answer_may_be_compressed_as_the_request_offers(desk: Desk, hook: Hook, pack, status: int) -> None:
    hook.handshake = lambda p: Reply(200, pack(echo(p).body), PLAIN | {"Content-Encoding": "gzip"})
    assert desk.call("POST", "/subscriptions", desk.wish(hook.url)).status_code == status


def test_a_wrong_lifecycle_url_prevents_the_subscription_too(desk: Desk, hook: Hook) -> None:
    hook.handshake = lambda posted: Reply(500) if "lifecycle" in posted.target else echo(posted)
    wish = desk.wish(hook.url, lifecycleNotificationUrl=f"{hook.url}/lifecycle")
    assert desk.call("POST", "/subscriptions", wish).status_code == 400
    assert desk.graph.subscriptions() == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/api", f"http://{'a' * 70}.example/api", "https://127.0.0.1:1/api"]
)
def test_an_endpoint_that_cannot_be_reached_is_refused_like_one_that_fails(desk: Desk, url: str) -> None:
    answer = desk.call("POST", "/subscriptions", desk.wish(url))
    assert answer.status_code == 400
    assert answer.get_json()["error"]["message"].endswith(NOT_OK)


def test_an_endpoint_that_speaks_no_tls_is_refused(desk: Desk, hook: Hook) -> None:
    answer = desk.call("POST", "/subscriptions", desk.wish(hook.url.replace("http:", "https:")))
    assert answer.status_code == 400
    assert hook.posted == []


def test_the_endpoint_may_ask_graph_something_before_it_answers(desk: Desk, hook: Hook) -> None:
    seen = []

    def ask_first(posted: Posted) -> Reply:
        seen.append(desk.get("/subscriptions").status_code)
        with desk.world.lock:
            return echo(posted)

    hook.handshake = ask_first
    desk.subscribe(hook)
    assert seen == [200]


def test_of_two_creations_at_once_only_one_succeeds(desk: Desk, hook: Hook) -> None:
    second = []

    def create_again(posted: Posted) -> Reply:
        hook.handshake = echo
        second.append(desk.call("POST", "/subscriptions", desk.wish(hook.url)).status_code)
        return echo(posted)

    hook.handshake = create_again
    first = desk.call("POST", "/subscriptions", desk.wish(hook.url)).status_code
    assert (first, second) == (409, [201])
    assert len(desk.graph.subscriptions()) == 1


@pytest.mark.parametrize(
    ("knob", "change", "asked"),
    [
        pytest.param("never", "elsewhere", [], id="never"),
        pytest.param("url-change", "expiry", [], id="another expiry"),
        pytest.param("url-change", "same url", [], id="the same URL"),
        pytest.param("url-change", "elsewhere", ["/elsewhere"], id="another URL"),
        pytest.param("always", "expiry", ["/api/notifications", "/lifecycle"], id="always both"),
        pytest.param("always", "elsewhere", ["/elsewhere", "/lifecycle"], id="always, another URL"),
    ],
)
def test_a_knob_says_what_a_renewal_validates(desk: Desk, hook: Hook, knob: str, change: str, asked) -> None:
    base = hook.url.removesuffix("/api/notifications")
    created = desk.subscribe(hook, lifecycleNotificationUrl=f"{base}/lifecycle")
    hook.posted.clear()
    desk.world.knobs.validate_on_patch = knob
    body = {
        "expiry": {"expirationDateTime": desk.in_minutes(2000)},
        "same url": {"notificationUrl": hook.url},
        "elsewhere": {"notificationUrl": f"{base}/elsewhere"},
    }[change]
    assert desk.call("PATCH", f"/subscriptions/{created['id']}", body).status_code == 200
    assert [posted.target.partition("?")[0] for posted in hook.handshakes] == asked


def test_a_renewal_whose_handshake_fails_changes_nothing(desk: Desk, hook: Hook) -> None:
    created = desk.subscribe(hook)
    desk.world.knobs.validate_on_patch = "always"
    hook.handshake = lambda _: Reply(500)
    body = {"expirationDateTime": desk.in_minutes(2000)}
    answer = desk.call("PATCH", f"/subscriptions/{created['id']}", body)
    assert answer.status_code == 400
    assert desk.graph.subscriptions()[0]["expirationDateTime"] == created["expirationDateTime"]


def test_a_renewal_beyond_the_maximum_is_refused_before_any_handshake(desk: Desk, hook: Hook) -> None:
    created = desk.subscribe(hook)
    hook.posted.clear()
    desk.world.knobs.validate_on_patch = "always"
    body = {"expirationDateTime": desk.in_minutes(50_000)}
    assert desk.call("PATCH", f"/subscriptions/{created['id']}", body).status_code == 400
    assert hook.posted == []


def test_a_subscription_deleted_during_the_handshake_of_its_renewal_is_404(desk: Desk, hook: Hook) -> None:
    created = desk.subscribe(hook)
    desk.world.knobs.validate_on_patch = "always"
    path = f"/subscriptions/{created['id']}"

    def delete_first(posted: Posted) -> Reply:
        assert desk.call("DELETE", path).status_code == 204
        return echo(posted)

    hook.handshake = delete_first
    assert desk.call("PATCH", path, {"expirationDateTime": desk.in_minutes(99)}).status_code == 404
