"""The service principals of the directory: two resources with app roles, the application, and others by name.

learn.microsoft.com/graph/api/resources/serviceprincipal and learn.microsoft.com/graph/api/resources/approle.
The ids of roles differ from tenant to tenant of this emulation, so a client has to look them up by `value`.
Each resource also has roles of the same values that an application cannot hold: some are disabled, others are
for users.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from local.tenant.directory.world import World

type ResourceName = Literal["graph", "sharepoint"]

# The same in every tenant:
# learn.microsoft.com/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in
APP_IDS: Mapping[ResourceName, str] = {
    "graph": "00000003-0000-0000-c000-000000000000",
    "sharepoint": "00000003-0000-0ff1-ce00-000000000000",
}
NAMES: Mapping[ResourceName, str] = {"graph": "Microsoft Graph", "sharepoint": "Office 365 SharePoint Online"}
# Some of learn.microsoft.com/graph/permissions-reference, and of SharePoint's.
ROLES: Mapping[ResourceName, tuple[str, ...]] = {
    "graph": (
        "Application.Read.All",
        "AppRoleAssignment.ReadWrite.All",
        "Directory.Read.All",
        "GroupMember.Read.All",
        "GroupMember.ReadBasic.All",
        "ProfilePhoto.Read.All",
        "User.Read.All",
        "User.ReadBasic.All",
    ),
    "sharepoint": (
        "Lists.SelectedOperations.Selected",
        "Sites.FullControl.All",
        "Sites.ReadWrite.All",
        "Sites.Selected",
        "User.Read.All",
        "User.ReadWrite.All",
    ),
}


@dataclass(frozen=True, slots=True)
class ServicePrincipal:
    """A service principal. `resource` is "" if it has no app roles; `roles` are ids by value."""

    id: str
    app_id: str
    name: str
    resource: ResourceName | Literal[""] = ""
    roles: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as Graph shows it, with the app roles."""
        decoys = [
            each
            for value in self.roles
            for each in (
                _show_role(str(uuid.uuid5(uuid.UUID(self.id), f"user {value}")), value, members="User"),
                _show_role(str(uuid.uuid5(uuid.UUID(self.id), f"old {value}")), value, enabled=False),
            )
        ]
        return {
            "id": self.id,
            "appId": self.app_id,
            "displayName": self.name,
            "servicePrincipalType": "Application",
            "appRoles": [*decoys, *(_show_role(role, value) for value, role in self.roles.items())],
        }


class Principals:
    """Every service principal, in the order in which they were added."""

    def __init__(self, world: World) -> None:
        resources = [
            ServicePrincipal(str(uuid.uuid4()), APP_IDS[name], NAMES[name], name, _new_ids(values))
            for name, values in ROLES.items()
        ]
        application = ServicePrincipal(world.service_principal_id, world.client_id, "photo-sync")
        self._initial = [*resources, application]
        self.reset()

    def reset(self) -> None:
        """Remove those that were added."""
        self._all = [*self._initial]

    def every(self) -> list[ServicePrincipal]:
        """Return all of them."""
        return [*self._all]

    def add(self, name: str) -> ServicePrincipal:
        """Add one without app roles."""
        added = ServicePrincipal(str(uuid.uuid4()), str(uuid.uuid4()), name)
        self._all.append(added)
        return added

    def remove(self, name: str) -> None:
        """Remove those of this display name."""
        self._all = [each for each in self._all if each.name != name]


def _new_ids(values: tuple[str, ...]) -> dict[str, str]:
    return {each: str(uuid.uuid4()) for each in values}


def _show_role(
    role: str, value: str, *, members: str = "Application", enabled: bool = True
) -> dict[str, Any]:
    return {
        "id": role,
        "value": value,
        "displayName": value,
        "allowedMemberTypes": [members],
        "isEnabled": enabled,
    }
