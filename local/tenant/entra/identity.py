"""The endpoint where an app in Azure App Service or Functions gets its managed identity's tokens.

learn.microsoft.com/azure/app-service/overview-managed-identity, "REST endpoint reference". Plain HTTP, as
there. The identity is the tenant's one application, so either way of signing in has the same permissions.

A token is valid for a day, and the platform returns the same one for as long, whatever was granted since:
learn.microsoft.com/entra/identity/managed-identities-azure-resources/managed-identity-best-practice-recommendations
The knob `identity_token_kept` says how long, on the tenant's clock.
"""

import json
import secrets
import time
import uuid
from datetime import datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from local.tenant.directory.world import World
from local.tenant.entra.face import Resources
from local.tenant.entra.tokens import Tokens

PATH = "/msi/token"
API_VERSION = "2019-08-01"
LIFETIME = 86_399  # seconds


class ManagedIdentity:
    """The endpoint behind `IDENTITY_ENDPOINT`. `header` is the secret that the app gets with it."""

    def __init__(self, world: World, tokens: Tokens, resources: Resources) -> None:
        self._world = world
        self._tokens = tokens
        self._resources = resources
        self.header = secrets.token_hex(16).upper()
        self._kept: dict[str, tuple[datetime, dict[str, Any]]] = {}  # answers by resource, and since when

    def reset(self) -> None:
        """Forget the tokens that were given."""
        self._kept.clear()

    def respond(self, request: Request) -> Response:
        """Answer one request for a token."""
        if request.method != "GET":
            return _refuse(405, "Only GET is supported.")
        if not secrets.compare_digest(request.headers.get("X-IDENTITY-HEADER", ""), self.header):
            return _refuse(403, "X-IDENTITY-HEADER does not hold this app's identity header.")
        if request.args.get("api-version") != API_VERSION:
            return _refuse(400, f"api-version is not {API_VERSION}.")
        resource, client_id = request.args.get("resource", ""), request.args.get("client_id")
        if client_id is not None and client_id.lower() != self._world.client_id:
            return _refuse(400, "No User Assigned Managed Identity found for this ClientId.")
        try:
            return _answer(200, self._give(resource))
        except LookupError:  # `/.default` belongs to Entra's scopes, not to a resource
            return _refuse(500, f"AADSTS500011: no resource principal named {resource}.")

    def _give(self, resource: str) -> dict[str, Any]:
        with self._world.lock:
            now = self._world.clock.now()
            since, answer = self._kept.get(resource, (now, {}))
            if not answer or (now - since).total_seconds() >= self._world.knobs.identity_token_kept:
                roles = self._resources.roles(resource)
                answer = {
                    "access_token": self._tokens.issue(resource, roles, lifetime=LIFETIME),
                    "expires_on": str(int(time.time()) + LIFETIME),
                    "resource": resource,
                    "token_type": "Bearer",
                    "client_id": self._world.client_id,
                }
                self._kept[resource] = now, answer
            return answer


def _refuse(status: int, message: str) -> Response:
    return _answer(status, {"statusCode": status, "message": message, "correlationId": str(uuid.uuid4())})


def _answer(status: int, body: dict[str, Any]) -> Response:
    return Response(json.dumps(body), status, content_type="application/json; charset=utf-8")
