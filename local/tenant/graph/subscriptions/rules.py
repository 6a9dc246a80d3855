"""The rules for the body of a subscription's creation or update, without any state.

learn.microsoft.com/graph/api/resources/subscription has the properties,
learn.microsoft.com/graph/api/subscription-post-subscriptions and
learn.microsoft.com/graph/api/subscription-update the operations.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from local.tenant.graph.wire import GraphRefusal, Json, read_time

CLIENT_STATE_MAX = 128  # characters; learn.microsoft.com/graph/api/resources/subscription
CHANGE_TYPES = {"created", "updated", "deleted"}
TLS_VERSIONS = {"v1_0", "v1_1", "v1_2", "v1_3"}

# Each is a string on the wire; null means absent.
_TEXTS = {
    "changeType",
    "clientState",
    "expirationDateTime",
    "latestSupportedTlsVersion",
    "lifecycleNotificationUrl",
    "notificationContentType",
    "notificationUrl",
    "notificationUrlAppId",
    "resource",
}
# Rich notifications, Universal Print and Web Push: 400 on a users subscription.
_NOT_FOR_USERS = {
    "encryptionCertificate",
    "encryptionCertificateId",
    "includeResourceData",
    "notificationQueryOptions",
    "vapidPublicKey",
    "webPushEncryptionP256dhPublicKey",
    "webPushEncryptionSecret",
}
_USERS = re.compile(r"/?users(/[^/?]+(/[^?]+)?)?", re.IGNORECASE)

# github.com/microsoftgraph/microsoft-graph-docs/issues/2231
_UNREADABLE = (
    "Could not process subscription creation payload. "
    "Are all property names spelled and camelCased properly? Are all dates complete?"
)


@dataclass(frozen=True, slots=True)
class SubscriptionRequest:
    """A valid creation payload. `expires` is as requested, in any zone."""

    change_type: str
    resource: str
    notification_url: str
    expires: datetime
    lifecycle_url: str | None
    client_state: str | None
    tls: str
    url_application: str | None


@dataclass(frozen=True, slots=True)
class SubscriptionUpdate:
    """A valid update payload; None changes nothing."""

    expires: datetime | None
    notification_url: str | None


def read_request(body: Json, *, http: bool, created_in_list: bool) -> SubscriptionRequest:
    """Return a creation payload as a request. The texts of the refusals are Graph's where they are known.

    `http` permits plain http URLs; `created_in_list` the change type `created` beside another.
    """
    texts = _read_texts(body)
    for name in ("changeType", "resource", "notificationUrl", "expirationDateTime"):
        if name not in texts:
            # github.com/microsoftgraph/microsoft-graph-docs-contrib/issues/7399
            raise _invalid(f"{name} is a required property for subscription creation")
    lifecycle_url, tls = texts.get("lifecycleNotificationUrl"), texts.get("latestSupportedTlsVersion", "v1_2")
    if len(texts.get("clientState", "")) > CLIENT_STATE_MAX:
        raise _invalid(f"The clientState must not exceed {CLIENT_STATE_MAX} characters.")
    if tls not in TLS_VERSIONS:
        raise _invalid(f"Invalid 'latestSupportedTlsVersion' attribute: '{tls}'.")
    return SubscriptionRequest(
        change_type=_read_change_type(texts["changeType"], created_in_list=created_in_list),
        resource=_read_resource(texts["resource"]),
        notification_url=_read_url("notificationUrl", texts["notificationUrl"], http=http),
        expires=_read_expiry(texts["expirationDateTime"]),
        lifecycle_url=lifecycle_url and _read_url("lifecycleNotificationUrl", lifecycle_url, http=http),
        client_state=texts.get("clientState"),
        tls=tls,
        url_application=texts.get("notificationUrlAppId"),
    )


def read_update(body: Json, *, http: bool) -> SubscriptionUpdate:
    """Return an update payload as an update: of a property that can be updated, and of no other."""
    texts = _read_texts(body)
    if not texts.keys() & {"expirationDateTime", "notificationUrl"}:
        # github.com/microsoftgraph/microsoft-graph-docs-contrib/issues/9498
        either = "either the 'expirationDateTime' or 'notificationUrl' property and its value"
        raise _invalid(f"Subscription must contain {either}.")
    for name in texts.keys() - {"expirationDateTime", "notificationUrl"}:
        # learn.microsoft.com/graph/change-notifications-lifecycle-events: a lifecycle URL cannot come later.
        raise _invalid(f"The property '{name}' of a subscription cannot be updated.")
    expiry, url = texts.get("expirationDateTime"), texts.get("notificationUrl")
    return SubscriptionUpdate(
        expires=None if expiry is None else _read_expiry(expiry),
        notification_url=None if url is None else _read_url("notificationUrl", url, http=http),
    )


def _read_texts(body: Json) -> dict[str, str]:
    """Return the properties that have a value, all of them known and text."""
    for name in _NOT_FOR_USERS & body.keys():
        if body[name] not in (None, False):
            raise _invalid(f"The property '{name}' is not supported for this resource.")
    texts = {name: value for name, value in body.items() if name not in _NOT_FOR_USERS and value is not None}
    for name, value in texts.items():
        if name not in _TEXTS or not isinstance(value, str):
            raise _invalid(_UNREADABLE)
    return texts


def _read_change_type(text: str, *, created_in_list: bool) -> str:
    """Return the change types as written: for users only `updated` and `deleted` exist."""
    wanted = text.split(",")
    known = set(wanted) <= CHANGE_TYPES and len(set(wanted)) == len(wanted)
    # github.com/microsoftgraph/microsoft-graph-docs/issues/4819; in a list it was accepted in 2022:
    # github.com/microsoftgraph/microsoft-graph-docs-contrib/issues/1633
    if not known or wanted == ["created"] or ("created" in wanted and not created_in_list):
        raise _invalid(f"Invalid 'changeType' attribute: '{text}'.")
    return text


def _read_resource(text: str) -> str:
    """Return the resource as written: `users`, a user, or a path below one.

    A path below a user is accepted and never notifies:
    github.com/microsoftgraph/microsoft-graph-docs/issues/8454
    """
    if not _USERS.fullmatch(text):
        raise _invalid(f"Resource '{text}' is not supported for subscriptions here.")
    return text


def _read_url(name: str, text: str, *, http: bool) -> str:
    try:
        parts = urlsplit(text)
        known = bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known or parts.scheme not in ({"https", "http"} if http else {"https"}) or parts.fragment:
        raise _invalid(f"The {name} must be an absolute HTTPS URL.")
    return text


def _read_expiry(text: str) -> datetime:
    if expires := read_time(text):
        return expires
    raise _invalid(_UNREADABLE)


def _invalid(message: str) -> GraphRefusal:
    return GraphRefusal(400, "InvalidRequest", message)
