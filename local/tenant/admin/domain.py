"""The admin face's calls about SharePoint's domain name: a tenant is renamed, step by step or at once."""

from dataclasses import dataclass, field
from typing import Any

from werkzeug.wrappers import Request

from local.tenant.admin.bodies import AdminRefusal, read
from local.tenant.directory.domain import SITE_KINDS, SiteKind
from local.tenant.directory.world import World

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class DomainChange:
    """The body of `POST /domain`; see `Domain.rename`."""

    name: str
    sites: list[SiteKind] = field(default_factory=lambda: list(SITE_KINDS))
    profiles: bool = True


class DomainCalls:
    """The names of the tenant's hosts as an administrator sees and changes them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def domain(self, _: Request) -> Json:
        """`GET /domain`: every name that has hosts, the one in profiles, and the kinds that redirect."""
        with self._world.lock:
            it = self._world.domain
            moved = {name: [kind for kind in SITE_KINDS if it.redirects(name, kind)] for name in it.names}
            return {"names": list(it.names), "written": it.written, "redirecting": moved}

    def rename(self, request: Request) -> Json:
        """`POST /domain`: begin or continue a rename."""
        change = read(DomainChange, request.get_json(force=True))
        try:
            with self._world.lock:
                self._world.domain.rename(change.name, tuple(change.sites), profiles=change.profiles)
        except ValueError as error:
            raise AdminRefusal(str(error)) from error
        return self.domain(request)
