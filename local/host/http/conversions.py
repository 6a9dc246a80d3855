"""Convert HTTP requests to the worker's messages, and its messages to responses.

As in GrpcMessageConversionExtensions.cs and HttpBinding.cs of github.com/Azure/azure-functions-host.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from local.host.worker import protos
from local.net.messages import Request, Response

TEXT = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"
# The server writes these itself.
OWN_HEADERS = frozenset({"content-length", "transfer-encoding", "connection", "date", "keep-alive"})
HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
SAME_SITE = {1: "Lax", 2: "Strict", 3: "None"}


class ResponseError(ValueError):
    """A function's response has a header or a status that HTTP does not allow."""


def decode_path(target: str) -> str:
    """Return the decoded path of a request target. As in ASP.NET, `%2F` stays encoded."""
    path = target.partition("?")[0]
    return "%2F".join(unquote(part) for part in re.split("%2F", path, flags=re.IGNORECASE))


def read_query(target: str) -> dict[str, list[str]]:
    """Return the query of a request target: case-insensitive names with all values, even empty ones."""
    found: dict[str, list[str]] = {}
    spelling: dict[str, str] = {}
    for name, value in parse_qsl(target.partition("?")[2], keep_blank_values=True):
        found.setdefault(spelling.setdefault(name.lower(), name), []).append(value)
    return found


def to_worker(request: Request, host: str, params: Mapping[str, str]) -> protos.TypedData:
    """Return the trigger's data: values joined, empty query values and bodies without a length dropped."""
    query = {name: ",".join(filter(None, values)) for name, values in read_query(request.target).items()}
    headers = request.headers
    path = quote(decode_path(request.target).replace("%2F", "\0"), safe="/:@!$&'()*+,;=~\0").replace(
        "\0", "%2F"
    )
    mark = "?" if "?" in request.target else ""
    url = f"{request.scheme}://{headers.get('host', host)}{path}{mark}{request.target.partition('?')[2]}"
    return protos.TypedData(
        http=protos.RpcHttp(
            method=request.method,
            url=url,
            headers=headers,
            query={name: value for name, value in query.items() if value},
            params=dict(params),
            body=protos.TypedData(bytes=request.body)
            if request.body and "content-length" in headers
            else None,
        )
    )


def from_worker(returned: protos.TypedData | None) -> Response:
    """Convert what a function returned to a response; `None` becomes 200 without a body.

    Raises:
        ResponseError: a header or a status is not valid.
    """
    if returned is None:
        return Response(HTTPStatus.OK)
    match returned.WhichOneof("data"):
        case "http":
            return _http(returned.http)
        case "bytes":
            return _content(200, returned.bytes, {})
        case _:
            return _text(returned.string or returned.json)


def _http(answer: protos.RpcHttp) -> Response:
    status = int(answer.status_code) if answer.status_code.isdecimal() else HTTPStatus.OK
    response = _response(int(status), answer.headers, answer.body.bytes)
    cookies = tuple(("Set-Cookie", _cookie(each)) for each in answer.cookies)
    return Response(response.status, response.headers + cookies, response.body)


def _text(text: str) -> Response:
    """Convert a returned string. A JSON object with a `body` describes a whole response."""
    try:
        content = json.loads(text)
    except ValueError:
        return _content(200, text, {})
    if not isinstance(content, dict):
        return _content(200, content, {})
    known = {name.lower(): value for name, value in content.items()}
    if "body" not in known:
        return _content(200, content, {})
    status = str(known.get("statuscode", known.get("status", 200)))
    headers = known.get("headers") if isinstance(known.get("headers"), dict) else {}
    return _content(int(status) if status.isdecimal() else 200, known["body"], headers or {})


def _content(status: int, content: object, headers: Mapping[str, Any]) -> Response:
    given = any(name.lower() == "content-type" for name in headers)
    match content:
        case None:
            return _response(204 if status == HTTPStatus.OK else status, headers, b"")
        case bytes():
            return _response(status, headers, content)
        case str():
            kind, body = TEXT, content
        case _:
            kind, body = JSON, json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return _response(status, headers if given else {**headers, "Content-Type": kind}, body.encode())


def _response(status: int, headers: Mapping[str, Any], body: bytes) -> Response:
    if not 200 <= status <= 999:
        raise ResponseError(f"{status} is not a valid status")
    kept = [(name, str(value)) for name, value in headers.items() if name.lower() not in OWN_HEADERS]
    _refuse_unwritable(kept)
    return Response(status, tuple(kept), body)


def _refuse_unwritable(headers: Iterable[tuple[str, str]]) -> None:
    for name, value in headers:
        if not HEADER_NAME.fullmatch(name) or not HEADER_VALUE.fullmatch(value):
            raise ResponseError(
                f"the header {name!r} has a control or non-ASCII character in its name or value"
            )


def _cookie(cookie: protos.RpcHttpCookie) -> str:
    parts = [f"{quote(cookie.name)}={quote(cookie.value)}"]
    if cookie.HasField("expires"):
        moment = cookie.expires.value.ToDatetime(UTC)
        parts.append(f"expires={format_datetime(moment, usegmt=True)}")
    if cookie.HasField("max_age"):
        parts.append(f"max-age={int(cookie.max_age.value)}")
    named = {"domain": cookie.domain.value, "path": cookie.path.value}
    parts += [f"{name}={value}" for name, value in named.items() if value]
    if cookie.secure.value:
        parts.append("secure")
    if cookie.same_site:
        parts.append(f"samesite={SAME_SITE[cookie.same_site].lower()}")
    if cookie.http_only.value:
        parts.append("httponly")
    return "; ".join(parts)
