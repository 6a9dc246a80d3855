"""Changes of people become notifications, and these become posts (one POST each) to a webhook.

learn.microsoft.com/graph/api/resources/subscription: on users, `updated` also stands for creation and soft
deletion, `deleted` for permanent deletion. One edit raises several `updated`
(github.com/microsoftgraph/microsoft-graph-docs-contrib/issues/1098). That a changed photo
raises any is not documented: a knob decides.

learn.microsoft.com/graph/api/resources/changenotification; no page shows one of `users`, so its
`resourceData` is taken from github.com/microsoftgraph/microsoft-graph-docs/issues/2993 and from
public receivers.
"""

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Literal

import jwt

from local.tenant.directory.world import Person, PersonEvent, World
from local.tenant.graph.subscriptions.store import Subscription, SubscriptionStore
from local.tenant.graph.wire import Json, write_time
from local.tenant.knobs import Knobs

# The samples of change notifications write the expiry in Redmond's winter time.
_REDMOND = timezone(timedelta(hours=-8))
# learn.microsoft.com/graph/change-notifications-with-resource-data: the application that sends notifications
_SENDER = "0bf30f3b-4a52-48df-9a82-234910c4a086"

DeliveryOutcome = Literal["pending", "retrying", "delivered", "given up", "dropped"]


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification to deliver. Lifecycle events get posts of their own, with `tokens`."""

    url: str
    item: Json
    lifecycle: bool = False
    tokens: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class NotificationPost:
    """One POST and its outcome. `status` is the last answer's, None without an answer."""

    url: str
    items: list[Json]
    tokens: tuple[str, ...]
    born: datetime
    due: datetime
    attempts: int = 0
    status: int | None = None
    outcome: DeliveryOutcome = "pending"

    def body(self) -> bytes:
        """Return the changeNotificationCollection."""
        tokens = {"validationTokens": list(self.tokens)} if self.tokens else {}
        return json.dumps({"value": self.items, **tokens}).encode()


SendNotification = Callable[[Notification, float], None]


class ChangeNotifier:
    """The observer that notifies subscribers by `send`. Its methods are called under the world's lock."""

    def __init__(self, world: World, store: SubscriptionStore, send: SendNotification) -> None:
        self._world = world
        self._store = store
        self._send = send

    def person_changed(self, person: Person, event: PersonEvent) -> None:
        """Notify of the change: an edit several times, a photo if the knob says so.

        A deletion notifies of both steps, the soft deletion and the permanent one.
        """
        if event == "photo":
            knob = self._world.knobs.photo_change_notifies
            if knob is True or (knob == "some" and int(person.id[-1], 16) % 2):
                self.tell(person, "updated")
            return
        for _ in range(self._world.knobs.edit_notifications):
            self.tell(person, "updated")
        if event == "removed":
            self.tell(person, "deleted")

    def tell(self, person: Person, change: str, delay: float = 0.0) -> None:
        """Send one notification to every subscription that receives the change, `delay` seconds from now."""
        now = self._world.clock.now()
        for subscription in self._store.living():
            if subscription.hears(change, person.id, now):
                item = change_item(self._world, subscription, person.id, change)
                self._send(Notification(subscription.notification_url, item), delay)

    def require_reauthorization(self, subscription_id: str) -> None:
        """Ask for reauthorization at the lifecycle URL, if any; unanswered it mutes, by knob."""
        knobs, subscription = self._world.knobs, self._store.find(subscription_id)
        subscription.reauthorize_by = self._world.clock.now() + timedelta(seconds=knobs.reauthorize_within)
        if url := subscription.request.lifecycle_url:
            item = lifecycle_item(self._world, subscription, "reauthorizationRequired")
            tokens = (validation_token(self._world),) if knobs.lifecycle_shape == "observed" else ()
            self._send(Notification(url, item, lifecycle=True, tokens=tokens), 0.0)


def pack(
    notifications: list[Notification], knobs: Knobs, random: Random, now: datetime
) -> Iterator[NotificationPost]:
    """Yield the posts for these notifications: repeated, reordered and cut to size as the knobs say."""
    repeated = [each for each in notifications if random.random() < knobs.notification_duplicates]
    notifications = notifications + repeated
    if knobs.notification_order == "shuffled":
        random.shuffle(notifications)
    piles: dict[tuple[str, bool, tuple[str, ...]], list[Json]] = {}
    for each in notifications:
        piles.setdefault((each.url, each.lifecycle, each.tokens), []).append(each.item)
    size = knobs.notifications_per_post
    for (url, _, tokens), items in piles.items():
        for start in range(0, len(items), size):
            yield NotificationPost(url, items[start : start + size], tokens, born=now, due=now)


def change_item(world: World, subscription: Subscription, user_id: str, change: str) -> Json:
    """Return the notification of one user's change, in the shape that the world's knob asks for."""
    user = f"Users/{user_id}"
    data: Json = {"@odata.type": "#Microsoft.Graph.User", "@odata.id": user, "id": user_id}
    item: Json = {
        "changeType": change,
        "clientState": subscription.request.client_state,
        "resource": user,
        "resourceData": data,
        "subscriptionExpirationDateTime": subscription.expires.astimezone(_REDMOND).isoformat(),
        "subscriptionId": subscription.id,
        "tenantId": world.tenant_id,
    }
    if world.knobs.notification_shape == "extended":
        sequence = int(world.clock.now().timestamp() * 10_000_000)
        data |= {"organizationId": world.tenant_id, "sequenceNumber": sequence}
    elif world.knobs.notification_shape == "bare":
        del item["resourceData"]
    return item


def lifecycle_item(world: World, subscription: Subscription, event: str) -> Json:
    """Return the notification of a lifecycle event.

    Documented in learn.microsoft.com/graph/change-notifications-lifecycle-events; observed, with another name
    for the tenant, in github.com/microsoftgraph/microsoft-graph-docs-contrib/issues/84.
    """
    item: Json = {
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": write_time(subscription.expires),
        "clientState": subscription.request.client_state,
        "lifecycleEvent": event,
    }
    if world.knobs.lifecycle_shape == "documented":
        return item | {"tenantId": world.tenant_id}
    return item | {
        "organizationId": world.tenant_id,
        "resource": "",
        "sequence": None,
        "resourceData": {"@odata.type": "", "@odata.id": "", "id": ""},
        "encryptedContent": None,
    }


def validation_token(world: World) -> str:
    """Return a token as in `validationTokens`, but signed with a key that is not published."""
    now = int(world.clock.now().timestamp())
    claims = {
        "aud": world.client_id,
        "iss": f"https://sts.windows.net/{world.tenant_id}/",
        "appid": _SENDER,
        "appidacr": "2",
        "tid": world.tenant_id,
        "iat": now,
        "nbf": now,
        "exp": now + 8 * 3600,
        "ver": "1.0",
    }
    return jwt.encode(claims, secrets.token_bytes(32), algorithm="HS256")
