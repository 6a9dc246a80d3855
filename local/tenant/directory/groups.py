"""The directory's groups: people and other groups as members, however deep. State only, no HTTP."""

from dataclasses import dataclass


@dataclass(slots=True)
class Group:
    """One group. `members` are the object ids of people and of groups, possibly its own."""

    id: str
    name: str
    members: tuple[str, ...]


class Groups:
    """Every group of the tenant, by object id. Call everything under `World.lock`."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}
        self._people: dict[str, frozenset[str]] = {}  # the people in a group; filled by `people`

    def put(self, group: Group) -> None:
        """Add a group, or replace the one with its id."""
        self._groups[group.id] = group
        self._people.clear()

    def find(self, key: str) -> Group | None:
        """Return the group whose object id (any case) is `key`."""
        return self._groups.get(key.lower())

    def every(self) -> list[Group]:
        """Return all groups, in the order in which they came."""
        return list(self._groups.values())

    def people(self, group: Group) -> frozenset[str]:
        """Return the object ids of all people in a group and its nested groups, deleted ones too."""
        if group.id not in self._people:
            self._people[group.id] = frozenset(self._collect(group))
        return self._people[group.id]

    def clear(self) -> None:
        """Forget every group."""
        self._groups.clear()
        self._people.clear()

    def _collect(self, group: Group) -> set[str]:
        people: set[str] = set()
        seen, left = {group.id}, [group]
        while left:
            for member in left.pop().members:
                nested = self._groups.get(member)
                if nested is None:
                    people.add(member)
                elif member not in seen:
                    seen.add(member)
                    left.append(nested)
        return people
