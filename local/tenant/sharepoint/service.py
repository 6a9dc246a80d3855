"""The emulated SharePoint Online: the one class that the tenant, its admin face and tests use.

`profiles` and `library` hold the state; `properties` and `pictures` are the pure rules for it. `gateway`
calls the handlers `people_manager`, `csom`, `files` and `userphoto`; each says where it is stricter than
Microsoft and what is inferred. `setup` changes the state for tests, `description` shows it.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import urlsplit

from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from local.tenant.directory.world import Person, PersonEvent, World
from local.tenant.entra.tokens import Tokens
from local.tenant.sharepoint import description
from local.tenant.sharepoint.gateway import PEOPLE_MANAGER, PROCESS_QUERY, SharePointGateway
from local.tenant.sharepoint.hosts import find_site, name_host
from local.tenant.sharepoint.library import Library
from local.tenant.sharepoint.profiles import Profiles
from local.tenant.sharepoint.setup import ProfileChanges, ProfileSetup
from local.tenant.sharepoint.userphoto import PAGE, UserPhotos

ServiceName = Literal["sharepoint-files", "sharepoint-profiles"]


class SharePoint:
    """SharePoint Online of one tenant, with all its geos. Observes the people of the world."""

    def __init__(self, world: World, tokens: Tokens) -> None:
        self._world = world
        self._origin = f"https://{name_host(world.organisation, '', 'root')}"
        self._reader_token = tokens.issue(self._origin, (), lifetime=10 * 365 * 24 * 3600)
        self._libraries: dict[str, Library] = {}
        self._profiles = Profiles(world)
        self._photos = UserPhotos(world, self._profiles, self._libraries)
        self._gateway = SharePointGateway(world, tokens, self._profiles, self._libraries, self._photos)
        self._setup = ProfileSetup(world, self._profiles, self._libraries, self._photos)
        self.reset()
        world.observers.append(self)

    def plays(self, host: str) -> bool:
        """Tell whether a host name (any case) is one of the tenant's."""
        with self._world.lock:
            return find_site(host, self._world.organisation, self._libraries) is not None

    def service(self, request: Request) -> ServiceName:
        """Return which of SharePoint's two services a request is for: they are throttled separately."""
        path = request.path.lower()
        return (
            "sharepoint-profiles"
            if path == PROCESS_QUERY or path.startswith(f"/_api/{PEOPLE_MANAGER}")
            else "sharepoint-files"
        )

    def respond(self, request: Request) -> Response:
        """Answer a request; every error has SharePoint's own shape."""
        return self._gateway.respond(request)

    def person_changed(self, person: Person, event: PersonEvent) -> None:
        """Follow the directory: a new person gets a profile in their geo, a moved person's profile moves.

        Files stay where they are, and `PictureURL` still points there. A rename waits until it arrives, and a
        deleted person's profile stays, as a reused UPN would find it. A new photo changes nothing: SharePoint
        is not notified, hence the need for a synchronisation.
        """
        match event:
            case "added":
                self._setup.open_geo(person.geo)
                self._profiles.add(person)
            case "renamed":
                self._profiles.rename(person)
            case "moved":
                self._setup.open_geo(person.geo)
                if profile := self._profiles.of(person.id):
                    profile.geo = person.geo
            case "removed":
                self._profiles.leave(person)

    def reset(self) -> None:
        """Start again with an empty English library in the central geo and a profile for each person."""
        with self._world.lock:
            self._libraries.clear()
            self._profiles.clear()
            self._setup.open_geo("")
            for person in self._world.living():
                self.person_changed(person, "added")

    def settle_renames(self) -> None:
        """Apply every rename that SharePoint does not know yet."""
        with self._world.lock:
            self._profiles.settle()

    def configure(self, person_id: str, **changes: Any) -> None:
        """Change a person's profile; see `setup.ProfileChanges` and `setup.ProfileSetup.configure`."""
        self._setup.configure(person_id, ProfileChanges(**changes))

    def add_folder(self, name: str, geo: str = "") -> None:
        """Add a folder of pictures beside the others; SharePoint itself writes to it from now on.

        Raises:
            ValueError: the name is not valid for a folder of pictures.
        """
        with self._world.lock:
            self._setup.open_geo(geo).add_folder(name)

    def set_folder(self, name: str, geo: str = "") -> None:
        """Have one folder of pictures in the geo's library, with a name in its own language.

        Raises:
            ValueError: the name is not valid for a folder of pictures.
        """
        with self._world.lock:
            self._setup.open_geo(geo).set_folder(name)

    def describe(self, person_id: str) -> Mapping[str, object]:
        """Return what SharePoint has of a person, as JSON; see `description.describe`.

        Raises:
            KeyError: no person has that id.
        """
        with self._world.lock:
            return description.describe(
                self._world, self._world.people[person_id], self._profiles, self._libraries, self._photos
            )

    def look(self, account: str, size: str) -> Response:
        """Return the picture of an account that a reader sees, after a redirect, if any.

        The request does not go through the tenant, so it does not count as received.
        """
        response = self._open(PAGE, {"size": size, "accountname": account})
        if response.status_code != HTTPStatus.FOUND:
            return response
        target = urlsplit(response.headers["Location"])
        return self._open(target.path, target.query)

    def _open(self, path: str, query: str | dict[str, str]) -> Response:
        builder = EnvironBuilder(path, self._origin, query_string=query)
        builder.headers["Authorization"] = f"Bearer {self._reader_token}"
        return self.respond(Request(builder.get_environ()))
