"""Dispatch requests: find the route, check the key, call the function; and serve the admin API.

The order is that of FunctionInvocationMiddleware.cs in github.com/Azure/azure-functions-host.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus

from local.host.app.functions import Function, HttpTrigger
from local.host.app.hostjson import HttpOptions
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


def list_endpoints(functions: Iterable[Function], options: HttpOptions) -> list[Endpoint]:
    """Return the HTTP functions with their paths, in the order in which they are matched."""
    found = []
    for each in functions:
        if isinstance(each.trigger, HttpTrigger):
            route = (each.trigger.route or each.name).strip("/")
            template = f"{options.route_prefix}/{route}".lstrip("/")
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
        options: bounds on concurrent requests.
        run_manually: starts a function for the admin API and returns a status.
    """

    def __init__(
        self,
        host: str,
        endpoints: list[Endpoint],
        keys: FunctionKeys,
        settings: AppSettings,
        invoker: Invoker,
        options: HttpOptions,
        run_manually: Callable[[str, str], HTTPStatus],
    ) -> None:
        self._host = host
        self._endpoints = endpoints
        self._keys = keys
        self._settings = settings
        self._invoker = invoker
        self._run_manually = run_manually
        self._throttle = RequestThrottle(options)

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
        if not self._throttle.enter():
            return Response(HTTPStatus.TOO_MANY_REQUESTS)
        try:
            outcome = self._invoker.run(function, to_worker(request, self._host, params))
        finally:
            self._throttle.leave()
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


class RequestThrottle:
    """Bound the requests that run at a time and the requests that are accepted at a time."""

    def __init__(self, options: HttpOptions) -> None:
        self._outstanding = options.max_outstanding_requests
        concurrent = options.max_concurrent_requests
        self._slots = threading.Semaphore(concurrent) if concurrent > 0 else None
        self._lock = threading.Lock()
        self._count = 0

    def enter(self) -> bool:
        """Wait for a slot and take it; return `False` at once if too many requests wait already."""
        with self._lock:
            if 0 < self._outstanding <= self._count:
                return False
            self._count += 1
        if self._slots:
            self._slots.acquire()
        return True

    def leave(self) -> None:
        """Release the slot."""
        if self._slots:
            self._slots.release()
        with self._lock:
            self._count -= 1


def _presented_key(request: Request) -> str:
    """Return the key of a request: the header, even if empty, takes precedence over the query."""
    header = request.headers.get(KEY_HEADER)
    if header is not None:
        return header
    return next(
        (v for name, values in read_query(request.target).items() if name.lower() == "code" for v in values),
        "",
    )
