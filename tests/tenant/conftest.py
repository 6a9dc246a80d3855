"""One running tenant for all tests of it, fresh for each, and two ways to talk to it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal
from urllib.parse import urlsplit

import pytest
import requests

from local.tenant.admin.client import TenantClient
from local.tenant.tenant import Tenant
from tests.tenant.graph_client import GraphClient, Webhook
from tests.tenant.sharepoint_client import SharePointClient

Call = Callable[..., requests.Response]


@pytest.fixture(scope="session")
def running_tenant() -> Iterator[Tenant]:
    with Tenant() as tenant:
        yield tenant


@pytest.fixture
def tenant(running_tenant: Tenant) -> Tenant:
    """The tenant, as after a start: no people, no faults, every knob at its default."""
    running_tenant.reset()
    return running_tenant


@pytest.fixture
def admin(tenant: Tenant) -> Iterator[TenantClient]:
    with TenantClient(tenant.admin_url) as client:
        yield client


@pytest.fixture
def session(tenant: Tenant) -> Iterator[requests.Session]:
    """A session whose every request goes through the tenant's proxy and trusts its authority."""
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"https": tenant.proxy_url}
        session.verify = str(tenant.ca)
        yield session


@pytest.fixture
def call(tenant: Tenant, session: requests.Session) -> Call:
    """`call(method, url, roles=…, appidacr=…, **how)`: a request with a token for the URL's own host.

    `roles` are the token's; left out, those granted for that service. `token` sends another token, `""` none.
    """

    def send(
        method: str,
        url: str,
        *,
        roles: Iterable[str] | None = None,
        appidacr: Literal["1", "2"] = "2",
        token: str | None = None,
        **how: object,
    ) -> requests.Response:
        host = urlsplit(url).hostname
        if roles is None:
            roles = tenant.permissions.roles("graph" if host == "graph.microsoft.com" else "sharepoint")
        if token is None:
            token = tenant.tokens.issue(f"https://{host}", roles, appidacr=appidacr)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= how.pop("headers", {})
        return session.request(method, url, headers=headers, timeout=30, **how)

    return send


@pytest.fixture(scope="session")
def running_graph() -> Iterator[GraphClient]:
    with GraphClient() as graph:
        yield graph


@pytest.fixture
def graph(running_graph: GraphClient) -> GraphClient:
    """A Graph without sockets that delivers notifications, fresh for each test."""
    return running_graph.clear()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as webhook:
        yield webhook


@pytest.fixture(scope="session")
def shared_sharepoint() -> SharePointClient:
    return SharePointClient()


@pytest.fixture
def sharepoint(shared_sharepoint: SharePointClient) -> SharePointClient:
    """A SharePoint without sockets, fresh for each test."""
    shared_sharepoint.clear()
    return shared_sharepoint
