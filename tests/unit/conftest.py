"""Unit tests that need state ask for a `world`; see `tests/world`."""

from collections.abc import Callable, Iterator

import pytest

from tests.world.fixtures import new_world, running_tenant, tenant, world
from tests.world.wire import Reply, Wire
from tests.world.world import World

__all__ = ["new_world", "running_tenant", "tenant", "world"]


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
