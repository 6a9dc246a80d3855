"""A subscription to change notifications as Microsoft Graph lists it. Pure."""

from dataclasses import dataclass

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
