"""The emulated Graph as the rest of the tenant uses it.

Stricter than the real one where the documents allow: it refuses a query parameter, property or permission
that they do not name. Where the behaviour is not known a knob in `local.tenant.knobs.Knobs` decides.

What it does not play: the beta endpoint, delta queries, groups but for the people in them, writing photos,
rich notifications, throttling (which `traffic.throttle` does before Graph gets a request), the one-hour life
of the token behind a subscription, and lifecycle events by themselves (the admin face triggers them).
"""

from werkzeug.wrappers import Request, Response

from local.tenant.directory.world import Person, World
from local.tenant.entra.tokens import Tokens
from local.tenant.graph.batch import Batch, BatchHooks
from local.tenant.graph.gateway import GraphGateway
from local.tenant.graph.groups import GroupOperations
from local.tenant.graph.operations import route
from local.tenant.graph.pages import Pages
from local.tenant.graph.photos import PhotoOperations
from local.tenant.graph.subscriptions.operations import SubscriptionOperations, WebhookPolicy
from local.tenant.graph.subscriptions.store import SubscriptionStore
from local.tenant.graph.users import UserOperations
from local.tenant.graph.webhooks.changes import ChangeNotifier
from local.tenant.graph.webhooks.deliveries import Deliveries
from local.tenant.graph.webhooks.endpoint import WebhookTiming
from local.tenant.graph.webhooks.notifications import change_item
from local.tenant.graph.wire import Json


class Graph(BatchHooks):
    """The emulated Microsoft Graph.

    `allow_http_webhook` lets plain http notification URLs through; `ca` is a file of the authorities that
    webhooks' certificates may come from; `timing` shortens the time that webhooks have for their answers.
    """

    def __init__(
        self,
        world: World,
        tokens: Tokens,
        *,
        allow_http_webhook: bool = False,
        ca: str | None = None,
        timing: WebhookTiming | None = None,
    ) -> None:
        super().__init__()
        timing = timing or WebhookTiming()
        self._world = world
        self._pages = Pages(world)
        self._store = SubscriptionStore(world)
        self._deliveries = Deliveries(world, timing, ca)
        self._changes = ChangeNotifier(world, self._store, self._deliveries)
        webhooks = WebhookPolicy(allow_http_webhook, timing.handshake, ca)
        subscriptions = SubscriptionOperations(world, self._store, self._pages, webhooks)
        router = route(
            subscriptions,
            UserOperations(world, self._pages),
            PhotoOperations(world),
            GroupOperations(world, self._pages),
        )
        self._gateway = GraphGateway(world, tokens, router, Batch(world, router, self))
        world.observers.append(self._changes)
        self.start = self._deliveries.start
        self.stop = self._deliveries.stop
        self.idle = self._deliveries.idle
        self.deliveries = self._deliveries.log

    def respond(self, request: Request) -> Response:
        """Answer a request, errors included.

        The parts of a `$batch` are left in `request.environ["tenant.parts"]`: method, URL and status of each,
        in the order in which they ran.
        """
        return self._gateway.respond(request)

    def reset(self) -> None:
        """Forget every subscription, notification, page token and hook."""
        with self._world.lock:
            self._store.reset()
            self._pages.reset()
            self._deliveries.reset()
            self.between_parts = self.part_fault = None

    def photo_hint(self, person: Person, times: int = 1, delay: float = 0.0) -> None:
        """Raise `times` notifications that `person` was updated, `delay` seconds from now."""
        with self._world.lock:
            for _ in range(times):
                self._changes.tell(person, "updated", delay)

    def subscriptions(self) -> list[Json]:
        """Return the subscriptions in force, each with its `clientState`, oldest first."""
        with self._world.lock:
            return [each.as_json(secret=True) for each in self._store.living()]

    def lose(self, subscription_id: str) -> None:
        """Lose a subscription silently; for a while no other can be created.

        Raises:
            KeyError: no subscription has that id.
        """
        with self._world.lock:
            self._store.lose(subscription_id)

    def reauthorize(self, subscription_id: str) -> None:
        """Send a `reauthorizationRequired` event.

        Raises:
            KeyError: no subscription has that id.
        """
        with self._world.lock:
            self._changes.require_reauthorization(subscription_id)

    def notification(self, subscription_id: str, user_id: str, change: str = "updated") -> Json:
        """Return a notification as this subscription would get it, for `deliver`.

        Raises:
            KeyError: no subscription has that id.
        """
        with self._world.lock:
            return change_item(self._world, self._store.find(subscription_id), user_id, change)

    def deliver(self, items: list[Json], url: str | None = None) -> None:
        """Post these items as they are, in one POST, to `url`, else to the oldest subscription's.

        Raises:
            LookupError: no `url` is given, and no subscription exists.
        """
        if url is None:
            with self._world.lock:
                oldest = next(self._store.living(), None)
            if oldest is None:
                raise LookupError("no subscription exists")
            url = oldest.notification_url
        self._deliveries.send_post(url, items)
