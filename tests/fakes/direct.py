"""HTTP from the app to the tenant without sockets: thousands of requests a second instead of hundreds.

Everything above the connection is as it is over TLS: the app's `requests`, the tenant's own reading of the
request, its history, faults, quota and timeouts. What only a connection can do (time out, be refused, send
one byte at a time) cannot be tested with it.
"""

import io
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPHeaderDict, HTTPResponse
from werkzeug.wrappers import Request

from local.tenant.net import wire
from local.tenant.tenant import Tenant


class DirectAdapter(BaseAdapter):
    """A `requests` adapter that hands each request to the tenant and returns its response."""

    def __init__(self, tenant: Tenant) -> None:
        super().__init__()
        self._tenant = tenant

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        del args, kwargs  # timeouts, proxies and certificates belong to connections
        environ = _environ(request)
        try:
            given, share = self._tenant.respond(Request(environ)), 1.0
        except wire.Hangup as hangup:
            if hangup.response is None:
                raise requests.ConnectionError("connection closed") from hangup
            given, share = hangup.response, 0.5
        headers, body = HTTPHeaderDict(given.get_wsgi_headers(environ).items()), given.get_data()
        return make_response(request, given.status_code, headers, body[: int(len(body) * share)])

    def close(self) -> None:
        """Do nothing: no connection is open."""


def _environ(request: requests.PreparedRequest) -> wire.Environ:
    host, _, target = str(request.url).removeprefix("https://").partition("/")
    body = request.body or b""
    headers = {name.lower(): value for name, value in request.headers.items()} | {"host": host}
    head = wire.Head(str(request.method), f"/{target}", "HTTP/1.1", headers)
    return wire.make_environ(head, body.encode() if isinstance(body, str) else body, "https", 443)


def make_response(
    request: requests.PreparedRequest, status: int, headers: Mapping[str, str], body: bytes
) -> requests.Response:
    """Return what `requests` makes of a response; the body may be shorter than its headers say."""
    answer = requests.Response()
    answer.status_code = status
    answer.headers = CaseInsensitiveDict(headers)
    answer.url, answer.request = str(request.url), request
    answer.raw = HTTPResponse(
        io.BytesIO(body), headers, status, preload_content=False, request_method=request.method
    )
    return answer
