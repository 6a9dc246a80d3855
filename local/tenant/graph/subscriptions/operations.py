"""The operations on `/subscriptions`.

learn.microsoft.com/graph/api/resources/subscription and the pages of its methods. Handshakes run outside the
world's lock, as the endpoint may call the tenant before it answers.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from local.tenant.directory.world import World
from local.tenant.graph.pages import TOKEN, Pages
from local.tenant.graph.subscriptions.rules import (
    SubscriptionRequest,
    SubscriptionUpdate,
    read_request,
    read_update,
)
from local.tenant.graph.subscriptions.store import Subscription, SubscriptionStore, grant_expiry
from local.tenant.graph.webhooks.webhook import validate_webhook
from local.tenant.graph.wire import CONTEXT, GraphAnswer, GraphCall, GraphRefusal, Json


@dataclass(frozen=True, slots=True)
class WebhookPolicy:
    """How webhooks are called: plain http or not, seconds for a handshake, a file of authorities to trust."""

    http: bool = False
    timeout: float = 10.0
    ca: str | None = None


class SubscriptionOperations:
    """The operations on an application's subscriptions."""

    def __init__(self, world: World, store: SubscriptionStore, pages: Pages, webhooks: WebhookPolicy) -> None:
        self._world = world
        self._store = store
        self._pages = pages
        self._webhooks = webhooks

    def create(self, call: GraphCall) -> GraphAnswer:
        """Create a subscription after the handshakes with its endpoints."""
        call.allow()
        knobs = self._world.knobs
        request = read_request(call.json(), http=self._webhooks.http, created_in_list=knobs.created_in_list)
        with self._world.lock:
            self._store.admit(self._draft(call, request))
        # learn.microsoft.com/graph/change-notifications-with-resource-data: one URL for both is validated
        # twice.
        for url in filter(None, (request.notification_url, request.lifecycle_url)):
            self._validate(url, call)
        with self._world.lock:
            subscription = self._draft(call, request)
            # Again: another subscription may have been created during the handshake.
            self._store.admit(subscription)
            self._store.add(subscription)
            return GraphAnswer(201, _entity(subscription, secret=True))

    def page(self, call: GraphCall) -> GraphAnswer:
        """Answer a page of the caller's subscriptions."""
        # learn.microsoft.com/graph/api/subscription-list: no OData parameters; the page size is unpublished.
        call.allow(TOKEN)
        size = self._world.knobs.subscriptions_per_page
        with self._world.lock:
            start = self._pages.position("subscriptions", call.query)
            mine = self._store.owned(call.claims.application)
            body: Json = {"@odata.context": f"{CONTEXT}subscriptions"}
            if len(mine) > start + size:
                body["@odata.nextLink"] = self._pages.link("subscriptions", call.query, start + size)
            body["value"] = [each.as_json(secret=False) for each in islice(mine, start, start + size)]
        return GraphAnswer(200, body)

    def update(self, call: GraphCall, subscription: str) -> GraphAnswer:
        """Renew a subscription or change its URL; a knob says what is validated again."""
        call.allow()
        with self._world.lock:
            self._mine(call, subscription)  # 404 comes before any complaint about the body
        update = read_update(call.json(), http=self._webhooks.http)
        with self._world.lock:
            urls = tuple(self._to_validate(self._mine(call, subscription), update))
            if update.expires:
                grant_expiry(self._world, update.expires)
        for url in urls:
            self._validate(url, call)
        with self._world.lock:
            kept = self._mine(call, subscription)
            kept.notification_url = update.notification_url or kept.notification_url
            if update.expires:
                kept.expires = grant_expiry(self._world, update.expires)
                self._note_contact(kept, "renewed")
            return GraphAnswer(200, _entity(kept, secret=False))

    def delete(self, call: GraphCall, subscription: str) -> GraphAnswer:
        """End a subscription."""
        call.allow()
        with self._world.lock:
            self._store.remove(self._mine(call, subscription))
        return GraphAnswer(204)

    def reauthorize(self, call: GraphCall, subscription: str) -> GraphAnswer:
        """Accept the answer to a `reauthorizationRequired` that does not renew."""
        call.allow()
        with self._world.lock:
            self._note_contact(self._mine(call, subscription), "reauthorized")
        return GraphAnswer(204)

    def _mine(self, call: GraphCall, subscription: str) -> Subscription:
        """Return the caller's subscription; deleted, expired, lost and another application's are all 404."""
        for each in self._store.owned(call.claims.application):
            if each.id == subscription.lower():
                return each
        raise GraphRefusal(404, "ResourceNotFound", "The object was not found.")

    def _draft(self, call: GraphCall, request: SubscriptionRequest) -> Subscription:
        return Subscription(
            id=str(uuid.uuid4()),
            application=call.claims.application,
            creator=self._world.service_principal_id,
            request=request,
            notification_url=request.notification_url,
            expires=grant_expiry(self._world, request.expires),
        )

    def _to_validate(self, subscription: Subscription, update: SubscriptionUpdate) -> Iterator[str]:
        """Yield the URLs that this update validates. The documents do not say; both were observed."""
        url, knob = update.notification_url, self._world.knobs.validate_on_patch
        if knob == "always":
            urls = (url or subscription.notification_url, subscription.request.lifecycle_url)
            yield from filter(None, urls)
        elif knob == "url-change" and url and url != subscription.notification_url:
            yield url

    def _validate(self, url: str, call: GraphCall) -> None:
        validate_webhook(url, call.trace.request, timeout=self._webhooks.timeout, ca=self._webhooks.ca)

    def _note_contact(self, subscription: Subscription, kind: str) -> None:
        mute = self._world.knobs.reauthorize_clash == "mute"
        subscription.note_contact(kind, self._world.clock.now(), mute=mute)


def _entity(subscription: Subscription, *, secret: bool) -> Json:
    return {"@odata.context": f"{CONTEXT}subscriptions/$entity", **subscription.as_json(secret=secret)}
