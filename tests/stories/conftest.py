"""Stories of hours and days, in a world without sockets: see `tests.fakes.world`."""

from tests.fakes.fixtures import new_world, running_tenant, tenant, world

__all__ = ["new_world", "running_tenant", "tenant", "world"]
