"""How each service refuses a request: for a fault, or over a quota."""

import json
import math
import uuid
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Literal

from werkzeug.wrappers import Response

from local.tenant.graph.wire import GraphRefusal, Trace, envelope

# learn.microsoft.com/graph/errors and learn.microsoft.com/graph/throttling
GRAPH_CODES = {
    400: "BadRequest",
    401: "InvalidAuthenticationToken",
    403: "Authorization_RequestDenied",
    404: "ResourceNotFound",
    409: "Conflict",
    429: "TooManyRequests",
    500: "InternalServerError",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
    507: "InsufficientStorage",
    509: "BandwidthLimitExceeded",
}


def respond(
    service: str, status: int, headers: dict[str, str], *, code: str = "", body: str | None = None
) -> Response:
    """Return the refusal that `service` sends with `status`; `code` "" and `body` None are the usual ones."""
    plain = service.startswith("sharepoint")
    kind = {"Content-Type": "text/plain; charset=utf-8" if plain else "application/json"}
    return Response(_text(service, status, code) if body is None else body, status, kind | headers)


def _text(service: str, status: int, code: str) -> str:
    if service == "graph":
        return json.dumps(graph(status, code))
    if service.startswith("sharepoint"):
        # Its front end throttles before any API handles the request: the body is a line of text.
        return f"{status} {code or ('TOO MANY REQUESTS' if status == 429 else 'The server is busy')}"
    if service == "identity":
        return json.dumps({"statusCode": status, "message": code or "The endpoint is not available."})
    # The token endpoint's; 90033 is its number for a transient error.
    error = code or ("temporarily_unavailable" if status >= 429 else "invalid_request")
    text = "AADSTS90033: A transient error."
    return json.dumps({"error": error, "error_description": text, "error_codes": [90033]})


def graph(status: int, code: str = "") -> dict[str, Any]:
    """Return Graph's error envelope."""
    code, request_id = code or GRAPH_CODES.get(status, "UnknownError"), str(uuid.uuid4())
    refusal = GraphRefusal(status, code, f"A fault was asked for: {status}.")
    return envelope(refusal, datetime.now(UTC), Trace(request_id, request_id))


def graph_throttled() -> dict[str, Any]:
    """Return the body with which Graph throttles: learn.microsoft.com/graph/throttling, "Sample response"."""
    ids = {"date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"), "request-id": str(uuid.uuid4())}
    inner = {"code": "429", "message": "Please retry after", "status": "429", **ids}
    return {"error": {"code": "TooManyRequests", "innerError": inner, "message": "Please retry again later."}}


def retry_after(
    seconds: float, style: Literal["integer", "decimal", "date", "absent"], now: datetime
) -> dict[str, str]:
    """Return the `Retry-After` header in that style; it never asks for less than `seconds`.

    A date is allowed by RFC 9110, 10.2.3; neither Graph nor SharePoint documents it.
    """
    if style == "absent":
        return {}
    if style == "date":
        until = math.ceil(now.timestamp() + seconds)
        return {"Retry-After": format_datetime(datetime.fromtimestamp(until, UTC), usegmt=True)}
    if style == "integer":
        return {"Retry-After": str(math.ceil(seconds))}
    return {"Retry-After": f"{math.ceil(round(seconds * 1000, 3)) / 1000:.3f}"}
