"""From a host name to the face that answers for it; what happens around every answer happens here.

history → early returns → throttle → faults → face → history. A face that fails is a defect of the tenant: the
caller gets a 500 that says so, and the traceback goes to the log.
"""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from local.tenant.net.wire import Hangup
from local.tenant.traffic.early_returns import EarlyReturns, name_waiting
from local.tenant.traffic.faults import Faults
from local.tenant.traffic.history import History, HistoryEntry
from local.tenant.traffic.throttle import Throttle

logger = logging.getLogger(__name__)


class Face(Protocol):
    """One service of the tenant."""

    def respond(self, request: Request) -> Response:
        """Answer one request."""


FindFace = Callable[[Request], tuple[str, Face] | None]


class Dispatch:
    """Answer every request that a service of the tenant is sent.

    `route` returns the service (as `faults.Fault.service` names it) and the face for a request, else None.
    """

    def __init__(
        self,
        route: FindFace,
        history: History,
        faults: Faults,
        early_returns: EarlyReturns,
        throttle: Throttle,
    ) -> None:
        self._route = route
        self._history = history
        self._faults = faults
        self._early_returns = early_returns
        self._throttle = throttle

    def respond(self, request: Request) -> Response:
        """Answer `request` and record it; `Hangup`: a fault cuts the connection."""
        match = self._route(request)
        if match is None:
            # RFC 9110 §15.5.20: this connection was opened for another name.
            return Response("the tenant does not play this host\n", 421, mimetype="text/plain")
        service, face = match
        path = request.environ["REQUEST_URI"]
        agent = request.headers.get("User-Agent", "")
        entry = self._history.begin(service, request.host, request.method, path, agent)
        self._early_returns.begin(name_waiting(service, request.host), request.method, path)
        began = time.perf_counter()
        status: int | None = None
        try:
            response = self._answer(service, face, request, entry)
            status = response.status_code
        finally:
            parts = request.environ.get("tenant.parts", ())
            self._history.end(entry, status, time.perf_counter() - began, parts)
        return response

    def refused(self, target: str) -> None:
        """Record a `CONNECT` to a host that the tenant does not play."""
        entry = self._history.begin("", target, "CONNECT", "", "")
        self._history.end(entry, 502, 0.0)

    def _answer(self, service: str, face: Face, request: Request, entry: HistoryEntry) -> Response:
        admitted = self._throttle.admit(service, request)
        if isinstance(admitted, Response):
            entry.fault = "quota"
            return admitted
        try:
            response, entry.fault = self._faults.meet(service, request, lambda: _ask(face, request))
        except Hangup as hangup:
            entry.fault = "truncate" if hangup.response else "drop"
            raise
        waiting = name_waiting(service, request.host)
        self._early_returns.note_answer(waiting, response.status_code, response.headers)
        response.headers.update(admitted)
        return response


def _ask(face: Face, request: Request) -> Response:
    try:
        return face.respond(request)
    except HTTPException as error:  # werkzeug's own, e.g. for a body that is not a form
        return Response(f"{error.name}\n", error.code, mimetype="text/plain")
    except Exception:
        logger.exception("the tenant failed to answer %s %s", request.method, request.path)
        return Response("a defect of the emulated tenant; see its log\n", 500, mimetype="text/plain")
