"""Graph's gateway: check token and version, then answer, or refuse in Graph's error envelope."""

import json
import uuid
from typing import Any

from werkzeug.wrappers import Request, Response

from local.tenant.directory.world import World
from local.tenant.entra.tokens import BadToken, Claims, Tokens
from local.tenant.graph.batch import Batch
from local.tenant.graph.operations import Router
from local.tenant.graph.wire import (
    JSON,
    ORIGIN,
    GraphAnswer,
    GraphCall,
    GraphRefusal,
    Trace,
    envelope,
    read_query,
)

VERSION = "/v1.0"

_BAD_TOKEN = {
    "missing": "Access token is empty.",
    "malformed": "IDX14100: JWT is not well formed, there are no dots (.).",
    "signature": "Access token validation failure. Invalid signature.",
    "expired": "Lifetime validation failed, the token is expired.",
    "audience": "Access token validation failure. Invalid audience.",
}
_CHALLENGE = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
    'client_id="00000003-0000-0000-c000-000000000000"'
)


class GraphGateway:
    """Turn HTTP requests into calls of the operations."""

    def __init__(self, world: World, tokens: Tokens, router: Router, batch: Batch) -> None:
        self._world = world
        self._tokens = tokens
        self._router = router
        self._batch = batch

    def respond(self, request: Request) -> Response:
        """Answer a request; the parts of a `$batch` are left in its environ."""
        request_id = str(uuid.uuid4())
        trace = Trace(request_id, request.headers.get("client-request-id", request_id))
        try:
            answer = self._answer(request, trace)
        except GraphRefusal as refusal:
            body = envelope(refusal, self._world.clock.now(), trace)
            answer = GraphAnswer(refusal.status, body, refusal.headers)
        return _respond(answer, trace)

    def _answer(self, request: Request, trace: Trace) -> GraphAnswer:
        claims = self._admit(request)
        version, path = request.path[: len(VERSION)], request.path[len(VERSION) :]
        if version.lower() != VERSION or not path.startswith("/"):
            raise GraphRefusal(400, "BadRequest", "Invalid version")
        call = GraphCall(
            method=request.method,
            path=path,
            query=read_query(request.query_string.decode("latin-1")),
            body=request.get_data(),
            content_type=request.headers.get("Content-Type", ""),
            consistency=request.headers.get("ConsistencyLevel", ""),
            claims=claims,
            trace=trace,
        )
        if (call.method, call.path.lower()) == ("POST", "/$batch"):
            answer, request.environ["tenant.parts"] = self._batch.run(call)
            return answer
        return self._router.answer(call)

    def _admit(self, request: Request) -> Claims:
        try:
            return self._tokens.check(request.headers.get("Authorization"), ORIGIN)
        except BadToken as error:
            raise GraphRefusal(
                401, "InvalidAuthenticationToken", _BAD_TOKEN[error.reason], {"WWW-Authenticate": _CHALLENGE}
            ) from error


def _respond(answer: GraphAnswer, trace: Trace) -> Response:
    headers: dict[str, Any] = {
        "request-id": trace.request,
        "client-request-id": trace.client,
        "Cache-Control": "no-cache",
        **answer.headers,
    }
    if isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, headers)
    if answer.body is None:
        return Response(status=answer.status, headers=headers)
    return Response(
        json.dumps(answer.body), answer.status, {"OData-Version": "4.0", **headers}, content_type=JSON
    )
