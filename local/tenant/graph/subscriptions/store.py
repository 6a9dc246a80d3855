"""The subscriptions of the tenant, and its limit. Every method needs `World.lock`."""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from local.tenant.directory.world import World
from local.tenant.graph.subscriptions.subscription import Subscription
from local.tenant.graph.wire import GraphRefusal

# Subscriptions on users of one application in one tenant:
# learn.microsoft.com/graph/change-notifications-overview
QUOTA = 100


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
        """Return a subscription in force.

        Raises:
            KeyError: no subscription has that id.
        """
        return {each.id: each for each in self.living()}[subscription.lower()]

    def admit(self, draft: Subscription) -> None:
        """Refuse a subscription that exists already, or that is over the limit.

        Raises:
            GraphRefusal: 409 or 403.
        """
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

        Raises:
            KeyError: no subscription has that id.
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
