"""What the admin face makes Graph send to a webhook over https."""

import ssl
from collections.abc import Iterator
from datetime import timedelta

import pytest

from local.tenant.admin.client import TenantClient
from local.tenant.tenant import Tenant
from tests.tenant.graph_client import SOON, Webhook

GRAPH = "https://graph.microsoft.com/v1.0"


@pytest.fixture
def webhook(tenant: Tenant) -> Iterator[Webhook]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tenant.host_certificate)
    with Webhook(context) as webhook:
        yield webhook


@pytest.fixture
def anna(admin: TenantClient) -> str:
    return admin.add(upn="anna@contoso.com", photo=True)[0]


def wanted(tenant: Tenant, url: str) -> dict[str, str]:
    return {
        "resource": "users",
        "changeType": "updated,deleted",
        "notificationUrl": url,
        "lifecycleNotificationUrl": f"{url}/lifecycle",
        "expirationDateTime": (tenant.world.clock.now() + timedelta(days=1)).isoformat(),
        "clientState": "state",
    }


@pytest.fixture
def subscription(call, tenant: Tenant, webhook: Webhook, anna: str) -> str:
    """The id of a subscription that was created after Anna, whose creation would notify too."""
    assert anna
    answer = call("POST", f"{GRAPH}/subscriptions", json=wanted(tenant, webhook.url))
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def received(tenant: Tenant, webhook: Webhook, key: str) -> list[object]:
    """Return the values of `key` in all notifications, after the last is delivered."""
    tenant.graph.idle(SOON)
    return [item.get(key) for item in webhook.items]


@pytest.mark.parametrize(
    ("knob", "notify", "expected"),
    [
        pytest.param(False, None, 0, id="none by default"),
        pytest.param(False, "on", 1, id="on"),
        pytest.param(False, "twice", 2, id="twice"),
        pytest.param(False, 0.05, 1, id="after a delay"),
        pytest.param(True, None, 1, id="once with the knob"),
        pytest.param(True, "off", 0, id="off despite the knob"),
    ],
)
@pytest.mark.usefixtures("subscription")
def test_a_photo_change_notifies_as_requested(tenant, admin, webhook, anna, knob, notify, expected) -> None:
    admin.turn(photo_change_notifies=knob)
    admin.draw_photo(anna, notify=notify)
    assert received(tenant, webhook, "resource") == [f"Users/{anna}"] * expected
    assert received(tenant, webhook, "changeType") == ["updated"] * expected


@pytest.mark.usefixtures("subscription")
def test_another_edit_notifies_without_a_new_photo(tenant, admin, webhook, anna) -> None:
    etag = admin.user(anna)["source"]["etag"]
    admin.turn(edit_notifications=3)
    assert admin.change(anna, name="Anna Weber")["name"] == "Anna Weber"
    assert received(tenant, webhook, "resource") == [f"Users/{anna}"] * 3
    assert admin.user(anna)["source"]["etag"] == etag


def test_a_lost_subscription_sends_no_notification(tenant, admin, webhook, subscription, anna) -> None:
    assert [(each["id"], each["clientState"]) for each in admin.subscriptions()] == [(subscription, "state")]
    admin.lose(subscription)
    admin.draw_photo(anna, notify="on")
    assert admin.subscriptions() == []
    assert received(tenant, webhook, "resource") == []


def test_reauthorization_is_requested_with_a_lifecycle_event(tenant, admin, webhook, subscription) -> None:
    admin.reauthorize(subscription)
    assert received(tenant, webhook, "lifecycleEvent") == ["reauthorizationRequired"]


def test_a_webhook_with_a_wrong_certificate_is_refused(call, tenant, webhook) -> None:
    other = call("POST", f"{GRAPH}/subscriptions", json=wanted(tenant, webhook.url.replace(".0.1", ".0.2")))
    assert other.status_code == 400
    assert webhook.received == []
