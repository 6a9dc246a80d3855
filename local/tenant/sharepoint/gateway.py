"""The gateway of SharePoint Online: check the token, and find the handler of a request."""

import uuid

from werkzeug.wrappers import Request, Response

from local.tenant.directory.world import World
from local.tenant.entra.tokens import BadToken, Claims, Tokens
from local.tenant.sharepoint import csom
from local.tenant.sharepoint.calls import SharePointCall, json_response, refuse
from local.tenant.sharepoint.errors import SharePointRefusal, Unauthorized, no_resource, wrong_method
from local.tenant.sharepoint.files import Files
from local.tenant.sharepoint.hosts import find_site
from local.tenant.sharepoint.library import Library
from local.tenant.sharepoint.odata import parse_path
from local.tenant.sharepoint.people_manager import PeopleManager
from local.tenant.sharepoint.profiles import Profiles
from local.tenant.sharepoint.userphoto import PAGE, TIME_LIMITED, UserPhotos

PEOPLE_MANAGER = "sp.userprofiles.peoplemanager"
PROCESS_QUERY = "/_vti_bin/client.svc/processquery"

# The texts of SharePoint's token handler in the body of its 401; the second is for a token of another
# audience (github.com/SharePoint/sp-dev-docs/issues/5889).
_REASONS = {
    "expired": "Invalid JWT token. The token is expired.",
    "audience": "Invalid issuer or signature.",
    "signature": "Invalid issuer or signature.",
}


class SharePointGateway:
    """Answers HTTP over the tenant's profiles and, by geo, its libraries."""

    def __init__(
        self,
        world: World,
        tokens: Tokens,
        profiles: Profiles,
        libraries: dict[str, Library],
        photos: UserPhotos,
    ) -> None:
        self._world = world
        self._tokens = tokens
        self._libraries = libraries
        self._photos = photos
        self._people_manager = PeopleManager(world, profiles)
        self._files = Files(world, libraries)

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

    def _route(self, request: Request, trace: str) -> Response:
        with self._world.lock:
            site = find_site(request.host, self._world.organisation, self._libraries)
        path = request.path.lower()
        if site is None:
            raise no_resource(request.host)
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

    def _route_rest(self, call: SharePointCall) -> Response:
        first, *rest = parse_path(call.request.path[len("/_api/") :], call.request.args)
        if first.name == PEOPLE_MANAGER:
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
        ):  # got with a client secret; a certificate or a managed identity is required
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
