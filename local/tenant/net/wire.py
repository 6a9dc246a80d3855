"""Between the server's messages and werkzeug's, which the tenant's services use."""

import io
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from werkzeug.wrappers import Request, Response

from local.net import messages
from local.net.messages import Head, Malformed

Environ = dict[str, Any]


class Hangup(Exception):
    """The handler wants the connection cut: with `response`, in the middle of its body; else at once."""

    def __init__(self, response: Response | None = None) -> None:
        super().__init__("the connection is cut")
        self.response = response


def adapt(handle: Callable[[Request], Response], port: int) -> messages.Handler:
    """Return a handler of the server's messages that calls `handle`, which may raise `Hangup`."""

    def answer(request: messages.Request) -> messages.Response | None:
        environ = make_environ(request, request.body, request.scheme, port)
        try:
            response, share = handle(Request(environ)), 1.0
        except Hangup as hangup:
            if hangup.response is None:
                return None
            response, share = hangup.response, 0.5
        headers = response.get_wsgi_headers(environ)
        return messages.Response(response.status_code, tuple(headers.items()), response.get_data(), share)

    return answer


def make_environ(head: Head, body: bytes, scheme: str, port: int) -> Environ:
    """Return the WSGI environment of a request; `REQUEST_URI` keeps its target as it was sent.

    Raises:
        Malformed: the target is not a path.
    """
    if not head.target.startswith("/"):
        raise Malformed(400, "the request target is not a path")
    path, _, query = head.target.partition("?")
    environ: Environ = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),  # PEP 3333: bytes decoded as Latin-1
        "QUERY_STRING": query,
        "REQUEST_URI": head.target,
        "RAW_URI": head.target,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": head.version,
        "wsgi.url_scheme": scheme,
        "wsgi.input": io.BytesIO(body),
    }
    for name, value in head.headers.items():
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    environ.pop("HTTP_CONTENT_LENGTH", None)
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["CONTENT_LENGTH"] = str(len(body))
    return environ
