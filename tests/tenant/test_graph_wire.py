"""Graph over the wire: the proxy, TLS, an https webhook, the history and the admin face."""

import hashlib
import ssl

import pytest

from tests.tenant.graph_client import SOON, Webhook, jpeg

GRAPH = "https://graph.microsoft.com/v1.0"


@pytest.fixture
def webhook(tenant):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tenant.host_certificate)
    with Webhook(context) as webhook:
        yield webhook


def subscribe(call, webhook: Webhook) -> dict:
    """Subscribe over the wire; return the subscription."""
    body = {
        "changeType": "updated,deleted",
        "notificationUrl": webhook.url,
        "lifecycleNotificationUrl": f"{webhook.url}/life",
        "resource": "users",
        "expirationDateTime": "2020-01-01T00:00:00Z",
        "clientState": "a secret",
    }
    created = call("POST", f"{GRAPH}/subscriptions", json=body)
    assert created.status_code == 201, created.text
    return created.json()


def test_a_hint_reaches_an_https_webhook_and_leads_to_the_photo(tenant, admin, call, webhook) -> None:
    (user,) = admin.add(upn="ada@contoso.com", photo=True)
    created = subscribe(call, webhook)
    assert len(webhook.handshakes) == 2
    source = admin.set_photo(user, jpeg(360), notify="twice")
    assert source
    tenant.graph.idle(SOON)
    assert [item["subscriptionId"] for item in webhook.items] == [created["id"]] * 2
    found = webhook.items[0]["resourceData"]["id"]
    answer = call("GET", f"{GRAPH}/users/{found}/photo/$value")
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(jpeg(360)).digest()
    assert answer.headers["ETag"] == call("GET", f"{GRAPH}/users/{found}/photo").json()["@odata.mediaEtag"]


def test_http_webhooks_and_unknown_authorities_are_refused(call, webhook) -> None:
    body = {
        "changeType": "updated",
        "notificationUrl": webhook.url.replace("https:", "http:"),
        "resource": "users",
        "expirationDateTime": "2020-01-01T00:00:00Z",
    }
    assert "HTTPS" in call("POST", f"{GRAPH}/subscriptions", json=body).json()["error"]["message"]
    body["notificationUrl"] = webhook.url.replace("127.0.0.1", "127.0.0.2")
    assert call("POST", f"{GRAPH}/subscriptions", json=body).status_code == 400
    assert webhook.received == []


def test_the_history_shows_a_batch_and_its_parts(admin, call) -> None:
    users = admin.add(count=3, photo=True)
    asked = [{"id": user, "method": "GET", "url": f"/users/{user}/photo"} for user in users]
    assert call("POST", f"{GRAPH}/$batch", json={"requests": asked}).status_code == 200
    (entry,) = admin.history(host="graph.microsoft.com")
    assert (entry["method"], entry["path"]) == ("POST", "/v1.0/$batch")
    played = sorted((part["method"], part["url"], part["status"]) for part in map(read_part, entry["parts"]))
    assert played == sorted(("GET", f"/users/{user}/photo", 200) for user in users)


def read_part(part) -> dict:
    """A part of the history, whether it is written as an object or as a list."""
    return part if isinstance(part, dict) else dict(zip(("method", "url", "status"), part, strict=True))


def test_a_fault_can_meet_single_parts(admin, call) -> None:
    (user,) = admin.add(photo=True)
    admin.arm({"service": "graph", "status": 429, "retry_after": 7, "part": True, "next": 1})
    asked = [{"id": str(n), "method": "GET", "url": f"/users/{user}/photo"} for n in range(2)]
    parts = call("POST", f"{GRAPH}/$batch", json={"requests": asked}).json()["responses"]
    assert sorted(part["status"] for part in parts) == [200, 429]
    (throttled,) = (part for part in parts if part["status"] == 429)
    assert throttled["headers"]["Retry-After"] == "7"


def test_the_admin_face_loses_and_reauthorizes_subscriptions(tenant, admin, call, webhook) -> None:
    created = subscribe(call, webhook)
    assert admin.subscriptions()[0]["clientState"] == "a secret"
    admin.reauthorize(created["id"])
    tenant.graph.idle(SOON)
    assert [item["lifecycleEvent"] for item in webhook.items] == ["reauthorizationRequired"]
    admin.lose(created["id"])
    assert admin.subscriptions() == []
    assert call("GET", f"{GRAPH}/subscriptions/{created['id']}").status_code == 404


def test_the_admin_face_turns_the_knobs(admin, call) -> None:
    (user,) = admin.add(photo=False)
    admin.turn(no_photo_code="ErrorItemNotFound", photo_change_notifies="some", lost_refusal=409)
    answer = call("GET", f"{GRAPH}/users/{user}/photo")
    assert answer.json()["error"]["code"] == "ErrorItemNotFound"
