"""Unit tests that need state ask for a `world`; see `tests/world`. It has no sockets."""

from collections.abc import Callable, Iterator

import pytest

from local.tenant.tenant import Tenant
from tests.world.fixtures import running_tenant, tenant
from tests.world.wire import Reply, Wire
from tests.world.world import World

__all__ = ["running_tenant", "tenant"]


@pytest.fixture
def new_world(tenant: Tenant) -> Callable[..., World]:
    """`new_world(**settings)`: a world for an app with these settings."""

    def make(*, direct: bool = True, **settings: str) -> World:
        return World(tenant, direct=direct, **settings)

    return make


@pytest.fixture
def world(tenant: Tenant) -> World:
    return World(tenant, direct=True)


@pytest.fixture
def known(world: World) -> str:
    """A user whose photo SharePoint shows, who then changed it."""
    user = world.add()
    world.ask(user)
    world.drain()
    world.change_photo(user)
    world.tenant.history.clear()
    return user


@pytest.fixture
def serve() -> Iterator[Callable[..., Wire]]:
    """Start servers on loopback that give these replies, one a request, the last one for ever."""
    wires: list[Wire] = []

    def start(*replies: Reply) -> Wire:
        wires.append(Wire(*replies).__enter__())
        return wires[-1]

    yield start
    for wire in wires:
        wire.__exit__(None, None, None)
