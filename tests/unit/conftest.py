"""Unit tests that need state ask for a `world`; see `tests/world`."""

import pytest

from tests.world.fixtures import new_world, running_tenant, tenant, world
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
