"""The admin face's calls about Entra: what was granted to the application, and who signs in."""

from dataclasses import dataclass
from typing import Any, Literal

from werkzeug.wrappers import Request

from local.tenant.admin.bodies import read
from local.tenant.entra.face import GRAPH, Permissions
from local.tenant.entra.tokens import Tokens

Json = dict[str, Any]
RESOURCES: tuple[Literal["graph", "sharepoint"], ...] = ("graph", "sharepoint")


@dataclass(slots=True, kw_only=True)
class Consent:
    """The body of `PUT /permissions`: every role granted on a resource; None leaves the resource alone."""

    graph: list[str] | None = None
    sharepoint: list[str] | None = None


@dataclass(slots=True, kw_only=True)
class Administrator:
    """The body of `POST /administrators`: a person's role in the directory; a member has none."""

    role: Literal[
        "Global Administrator",
        "Privileged Role Administrator",
        "Cloud Application Administrator",
        "Application Administrator",
        "Member",
    ]


class EntraCalls:
    """The application's permissions, and the people who grant them."""

    def __init__(self, permissions: Permissions, tokens: Tokens) -> None:
        self._permissions = permissions
        self._tokens = tokens

    def permissions(self, _: Request) -> Json:
        """`GET /permissions`: the application permissions that are granted."""
        return {resource: sorted(self._permissions.roles(resource)) for resource in RESOURCES}

    def consent(self, request: Request) -> Json:
        """`PUT /permissions`: replace those granted; tokens already issued keep theirs."""
        consent = read(Consent, request.get_json(force=True))
        for resource in RESOURCES:
            if (roles := getattr(consent, resource)) is not None:
                self._permissions.consent(resource, roles)
        return self.permissions(request)

    def sign_in(self, request: Request) -> Json:
        """`POST /administrators`: the token for Graph that Azure CLI gets for a person with this role."""
        person = read(Administrator, request.get_json(force=True))
        return {"token": self._tokens.issue_for_person(GRAPH, person.role)}
