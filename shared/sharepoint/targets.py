"""Where a user's thumbnails and profile are in SharePoint: from the ledger, or from SharePoint itself.

The folder's name is localised, several may coexist, and a tenant may have several geos, each with its own
hosts. A profile is written only after SharePoint confirmed that it belongs to this user.
"""

import re
from dataclasses import dataclass

from shared import logs
from shared.attempt import Attempt
from shared.errors import FILES, PROFILES, Moved
from shared.ledger.row import Row
from shared.rest.gates import gate_of
from shared.rest.problems import Problems
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
    """Nothing may be written for this user now; the next sweep or change tries again.

    `lasting`: what is missing may be missing for ever, and is missing for this user alone.
    """

    reason: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Targets:
    """Finds targets."""

    sharepoint: SharePoint
    settings: Settings
    redirects: Problems  # for the status report

    @property
    def home(self) -> str:
        """The SHAREPOINT_HOST under which targets are found now."""
        return self.settings.sharepoint_host

    def known(self, row: Row) -> bool:
        """Return whether a row has a target, for the name that it has.

        A row of another SHAREPOINT_HOST counts as new: its hosts may not exist, or be another tenant's.
        """
        return bool(row.folder and row.upn and self._admin_of(row.geo)) and row.home == self.home

    def gates(self, row: Row) -> tuple[str, ...]:
        """Return the gates in front of a user's SharePoint; of a new user's, those of the central location.

        That knows the user's geo, and most users are there.
        """
        my_host, admin = row.geo, self._admin_of(row.geo) if self.known(row) else None
        if admin is None:
            admin = self.settings.admin_host
            my_host = admin.replace("-admin.", "-my.", 1)
        return gate_of(FILES, my_host), gate_of(PROFILES, admin)

    def find(self, user: User, row: Row, attempt: Attempt, *, force: bool = False) -> Target | NotYet:
        """Return a known user's target from the row.

        A new or renamed user is looked up in SharePoint; with `force` any user, as if for the first time.
        """
        admin = self._admin_of(row.geo)
        if not force and admin and self.known(row) and row.upn.lower() == user.upn.lower():
            return Target(row.geo, admin, row.folder)
        return self.discover(user, attempt)

    def discover(self, user: User, attempt: Attempt) -> Target | NotYet:
        """Return the target from the user's profile and folders in SharePoint: two requests."""
        try:
            return self._look_up(user, attempt)
        except Moved as error:
            return self.moved(error)

    def moved(self, error: Moved) -> NotYet:
        """Return why nothing can be written where SharePoint redirects, and what ends that.

        Tenants are renamed, and the hosts of the old name redirect for a year:
        learn.microsoft.com/sharepoint/change-your-sharepoint-domain-name
        """
        tenant = self._tenant_of(error.host)
        if tenant == self.home:
            return NotYet(f"SharePoint redirects to {error.host}, which its profiles do not name yet")
        if tenant:
            remedy = f"if the tenant was renamed, set SHAREPOINT_HOST to {tenant}"
            why = f"SharePoint redirects to {error.host}: {remedy}"
        else:
            why = f"SharePoint redirects elsewhere: check that SHAREPOINT_HOST is still {self.home}"
        logs.error("target.moved", service=error.service, reason=why, request_id=error.request_id)
        self.redirects.note(why)
        return NotYet(why)

    def _look_up(self, user: User, attempt: Attempt) -> Target | NotYet:
        profile = self.sharepoint.profile(self.settings.admin_host, user.upn, attempt)
        if profile is None:
            return NotYet("SharePoint has no profile of this user yet", lasting=True)
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

    def _tenant_of(self, host: str) -> str:
        """Return the SHAREPOINT_HOST that belongs to a host of this cloud, "" for any other host."""
        suffix = self.settings.cloud.sharepoint_suffix
        match = re.fullmatch(rf"([a-z0-9][a-z0-9-]*?)(-my|-admin)?{re.escape(suffix)}", host)
        return f"{match[1]}{suffix}" if match else ""
