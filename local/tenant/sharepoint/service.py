"""The emulated SharePoint Online: the one class that the tenant, its admin face and tests use.

`profiles` and `library` hold the state; `properties` and `pictures` are the pure rules for it. `gateway`
calls the handlers `people_manager`, `csom`, `files` and `userphoto`; each says where it is stricter than
Microsoft and what is inferred. `setup` changes the state for tests, `description` shows it.
"""

from collections.abc import Mapping
from typing import Literal

from werkzeug.wrappers import Request, Response

from local.tenant.directory.world import Person, World
from local.tenant.entra.tokens import Tokens
from local.tenant.sharepoint import description
from local.tenant.sharepoint.gateway import PEOPLE_MANAGER, PROCESS_QUERY, SharePointGateway
from local.tenant.sharepoint.hosts import find_site, list_sites
from local.tenant.sharepoint.library import Library
from local.tenant.sharepoint.profiles import Profiles
from local.tenant.sharepoint.setup import ProfileSetup
from local.tenant.sharepoint.userphoto import PullOutcome, UserPhotos

ServiceName = Literal["sharepoint-files", "sharepoint-profiles"]


class SharePoint:
    """SharePoint Online of one tenant, with all its geos. Observes the people of the world."""

    def __init__(self, world: World, tokens: Tokens) -> None:
        self._world = world
        self._libraries: dict[str, Library] = {}
        self._profiles = Profiles(world)
        self._photos = UserPhotos(world, self._profiles, self._libraries)
        self._gateway = SharePointGateway(world, tokens, self._profiles, self._libraries, self._photos)
        self._setup = ProfileSetup(world, self._profiles, self._libraries, self._photos)
        self.configure = self._setup.configure
        self.reset()
        world.observers.append(self)

    def hosts(self) -> set[str]:
        """Return every host name the tenant has now: three for each geo that has people or folders."""
        with self._world.lock:
            return {site.host for site in list_sites(self._world.organisation, self._libraries)}

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

    def person_added(self, person: Person) -> None:
        """Give a new person a profile in their geo."""
        self._setup.open_geo(person.geo)
        self._profiles.add(person)

    def person_renamed(self, person: Person, old_upn: str) -> None:  # noqa: ARG002 - the observer's signature
        """Keep the old account name until the rename arrives."""
        self._profiles.rename(person)

    def person_moved(self, person: Person, old_geo: str) -> None:  # noqa: ARG002 - the observer's signature
        """Move the profile; its files stay where they are, and its `PictureURL` still points there."""
        self._setup.open_geo(person.geo)
        if profile := self._profiles.of(person.id):
            profile.geo = person.geo

    def person_removed(self, person: Person) -> None:
        """Keep the profile, as a reused UPN would find it."""
        self._profiles.leave(person)

    def photo_changed(self, person: Person) -> None:
        """Do nothing: SharePoint is not notified, hence the need for a synchronisation."""

    def reset(self) -> None:
        """Start again with an empty English library in the central geo and a profile for each person."""
        with self._world.lock:
            self._libraries.clear()
            self._profiles.clear()
            self._setup.open_geo("")
            for person in self._world.living():
                self.person_added(person)

    def settle_renames(self) -> None:
        """Apply every rename that SharePoint does not know yet."""
        with self._world.lock:
            self._profiles.settle()

    def own_request(self, person_id: str) -> PullOutcome:
        """Play the person opening their own profile: SharePoint may then pull from Exchange."""
        return self._photos.pull(person_id)

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
