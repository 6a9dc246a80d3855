"""Run everything on one machine: storage, the tenant and the Functions host, connected as in production.

The demo, `make up` and the end-to-end tests use it. The app in the host requests Microsoft's real host names;
`HTTPS_PROXY` and one certificate authority direct these requests to the tenant.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

import requests

from local.azurite import Azurite
from local.host.process import HostProcess
from local.tenant.admin.client import TenantClient
from local.tenant.tenant import Tenant

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 60.0  # seconds; a sync by hand waits for every service


class Stage:
    """Storage, tenant and host; they run within the `with` block.

    A running `tenant` or `storage` may be given; else, one is started. `settings` take precedence over the
    tenant's. A received queue message is hidden for `message_lease` seconds. `app` is the directory of the
    app. `forked`: fork hosts from a process that has imported the libraries already.
    """

    def __init__(
        self,
        *,
        tenant: Tenant | None = None,
        storage: Azurite | None = None,
        settings: Mapping[str, str] | None = None,
        message_lease: int | None = None,
        app: Path = ROOT,
        forked: bool = False,
    ) -> None:
        self._exits = ExitStack()
        self._given = (tenant, storage)
        self._settings = dict(settings or {})
        self._message_lease = message_lease
        self._app = app
        self._forked = forked
        self._port = 0
        self.host: HostProcess | None = None

    def __enter__(self) -> Self:
        tenant, storage = self._given
        try:
            self.storage = storage or self._exits.enter_context(Azurite())
            self.tenant = tenant or self._exits.enter_context(Tenant())
            self.people = self._exits.enter_context(TenantClient(self.tenant.admin_url))
            self._web = self._exits.enter_context(requests.Session())
            self._web.trust_env = False  # the proxy is for the app alone
            self._web.verify = str(self.tenant.ca)
            self.start_host()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_host()
        self._exits.close()

    def start_host(self, **settings: str) -> None:
        """Start the Functions host with the app; `settings` take precedence. A restart keeps the address."""
        self.host = HostProcess.start(
            self._app,
            {**self.environment, **settings},
            port=self._port,
            tls=self.tenant.host_certificate,
            message_lease=self._message_lease,
            forked=self._forked,
        )
        self._port = urlsplit(self.url).port or 0

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a host on this stage."""
        storage = {"AzureWebJobsStorage": self.storage.connection_string}
        return {**self.tenant.settings, **storage, **self._settings}

    def stop_host(self) -> None:
        """Drain and stop the host."""
        if self.host is not None:
            self.host.stop()
            self.host = None

    @property
    def url(self) -> str:
        """The base address of the app."""
        return self._running.url

    @property
    def key(self) -> str:
        """The host key, for functions that administrators call."""
        return self._running.keys["default"]

    @property
    def log(self) -> str:
        """The host's log so far."""
        return self._running.log

    @property
    def _running(self) -> HostProcess:
        if self.host is None:
            raise RuntimeError("the host is not running")
        return self.host

    def call(self, method: str, path: str, *, key: str | None = None, **how: Any) -> requests.Response:
        """Call one of the app's HTTP functions with the host key, or with another."""
        headers = {"x-functions-key": self.key if key is None else key, **how.pop("headers", {})}
        return self._web.request(method, f"{self.url}/api/{path}", headers=headers, timeout=TIMEOUT, **how)

    def sync(self, user: str, **query: str) -> requests.Response:
        """Sync one user manually."""
        return self.call("POST", f"users/{quote(user, safe='')}/sync", params=query)

    def subscribe(self, **query: str) -> requests.Response:
        """Create or renew the subscription now."""
        return self.call("POST", "subscription", params=query)

    def fire(self, function: str, body: str = "{}") -> None:
        """Run a timer function manually, as the portal does."""
        response = self._web.post(
            f"{self.url}/admin/functions/{function}",
            data=body,
            headers={"x-functions-key": self._running.keys["master"], "Content-Type": "application/json"},
            timeout=TIMEOUT,
        )
        response.raise_for_status()
