"""The validation of a webhook: what is sent, what is accepted, what is refused and in which words."""

import gzip
from dataclasses import replace

import pytest

from tests.tenant.graph_client import SHORT_TIMING, GraphClient, Received, Reply, echo

PLAIN = {"Content-Type": "text/plain"}


def test_a_handshake_looks_like_the_captured_one(graph, webhook) -> None:
    created = graph.call("POST", "/subscriptions", graph.creation(f"{webhook.url}?code=a%2Fb%2b"))
    (received,) = webhook.handshakes
    request_id = created.headers["request-id"]
    assert received.target == (
        "/api/notifications?code=a%2Fb%2b&validationToken=Validation%3a+Testing+client+application+reachability"
        f"+for+subscription+Request-Id%3a+{request_id}"
    )
    assert received.body == b""
    del received.headers["Host"]
    assert received.headers == {
        "Content-Length": "0",
        "Accept": "text/plain",
        "Content-Type": "text/plain; charset=utf-8",
        "Accept-Encoding": "gzip",
    }


def test_both_urls_are_validated_and_the_same_url_twice(graph, webhook) -> None:
    graph.subscribe(webhook, lifecycleNotificationUrl=f"{webhook.url}/lifecycle")
    assert [received.target.partition("?")[0] for received in webhook.handshakes] == [
        "/api/notifications",
        "/api/notifications/lifecycle",
    ]
    graph.subscribe(webhook, changeType="updated", lifecycleNotificationUrl=webhook.url)
    assert len(webhook.handshakes) == 4


NOT_OK = "ValidationError", "Notification endpoint must respond with 200 OK to validation request."
NOT_EXACT = "InvalidRequest", "Response must exactly match validationToken query parameter."


def raw(received: Received) -> bytes:
    """The token as it stands in the request line, still encoded."""
    return received.target.partition("validationToken=")[2].encode()


def plain(body: bytes, status: int = 200) -> Reply:
    return Reply(status, body, PLAIN)


@pytest.mark.parametrize(
    ("handshake", "error"),
    [
        pytest.param(lambda p: plain(echo(p).body, 202), NOT_OK, id="202"),
        pytest.param(lambda p: Reply(302, b"", {"Location": p.target + "&again=1"}), NOT_OK, id="302"),
        pytest.param(lambda p: plain(raw(p)), NOT_EXACT, id="still encoded"),
        pytest.param(lambda p: Reply(200, echo(p).body, {"Content-Type": "text/json"}), NOT_EXACT, id="JSON"),
        pytest.param(lambda p: Reply(200, echo(p).body), NOT_EXACT, id="no content type"),
    ],
)
def test_a_wrong_answer_prevents_the_subscription(graph, webhook, handshake, error) -> None:
    webhook.handshake = handshake
    answer = graph.call("POST", "/subscriptions", graph.creation(webhook.url))
    code, message = error
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, code)
    assert answer.get_json()["error"]["message"].endswith(message)
    assert len(webhook.received) == 1
    assert graph.service.subscriptions() == []


@pytest.mark.parametrize(
    "late",
    [
        pytest.param({"held": True}, id="not at all"),
        pytest.param({"trickle": SHORT_TIMING.handshake * 0.7}, id="each half in time, the whole too late"),
    ],
)
def test_an_answer_that_comes_too_late_prevents_the_subscription(webhook, late) -> None:
    graph = GraphClient(timing=SHORT_TIMING)
    webhook.handshake = lambda received: replace(echo(received), **late)
    answer = graph.call("POST", "/subscriptions", graph.creation(webhook.url))
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"]) == (400, "InvalidRequest")
    assert error["message"] == "Subscription validation request timed out."
    assert graph.service.subscriptions() == []


@pytest.mark.parametrize(
    ("pack", "status"),
    [pytest.param(gzip.compress, 201, id="packed"), pytest.param(bytes, 400, id="only said to be packed")],
)
def test_an_answer_may_be_compressed_as_the_request_offers(graph, webhook, pack, status) -> None:
    webhook.handshake = lambda p: Reply(200, pack(echo(p).body), PLAIN | {"Content-Encoding": "gzip"})
    assert graph.call("POST", "/subscriptions", graph.creation(webhook.url)).status_code == status


def test_a_wrong_lifecycle_url_prevents_the_subscription_too(graph, webhook) -> None:
    webhook.handshake = lambda received: Reply(500) if "lifecycle" in received.target else echo(received)
    creation = graph.creation(webhook.url, lifecycleNotificationUrl=f"{webhook.url}/lifecycle")
    assert graph.call("POST", "/subscriptions", creation).status_code == 400
    assert graph.service.subscriptions() == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/api", f"http://{'a' * 70}.example/api", "https://127.0.0.1:1/api"]
)
def test_an_unreachable_endpoint_is_refused_like_one_that_fails(graph, url) -> None:
    answer = graph.call("POST", "/subscriptions", graph.creation(url))
    assert answer.status_code == 400
    assert answer.get_json()["error"]["message"].endswith(NOT_OK[1])


def test_the_endpoint_may_call_graph_before_it_answers(graph, webhook) -> None:
    seen = []

    def ask_first(received: Received) -> Reply:
        seen.append(graph.get("/subscriptions").status_code)
        with graph.world.lock:
            return echo(received)

    webhook.handshake = ask_first
    graph.subscribe(webhook)
    assert seen == [200]


def test_of_two_creations_at_once_only_one_succeeds(graph, webhook) -> None:
    second = []

    def create_again(received: Received) -> Reply:
        webhook.handshake = echo
        second.append(graph.call("POST", "/subscriptions", graph.creation(webhook.url)).status_code)
        return echo(received)

    webhook.handshake = create_again
    first = graph.call("POST", "/subscriptions", graph.creation(webhook.url)).status_code
    assert (first, second) == (409, [201])
    assert len(graph.service.subscriptions()) == 1


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
def test_a_knob_says_what_a_renewal_validates(graph, webhook, knob, change, asked) -> None:
    base = webhook.url.removesuffix("/api/notifications")
    created = graph.subscribe(webhook, lifecycleNotificationUrl=f"{base}/lifecycle")
    webhook.received.clear()
    graph.world.knobs.validate_on_patch = knob
    body = {
        "expiry": {"expirationDateTime": graph.in_minutes(2000)},
        "same url": {"notificationUrl": webhook.url},
        "elsewhere": {"notificationUrl": f"{base}/elsewhere"},
    }[change]
    assert graph.call("PATCH", f"/subscriptions/{created['id']}", body).status_code == 200
    assert [received.target.partition("?")[0] for received in webhook.handshakes] == asked


def test_a_renewal_whose_handshake_fails_changes_nothing(graph, webhook) -> None:
    created = graph.subscribe(webhook)
    graph.world.knobs.validate_on_patch = "always"
    webhook.handshake = lambda _: Reply(500)
    body = {"expirationDateTime": graph.in_minutes(2000)}
    answer = graph.call("PATCH", f"/subscriptions/{created['id']}", body)
    assert answer.status_code == 400
    assert graph.service.subscriptions()[0]["expirationDateTime"] == created["expirationDateTime"]


def test_a_subscription_deleted_during_the_handshake_of_its_renewal_is_404(graph, webhook) -> None:
    created = graph.subscribe(webhook)
    graph.world.knobs.validate_on_patch = "always"
    path = f"/subscriptions/{created['id']}"

    def delete_first(received: Received) -> Reply:
        assert graph.call("DELETE", path).status_code == 204
        return echo(received)

    webhook.handshake = delete_first
    assert graph.call("PATCH", path, {"expirationDateTime": graph.in_minutes(99)}).status_code == 404
