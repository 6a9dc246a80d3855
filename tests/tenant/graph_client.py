"""A tenant's Graph without sockets, and a webhook with one, for the tests of the emulated Graph."""

import io
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from PIL import Image
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Request

from local.tenant.directory.world import Person, Photo, World
from local.tenant.entra.tokens import Tokens
from local.tenant.graph.face import Graph
from local.tenant.graph.webhooks.deliveries import WebhookTiming
from local.tenant.graph.webhooks.notifications import NotificationPost
from local.tenant.graph.wire import write_time

ORIGIN = "https://graph.microsoft.com"
USER_READ = ("User.Read.All",)
SHORT_TIMING = WebhookTiming(handshake=0.2, first=0.2, retry=0.2)  # for answers that are meant to be late
SOON = 10.0  # seconds: the deadline of everything that happens by itself


@cache
def jpeg(edge: int = 504, colour: str = "steelblue") -> bytes:
    """A square picture of one colour."""
    out = io.BytesIO()
    Image.new("RGB", (edge, edge), colour).save(out, "JPEG")
    return out.getvalue()


class GraphClient:
    """One tenant, and an application that asks its Graph things."""

    def __init__(self, *, allow_http: bool = True, timing: WebhookTiming | None = None) -> None:
        self.world = World()
        self.tokens = Tokens(self.world)
        self.service = Graph(self.world, self.tokens, allow_http_webhook=allow_http, timing=timing)
        self._client = Client(Request.application(self.service.respond))

    def __enter__(self) -> Self:
        self.service.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.service.stop()

    def clear(self) -> Self:
        self.world.reset()
        self.service.reset()
        return self

    def person(self, upn: str = "ada@contoso.com", **facts: Any) -> Person:
        name = facts.pop("name", "Ada Lovelace")
        return self.world.add(Person(self.world.new_id(), upn, name, **facts))

    def photo(self, edge: int = 504, colour: str = "steelblue") -> Photo:
        return Photo(jpeg(edge, colour), self.world.new_etag(), edge, edge)

    def call(self, method, path, body=None, *, roles=USER_READ, token=None, version="/v1.0", **headers):
        """Send a request; `path` follows the version. `token` replaces the one with `roles`."""
        bearer = self.tokens.issue(ORIGIN, roles) if token is None else token
        sent = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = {"data": body} if isinstance(body, bytes) or body is None else {"json": body}
        return self._client.open(f"{version}{path}", method=method, base_url=ORIGIN, headers=sent, **content)

    def get(self, path: str, **how: Any) -> TestResponse:
        return self.call("GET", path, **how)

    def follow(self, link: str) -> TestResponse:
        """Get the page that an `@odata.nextLink` names."""
        assert link.startswith(f"{ORIGIN}/v1.0/")
        return self.get(link.removeprefix(f"{ORIGIN}/v1.0"))

    def in_minutes(self, minutes: float) -> str:
        return write_time(self.world.clock.now() + timedelta(minutes=minutes))

    def creation(self, url: str, **changes: Any) -> dict[str, Any]:
        """The body of a creation; a value `...` leaves the property out."""
        body = {
            "changeType": "updated,deleted",
            "notificationUrl": url,
            "resource": "users",
            "expirationDateTime": self.in_minutes(1440),
            "clientState": "a secret",
        }
        return {name: value for name, value in (body | changes).items() if value is not ...}

    def subscribe(self, webhook: "Webhook", **changes: Any) -> dict[str, Any]:
        """Create a subscription whose notifications go to `webhook`; return the answer's body."""
        created = self.call("POST", "/subscriptions", self.creation(webhook.url, **changes))
        assert created.status_code == 201, created.text
        return created.get_json()

    def batch(self, *requests: dict[str, Any], **how: Any) -> TestResponse:
        return self.call("POST", "/$batch", {"requests": list(requests)}, **how)

    def posts(self) -> list[NotificationPost]:
        """Every POST, after nothing is left to deliver."""
        self.service.idle(SOON)
        return self.service.deliveries()

    def posts_when(self, ready: Callable[[list[NotificationPost]], bool]) -> list[NotificationPost]:
        """Every POST, as soon as `ready` returns true for them."""
        return wait_for(self.service.deliveries, ready)


def refusal(answer: TestResponse) -> tuple[int, str]:
    """The status and the code of a refusal."""
    return answer.status_code, answer.get_json()["error"]["code"]


def wait_for[Seen](look: Callable[[], Seen], ready: Callable[[Seen], bool]) -> Seen:
    """The result of `look` as soon as `ready` returns true for it."""
    deadline = time.monotonic() + SOON
    never = threading.Event()
    while not ready(seen := look()):
        assert time.monotonic() < deadline, f"still {seen}"
        never.wait(0.005)
    return seen


@dataclass
class Received:
    """A request as the webhook received it, with the target exactly as in the request line."""

    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def token(self) -> str | None:
        return parse_qs(urlsplit(self.target).query).get("validationToken", [None])[0]

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class Reply:
    """What the webhook answers; a `held` one only when the webhook is released.

    A `trickle` is the seconds it waits before the headers, and again before the body.
    """

    status: int = 202
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    held: bool = False
    trickle: float = 0.0


def echo(received: Received) -> Reply:
    """The right answer to a handshake."""
    return Reply(200, (received.token or "").encode(), {"Content-Type": "text/plain; charset=utf-8"})


class Webhook:
    """An application's webhook on 127.0.0.1.

    `handshake` and `notified` make its answers; both may be replaced at any time. `released` sends the
    held answers. With `tls` it uses https.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.handshake: Callable[[Received], Reply] = echo
        self.notified: Callable[[Received], Reply] = lambda _: Reply()
        self.received: list[Received] = []
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/api/notifications"

    @property
    def handshakes(self) -> list[Received]:
        return [received for received in self.received if received.token is not None]

    @property
    def items(self) -> list[dict[str, Any]]:
        """Every notification received, in order."""
        notified = [received.json["value"] for received in self.received if received.token is None]
        return [item for items in notified for item in items]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else headers and body, written apart, cost 40 ms an answer

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                received = Received(self.path, dict(self.headers), body)
                webhook.received.append(received)
                reply = webhook.notified(received) if received.token is None else webhook.handshake(received)
                if reply.held:
                    webhook.released.wait(SOON)
                try:
                    self._send(reply)
                except OSError:
                    self.close_connection = True  # Graph had no early_returns left

            def _send(self, reply: Reply) -> None:
                webhook.released.wait(reply.trickle)
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                webhook.released.wait(reply.trickle)
                self.wfile.write(reply.body)

            log_message = lambda *_: None  # noqa: E731 - log nothing

        return Handler
