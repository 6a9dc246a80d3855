"""What the admin face makes Graph say to a webhook, with the certificate made for the Functions host."""

import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from werkzeug.wrappers import Request, Response

from local.tenant.admin.client import Notify, TenantClient
from local.tenant.net.listener import Connection, Listener
from local.tenant.tenant import Tenant

GRAPH = "https://graph.microsoft.com/v1.0"


class Webhook:
    """A webhook that takes everything it is told."""

    def __init__(self, tenant: Tenant) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*tenant.host_certificate)
        self._lock = threading.Lock()
        self._items: list[dict[str, object]] = []
        self.listener = Listener(self._serve)
        self.url = f"https://127.0.0.1:{self.listener.address[1]}"

    def items(self, key: str) -> list[object]:
        """Return what each notification so far says under `key`."""
        with self._lock:
            return [item.get(key) for item in self._items]

    def _serve(self, connection: Connection) -> None:
        connection.sock = self._context.wrap_socket(connection.sock, server_side=True)
        connection.converse(self._take, "https", 443)

    def _take(self, request: Request) -> Response:
        if token := request.args.get("validationToken"):
            return Response(token, mimetype="text/plain")
        with self._lock:
            self._items += request.get_json()["value"]
        return Response(status=202)


@pytest.fixture
def webhook(tenant: Tenant) -> Iterator[Webhook]:
    webhook = Webhook(tenant)
    webhook.listener.start()
    yield webhook
    tenant.graph.idle(10)
    webhook.listener.stop()


@pytest.fixture
def anna(admin: TenantClient) -> str:
    return admin.add(upn="anna@contoso.com", photo=True)[0]


@pytest.fixture
def subscription(call, tenant: Tenant, webhook: Webhook, anna: str) -> str:
    """The id of a subscription that began when Anna was there: her arrival would be news too."""
    assert anna
    expiry = tenant.world.clock.now() + timedelta(days=1)
    wanted = {
        "resource": "users",
        "changeType": "updated,deleted",
        "notificationUrl": f"{webhook.url}/api/notifications",
        "lifecycleNotificationUrl": f"{webhook.url}/api/lifecycle",
        "expirationDateTime": expiry.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "clientState": "state",
    }
    answer = call("POST", f"{GRAPH}/subscriptions", json=wanted)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


@pytest.mark.parametrize(
    ("knob", "notify", "expected"),
    [
        pytest.param(False, None, 0, id="by default nothing is said"),
        pytest.param(False, "on", 1, id="on"),
        pytest.param(False, "twice", 2, id="twice"),
        pytest.param(False, 0.05, 1, id="a little later"),
        pytest.param(True, None, 1, id="once, where the knob says so"),
        pytest.param(True, "off", 0, id="off, whatever the knob says"),
        pytest.param(True, "on", 1, id="on, whatever the knob says"),
    ],
)
@pytest.mark.usefixtures("subscription")
def test_a_photo_change_notifies_as_it_is_asked_to(
    tenant: Tenant,
    admin: TenantClient,
    webhook: Webhook,
    anna: str,
    knob: bool,
    notify: Notify,
    expected: int,
) -> None:
    admin.turn(photo_change_notifies=knob)
    admin.draw_photo(anna, notify=notify)
    tenant.graph.idle(10)
    assert webhook.items("resource") == [f"Users/{anna}"] * expected
    assert webhook.items("changeType") == ["updated"] * expected


@pytest.mark.usefixtures("subscription")
def test_another_edit_notifies_without_a_new_photo(
    tenant: Tenant, admin: TenantClient, webhook: Webhook, anna: str
) -> None:
    etag = admin.user(anna)["source"]["etag"]
    admin.turn(edit_notifications=3)
    assert admin.change(anna, name="Anna Weber")["name"] == "Anna Weber"
    tenant.graph.idle(10)
    assert webhook.items("resource") == [f"Users/{anna}"] * 3
    assert admin.user(anna)["source"]["etag"] == etag


@pytest.mark.usefixtures("subscription")
def test_a_removed_photo_notifies_too(
    tenant: Tenant, admin: TenantClient, webhook: Webhook, anna: str
) -> None:
    admin.remove_photo(anna, notify="on")
    tenant.graph.idle(10)
    assert webhook.items("changeType") == ["updated"]


def test_a_lost_subscription_sends_no_notification(
    call, tenant: Tenant, admin: TenantClient, webhook: Webhook, subscription: str, anna: str
) -> None:
    admin.lose(subscription)
    admin.draw_photo(anna, notify="on")
    tenant.graph.idle(10)
    assert admin.subscriptions() == []
    assert call("GET", f"{GRAPH}/subscriptions/{subscription}").status_code == 404
    assert webhook.items("resource") == []


def test_reauthorization_is_asked_for_with_a_lifecycle_event(
    tenant: Tenant, admin: TenantClient, webhook: Webhook, subscription: str
) -> None:
    assert [each["id"] for each in admin.subscriptions()] == [subscription]
    admin.reauthorize(subscription)
    tenant.graph.idle(10)
    assert webhook.items("lifecycleEvent") == ["reauthorizationRequired"]
