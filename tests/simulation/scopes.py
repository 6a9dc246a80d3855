"""The users whose photos a run keeps in step: the setting, and the simulation's own reading of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.simulation.people import Person

GROUP = "0a0a0a0a-0000-0000-0000-000000000003"


@dataclass(frozen=True)
class Scope:
    """One value of the setting.

    Attributes:
        settings: the app's settings.
        takes: whether a person with an enabled account is in scope.
        grouped: whether the people in scope belong to the group.
    """

    settings: Mapping[str, str]
    takes: Callable[[Person], bool]
    grouped: bool = False

    @property
    def depends_on_group(self) -> bool:
        """Whether membership in the group matters."""
        return any(GROUP in value for value in self.settings.values())

    def lists(self, person: Person) -> bool:
        """Whether a sweep checks this person's photo."""
        return person.enabled and not person.gone and self.takes(person)


MEMBERS = Scope({}, lambda person: not person.guest)
SCOPES = (
    MEMBERS,
    Scope({"SCOPE": "members+guests"}, lambda _: True),
    Scope({"SCOPE": f"group:{GROUP}"}, lambda person: person.grouped, grouped=True),
    Scope({"EXCLUDE_GROUP": GROUP}, lambda person: not person.guest and not person.grouped),
)
