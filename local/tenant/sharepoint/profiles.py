"""The user profiles SharePoint keeps: under which account name, in which geo, with what written into them.

A profile is not a person: it keeps its old account name for a while after a rename, stays after a deletion,
and may have another person's object id when a UPN is used again. Nothing is computed in advance: a profile
without writes is one small object. Call everything under `World.lock`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from local.tenant.directory.world import Person, World

CLAIM = "i:0#.f|membership|"  # how SharePoint Online names the account of a directory user


@dataclass(slots=True)
class Profile:
    """One profile. `account` is the lower-case UPN that SharePoint knows; `object_id` is "" without one.

    `written` holds what was set through the API, under the property names' own spelling.
    """

    person: Person
    account: str
    geo: str
    object_id: str
    written: dict[str, str] | None = None

    @property
    def claim(self) -> str:
        """The account name as SharePoint spells it: `i:0#.f|membership|anna@contoso.com`."""
        return CLAIM + self.account

    def get(self, name: str) -> str:
        """Return a written property, "" where it never was."""
        return self.written.get(name, "") if self.written else ""

    def set(self, name: str, value: str) -> None:
        """Write a property."""
        self.written = (self.written or {}) | {name: value}


class Profiles:
    """Every profile of the tenant, found by account name or by person.

    A rename reaches SharePoint with the next synchronisation from Entra, not at once
    (learn.microsoft.com/sharepoint/user-profile-sync). Until then the old account name still resolves, and
    the new one finds no profile or, if the UPN had another owner before, that owner's.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._by_account: dict[str, Profile] = {}
        self._by_person: dict[str, Profile] = {}
        # object id -> when the new UPN arrives; None: when told
        self._waiting: dict[str, datetime | None] = {}

    def find(self, claim: str) -> Profile | None:
        """Return the profile with this account name (claim form, any case)."""
        self._settle_due()
        name = claim.lower()
        return self._by_account.get(name.removeprefix(CLAIM)) if name.startswith(CLAIM) else None

    def of(self, person_id: str) -> Profile | None:
        """Return the person's own profile."""
        self._settle_due()
        return self._by_person.get(person_id)

    def add(self, person: Person) -> None:
        """Make the person's profile, at once unless another person's still has the account name."""
        if person.upn.lower() in self._by_account:
            self._wait(person.id)
        else:
            self._place(Profile(person, person.upn.lower(), person.geo, person.id))

    def rename(self, person: Person) -> None:
        """Note that the person's UPN changed."""
        profile = self._by_person.get(person.id)
        if profile is None:
            return
        self._waiting.pop(person.id, None)
        if profile.account != person.upn.lower():
            self._wait(person.id)

    def leave(self, person: Person) -> None:
        """Note that the person was deleted; the profile stays unchanged."""
        self._waiting.pop(person.id, None)

    def drop(self, person_id: str) -> None:
        """Remove the person's profile, as if SharePoint did not know them."""
        self._waiting.pop(person_id, None)
        profile = self._by_person.pop(person_id, None)
        if profile is not None:
            del self._by_account[profile.account]

    def settle(self, person_ids: Iterable[str] | None = None) -> None:
        """Apply the waiting renames (by default all); they displace profiles of deleted people."""
        arriving = list(self._waiting if person_ids is None else person_ids)
        profiles = [self._lift(self._world.people[person_id]) for person_id in arriving]
        for profile in profiles:
            profile.account = profile.person.upn.lower()
            self._place(profile)

    def _wait(self, person_id: str) -> None:
        after = self._world.knobs.profile_rename_after
        now = self._world.clock.now()
        self._waiting[person_id] = None if after is None else now + timedelta(seconds=after)

    def _settle_due(self) -> None:
        if self._waiting:
            now = self._world.clock.now()
            self.settle([each for each, due in self._waiting.items() if due is not None and due <= now])

    def _lift(self, person: Person) -> Profile:
        """Take the person's profile, or a new one, out of the index, which frees its account name."""
        del self._waiting[person.id]
        profile = self._by_person.pop(person.id, None)
        if profile is None:
            return Profile(person, "", person.geo, person.id)
        del self._by_account[profile.account]
        return profile

    def _place(self, profile: Profile) -> None:
        displaced = self._by_account.get(profile.account)
        if displaced is not None:
            del self._by_person[displaced.person.id]
        self._by_account[profile.account] = profile
        self._by_person[profile.person.id] = profile
