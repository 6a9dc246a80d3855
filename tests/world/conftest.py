"""Stories of hours and days: here a world speaks to its tenant without sockets."""

from collections.abc import Callable

import pytest

from local.tenant.tenant import Tenant
from tests.world.fixtures import running_tenant, tenant
from tests.world.world import World

__all__ = ["new_world", "running_tenant", "tenant", "world"]


@pytest.fixture
def new_world(tenant: Tenant) -> Callable[..., World]:
    """`new_world(**settings)`: a world for an app with these settings."""

    def make(**settings: str) -> World:
        return World(tenant, direct=True, **settings)

    return make


@pytest.fixture
def world(tenant: Tenant) -> World:
    return World(tenant, direct=True)
