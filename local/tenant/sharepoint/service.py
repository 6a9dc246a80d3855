"""The emulated SharePoint Online: the one class that routes, and that tests and the admin face speak to."""

import uuid
from collections.abc import Mapping
from typing import Literal

from werkzeug.wrappers import Request, Response

from local.tenant.sharepoint import csom, description
from local.tenant.sharepoint.calls import Call, json_response, refuse
from local.tenant.sharepoint.errors import Refusal, Unauthorized, no_resource, wrong_method
from local.tenant.sharepoint.files import Files
from local.tenant.sharepoint.hosts import find_site, list_sites
from local.tenant.sharepoint.library import LIBRARY, Library
from local.tenant.sharepoint.odata import parse_path
from local.tenant.sharepoint.people import People
from local.tenant.sharepoint.profiles import Profiles
from local.tenant.sharepoint.scenes import Scenes
from local.tenant.sharepoint.userphoto import PAGE, TIME_LIMITED, Pull, UserPhotos
from local.tenant.tokens import BadToken, Claims, Tokens
from local.tenant.world import Person, World

Service = Literal["sharepoint-files", "sharepoint-profiles"]

_PEOPLE = "sp.userprofiles.peoplemanager"
_QUERY = "/_vti_bin/client.svc/processquery"

# What SharePoint's token handler says in the body of its 401; the second is what a token of another
# audience gets (github.com/SharePoint/sp-dev-docs/issues/5889).
_REASONS = {
    "expired": "Invalid JWT token. The token is expired.",
    "audience": "Invalid issuer or signature.",
    "signature": "Invalid issuer or signature.",
}


class SharePoint:
    """SharePoint Online of one tenant, every geo of it. Hears of people as an observer of the world."""

    def __init__(self, world: World, tokens: Tokens) -> None:
        self._world = world
        self._tokens = tokens
        self._libraries: dict[str, Library] = {}
        self._profiles = Profiles(world)
        self._people = People(world, self._profiles)
        self._files = Files(world, self._libraries)
        self._photos = UserPhotos(world, self._profiles, self._libraries)
        self._scenes = Scenes(world, self._profiles, self._libraries, self._photos)
        self.configure = self._scenes.configure
        self.reset()
        world.observers.append(self)

    # what is asked over HTTP

    def hosts(self) -> set[str]:
        """Return every host name the tenant has now: three for each geo that has people or folders."""
        with self._world.lock:
            return {site.host for site in list_sites(self._world.organisation, self._libraries)}

    def plays(self, host: str) -> bool:
        """Tell whether a host name (any case) is one of the tenant's."""
        with self._world.lock:
            return find_site(host, self._world.organisation, self._libraries) is not None

    def service(self, request: Request) -> Service:
        """Return which of SharePoint's two services a request is for: they are throttled apart."""
        path = request.path.lower()
        return (
            "sharepoint-profiles"
            if path == _QUERY or path.startswith(f"/_api/{_PEOPLE}")
            else "sharepoint-files"
        )

    def respond(self, request: Request) -> Response:
        """Answer a request; whatever is wrong with it is an error in SharePoint's own shape."""
        trace = str(uuid.uuid4())
        try:
            response = self._route(request, trace)
        except Refusal as refusal:
            response = refuse(request, refusal)
        except Unauthorized as refusal:
            response = self._challenge(refusal)
        response.headers["request-id"] = trace
        response.headers["SPRequestGuid"] = trace
        response.headers["MicrosoftSharePointTeamServices"] = csom.LIBRARY_VERSION
        return response

    def _route(self, request: Request, trace: str) -> Response:
        with self._world.lock:
            site = find_site(request.host, self._world.organisation, self._libraries)
        path = request.path.lower()
        if site is None:
            raise no_resource(request.host)
        if path == TIME_LIMITED:
            return self._photos.respond_limited(request)
        call = Call(request, site, self._authenticate(request, site.origin), trace)
        if path.startswith("/_api/"):
            return self._route_rest(call)
        if path == _QUERY:
            return csom.respond(call, self._people)
        if path == PAGE:
            return self._photos.respond(call)
        if site.kind == "my" and path.startswith(f"/{LIBRARY.lower()}/"):
            return self._files.respond_direct(call)
        raise no_resource(request.path)

    def _route_rest(self, call: Call) -> Response:
        first, *rest = parse_path(call.request.path[len("/_api/") :], call.request.args)
        if first.name == _PEOPLE:
            return self._people.respond(call, rest)
        if first.name == "web" and rest:
            return self._files.respond(call, rest)
        if first.name == "contextinfo" and not rest:
            return self._give_digest(call)
        raise no_resource("/".join(step.spelled for step in (first, *rest)))

    def _give_digest(self, call: Call) -> Response:
        """Answer `contextinfo`. With a bearer token nothing ever asks for the digest.

        learn.microsoft.com/sharepoint/dev/sp-add-ins/complete-basic-operations-using-sharepoint-rest-endpoints
        """
        if call.request.method != "POST":
            raise wrong_method(call.request.method, "contextinfo")
        now = self._world.clock.now().strftime("%d %b %Y %H:%M:%S -0000")
        digest: dict[str, object] = {
            "FormDigestTimeoutSeconds": 1800,
            "FormDigestValue": f"0x{uuid.uuid4().hex.upper()},{now}",
            "LibraryVersion": csom.LIBRARY_VERSION,
            "SiteFullUrl": call.site.origin,
            "SupportedSchemaVersions": ["14.0.0.0", "15.0.0.0"],
            "WebFullUrl": call.site.origin,
        }
        if call.form() == "verbose":
            return call.value("GetContextWebInformation", digest)
        return call.entity("SP.ContextWebInformation", digest)

    def _authenticate(self, request: Request, audience: str) -> Claims:
        try:
            claims = self._tokens.check(request.headers.get("Authorization"), audience)
        except BadToken as error:
            raise Unauthorized(_REASONS.get(error.reason, "Unsupported security token.")) from error
        if (
            claims.appidacr == "1"
        ):  # got with a client secret; only a certificate or a managed identity will do
            raise Unauthorized("Unsupported app only token.")
        return claims

    def _challenge(self, refusal: Unauthorized) -> Response:
        response = json_response(
            {"error_description": refusal.description}, "application/json; charset=utf-8", 401
        )
        response.headers["WWW-Authenticate"] = (
            f'Bearer realm="{self._world.tenant_id}",client_id="00000003-0000-0ff1-ce00-000000000000"'
        )
        return response

    # what happens in the directory

    def person_added(self, person: Person) -> None:
        """Give a new person a profile in their geo."""
        self._scenes.open_geo(person.geo)
        self._profiles.add(person)

    def person_renamed(self, person: Person, old_upn: str) -> None:  # noqa: ARG002 - the observer's signature
        """Keep the old account name until the rename arrives."""
        self._profiles.rename(person)

    def person_moved(self, person: Person, old_geo: str) -> None:  # noqa: ARG002 - the observer's signature
        """Move the profile; its files stay where they are, and its `PictureURL` still points there."""
        self._scenes.open_geo(person.geo)
        if profile := self._profiles.of(person.id):
            profile.geo = person.geo

    def person_removed(self, person: Person) -> None:
        """Leave the profile behind, as a recycled UPN would meet it."""
        self._profiles.leave(person)

    def photo_changed(self, person: Person) -> None:
        """Hear nothing: that SharePoint is not told is why anybody needs a synchronisation."""

    # what tests, the demo and the admin face ask for

    def reset(self) -> None:
        """Start again with an empty English library in the central geo and a profile for everybody living."""
        with self._world.lock:
            self._libraries.clear()
            self._profiles.clear()
            self._scenes.open_geo("")
            for person in self._world.living():
                self.person_added(person)

    def settle_renames(self) -> None:
        """Let every rename that SharePoint has not heard of arrive now."""
        with self._world.lock:
            self._profiles.settle()

    def own_request(self, person_id: str) -> Pull:
        """Play the person opening their own profile: SharePoint may then pull from Exchange."""
        return self._photos.pull(person_id)

    def add_folder(self, name: str, geo: str = "") -> None:
        """Add a folder of pictures beside the others; SharePoint itself writes into it from now on.

        Raises:
            ValueError: no folder of pictures can have that name.
        """
        with self._world.lock:
            self._scenes.open_geo(geo).add_folder(name)

    def set_folder(self, name: str, geo: str = "") -> None:
        """Let the geo's library have one folder of pictures, with a name in its own language.

        Raises:
            ValueError: no folder of pictures can have that name.
        """
        with self._world.lock:
            self._scenes.open_geo(geo).set_folder(name)

    def describe(self, person_id: str) -> Mapping[str, object]:
        """Return what SharePoint holds of a person, as JSON; see `description.describe`.

        Raises:
            KeyError: nobody has that id.
        """
        with self._world.lock:
            return description.describe(
                self._world, self._world.people[person_id], self._profiles, self._libraries, self._photos
            )
