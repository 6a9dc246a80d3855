"""The host names of SharePoint Online: three for each geo location of the tenant.

Names by convention: `contoso`, `contoso-my`, `contoso-admin`, and for the geo `eur` `contosoeur`,
`contosoeur-my`, `contosoeur-admin`, all under `.sharepoint.com`
(learn.microsoft.com/sharepoint/dev/solution-guidance/multigeo-introduction).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

SiteKind = Literal["root", "my", "admin"]

_SUFFIXES: dict[SiteKind, str] = {"root": "", "my": "-my", "admin": "-admin"}


@dataclass(frozen=True, slots=True)
class Site:
    """One host: its kind, its geo ("" for the central location) and its name, lower-case, no port."""

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


def name_geo(host: str, organisation: str) -> str:
    """Return the geo that a host name (any case, any port) belongs to, for any host of SharePoint's."""
    label = host.partition(".")[0].lower()
    return label.removesuffix("-my").removesuffix("-admin").removeprefix(organisation)


def find_site(host: str, organisation: str, geos: Iterable[str]) -> Site | None:
    """Return the site of a `Host` header (any case, any port), None if the tenant has no such host."""
    wanted = host.partition(":")[0].lower()
    for geo in geos:
        for kind in _SUFFIXES:
            if name_host(organisation, geo, kind) == wanted:
                return Site(kind, geo, wanted)
    return None
