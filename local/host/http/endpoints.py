"""Dispatch requests: find the route, check the key, call the function; and serve the admin API.

The order is that of FunctionInvocationMiddleware.cs in github.com/Azure/azure-functions-host.
"""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus

from local.host.app.functions import Function, HttpTrigger
from local.host.app.settings import AppSettings
from local.host.calls.invocations import Failed, Invoker
from local.host.http.conversions import ResponseError, decode_path, from_worker, read_query, to_worker
from local.host.http.keys import FunctionKeys
from local.host.http.routes import Route, compile_route
from local.net.messages import Request, Response

logger = logging.getLogger("Host.Http")

ADMIN = "admin/functions/"
KEY_HEADER = "x-functions-key"


@dataclass(frozen=True)
class Endpoint:
    """A function and the template of its path, prefix included."""

    function: Function
    trigger: HttpTrigger
    template: str
    route: Route


def list_endpoints(functions: Iterable[Function], prefix: str) -> list[Endpoint]:
    """Return the HTTP functions with their paths, in the order in which they are matched."""
    found = []
    for each in functions:
        if isinstance(each.trigger, HttpTrigger):
            route = (each.trigger.route or each.name).strip("/")
            template = f"{prefix}/{route}".lstrip("/")
            found.append(Endpoint(each, each.trigger, template, compile_route(template)))
    return found


class HttpDispatcher:
    """Answer requests.

    Args:
        host: this host's name and port, for requests without a Host header.
        endpoints: the first one that matches path and method answers.
        keys: the keys of the functions.
        settings: contain which functions are disabled.
        invoker: calls the functions.
        run_manually: starts a function for the admin API and returns a status.
    """

    def __init__(
        self,
        host: str,
        endpoints: list[Endpoint],
        keys: FunctionKeys,
        settings: AppSettings,
        invoker: Invoker,
        run_manually: Callable[[str, str], HTTPStatus],
    ) -> None:
        self._host = host
        self._endpoints = endpoints
        self._keys = keys
        self._settings = settings
        self._invoker = invoker
        self._run_manually = run_manually

    def answer(self, request: Request) -> Response:
        """Answer one request. Thread-safe."""
        path = decode_path(request.target).strip("/")
        if path.lower().startswith(ADMIN):
            return self._administer(request, path[len(ADMIN) :])
        for each in self._endpoints:
            params = each.route.match(path)
            if params is not None and (not each.trigger.methods or request.method in each.trigger.methods):
                return self._call(request, each, params)
        return Response(HTTPStatus.NOT_FOUND)

    def _call(self, request: Request, endpoint: Endpoint, params: dict[str, str]) -> Response:
        function, key = endpoint.function, _presented_key(request)
        if not self._keys.allows(key, function.name, endpoint.trigger.auth_level):
            return Response(HTTPStatus.UNAUTHORIZED)
        if self._settings.disables(function.name) and not self._keys.is_master(key):
            return Response(HTTPStatus.NOT_FOUND)
        outcome = self._invoker.run(function, to_worker(request, self._host, params))
        if isinstance(outcome, Failed):
            return Response(HTTPStatus.INTERNAL_SERVER_ERROR)
        try:
            return from_worker(outcome.returned)
        except ResponseError as error:
            logger.error("The response of %s cannot be written: %s", function.name, error)  # noqa: TRY400
            return Response(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _administer(self, request: Request, name: str) -> Response:
        """Run a function manually.

        learn.microsoft.com/azure/azure-functions/functions-manually-run-non-http
        """
        if not self._keys.is_master(_presented_key(request)):
            return Response(HTTPStatus.UNAUTHORIZED)
        if request.method != "POST":
            return Response(HTTPStatus.NOT_FOUND)
        try:
            body = json.loads(request.body)
        except ValueError:
            return Response(HTTPStatus.BAD_REQUEST)
        if not isinstance(body, dict):
            return Response(HTTPStatus.BAD_REQUEST)
        return Response(self._run_manually(name, str(body.get("input", ""))))


def _presented_key(request: Request) -> str:
    """Return the key of a request: the header, even if empty, takes precedence over the query."""
    header = request.headers.get(KEY_HEADER)
    if header is not None:
        return header
    return next(
        (v for name, values in read_query(request.target).items() if name.lower() == "code" for v in values),
        "",
    )
