"""Which deployment a storage account and its subscription belong to: the one at the URL in the record. Pure.

A deployment is known by its notification URL. Two of them on one storage account, such as slots, share its
queues, so that each does jobs of the other with its own settings.
"""

import re
from collections.abc import Iterable

from shared.graph.subscription import Subscription
from shared.subscription.record import SubscriptionRecord

SILENT_AFTER = 3 * 24 * 3600.0  # seconds; its owner renews a subscription every day
RIVAL_FOR = 24 * 3600.0  # seconds for which another deployment is reported after its last run
HELD = "another deployment of this application holds the subscription"
TAKE_OVER = "POST /api/subscription?take_over=true"


def owner_of(record: SubscriptionRecord, listed: Iterable[Subscription]) -> str:
    """Return the notification URL of the deployment that owns the record, "" if it has no owner.

    An earlier release noted no owner: then it is the one that the record's subscription notifies.
    """
    noted = (s.notification_url for s in listed if record.id and s.id == record.id)
    return record.owner or next(noted, "")


def is_same(url: str, other: str) -> bool:
    """Return whether two notification URLs are those of one deployment."""
    return url.lower() == other.lower()


def owned_elsewhere(owner: str, own_url: str) -> bool:
    """Return whether an owner is another deployment than the one at `own_url`."""
    return bool(owner) and not is_same(owner, own_url)


def belongs_to(owner: str, own_url: str) -> str:
    """Return what is wrong for the deployment at `own_url` where another one is the owner, and the remedy."""
    return (
        f"this storage account and the subscription belong to the deployment at {host_of(owner)}, "
        f"and this is {host_of(own_url)}: give it a storage account of its own; if it replaced that one, "
        f"or NOTIFICATION_URL changed, {TAKE_OVER}"
    )


def problems(record: SubscriptionRecord, own_url: str, now: float) -> list[str]:
    """Return what an administrator of the deployment at `own_url` must know of the owner, for `status`."""
    if not own_url:
        return []
    if owned_elsewhere(record.owner, own_url):
        days = (now - record.renewed_at) / 86_400.0
        active = record.state in ("active", "creating")
        silent = active and now - record.renewed_at > SILENT_AFTER
        since = f"; that one has not renewed the subscription for {days:.0f} days" if silent else ""
        return [belongs_to(record.owner, own_url) + since]
    held = record.trouble.startswith(HELD)
    found = [f"{record.trouble}: end that one, or {TAKE_OVER}"] if held else []
    if owned_elsewhere(record.rival, own_url) and now - record.rival_at < RIVAL_FOR:
        found.append(
            f"the deployment at {host_of(record.rival)} uses this storage account, too, and does jobs of "
            "this one with its own settings: give it a storage account of its own, or stop it"
        )
    return found


def host_of(url: str) -> str:
    """Return only the host of a URL: its query may hold a key."""
    return re.split(r"[/?#]", url.split("://", 1)[-1], maxsplit=1)[0].rpartition("@")[2]
