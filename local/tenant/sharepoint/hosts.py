"""The host names of SharePoint Online: three for each geo location of the tenant.

Names by convention: `contoso`, `contoso-my`, `contoso-admin`, and for the geo `eur` `contosoeur`,
`contosoeur-my`, `contosoeur-admin`, all under `.sharepoint.com`
(learn.microsoft.com/sharepoint/dev/solution-guidance/multigeo-introduction).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from local.tenant.directory.domain import Domain, SiteKind

_SUFFIXES: dict[SiteKind, str] = {"root": "", "my": "-my", "admin": "-admin"}


@dataclass(frozen=True, slots=True)
class Site:
    """One host, lower-case, no port: the tenant's name in it, its kind, its geo ("": the central one)."""

    name: str
    kind: SiteKind
    geo: str
    host: str

    @property
    def origin(self) -> str:
        """The host as a token's audience names it."""
        return f"https://{self.host}"


def name_host(organisation: str, geo: str, kind: SiteKind) -> str:
    """Return the host name of a kind of site in a geo."""
    return f"{organisation}{geo}{_SUFFIXES[kind]}.sharepoint.com".lower()


def name_geo(host: str, domain: Domain) -> str:
    """Return the geo that a host name (any case, any port) belongs to, for any host of SharePoint's."""
    label = host.partition(".")[0].lower().removesuffix("-my").removesuffix("-admin")
    return label.removeprefix(
        max((name for name in domain.names if label.startswith(name)), key=len, default="")
    )


def find_site(host: str, domain: Domain, geos: Iterable[str]) -> Site | None:
    """Return the site of a `Host` header (any case, any port), None if the tenant has no such host."""
    wanted = host.partition(":")[0].lower()
    for name, geo, kind in product(domain.names, geos, _SUFFIXES):
        if name_host(name, geo, kind) == wanted:
            return Site(name, kind, geo, wanted)
    return None
