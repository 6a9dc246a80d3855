"""The endpoint where an app in Azure App Service or Functions gets its managed identity's tokens.

learn.microsoft.com/azure/app-service/overview-managed-identity, "REST endpoint reference". Plain HTTP, as
there. The identity is the tenant's one application, so either way of signing in has the same permissions.
"""

import json
import secrets
import time
import uuid
from typing import Any

from werkzeug.wrappers import Request, Response

from local.tenant.directory.world import World
from local.tenant.entra.face import Resources
from local.tenant.entra.tokens import LIFETIME, Tokens

PATH = "/msi/token"
API_VERSION = "2019-08-01"


class ManagedIdentity:
    """The endpoint behind `IDENTITY_ENDPOINT`. `header` is the secret that the app gets with it."""

    def __init__(self, world: World, tokens: Tokens, resources: Resources) -> None:
        self._world = world
        self._tokens = tokens
        self._resources = resources
        self.header = secrets.token_hex(16).upper()

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
            roles = self._resources.roles(resource)
        except LookupError:  # `/.default` belongs to Entra's scopes, not to a resource
            return _refuse(500, f"AADSTS500011: no resource principal named {resource}.")
        answer = {
            "access_token": self._tokens.issue(resource, roles),
            "expires_on": str(int(time.time()) + LIFETIME),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": self._world.client_id,
        }
        return _answer(200, answer)


def _refuse(status: int, message: str) -> Response:
    return _answer(status, {"statusCode": status, "message": message, "correlationId": str(uuid.uuid4())})


def _answer(status: int, body: dict[str, Any]) -> Response:
    return Response(json.dumps(body), status, content_type="application/json; charset=utf-8")
