"""Unit tests that need state ask for a `world`; see `tests/world`."""

from tests.world.fixtures import new_world, running_tenant, tenant, world

__all__ = ["new_world", "running_tenant", "tenant", "world"]
