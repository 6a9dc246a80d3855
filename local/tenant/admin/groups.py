"""The admin face's calls about groups."""

from dataclasses import dataclass, field
from typing import Any

from werkzeug.wrappers import Request

from local.tenant.admin.bodies import AdminRefusal, read
from local.tenant.directory.groups import Group
from local.tenant.directory.world import World

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class NewGroup:
    """The body of `POST /groups`: `members` are ids or UPNs of people, or ids of groups."""

    members: list[str] = field(default_factory=list)
    name: str = ""


@dataclass(slots=True, kw_only=True)
class MemberList:
    """The body of `PUT /groups/{id}/members`: all members from now on."""

    members: list[str]


class GroupCalls:
    """The members of groups, as the administrator sets them. No notification is sent."""

    def __init__(self, world: World) -> None:
        self._world = world

    def index(self, _: Request) -> Json:
        """`GET /groups`: every group, with the number of its people, nested and not deleted."""
        with self._world.lock:
            return {"groups": [self._describe(group) for group in self._world.groups.every()]}

    def create(self, request: Request) -> Json:
        """`POST /groups`: create a group; return its id."""
        new = read(NewGroup, request.get_json(force=True))
        with self._world.lock:
            members = self._identify(new.members)
            group = Group(self._world.new_id(), new.name, members)
            self._world.groups.put(group)
        return {"id": group.id}

    def set_members(self, request: Request, key: str) -> Json:
        """`PUT /groups/{id}/members`: replace the members."""
        wanted = read(MemberList, request.get_json(force=True))
        with self._world.lock:
            group = self._world.groups.find(key)
            if group is None:
                raise AdminRefusal(f"no group has the id {key}", 404)
            changed = Group(group.id, group.name, self._identify(wanted.members))
            self._world.groups.put(changed)
            return self._describe(changed)

    def _identify(self, keys: list[str]) -> tuple[str, ...]:
        return tuple(self._find_id(key) for key in keys)

    def _find_id(self, key: str) -> str:
        found = self._world.find(key) or self._world.groups.find(key)
        if found is None:
            raise AdminRefusal(f"neither a person nor a group: {key}", 404)
        return found.id

    def _describe(self, group: Group) -> Json:
        people = self._world.groups.people(group)
        living = sum(not self._world.people[each].gone for each in people)
        return {"id": group.id, "name": group.name, "members": list(group.members), "people": living}
