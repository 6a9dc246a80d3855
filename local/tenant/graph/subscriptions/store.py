"""The subscriptions of the tenant: the request, life and changes of each, and their limit.

Every method of the store needs `World.lock`.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from local.tenant.directory.world import World
from local.tenant.graph.subscriptions.rules import SubscriptionRequest
from local.tenant.graph.wire import GraphRefusal, Json, write_time

# Subscriptions on users of one application in one tenant:
# learn.microsoft.com/graph/change-notifications-overview
QUOTA = 100
# learn.microsoft.com/graph/api/resources/subscription, "Subscription lifetime"
LIFE_MAX = timedelta(minutes=41_760)
LIFE_MIN = timedelta(minutes=45)
# learn.microsoft.com/graph/change-notifications-lifecycle-events: never reauthorize and renew within this
CLASH = timedelta(minutes=10)


@dataclass(slots=True)
class Subscription:
    """A subscription in force. Times are the tenant's."""

    id: str
    application: str
    creator: str
    request: SubscriptionRequest
    notification_url: str
    expires: datetime
    reauthorize_by: datetime | None = None  # then an unanswered reauthorizationRequired mutes
    renewed: datetime | None = None
    reauthorized: datetime | None = None
    muted: bool = False

    @property
    def resource(self) -> str:
        """The resource in one spelling: `users`, `users/{id}`."""
        return self.request.resource.lstrip("/").lower()

    @property
    def combination(self) -> tuple[str, str, frozenset[str]]:
        """What is unique for each subscription."""
        return self.application, self.resource, frozenset(self.request.change_type.split(","))

    def hears(self, change: str, user_id: str, now: datetime) -> bool:
        """Return whether this subscription is notified of a change of a user. What it misses is lost."""
        if self.muted or (self.reauthorize_by and now > self.reauthorize_by):
            return False
        changes = self.request.change_type.split(",")
        return change in changes and self.resource in ("users", f"users/{user_id}")

    def note_contact(self, kind: str, now: datetime, *, mute: bool) -> None:
        """Note a renewal (`kind` "renewed") or a reauthorization ("reauthorized").

        Either one resumes the notifications. Both within ten minutes leave the subscription in a state that
        Microsoft calls inconsistent; with `mute` it is still listed, but never notifies again.
        """
        other = self.reauthorized if kind == "renewed" else self.renewed
        if mute and other and now - other < CLASH:
            self.muted = True
        if kind == "renewed":
            self.renewed = now
        else:
            self.reauthorized = now
        self.reauthorize_by = None

    def as_json(self, *, secret: bool) -> Json:
        """Return the resource. The `clientState` shows only where `secret`: in the creation's answer.

        The set of properties, nulls spelled out, is the one in
        github.com/microsoftgraph/microsoft-graph-docs-contrib/issues/1633.
        """
        request = self.request
        return {
            "id": self.id,
            "resource": request.resource,
            "applicationId": self.application,
            "changeType": request.change_type,
            "clientState": request.client_state if secret else None,
            "notificationUrl": self.notification_url,
            "notificationQueryOptions": None,
            "lifecycleNotificationUrl": request.lifecycle_url,
            "expirationDateTime": write_time(self.expires),
            "creatorId": self.creator,
            "includeResourceData": None,
            "latestSupportedTlsVersion": request.tls,
            "encryptionCertificate": None,
            "encryptionCertificateId": None,
            "notificationUrlAppId": request.url_application,
        }


def grant_expiry(world: World, asked: datetime) -> datetime:
    """Return the expiry that a subscription gets: at least 45 minutes ahead.

    One beyond the maximum is refused (by knob, the maximum is granted instead).
    """
    now = world.clock.now()
    # A zone other than UTC may have been written; the smallest difference is one of moments.
    if asked - now > LIFE_MAX:
        if world.knobs.over_max_expiry == "refused":
            # github.com/microsoftgraph/microsoft-graph-docs/issues/2988
            minutes = int(LIFE_MAX.total_seconds() // 60)
            message = f"Subscription expiration can only be {minutes} minutes in the future."
            raise GraphRefusal(400, "ExtensionError", message)
        return now + LIFE_MAX
    return max(asked.astimezone(now.tzinfo), now + LIFE_MIN)


class SubscriptionStore:
    """Every subscription of the tenant, in the order in which they were created."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._all: dict[str, Subscription] = {}
        self._refuse_until: datetime | None = None

    def living(self) -> Iterator[Subscription]:
        """Yield the subscriptions in force, and remove the expired ones."""
        now = self._world.clock.now()
        self._all = {each.id: each for each in self._all.values() if each.expires > now}
        yield from self._all.values()

    def owned(self, application: str) -> list[Subscription]:
        """Return the subscriptions in force of one application."""
        return [each for each in self.living() if each.application == application]

    def find(self, subscription: str) -> Subscription:
        """Return a subscription in force; KeyError: unknown id."""
        return {each.id: each for each in self.living()}[subscription.lower()]

    def admit(self, draft: Subscription) -> None:
        """Refuse a subscription that exists already (409), or that is over the limit (403)."""
        mine = self.owned(draft.application)
        for each in mine:
            if each.combination == draft.combination:
                raise _duplicate(each.id)
        lost = self._refuse_until is not None and self._world.clock.now() < self._refuse_until
        if lost and self._world.knobs.lost_refusal == 409:
            raise _duplicate(str(uuid.uuid4()))
        if lost or len(mine) >= QUOTA:
            raise self._full(draft)

    def add(self, subscription: Subscription) -> None:
        """Add an admitted subscription."""
        self._all[subscription.id] = subscription

    def remove(self, subscription: Subscription) -> None:
        """End a subscription."""
        del self._all[subscription.id]

    def lose(self, subscription: str) -> None:
        """Remove a subscription without a notification, and refuse to create another for a while.

        techcommunity.microsoft.com, Teams developer forum, thread 4194946: 404 on PATCH and DELETE, then 403
        on creation for one to three hours.
        """
        self.remove(self.find(subscription))
        pause = timedelta(seconds=self._world.knobs.lost_refusal_seconds)
        self._refuse_until = self._world.clock.now() + pause

    def reset(self) -> None:
        """Remove every subscription and every loss."""
        self._all = {}
        self._refuse_until = None

    def _full(self, draft: Subscription) -> GraphRefusal:
        return GraphRefusal(
            403,
            "ExtensionError",
            f"Operation: Create; Exception: [Status Code: Forbidden; Reason: App '{draft.application}' has "
            f"reached its limit of '{QUOTA}' 'USERS' subscription on tenant '{self._world.tenant_id}']",
        )


def _duplicate(subscription: str) -> GraphRefusal:
    # The message: learn.microsoft.com/graph/change-notifications-delivery-webhooks. Its code is not known.
    message = f"Subscription Id <{subscription}> already exists for the requested combination"
    return GraphRefusal(409, "Conflict", message)
