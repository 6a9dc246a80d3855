"""Convert HTTP requests to the worker's messages, and its messages to responses.

As in GrpcMessageConversionExtensions.cs and HttpBinding.cs of github.com/Azure/azure-functions-host.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl, quote, unquote

from local.host.worker import protos
from local.net.messages import Request, Response


class ResponseError(ValueError):
    """A function returned what this host does not simulate; the message says what."""


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
    path = "%2F".join(
        quote(part, safe="/:@!$&'()*+,;=~") for part in decode_path(request.target).split("%2F")
    )
    mark = "?" if "?" in request.target else ""
    server = request.headers.get("host", host)
    body = request.body if "content-length" in request.headers else b""
    return protos.TypedData(
        http=protos.RpcHttp(
            method=request.method,
            url=f"{request.scheme}://{server}{path}{mark}{request.target.partition('?')[2]}",
            headers=request.headers,
            query={name: value for name, value in query.items() if value},
            params=params,
            body=protos.TypedData(bytes=body) if body else None,
        )
    )


def from_worker(returned: protos.TypedData | None) -> Response:
    """Convert the `HttpResponse` that a function returned; `None` becomes 200 without a body.

    Raises:
        ResponseError: the function returned something else, or cookies.
    """
    if returned is None:
        return Response(HTTPStatus.OK)
    if returned.WhichOneof("data") != "http":
        raise ResponseError("this host does not simulate return values other than HttpResponse")
    http = returned.http
    if http.cookies:
        raise ResponseError("this host does not simulate cookies")
    status = int(http.status_code) if http.status_code.isdecimal() else HTTPStatus.OK
    return Response(status, tuple(http.headers.items()), http.body.bytes)
