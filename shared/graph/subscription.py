"""A subscription to change notifications as Microsoft Graph lists it. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.errors import GRAPH, TryLater

RESOURCE = "users"
CHANGE_TYPE = "updated,deleted"  # `updated` also fires on creation and on soft deletion


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of this application as Graph lists it (`clientState` is never returned)."""

    id: str
    resource: str
    notification_url: str
    lifecycle_url: str
    expires: float  # Unix seconds


def read_subscription(body: Any) -> Subscription:
    """Return the subscription that a body describes; raise `TryLater` if it lacks an id."""
    if not isinstance(body, dict) or not body.get("id"):
        raise TryLater(GRAPH, "a subscription without id")
    return Subscription(
        id=str(body["id"]),
        resource=str(body.get("resource") or ""),
        notification_url=str(body.get("notificationUrl") or ""),
        lifecycle_url=str(body.get("lifecycleNotificationUrl") or ""),
        expires=_unix(str(body.get("expirationDateTime") or "")),
    )


def iso_time(seconds: float) -> str:
    """Return a time as Graph writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _unix(text: str) -> float:
    """Return the Unix seconds of an RFC 3339 time with any offset; Graph writes seven fractional digits."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
