"""The emulated Graph: it checks token and version, then answers, or refuses in Graph's error envelope.

Stricter than the real one where the documents allow: it refuses a query parameter, property or permission
that they do not name. Where the behaviour is not known a knob in `local.tenant.knobs.Knobs` decides.

What it does not play: the beta endpoint, delta queries, groups but for the people in them, writing photos,
service principals but for the roles of one application,
rich notifications, throttling (which `traffic.throttle` does before Graph gets a request), the one-hour life
of the token behind a subscription, and lifecycle events by themselves (the admin face triggers them).
"""

import json
import uuid

from werkzeug.wrappers import Request, Response

from local.tenant.directory.principals import Principals
from local.tenant.directory.world import Person, World
from local.tenant.entra.face import Permissions
from local.tenant.entra.tokens import BadToken, Claims, Tokens
from local.tenant.graph.batch import Batch, BatchHooks
from local.tenant.graph.groups import GroupOperations
from local.tenant.graph.operations import route
from local.tenant.graph.pages import Pages
from local.tenant.graph.photos import PhotoOperations
from local.tenant.graph.principals import PrincipalOperations
from local.tenant.graph.subscriptions.operations import SubscriptionOperations, WebhookPolicy
from local.tenant.graph.subscriptions.store import SubscriptionStore
from local.tenant.graph.users import UserOperations
from local.tenant.graph.webhooks.deliveries import Deliveries, WebhookTiming
from local.tenant.graph.webhooks.notifications import ChangeNotifier, change_item
from local.tenant.graph.wire import (
    JSON,
    ORIGIN,
    GraphAnswer,
    GraphCall,
    GraphRefusal,
    Json,
    Trace,
    envelope,
    read_query,
)

VERSION = "/v1.0"

_BAD_TOKEN = {
    "missing": "Access token is empty.",
    "malformed": "IDX14100: JWT is not well formed, there are no dots (.).",
    "signature": "Access token validation failure. Invalid signature.",
    "expired": "Lifetime validation failed, the token is expired.",
    "audience": "Access token validation failure. Invalid audience.",
}
_CHALLENGE = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
    'client_id="00000003-0000-0000-c000-000000000000"'
)


class Graph(BatchHooks):
    """The emulated Microsoft Graph.

    `allow_http_webhook` lets plain http notification URLs through; `ca` is a file of the authorities that
    webhooks' certificates may come from; `timing` shortens the time that webhooks have for their answers.
    `permissions` are those that assignments of app roles change.
    """

    def __init__(
        self,
        world: World,
        tokens: Tokens,
        *,
        allow_http_webhook: bool = False,
        ca: str | None = None,
        timing: WebhookTiming | None = None,
        permissions: Permissions | None = None,
    ) -> None:
        super().__init__()
        timing = timing or WebhookTiming()
        self._world, self._tokens, self._pages = world, tokens, Pages(world)
        self.principals = Principals(world)
        self._store = SubscriptionStore(world)
        self._deliveries = Deliveries(world, timing, ca)
        self._changes = ChangeNotifier(world, self._store, self._deliveries.send)
        webhooks = WebhookPolicy(allow_http_webhook, timing.handshake, ca)
        self._router = route(
            SubscriptionOperations(world, self._store, self._pages, webhooks),
            UserOperations(world, self._pages),
            PhotoOperations(world),
            GroupOperations(world, self._pages),
            PrincipalOperations(world, self.principals, permissions or Permissions(), self._pages),
        )
        self._batch = Batch(world, self._router, self)
        world.observers.append(self._changes)
        self.start, self.stop, self.idle = (
            self._deliveries.start,
            self._deliveries.stop,
            self._deliveries.idle,
        )
        self.deliveries = self._deliveries.log

    def respond(self, request: Request) -> Response:
        """Answer a request, errors included.

        The parts of a `$batch` are left in `request.environ["tenant.parts"]`: method, URL and status of each,
        in the order in which they ran.
        """
        request_id = str(uuid.uuid4())
        trace = Trace(request_id, request.headers.get("client-request-id", request_id))
        try:
            answer = self._answer(request, trace)
        except GraphRefusal as refusal:
            body = envelope(refusal, self._world.clock.now(), trace)
            answer = GraphAnswer(refusal.status, body, refusal.headers)
        return _respond(answer, trace)

    def reset(self) -> None:
        """Forget every subscription, notification, page token, added service principal and hook."""
        with self._world.lock:
            self.principals.reset()
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
        """Lose a subscription silently; for a while no other can be created. KeyError: unknown id."""
        with self._world.lock:
            self._store.lose(subscription_id)

    def reauthorize(self, subscription_id: str) -> None:
        """Send a `reauthorizationRequired` event. KeyError: unknown id."""
        with self._world.lock:
            self._changes.require_reauthorization(subscription_id)

    def notification(self, subscription_id: str, user_id: str, change: str = "updated") -> Json:
        """Return a notification as this subscription would get it, for `deliver`. KeyError: unknown id."""
        with self._world.lock:
            return change_item(self._world, self._store.find(subscription_id), user_id, change)

    def deliver(self, items: list[Json], url: str | None = None) -> None:
        """Post these items as they are, in one POST, to `url`, else to the oldest subscription's."""
        with self._world.lock:
            url = url or next(self._store.living()).notification_url
        self._deliveries.send_post(url, items)

    def _answer(self, request: Request, trace: Trace) -> GraphAnswer:
        claims = self._admit(request)
        version, path = request.path[: len(VERSION)], request.path[len(VERSION) :]
        if version.lower() != VERSION or not path.startswith("/"):
            raise GraphRefusal(400, "BadRequest", "Invalid version")
        call = GraphCall(
            method=request.method,
            path=path,
            query=read_query(request.query_string.decode("latin-1")),
            body=request.get_data(),
            content_type=request.headers.get("Content-Type", ""),
            consistency=request.headers.get("ConsistencyLevel", ""),
            claims=claims,
            trace=trace,
        )
        if (call.method, call.path.lower()) == ("POST", "/$batch"):
            answer, request.environ["tenant.parts"] = self._batch.run(call)
            return answer
        return self._router.answer(call)

    def _admit(self, request: Request) -> Claims:
        try:
            return self._tokens.check(request.headers.get("Authorization"), ORIGIN)
        except BadToken as error:
            text, headers = _BAD_TOKEN[error.reason], {"WWW-Authenticate": _CHALLENGE}
            raise GraphRefusal(401, "InvalidAuthenticationToken", text, headers) from error


def _respond(answer: GraphAnswer, trace: Trace) -> Response:
    ids = {"request-id": trace.request, "client-request-id": trace.client}
    headers = {**ids, "Cache-Control": "no-cache", **answer.headers}
    if answer.body is None or isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, headers)
    headers["OData-Version"] = "4.0"
    return Response(json.dumps(answer.body), answer.status, headers, content_type=JSON)
