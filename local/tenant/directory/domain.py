"""The tenant's SharePoint domain name, and the names that it had before.

A tenant can be renamed: SharePoint's sites are renamed one after the other, which takes hours to days, and
the old addresses redirect for a year (learn.microsoft.com/sharepoint/change-your-sharepoint-domain-name).
UPNs and mail addresses stay. The admin host redirects, too
(github.com/Microsoft365DSC/MSCloudLoginAssistant/issues/137).

Not published, so each is a choice of the caller: the status of the redirect, which sites come first, and when
the profiles say so. Stricter than Microsoft: a redirect is answered before the token is looked at.
"""

from typing import Literal

SiteKind = Literal["root", "my", "admin"]
SITE_KINDS: tuple[SiteKind, ...] = ("root", "my", "admin")


class Domain:
    """The names of one tenant: the first label of its hosts, `contoso` of `contoso.sharepoint.com`."""

    def __init__(self, name: str) -> None:
        check_name(name)
        self._first = name
        self.reset()

    def reset(self) -> None:
        """Return to the first name."""
        self.newest = self._first  # where the old hosts redirect to
        self.written = self._first  # what SharePoint writes into profiles and addresses
        self.names = [self._first]  # all have hosts
        self._redirecting: set[tuple[str, SiteKind]] = set()

    def rename(self, name: str, sites: tuple[SiteKind, ...], *, profiles: bool) -> None:
        """Begin or continue a rename: these sites of older names redirect, and profiles name the new hosts.

        ValueError: the name is not valid.
        """
        check_name(name)
        self.names = [*(each for each in self.names if each != name), name]
        self.newest = name
        self.written = name if profiles else self.written
        self._redirecting = {each for each in self._redirecting if each[0] != name}
        self._redirecting |= {(old, kind) for old in self.names[:-1] for kind in sites}

    def redirects(self, name: str, kind: SiteKind) -> bool:
        """Whether the hosts of this kind redirect that have this name."""
        return (name, kind) in self._redirecting


def check_name(name: str) -> None:
    """Raise ValueError unless a name is valid in a host name."""
    if not (name.isascii() and name.isalnum() and name.islower()):
        raise ValueError("an organisation has lower-case letters and digits only")
