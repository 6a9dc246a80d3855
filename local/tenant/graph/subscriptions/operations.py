"""The operations on `/subscriptions`.

learn.microsoft.com/graph/api/resources/subscription and the pages of its methods. Handshakes run outside the
world's lock, as the endpoint may well ask the tenant something before it answers.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from local.tenant.directory.world import World
from local.tenant.graph.pages import TOKEN, Pages
from local.tenant.graph.subscriptions.rules import Terms, Update, read_terms, read_update
from local.tenant.graph.subscriptions.store import Register
from local.tenant.graph.subscriptions.subscription import Subscription, grant_expiry
from local.tenant.graph.webhooks.handshake import shake_hands
from local.tenant.graph.wire import CONTEXT, Answer, Call, Json, Refusal


@dataclass(frozen=True, slots=True)
class Webhooks:
    """How webhooks are reached: plain http too?, seconds for a handshake, a file of authorities to trust."""

    http: bool = False
    patience: float = 10.0
    ca: str | None = None


class Subscriptions:
    """What an application may do with its subscriptions."""

    def __init__(self, world: World, register: Register, pages: Pages, webhooks: Webhooks) -> None:
        self._world = world
        self._register = register
        self._pages = pages
        self._webhooks = webhooks

    def create(self, call: Call) -> Answer:
        """Create a subscription once its endpoint has proved itself."""
        call.allow()
        knobs = self._world.knobs
        terms = read_terms(call.json(), http=self._webhooks.http, created_in_list=knobs.created_in_list)
        with self._world.lock:
            self._register.admit(self._draft(call, terms))
        # learn.microsoft.com/graph/change-notifications-with-resource-data: one URL for both is asked twice.
        for url in filter(None, (terms.notification_url, terms.lifecycle_url)):
            self._validate(url, call)
        with self._world.lock:
            subscription = self._draft(call, terms)
            # Once more: another creation may have come first during the handshake.
            self._register.admit(subscription)
            self._register.add(subscription)
            return Answer(201, _entity(subscription, secret=True))

    def page(self, call: Call) -> Answer:
        """Answer a page of the caller's subscriptions."""
        # learn.microsoft.com/graph/api/subscription-list: no OData parameters; the page size is unpublished.
        call.allow(TOKEN)
        size = self._world.knobs.subscriptions_per_page
        with self._world.lock:
            start = self._pages.position("subscriptions", call.query)
            mine = self._register.owned(call.claims.application)
            body: Json = {"@odata.context": f"{CONTEXT}subscriptions"}
            if len(mine) > start + size:
                body["@odata.nextLink"] = self._pages.link("subscriptions", call.query, start + size)
            body["value"] = [each.as_json(secret=False) for each in islice(mine, start, start + size)]
        return Answer(200, body)

    def get(self, call: Call, subscription: str) -> Answer:
        """Answer one subscription, without its `clientState`."""
        call.allow()
        with self._world.lock:
            return Answer(200, _entity(self._mine(call, subscription), secret=False))

    def update(self, call: Call, subscription: str) -> Answer:
        """Renew a subscription or send its notifications elsewhere; a knob says what is validated again."""
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
            return Answer(200, _entity(kept, secret=False))

    def delete(self, call: Call, subscription: str) -> Answer:
        """End a subscription."""
        call.allow()
        with self._world.lock:
            self._register.remove(self._mine(call, subscription))
        return Answer(204)

    def reauthorize(self, call: Call, subscription: str) -> Answer:
        """Take the answer to a `reauthorizationRequired` that does not renew."""
        call.allow()
        with self._world.lock:
            self._note_contact(self._mine(call, subscription), "reauthorized")
        return Answer(204)

    def _mine(self, call: Call, subscription: str) -> Subscription:
        """Return the caller's subscription; gone, expired, lost and another's are all 404."""
        for each in self._register.owned(call.claims.application):
            if each.id == subscription.lower():
                return each
        raise Refusal(404, "ResourceNotFound", "The object was not found.")

    def _draft(self, call: Call, terms: Terms) -> Subscription:
        return Subscription(
            id=str(uuid.uuid4()),
            application=call.claims.application,
            creator=self._world.service_principal_id,
            terms=terms,
            notification_url=terms.notification_url,
            expires=grant_expiry(self._world, terms.expires),
        )

    def _to_validate(self, subscription: Subscription, update: Update) -> Iterator[str]:
        """Yield the URLs whose handshake this update needs. The documents never say; both were seen."""
        url, knob = update.notification_url, self._world.knobs.validate_on_patch
        if knob == "always":
            yield from filter(None, (url or subscription.notification_url, subscription.terms.lifecycle_url))
        elif knob == "url-change" and url and url != subscription.notification_url:
            yield url

    def _validate(self, url: str, call: Call) -> None:
        shake_hands(url, call.trace.request, patience=self._webhooks.patience, ca=self._webhooks.ca)

    def _note_contact(self, subscription: Subscription, kind: str) -> None:
        mute = self._world.knobs.reauthorize_clash == "mute"
        subscription.note_contact(kind, self._world.clock.now(), mute=mute)


def _entity(subscription: Subscription, *, secret: bool) -> Json:
    return {"@odata.context": f"{CONTEXT}subscriptions/$entity", **subscription.as_json(secret=secret)}
