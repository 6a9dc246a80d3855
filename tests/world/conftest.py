"""The world's own tests use the fixtures that it offers to others."""

from tests.world.fixtures import new_world, running_tenant, tenant, world

__all__ = ["new_world", "running_tenant", "tenant", "world"]
