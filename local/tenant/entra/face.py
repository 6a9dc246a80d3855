"""The emulated Microsoft Entra ID: discovery, and tokens for one application by client credentials.

learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow. The error numbers are those of
learn.microsoft.com/entra/identity-platform/reference-error-codes; the texts after them are the tenant's own.
"""

import json
import secrets
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from cryptography import x509
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from local.tenant.directory.world import World
from local.tenant.entra import assertions
from local.tenant.entra.tokens import LIFETIME, Tokens

HOST = "login.microsoftonline.com"
GRAPH = "https://graph.microsoft.com"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SCOPE = "/.default"
METADATA = "/v2.0/.well-known/openid-configuration"
DEFAULT_PERMISSIONS: Mapping[str, frozenset[str]] = {
    "graph": frozenset({"User.Read.All"}),
    "sharepoint": frozenset({"User.ReadWrite.All", "Sites.FullControl.All"}),
}


class EntraRefusal(Exception):
    """Entra answers with an error: `code` is the number after AADSTS, `error` is OAuth's name for it."""

    def __init__(self, status: int, error: str, code: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.error = error
        self.code = code


class Permissions:
    """Which application permissions an administrator consented to, for each of Graph and SharePoint."""

    def __init__(self) -> None:
        self._roles = dict(DEFAULT_PERMISSIONS)

    def consent(self, resource: Literal["graph", "sharepoint"], roles: Iterable[str]) -> None:
        """Replace what was granted on `resource`; tokens issued before keep what they have."""
        self._roles[resource] = frozenset(roles)

    def change(self, resource: str, *, add: str = "", remove: str = "") -> None:
        """Grant one more role on `resource`, or withdraw one."""
        self._roles[resource] = (self._roles[resource] | ({add} if add else set())) - {remove}

    def roles(self, resource: str) -> frozenset[str]:
        """Return what is granted on `resource`."""
        return self._roles[resource]

    def reset(self) -> None:
        """Return to what the documentation asks an administrator to grant."""
        self._roles = dict(DEFAULT_PERMISSIONS)


class Resources:
    """The services that tokens are for; `plays_sharepoint(host)` says whether a host is SharePoint's."""

    def __init__(self, permissions: Permissions, plays_sharepoint: Callable[[str], bool]) -> None:
        self._permissions = permissions
        self._plays_sharepoint = plays_sharepoint

    def roles(self, audience: str) -> frozenset[str]:
        """Return the application's roles on the resource with this audience, e.g. `https://graph.microsoft.com`.

        Raises:
            LookupError: the tenant has no such resource.
        """
        origin = audience.rstrip("/").lower()
        if origin == GRAPH:
            return self._permissions.roles("graph")
        if self._plays_sharepoint(origin.removeprefix("https://")) and origin.startswith("https://"):
            return self._permissions.roles("sharepoint")
        raise LookupError(audience)


class Entra:
    """`login.microsoftonline.com`, for one tenant with one application.

    `certificate` is registered on the application. `client_secret` is the application's secret: a test can
    see that SharePoint refuses its tokens. `assertions` are the newest received, valid or not.
    """

    def __init__(
        self, world: World, tokens: Tokens, resources: Resources, certificate: x509.Certificate
    ) -> None:
        self._world = world
        self._tokens = tokens
        self._resources = resources
        self._certificate = certificate
        self.client_secret = secrets.token_urlsafe(32)
        self.assertions: deque[str] = deque(maxlen=100)
        self._routes = Map(
            [
                Rule("/common/discovery/instance", endpoint=self._instance, methods=["GET"]),
                Rule(f"/<tenant>{METADATA}", endpoint=self._metadata, methods=["GET"]),
                Rule("/<tenant>/oauth2/v2.0/token", endpoint=self._token, methods=["POST"]),
            ]
        )

    def respond(self, request: Request) -> Response:
        """Answer one request to `login.microsoftonline.com`."""
        endpoint, values = self._routes.bind_to_environ(request.environ).match()
        try:
            return _json(endpoint(request, **values))
        except EntraRefusal as refusal:
            return _error(refusal, request.headers.get("client-request-id") or str(uuid.uuid4()))

    def _instance(self, _: Request) -> dict[str, Any]:
        return {
            "tenant_discovery_endpoint": f"{self._base}{METADATA}",
            "api-version": "1.1",
            "metadata": [
                {"preferred_network": HOST, "preferred_cache": "login.windows.net", "aliases": [HOST]}
            ],
        }

    def _metadata(self, _: Request, tenant: str) -> dict[str, Any]:
        self._require_tenant(tenant)
        return {
            "issuer": f"{self._base}/v2.0",
            "authorization_endpoint": f"{self._base}/oauth2/v2.0/authorize",
            "token_endpoint": self._token_endpoint(self._world.tenant_id),
            "jwks_uri": f"{self._base}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "response_types_supported": ["code", "id_token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
            "msgraph_host": "graph.microsoft.com",
        }

    def _token(self, request: Request, tenant: str) -> dict[str, Any]:
        self._require_tenant(tenant)
        form = request.form.to_dict()
        self._require_client(form)
        audience = _audience(form.get("scope", ""))
        appidacr = self._authenticate(form, tenant)
        try:
            roles = self._resources.roles(audience)
        except LookupError as error:
            text = f"The resource principal named {audience} was not found in the tenant."
            raise EntraRefusal(400, "invalid_resource", 500011, text) from error
        token = self._tokens.issue(audience, roles, appidacr=appidacr)
        life = {"expires_in": LIFETIME, "ext_expires_in": LIFETIME}
        return {"token_type": "Bearer", **life, "access_token": token}

    @property
    def _base(self) -> str:
        return f"https://{HOST}/{self._world.tenant_id}"

    def _token_endpoint(self, tenant: str) -> str:
        return f"https://{HOST}/{tenant}/oauth2/v2.0/token"

    def _require_tenant(self, tenant: str) -> None:
        if tenant in ("common", "organizations", "consumers"):
            raise EntraRefusal(400, "invalid_request", 50059, "No tenant-identifying information found.")
        if tenant.lower() not in (self._world.tenant_id, f"{self._world.organisation}.onmicrosoft.com"):
            raise EntraRefusal(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")

    def _require_client(self, form: Mapping[str, str]) -> None:
        for name in ("grant_type", "client_id"):
            if not form.get(name):
                raise _missing(name)
        if form["grant_type"] != "client_credentials":
            text = f"The app requested an unsupported grant type '{form['grant_type']}'."
            raise EntraRefusal(400, "unsupported_grant_type", 70003, text)
        if form["client_id"].lower() != self._world.client_id:
            text = f"Application with identifier '{form['client_id']}' was not found in the directory."
            raise EntraRefusal(400, "unauthorized_client", 700016, text)

    def _authenticate(self, form: Mapping[str, str], tenant: str) -> Literal["1", "2"]:
        if "client_assertion" in form:
            self._check_assertion(form, tenant)
            return "2"
        if "client_secret" not in form:
            text = "The request body must contain 'client_assertion' or 'client_secret'."
            raise EntraRefusal(401, "invalid_client", 7000218, text)
        right = secrets.compare_digest(form["client_secret"].encode(), self.client_secret.encode())
        if not right or not self._world.knobs.client_secrets:
            raise EntraRefusal(401, "invalid_client", 7000215, "Invalid client secret provided.")
        return "1"

    def _check_assertion(self, form: Mapping[str, str], tenant: str) -> None:
        if form.get("client_assertion_type") != JWT_BEARER:
            raise _missing("client_assertion_type")
        self.assertions.append(form["client_assertion"])
        audiences = {self._token_endpoint(tenant), self._token_endpoint(self._world.tenant_id)}
        try:
            assertions.verify(form["client_assertion"], self._certificate, self._world.client_id, audiences)
        except assertions.InvalidAssertion as error:
            raise EntraRefusal(401, "invalid_client", error.code, str(error)) from error


def _audience(scope: str) -> str:
    """Return the one resource whose `.default` the scope names."""
    scopes = scope.split()
    if not scopes:
        raise _missing("scope")
    if len({each.rpartition("/")[0] for each in scopes}) > 1:
        text = f"The value of scope contains more than one resource. Scope {scope} is not valid."
        raise EntraRefusal(400, "invalid_scope", 70011, text)
    if len(scopes) > 1 or not scope.endswith(SCOPE):
        text = f"The value {scope} of scope is not valid: client credentials take one scope, {SCOPE}."
        raise EntraRefusal(400, "invalid_scope", 1002012, text)
    return scopes[0].removesuffix(SCOPE)


def _missing(name: str) -> EntraRefusal:
    text = f"The request body must contain the following parameter: '{name}'."
    return EntraRefusal(400, "invalid_request", 900144, text)


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store, no-cache", "x-ms-request-id": str(uuid.uuid4())}
    return Response(json.dumps(body), status, headers, content_type="application/json; charset=utf-8")


def _error(refusal: EntraRefusal, correlation: str) -> Response:
    trace, at = str(uuid.uuid4()), datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    text = f"AADSTS{refusal.code}: {refusal} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {at}"
    body = {
        "error": refusal.error,
        "error_description": text,
        "error_codes": [refusal.code],
        "timestamp": at,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://{HOST}/error?code={refusal.code}",
    }
    return _json(body, refusal.status)
