"""Changes of people become notifications: for which subscriptions, and how many.

learn.microsoft.com/graph/api/resources/subscription: on users, `updated` also stands for creation and soft
deletion, `deleted` for permanent deletion. One edit raises several `updated`
(github.com/microsoftgraph/microsoft-graph-docs-contrib/issues/1098). That a changed photo
raises any is not documented: a knob decides.
"""

from local.tenant.directory.world import Person, PersonEvent, World
from local.tenant.graph.subscriptions.store import SubscriptionStore
from local.tenant.graph.webhooks.deliveries import Deliveries
from local.tenant.graph.webhooks.notifications import (
    Notification,
    change_item,
    lifecycle_item,
    validation_token,
)


class ChangeNotifier:
    """The observer that notifies subscribers. Its methods are called under the world's lock."""

    def __init__(self, world: World, store: SubscriptionStore, deliveries: Deliveries) -> None:
        self._world = world
        self._store = store
        self._deliveries = deliveries

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
                self._deliveries.send(Notification(subscription.notification_url, item), delay)

    def require_reauthorization(self, subscription_id: str) -> None:
        """Ask for reauthorization at the lifecycle URL, if any; unanswered it mutes, by knob.

        Raises:
            KeyError: no subscription has that id.
        """
        subscription = self._store.find(subscription_id)
        subscription.fall_due(self._world.clock.now(), self._world.knobs.reauthorize_within)
        if subscription.request.lifecycle_url:
            item = lifecycle_item(self._world, subscription, "reauthorizationRequired")
            observed = self._world.knobs.lifecycle_shape == "observed"
            tokens = (validation_token(self._world),) if observed else ()
            self._deliveries.send(
                Notification(subscription.request.lifecycle_url, item, lifecycle=True, tokens=tokens)
            )
