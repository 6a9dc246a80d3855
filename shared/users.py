"""Users of the directory: their ids, and which of them are in scope. Pure."""

import re
from dataclasses import dataclass

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def object_id(value: object) -> str | None:
    """Return `value` as a lower-case directory object id, None if it is not valid."""
    if not isinstance(value, str) or len(value) != 36:
        return None
    lower = value.lower()
    return lower if _GUID.fullmatch(lower) else None


def object_ids_in(text: str) -> tuple[str, ...]:
    """Return the object ids in a text, lower case, without duplicates, in their order."""
    return tuple(dict.fromkeys(_GUID.findall(text.lower())))


@dataclass(frozen=True, slots=True)
class User:
    """What a sync needs to know of a directory user."""

    id: str  # lower case
    upn: str
    enabled: bool
    guest: bool
    groups: frozenset[str] = frozenset()  # the scope's that include the user, directly or through others


@dataclass(frozen=True, slots=True)
class Scope:
    """The users whose photos are synchronised: members, guests too, or a group's; never those of `excluded`.

    Groups are object ids, "" for none.
    """

    guests: bool = False
    group: str = ""
    excluded: str = ""

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups in which a user's membership must be checked."""
        return tuple(group for group in (self.group, self.excluded) if group)


def out_of_scope(user: User, scope: Scope) -> str:
    """Return why a user is out of scope, "" if the user is in scope."""
    if not user.enabled:
        return "account is disabled"
    if scope.excluded and scope.excluded in user.groups:
        return "is in the excluded group"
    if scope.group:
        return "" if scope.group in user.groups else "is not in the group"
    return "guest is out of scope" if user.guest and not scope.guests else ""
