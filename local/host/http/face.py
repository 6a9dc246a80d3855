"""The host's HTTP face: route, key, function, answer; and the admin face beside it.

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
from local.host.http.conversions import AnswerError, decode_path, from_worker, read_query, to_worker
from local.host.http.keys import Keys
from local.host.http.routes import Route, compile_route
from local.host.http.server import Request, Response

logger = logging.getLogger("Host.Http")

ADMIN = "admin/functions/"
KEY_HEADER = "x-functions-key"


@dataclass(frozen=True)
class Endpoint:
    """A function and the path it answers on, prefix included."""

    function: Function
    trigger: HttpTrigger
    template: str
    route: Route


def list_endpoints(functions: Iterable[Function], options: HttpOptions) -> list[Endpoint]:
    """List the HTTP functions with their paths, in the order in which they are tried."""
    found = []
    for each in functions:
        if isinstance(each.trigger, HttpTrigger):
            route = (each.trigger.route or each.name).strip("/")
            template = f"{options.route_prefix}/{route}".lstrip("/")
            found.append(Endpoint(each, each.trigger, template, compile_route(template)))
    return found


class Web:
    """Answers requests.

    Args:
        host: this host's name and port, for requests that name none.
        endpoints: in order; the first that matches path and method answers.
        keys: who may call what.
        settings: say which functions are disabled.
        invoker: calls the functions.
        options: bounds on requests at a time.
        run_by_hand: calls a function for the admin face; `None` if there is no such function.
    """

    def __init__(
        self,
        host: str,
        endpoints: list[Endpoint],
        keys: Keys,
        settings: AppSettings,
        invoker: Invoker,
        options: HttpOptions,
        run_by_hand: Callable[[str, str], HTTPStatus],
    ) -> None:
        self._host = host
        self._endpoints = endpoints
        self._keys = keys
        self._settings = settings
        self._invoker = invoker
        self._run_by_hand = run_by_hand
        self._throttle = Throttle(options)

    def answer(self, request: Request) -> Response:
        """Answer one request; called from many threads."""
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
        if not self._keys.opens(key, function.name, endpoint.trigger.auth_level):
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
        except AnswerError as error:
            logger.error("The answer of %s cannot be written: %s", function.name, error)  # noqa: TRY400
            return Response(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _administer(self, request: Request, name: str) -> Response:
        """Call a function by hand.

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
        return Response(self._run_by_hand(name, str(body.get("input", ""))))


class Throttle:
    """The bounds on requests at a time: so many running, so many in all, the others refused."""

    def __init__(self, options: HttpOptions) -> None:
        self._outstanding = options.max_outstanding_requests
        concurrent = options.max_concurrent_requests
        self._slots = threading.Semaphore(concurrent) if concurrent > 0 else None
        self._lock = threading.Lock()
        self._count = 0

    def enter(self) -> bool:
        """Wait for a slot and take it; say `False` at once when too many wait already."""
        with self._lock:
            if 0 < self._outstanding <= self._count:
                return False
            self._count += 1
        if self._slots:
            self._slots.acquire()
        return True

    def leave(self) -> None:
        """Give the slot back."""
        if self._slots:
            self._slots.release()
        with self._lock:
            self._count -= 1


def _presented_key(request: Request) -> str:
    """Give the key of a request: the header, even an empty one, counts before the query."""
    header = request.headers.get(KEY_HEADER)
    if header is not None:
        return header
    return next(
        (v for name, values in read_query(request.target).items() if name.lower() == "code" for v in values),
        "",
    )
