"""The whole app in memory, in a world without sockets: see `tests.fakes.world`."""

import pytest

from shared.rest.client import HttpClient
from shared.sharepoint.client import SharePoint
from tests.fakes.fixtures import new_world, running_tenant, tenant, world
from tests.fakes.world import Tokens, World

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
def rest(world: World) -> HttpClient:
    return HttpClient(Tokens(world.tenant, world.steps), "NONISV|contoso|PhotoSync/1", world.clock)


@pytest.fixture
def sharepoint(rest: HttpClient) -> SharePoint:
    return SharePoint(rest)
