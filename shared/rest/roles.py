"""Which application role a call needs, and what a denied token has instead. Pure.

The app's own token is only read to explain a refusal; no decision relies on it.
learn.microsoft.com/entra/identity-platform/access-token-claims-reference, "roles"
"""

import base64
import json
from dataclasses import dataclass

from shared.errors import FILES, GRAPH, PROFILES

NOTE = "; roles: "
"""What every explanation begins with."""

# The first is what docs/permissions.md asks for; any other of the line permits the call, too.
_USERS = ("User.Read.All", "Directory.Read.All")
_GROUPS = ("GroupMember.ReadBasic.All", "GroupMember.Read.All", "Group.Read.All", "Directory.Read.All")
_PROFILES = ("User.ReadWrite.All",)
_FILES = (
    "Sites.FullControl.All",
    "Sites.ReadWrite.All",
    "Sites.Selected",
    "Lists.SelectedOperations.Selected",
)
_APIS = {GRAPH: "Microsoft Graph", FILES: "SharePoint", PROFILES: "SharePoint"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a token's roles say about a refusal, "" for nothing; `lacking`: every call of it is refused."""

    text: str = ""
    lacking: bool = False


def explain(service: str, url: str, token: str) -> Explanation:
    """Return what the roles in `token` say about a refused call to `url`."""
    roles = _roles_of(token)
    if roles is None:
        return Explanation()
    enough = {FILES: _FILES, PROFILES: _PROFILES}.get(service) or (_GROUPS if "/groups/" in url else _USERS)
    if not roles.intersection(enough):
        remedy = "scripts/grant.py gives it; a managed identity's token shows it within 24 hours"
        text = f"{NOTE}the token lacks the role {enough[0]} of {_APIS[service]} ({remedy})"
        return Explanation(text, lacking=True)
    if service == FILES and _FILES[0] not in roles:
        has = ", ".join(role for role in _FILES if role in roles)
        return Explanation(f"{NOTE}the token has the role {has}, the one known to work is {_FILES[0]}")
    return Explanation()


def _roles_of(token: str) -> frozenset[str] | None:
    """Return the roles that a token states, None where it cannot be read."""
    payload = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return None
    roles = claims.get("roles", []) if isinstance(claims, dict) else None
    return frozenset(map(str, roles)) if isinstance(roles, list) else None
