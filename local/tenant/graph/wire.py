"""What a Graph handler receives and returns, without HTTP: a request or a part of a `$batch`.

learn.microsoft.com/graph/errors has the shape of an error.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from local.tenant.entra.tokens import Claims

ORIGIN = "https://graph.microsoft.com"
ROOT = f"{ORIGIN}/v1.0"
CONTEXT = f"{ROOT}/$metadata#"

type Json = dict[str, Any]

JSON = (
    "application/json; odata.metadata=minimal; odata.streaming=true; IEEE754Compatible=false; charset=utf-8"
)


class GraphRefusal(Exception):
    """A request that Graph answers with an error: raised by every rule, answered by `Graph.respond`.

    The client sees `code` and `message`.
    """

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


def bad_request(message: str) -> GraphRefusal:
    """Return the refusal of a request that Graph cannot read."""
    return GraphRefusal(400, "BadRequest", message)


def bad_directory_request(message: str) -> GraphRefusal:
    """Return the directory's refusal of a body or an id."""
    return GraphRefusal(400, "Request_BadRequest", message)


def unsupported_query(message: str) -> GraphRefusal:
    """Return the directory's refusal of a query."""
    return GraphRefusal(400, "Request_UnsupportedQuery", message)


def denied() -> GraphRefusal:
    """Return the refusal of a token without the permission."""
    text = "Insufficient privileges to complete the operation."
    return GraphRefusal(403, "Authorization_RequestDenied", text)


class NoPhoto(GraphRefusal):
    """The user exists and the photo does not; `$batch` may answer this without a body."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The ids of a request in its answer: `client` is the caller's, by default Graph's own again."""

    request: str
    client: str


@dataclass(frozen=True, slots=True)
class GraphCall:
    """One request, or one part of a batch. `path` is decoded and begins after `/v1.0`.

    `consistency` is its `ConsistencyLevel`, which a part does not inherit from its batch.
    """

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    content_type: str
    consistency: str
    claims: Claims
    trace: Trace

    def json(self) -> Json:
        """Return the body, a JSON object that is declared as JSON."""
        if self.content_type.partition(";")[0].strip().lower() != "application/json":
            text = "Write requests (excluding DELETE) must contain the Content-Type header declaration."
            raise bad_directory_request(text)
        try:
            read = json.loads(self.body)
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
            read = None
        if not isinstance(read, dict):
            raise bad_request(
                "Unable to read JSON request payload. Please ensure Content-Type header is set "
                "and payload is of valid JSON format."
            )
        return read

    def allow(self, *options: str) -> None:
        """Refuse a query with any parameter besides `options`."""
        for name in self.query:
            if name not in options:
                raise bad_request(f"The query parameter '{name}' is not supported.")


@dataclass(frozen=True, slots=True)
class GraphAnswer:
    """What Graph answers: a JSON object, an image's bytes, or nothing."""

    status: int = 200
    body: Json | bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


def read_query(raw: str) -> dict[str, str]:
    """Return the decoded parameters of a query string; each may occur once."""
    query: dict[str, str] = {}
    for name, value in parse_qsl(raw, keep_blank_values=True):
        if name in query:
            raise bad_request(f"Query option '{name}' was specified more than once.")
        query[name] = value
    return query


def envelope(refusal: GraphRefusal, now: datetime, trace: Trace) -> Json:
    """Return the body of an error as learn.microsoft.com/graph/errors shows it."""
    return {
        "error": {
            "code": refusal.code,
            "message": refusal.message,
            "innerError": {
                "date": now.strftime("%Y-%m-%dT%H:%M:%S"),
                "request-id": trace.request,
                "client-request-id": trace.client,
            },
        }
    }


def write_time(moment: datetime) -> str:
    """Return `moment` (UTC) as Graph writes it: seven fractional digits, or none where they are all zero."""
    fraction = f".{moment.microsecond:06d}0" if moment.microsecond else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?(Z|[+-]\d\d:\d\d)", re.ASCII)


def read_time(text: object) -> datetime | None:
    """Return the moment in `text`, or None if it is not an RFC 3339 time with a zone."""
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
