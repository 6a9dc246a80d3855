"""The emulated SharePoint Online: it checks the token, finds a request's handler, and follows the people.

`profiles` and `library` hold the state; `properties` and `pictures` are the pure rules for it. The handlers
are `people_manager`, `csom`, `files` and `userphoto`; each says where it is stricter than
Microsoft and what is inferred. `setup` changes the state for tests, and shows it.
"""

import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal
from urllib.parse import urlsplit

from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from local.tenant.directory.domain import SITE_KINDS, SiteKind
from local.tenant.directory.world import Person, PersonEvent, World
from local.tenant.entra.tokens import BadToken, Claims, Tokens
from local.tenant.sharepoint import csom, people_manager
from local.tenant.sharepoint.calls import SharePointCall, json_response, refuse
from local.tenant.sharepoint.errors import SharePointRefusal, Unauthorized, no_resource, wrong_method
from local.tenant.sharepoint.files import Files
from local.tenant.sharepoint.hosts import Site, find_site, name_host
from local.tenant.sharepoint.library import Library
from local.tenant.sharepoint.odata import parse_path
from local.tenant.sharepoint.profiles import Profiles
from local.tenant.sharepoint.setup import ProfileSetup, describe
from local.tenant.sharepoint.userphoto import PAGE, TIME_LIMITED, UserPhotos

PROCESS_QUERY = "/_vti_bin/client.svc/processquery"

# The texts of SharePoint's token handler in the body of its 401; the second is for a token of another
# audience (github.com/SharePoint/sp-dev-docs/issues/5889).
_REASONS = {
    "expired": "Invalid JWT token. The token is expired.",
    "audience": "Invalid issuer or signature.",
    "signature": "Invalid issuer or signature.",
}
_PEOPLE_MANAGER = people_manager.NAME.lower()


class SharePoint:
    """SharePoint Online of one tenant, with all its geos. Observes the people of the world."""

    def __init__(self, world: World, tokens: Tokens) -> None:
        self._world = world
        self._tokens = tokens
        self._origin = f"https://{name_host(world.organisation, '', 'root')}"
        self._reader_token = tokens.issue(self._origin, (), lifetime=10 * 365 * 24 * 3600)
        self._libraries: dict[str, Library] = {}
        self._profiles = Profiles(world)
        self._photos = UserPhotos(world, self._profiles, self._libraries)
        self._people_manager = people_manager.PeopleManager(world, self._profiles)
        self._files = Files(world, self._libraries)
        self._setup = ProfileSetup(world, self._profiles, self._libraries, self._photos)
        self.configure = self._setup.configure
        self.reset()
        world.observers.append(self)

    def plays(self, host: str) -> bool:
        """Tell whether a host name (any case) is one of the tenant's."""
        with self._world.lock:
            return find_site(host, self._world.domain, self._libraries) is not None

    def service(self, request: Request) -> Literal["sharepoint-files", "sharepoint-profiles"]:
        """Return which of SharePoint's two services a request is for: they are throttled separately."""
        path = request.path.lower()
        profiles = path == PROCESS_QUERY or path.startswith(f"/_api/{_PEOPLE_MANAGER}")
        return "sharepoint-profiles" if profiles else "sharepoint-files"

    def respond(self, request: Request) -> Response:
        """Answer a request; every error has SharePoint's own shape."""
        trace = str(uuid.uuid4())
        try:
            response = self._route(request, trace)
        except SharePointRefusal as refusal:
            response = refuse(request, refusal)
        except Unauthorized as refusal:
            response = self._challenge(refusal)
        response.headers["request-id"] = trace
        response.headers["SPRequestGuid"] = trace
        response.headers["MicrosoftSharePointTeamServices"] = csom.LIBRARY_VERSION
        return response

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
            case "restored" if self._profiles.of(person.id) is None:
                self._profiles.add(person)

    def reset(self) -> None:
        """Start again with an empty English library in the central geo and a profile for each person."""
        with self._world.lock:
            self._libraries.clear()
            self._profiles.clear()
            self._setup.open_geo("")
            for person in self._world.living():
                self.person_changed(person, "added")

    def rename(self, name: str, sites: tuple[SiteKind, ...] = SITE_KINDS, *, profiles: bool = True) -> None:
        """Give the tenant another domain name, as `Domain.rename`; ValueError: the name is not valid."""
        with self._world.lock:
            self._world.domain.rename(name, sites, profiles=profiles)

    def settle_renames(self) -> None:
        """Apply every rename that SharePoint does not know yet."""
        with self._world.lock:
            self._profiles.settle()

    def add_folder(self, name: str, geo: str = "") -> None:
        """Add a folder of pictures beside the others, as `Library.add_folder`."""
        with self._world.lock:
            self._setup.open_geo(geo).add_folder(name)

    def set_folder(self, name: str, geo: str = "") -> None:
        """Have one folder of pictures, with a name in the geo's own language, as `Library.set_folder`."""
        with self._world.lock:
            self._setup.open_geo(geo).set_folder(name)

    def describe(self, person_id: str) -> Mapping[str, object]:
        """Return what SharePoint has of a person, as `setup.describe`; KeyError: unknown id."""
        with self._world.lock:
            person = self._world.people[person_id]
            return describe(self._world, person, self._profiles, self._libraries, self._photos)

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

    def _route(self, request: Request, trace: str) -> Response:
        with self._world.lock:
            site = find_site(request.host, self._world.domain, self._libraries)
        path = request.path.lower()
        if site is None:
            raise no_resource(request.host)
        if self._world.domain.redirects(site.name, site.kind):
            return self._redirect(request, site)
        if path == TIME_LIMITED:
            return self._photos.respond_limited(request)
        call = SharePointCall(request, site, self._authenticate(request, site.origin), trace)
        if path.startswith("/_api/"):
            return self._route_rest(call)
        if path == PROCESS_QUERY:
            return csom.respond(call, self._people_manager)
        if path == PAGE:
            return self._photos.respond(call)
        raise no_resource(request.path)

    def _redirect(self, request: Request, site: Site) -> Response:
        """Answer for a host of the name that the tenant had before; see `directory.domain`."""
        host = name_host(self._world.domain.newest, site.geo, site.kind)
        location = {"Location": f"https://{host}{request.environ['REQUEST_URI']}"}
        return Response(status=self._world.knobs.renamed_status, headers=location)

    def _route_rest(self, call: SharePointCall) -> Response:
        first, *rest = parse_path(call.request.path[len("/_api/") :], call.request.args)
        if first.name == _PEOPLE_MANAGER:
            return self._people_manager.respond(call, rest)
        if first.name == "web" and rest:
            return self._files.respond(call, rest)
        if first.name == "contextinfo" and not rest:
            return self._give_digest(call)
        raise no_resource("/".join(step.spelled for step in (first, *rest)))

    def _give_digest(self, call: SharePointCall) -> Response:
        """Answer `contextinfo`. With a bearer token the digest is never required.

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
        return call.result("GetContextWebInformation", "SP.ContextWebInformation", digest)

    def _authenticate(self, request: Request, audience: str) -> Claims:
        try:
            claims = self._tokens.check(request.headers.get("Authorization"), audience)
        except BadToken as error:
            raise Unauthorized(_REASONS.get(error.reason, "Unsupported security token.")) from error
        if claims.appidacr == "1":  # got with a client secret, where a certificate or an identity is required
            raise Unauthorized("Unsupported app only token.")
        return claims

    def _challenge(self, refusal: Unauthorized) -> Response:
        body = {"error_description": str(refusal)}
        response = json_response(body, "application/json; charset=utf-8", 401)
        realm = f'realm="{self._world.tenant_id}",client_id="00000003-0000-0ff1-ce00-000000000000"'
        response.headers["WWW-Authenticate"] = f"Bearer {realm}"
        return response
