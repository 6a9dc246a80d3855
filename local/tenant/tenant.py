"""One tenant, put together and running: the only place that builds its parts."""

import secrets
import threading
from http import HTTPStatus
from typing import Any, Self

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request, Response

from local.net.connections import Connection
from local.net.listener import Listener, reserve
from local.tenant.admin.entra import EntraCalls
from local.tenant.admin.face import AdminFace
from local.tenant.admin.people import PeopleCalls
from local.tenant.admin.traffic import TrafficCalls
from local.tenant.directory import people
from local.tenant.directory.exchange import Exchange
from local.tenant.directory.world import World
from local.tenant.dispatch import Dispatch, Face
from local.tenant.entra import identity
from local.tenant.entra.face import HOST, Entra, Permissions, Resources
from local.tenant.entra.identity import ManagedIdentity
from local.tenant.entra.tokens import Tokens
from local.tenant.graph.face import Graph
from local.tenant.net.certificates import Certificates
from local.tenant.net.proxy import Proxy
from local.tenant.net.wire import adapt
from local.tenant.sharepoint.service import SharePoint
from local.tenant.traffic.early_returns import EarlyReturns
from local.tenant.traffic.faults import Faults
from local.tenant.traffic.history import History
from local.tenant.traffic.quota import Limits, Quota
from local.tenant.traffic.throttle import Throttle, name_part

GRAPH = "graph.microsoft.com"
NAMES = (HOST, GRAPH, "*.sharepoint.com")  # the wildcard: a geo may come while the tenant runs


class Tenant:
    """An emulated Microsoft 365 tenant; running while the `with` block lasts.

    `port` is the proxy's (0: any free one). `allow_http_webhook` lets a subscription name an http URL;
    `pass_through` passes on what the tenant does not play. `people` are there from the start, with photos.

    `proxy_url` belongs into `HTTPS_PROXY`, the file `ca` into `REQUESTS_CA_BUNDLE`. `host_certificate` is
    certificate and key with which the Functions host can use TLS on this machine.

    Raises:
        OSError, OverflowError: the port is not available.
        ValueError: the organisation is not valid in a host name.
    """

    def __init__(
        self,
        *,
        organisation: str = "contoso",
        seed: int = 0,
        port: int = 0,
        people: int = 0,
        allow_http_webhook: bool = False,
        pass_through: bool = False,
    ) -> None:
        self._ended = threading.Event()
        self._people = people
        self.world = World(organisation=organisation, seed=seed)
        sock = reserve(port)  # this may fail, so it precedes what must be cleaned up
        self.certificates = Certificates(NAMES, public_roots=pass_through)
        self.ca, self.host_certificate = self.certificates.bundle, self.certificates.host_certificate
        self.tokens = Tokens(self.world)
        self.history = History()
        self.early_returns = EarlyReturns(lambda: self.world.clock.now().timestamp())
        self.quota = Quota(self.world)
        self.faults = Faults(self.world, self._ended.wait)
        self._build_services(allow_http_webhook)
        self._client_state_secret = secrets.token_urlsafe(32)
        self._throttle = Throttle(self.world, self.quota, self.early_returns)
        self._dispatch = Dispatch(self._route, self.history, self.faults, self.early_returns, self._throttle)
        self._proxy = Proxy(
            self._dispatch.respond,
            self.plays,
            self.certificates.server_context(),
            sock=sock,
            pass_through=pass_through,
            refused=self._dispatch.refused,
        )
        self.proxy_address = self._proxy.listener.address
        self.proxy_url = f"http://127.0.0.1:{self.proxy_address[1]}"
        self._admin = self._build_admin()
        self._admin_listener = Listener(self._serve_plainly)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Add the people and answer requests."""
        self._populate()
        self.graph.start()
        self._proxy.listener.start()
        self._admin_listener.start()

    def stop(self) -> None:
        """Finish what is being answered, then close every port and delete every file."""
        self._ended.set()  # wakes the requests that a fault delays
        self._admin_listener.stop()
        self._proxy.listener.stop()
        self.graph.stop()
        self.certificates.remove()

    def reset(self) -> None:
        """Return to the state after the start; ports, certificates, ids and secrets stay."""
        self.faults.arm([])
        self.early_returns.clear()
        self.permissions.reset()
        self.identity.reset()
        self.world.reset()
        self.quota.limit(Limits())
        self.exchange.reset()
        self.graph.reset()
        self.graph.part_fault = self._meet_part
        self.sharepoint.reset()
        self.history.clear()
        self._populate()

    def respond(self, request: Request) -> Response:
        """Answer a request that did not come over a connection; `Hangup`: a fault cuts the connection."""
        return self._dispatch.respond(request)

    def plays(self, name: str) -> bool:
        """Whether the tenant answers for a host name (lower-case, no port)."""
        return name in (HOST, GRAPH) or self.sharepoint.plays(name)

    @property
    def admin_address(self) -> tuple[str, int]:
        """Where the admin face listens."""
        return self._admin_listener.address

    @property
    def admin_url(self) -> str:
        """The base of the admin face."""
        return f"http://127.0.0.1:{self.admin_address[1]}"

    @property
    def settings(self) -> dict[str, str]:
        """The settings of an app that uses this tenant, without its own address and storage."""
        organisation = self.world.organisation
        return {
            "TENANT_ID": self.world.tenant_id,
            "CLIENT_ID": self.world.client_id,
            "CLIENT_CERTIFICATE": self.certificates.client_pem,
            "SHAREPOINT_HOST": f"{organisation}.sharepoint.com",
            "CLIENT_STATE_SECRET": self._client_state_secret,
            "CLOUD": "global",
            "SWEEP_SCHEDULE": "0 0 */6 * * *",
            "RENEWAL_SCHEDULE": "0 17 * * * *",
            "HTTPS_PROXY": self.proxy_url,
            "NO_PROXY": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": str(self.ca),
        }

    @property
    def identity_settings(self) -> dict[str, str]:
        """What the platform sets for a managed identity; with these, leave `CLIENT_CERTIFICATE` out."""
        endpoint = f"{self.admin_url}{identity.PATH}"
        return {"IDENTITY_ENDPOINT": endpoint, "IDENTITY_HEADER": self.identity.header}

    def describe(self) -> dict[str, Any]:
        """Return everything that another process needs to use the tenant, as JSON."""
        certificate, key = self.host_certificate
        return {
            "proxy": self.proxy_url,
            "admin": self.admin_url,
            "ca": str(self.ca),
            "settings": self.settings,
            "managed_identity": self.identity_settings,
            "host_certificate": {"certificate": str(certificate), "key": str(key)},
        }

    def _build_services(self, allow_http_webhook: bool) -> None:
        self.permissions = Permissions()
        self.exchange = Exchange(self.world)
        ca = str(self.certificates.bundle)
        self.graph = Graph(
            self.world,
            self.tokens,
            allow_http_webhook=allow_http_webhook,
            ca=ca,
            permissions=self.permissions,
        )
        self.graph.part_fault = self._meet_part
        self.sharepoint = SharePoint(self.world, self.tokens)
        resources = Resources(self.permissions, self.sharepoint.plays)
        self.entra = Entra(self.world, self.tokens, resources, self.certificates.client)
        self.identity = ManagedIdentity(self.world, self.tokens, resources)

    def _build_admin(self) -> AdminFace:
        return AdminFace(
            self.world,
            PeopleCalls(self.world, self.exchange, self.graph, self.sharepoint),
            self.graph,
            EntraCalls(self.permissions, self.tokens),
            TrafficCalls(self.history, self.faults, self.early_returns, self.quota),
            settings=self.describe,
            reset=self.reset,
        )

    def _populate(self) -> None:
        if self._people:
            people.add_people(self.world, self.exchange, people.NewPeople(count=self._people, photo=True))

    def _meet_part(self, method: str, url: str) -> tuple[int, dict[str, str], Any] | None:
        refused = self._throttle.admit_part(method, url)
        met = refused or self.faults.meet_part(method, url)
        # A 503 of a part concerns one user's mailbox.
        if met and not refused and met[0] == HTTPStatus.TOO_MANY_REQUESTS:
            self.early_returns.note_answer(name_part(url), met[0], Headers(met[1]))
        return met

    def _route(self, request: Request) -> tuple[str, Face] | None:
        host = request.host.partition(":")[0].lower()
        if host == GRAPH:
            return "graph", self.graph
        if host == HOST:
            return "entra", self.entra
        if self.sharepoint.plays(host):
            return self.sharepoint.service(request), self.sharepoint
        return ("identity", self.identity) if request.path == identity.PATH else None

    def _serve_plainly(self, connection: Connection) -> None:
        connection.converse(adapt(self._respond_plainly, self.admin_address[1]), "http")

    def _respond_plainly(self, request: Request) -> Response:
        face = self._dispatch if request.path == identity.PATH else self._admin
        return face.respond(request)
