"""The admin face's calls about people: their data, their photo, and what SharePoint shows of them."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from werkzeug.wrappers import Request, Response

from local.tenant.admin.bodies import AdminRefusal, read
from local.tenant.directory import people
from local.tenant.directory.exchange import Exchange
from local.tenant.directory.world import Person, Photo, World
from local.tenant.graph.face import Graph
from local.tenant.sharepoint.pictures import SIZES
from local.tenant.sharepoint.service import SharePoint
from local.tenant.sharepoint.setup import ProfileChanges

LONGEST_DELAY = 3600.0  # seconds


@dataclass(slots=True, kw_only=True)
class PersonChange:
    """The changes to a person; None changes nothing. `gone` deletes them and frees their UPN; false restores.

    After any change Graph notifies its subscribers that the user was updated: hints without a new photo.
    """

    upn: str | None = None
    name: str | None = None
    geo: str | None = None
    enabled: bool | None = None
    mailbox: bool | None = None
    gone: bool | None = None


class PeopleCalls:
    """People as the administrator sees them."""

    def __init__(self, world: World, exchange: Exchange, graph: Graph, sharepoint: SharePoint) -> None:
        self._world = world
        self._exchange = exchange
        self._graph = graph
        self._sharepoint = sharepoint

    def index(self, request: Request) -> dict[str, Any]:
        """`GET /users`: all people who are not deleted, at most `?limit=`."""
        limit = request.args.get("limit", 1000, type=int)
        living = list(self._world.living())
        return {"count": len(living), "users": [_facts(person) for person in living[:limit]]}

    def add(self, request: Request) -> dict[str, Any]:
        """`POST /users`: add people; return their ids."""
        wanted = read(people.NewPeople, request.get_json(force=True))
        with _refusing(409):
            if wanted.folder:
                self._sharepoint.set_folder(wanted.folder, wanted.geo)
            added = people.add_people(self._world, self._exchange, wanted)
        return {"ids": [person.id for person in added]}

    def show(self, _: Request, key: str) -> dict[str, Any]:
        """`GET /users/{id}`: the source and the target, so that a test can compare them."""
        person = self._find_ever(key)
        photo = person.photo
        return {
            **_facts(person),
            "source": _describe(photo) if photo else None,
            "target": self._sharepoint.describe(person.id),
        }

    def change(self, request: Request, key: str) -> dict[str, Any]:
        """`POST /users/{id}`: rename, move, disable, remove or restore a person."""
        change = read(PersonChange, request.get_json(force=True))
        with self._world.lock:
            if change.gone is False:
                with _refusing(409):
                    self._world.restore(self._find_ever(key))
            person = self._find_living(key)
            if change.upn is not None:
                with _refusing(409):
                    self._world.rename(person, change.upn)
            if change.geo is not None:
                self._world.move(person, change.geo)
            self._edit(person, change)
            if change.gone:
                self._world.remove(person)
            return _facts(person)

    def configure(self, request: Request, key: str) -> dict[str, Any]:
        """`PUT /users/{id}/profile`: an irregular SharePoint profile, as years of use produce it."""
        changes = read(ProfileChanges, request.get_json(force=True))
        person = self._find_ever(key)
        with _refusing(409):
            self._sharepoint.configure(person.id, **asdict(changes))
        return self.show(request, person.id)

    def shown(self, request: Request, key: str) -> Response:
        """`GET /users/{id}/shown`: the picture that SharePoint shows its readers, `?size=S|M|L`."""
        size = request.args.get("size", "L")
        if size not in SIZES:
            raise AdminRefusal("size is S, M or L")
        account = self._sharepoint.describe(self._find_ever(key).id)["account"]
        if account is None:
            raise AdminRefusal("SharePoint has no profile of this person", 404)
        return self._sharepoint.look(str(account), size)

    def photo(self, _: Request, key: str) -> Response:
        """`GET /users/{id}/photo`: the source's bytes."""
        photo = self._find_living(key).photo
        if photo is None:
            raise AdminRefusal("no photo", 404)
        return Response(photo.data, content_type=photo.content_type, headers={"ETag": photo.etag})

    def change_photo(self, request: Request, key: str) -> dict[str, Any]:
        """`PUT /users/{id}/photo`: the image in the body, or with `?drawn=true` a new portrait."""
        person = self._find_living(key)
        photo = self._receive(request, person)
        self._change(person, photo, request.args.get("notify"))
        return _describe(photo)

    def remove_photo(self, request: Request, key: str) -> dict[str, Any]:
        """`DELETE /users/{id}/photo`."""
        person = self._find_living(key)
        if person.photo is None:
            raise AdminRefusal("no photo", 404)
        self._change(person, None, request.args.get("notify"))
        return {}

    def _receive(self, request: Request, person: Person) -> Photo:
        if request.args.get("drawn") == "true":
            return self._exchange.draw(person)
        data = request.get_data()
        if request.args.get("raw") == "true":
            return self._exchange.accept_raw(data, request.mimetype or "image/jpeg")
        with _refusing(400):
            return self._exchange.accept(data)

    def _change(self, person: Person, photo: Photo | None, notify: str | None) -> None:
        hints, delay = _notifications(notify)
        self._world.set_photo(person, photo, tell=notify is None)
        if hints:
            self._graph.photo_hint(person, times=hints, delay=delay)

    def _edit(self, person: Person, change: PersonChange) -> None:
        edits = {"display_name": change.name, "enabled": change.enabled, "mailbox": change.mailbox}
        made = {name: value for name, value in edits.items() if value is not None}
        for name, value in made.items():
            setattr(person, name, value)
        if made:
            self._graph.photo_hint(person, times=self._world.knobs.edit_notifications)

    def _find_living(self, key: str) -> Person:
        person = self._find_ever(key)
        if person.gone:
            raise AdminRefusal(f"{key} is deleted", 404)
        return person

    def _find_ever(self, key: str) -> Person:
        person = self._world.find(key) or self._world.people.get(key.lower())
        if person is None:
            raise AdminRefusal(f"no person has or had the id or UPN {key}", 404)
        return person


@contextmanager
def _refusing(status: int) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise AdminRefusal(str(error), status) from error


def _notifications(notify: str | None) -> tuple[int, float]:
    """Return how many notifications `?notify=` asks for, and after how many seconds."""
    fixed = {None: (0, 0.0), "off": (0, 0.0), "on": (1, 0.0), "twice": (2, 0.0)}
    if notify in fixed:
        return fixed[notify]
    try:
        seconds = float(notify or "")
    except ValueError:
        raise AdminRefusal("notify is on, off, twice or a number of seconds") from None
    if not 0 <= seconds <= LONGEST_DELAY:
        raise AdminRefusal(f"notify waits at most {LONGEST_DELAY} seconds")
    return 1, seconds


def _facts(person: Person) -> dict[str, Any]:
    names = ("guest", "enabled", "mailbox", "geo", "gone")
    facts = {name: getattr(person, name) for name in names}
    return {"id": person.id, "upn": person.upn, "name": person.display_name, **facts}


def _describe(photo: Photo) -> dict[str, Any]:
    names = ("etag", "width", "height", "content_type")
    facts = {name: getattr(photo, name) for name in names}
    return facts | {"sha256": hashlib.sha256(photo.data).hexdigest(), "bytes": len(photo.data)}
