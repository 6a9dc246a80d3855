"""Where a user's thumbnails and profile are in SharePoint: from the ledger, or from SharePoint itself.

The folder's name is localised, several may coexist, and a tenant may have several geos, each with its own
hosts. A profile is written only after SharePoint confirmed that it belongs to this user.
"""

import re
from dataclasses import dataclass

from shared.attempt import Attempt
from shared.errors import FILES, PROFILES
from shared.ledger.row import Row
from shared.rest.gates import gate_of
from shared.settings import Settings
from shared.sharepoint.client import LIBRARY, Profile, SharePoint, account_of
from shared.users import User


@dataclass(frozen=True, slots=True)
class Target:
    """Where to write. `fresh`: just read from SharePoint; `remark`: a note for the outcome."""

    my_host: str
    admin_host: str
    folder: str
    fresh: bool = False
    remark: str = ""


@dataclass(frozen=True, slots=True)
class NotYet:
    """Nothing may be written for this user now; the next sweep or change tries again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Targets:
    """Finds targets."""

    sharepoint: SharePoint
    settings: Settings

    @property
    def home(self) -> str:
        """The SHAREPOINT_HOST under which targets are found now."""
        return self.settings.sharepoint_host

    def known(self, row: Row) -> bool:
        """Return whether a row has a target.

        A row of another SHAREPOINT_HOST counts as new: its hosts may not exist, or be another tenant's.
        """
        return bool(row.folder) and row.home == self.home

    def gates(self, row: Row) -> tuple[str, ...]:
        """Return the gates in front of a user's SharePoint; of a new user's, those of the central location.

        That knows the user's geo, and most users are there.
        """
        my_host, admin = row.geo, self._admin_of(row.geo) if self.known(row) else None
        if admin is None:
            admin = self.settings.admin_host
            my_host = admin.replace("-admin.", "-my.", 1)
        return gate_of(FILES, my_host), gate_of(PROFILES, admin)

    def find(self, user: User, row: Row, attempt: Attempt) -> Target | NotYet:
        """Return a known user's target from the row; look up a new or renamed user in SharePoint."""
        if self.known(row) and row.upn.lower() == user.upn.lower() and (admin := self._admin_of(row.geo)):
            return Target(row.geo, admin, row.folder)
        return self.discover(user, attempt)

    def discover(self, user: User, attempt: Attempt) -> Target | NotYet:
        """Return the target from the user's profile and folders in SharePoint: two requests."""
        profile = self.sharepoint.profile(self.settings.admin_host, user.upn, attempt)
        if profile is None:
            return NotYet("SharePoint has no profile of this user yet")
        if profile.object_id and profile.object_id != user.id:
            # A reused or exchanged UPN: this profile is another user's until SharePoint is updated.
            return NotYet("the profile under this UPN is another person's")
        if not profile.object_id and profile.account.lower() != account_of(user.upn):
            return NotYet("the profile's account is another")
        admin_host = self._admin_of(profile.my_host)
        if admin_host is None:
            return NotYet("the profile's My Site host is not of this tenant's cloud")
        folder = self._choose(self.sharepoint.folders(profile.my_host, attempt), profile)
        if isinstance(folder, NotYet):
            return folder
        remark = "" if profile.object_id else "identity unconfirmed"
        return Target(profile.my_host, admin_host, folder, fresh=True, remark=remark)

    def _choose(self, folders: list[str], profile: Profile) -> str | NotYet:
        """Return the folder that holds the current picture, else the only one, else the configured one."""
        by_name = {folder.lower(): folder for folder in folders}
        current = by_name.get(profile.picture_path.rpartition("/")[0].lower())
        only = folders[0] if len(folders) == 1 else None
        configured = by_name.get(f"{LIBRARY}/{self.settings.photo_folder}".lower())
        if folder := current or only or configured:
            return folder
        if not folders:
            return NotYet(f"there is no folder in {LIBRARY} yet")
        return NotYet(f"{len(folders)} folders in {LIBRARY}: name the right one in PHOTO_FOLDER")

    def _admin_of(self, my_host: str) -> str | None:
        """Return a geo's admin host, None if the host is not a My Site host: tokens are sent nowhere else."""
        suffix = self.settings.cloud.sharepoint_suffix
        match = re.fullmatch(rf"([a-z0-9][a-z0-9-]*)-my{re.escape(suffix)}", my_host)
        return f"{match[1]}-admin{suffix}" if match else None
