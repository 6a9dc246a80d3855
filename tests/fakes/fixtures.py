"""Fixtures for tests that need a world: import them into a `conftest.py`."""

from collections.abc import Callable, Iterator

import pytest

from local.tenant.tenant import Tenant
from tests.fakes.world import World

NETWORK = ("HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE")
OVERRIDES = ("https_proxy", "no_proxy", "ALL_PROXY", "all_proxy", "CURL_CA_BUNDLE")  # these take precedence


@pytest.fixture(scope="session")
def running_tenant() -> Iterator[Tenant]:
    with Tenant() as tenant:
        yield tenant


@pytest.fixture
def tenant(running_tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """A fresh tenant, which is this process's HTTPS proxy until the test ends."""
    running_tenant.reset()
    for name in OVERRIDES:
        monkeypatch.delenv(name, raising=False)
    for name in NETWORK:
        monkeypatch.setenv(name, running_tenant.settings[name])
    return running_tenant


@pytest.fixture
def new_world(tenant: Tenant) -> Callable[..., World]:
    """`new_world(**settings)`: a world without sockets for an app with these settings."""

    def make(*, direct: bool = True, **settings: str) -> World:
        return World(tenant, direct=direct, **settings)

    return make


@pytest.fixture
def world(tenant: Tenant) -> World:
    """A world without sockets."""
    return World(tenant, direct=True)
