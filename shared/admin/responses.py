"""The HTTP answers to administrators: always JSON, never a stack trace. Pure.

The status says who must act: 4xx the caller; 409 and 503 no one, retry later; 502 the granter of permissions.
"""

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from shared.backoff import SHORTEST
from shared.errors import ConfigError, Gone, NotOurs, ServiceError, SyncError, TryLater
from shared.subscription.renewal import Tended
from shared.sweeps.opener import Opened
from shared.sync.result import Result

FUNCTION_KEY = "code"  # the host takes a function key from it, in any case
_NAME = re.compile(r"[A-Za-z][\w-]{0,31}", re.ASCII)  # no function key is so short
_BY_HINDRANCE = {
    "": HTTPStatus.ACCEPTED,
    "busy": HTTPStatus.CONFLICT,
    "throttled": HTTPStatus.SERVICE_UNAVAILABLE,
    "paced": HTTPStatus.SERVICE_UNAVAILABLE,
    "denied": HTTPStatus.BAD_GATEWAY,
    "refused": HTTPStatus.BAD_GATEWAY,
    "configuration": HTTPStatus.INTERNAL_SERVER_ERROR,
}


@dataclass(frozen=True, slots=True)
class AdminResponse:
    """An HTTP answer."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


def of_result(result: Result) -> AdminResponse:
    """Return the answer to a finished or deferred sync."""
    status, headers = HTTPStatus.NOT_FOUND if result.outcome == "gone" else HTTPStatus.OK, {}
    if result.again:
        status, headers = _BY_HINDRANCE[result.hindrance], _retry_after(result.after)
    shown = ("user", "outcome", "reason", "etag", "requests", "request_id")
    return _json(status, {name: getattr(result, name) for name in shown}, headers)


def of_tended(tended: Tended) -> AdminResponse:
    """Return the answer to a renewal."""
    return _json(HTTPStatus.CONFLICT if tended.did == "blocked" else HTTPStatus.OK, asdict(tended))


def of_opened(opened: Opened) -> AdminResponse:
    """Return the answer to a request for a sweep: 202 with its id, 409 with the running one's."""
    status = HTTPStatus.ACCEPTED if opened.new else HTTPStatus.CONFLICT
    return _json(status, {"sweep": opened.id, "running": not opened.new})


def of_cancelled(sweep: str) -> AdminResponse:
    """Return the answer to a request to end the running sweep: 200 with its id, 404 if `sweep` is ""."""
    if not sweep:
        return _json(HTTPStatus.NOT_FOUND, {"error": "no sweep is running"})
    return _json(HTTPStatus.OK, {"sweep": sweep, "running": False})


def of_status(status: dict[str, Any]) -> AdminResponse:
    """Return the answer to a request for the status report."""
    return _json(HTTPStatus.OK, status)


def of_error(error: SyncError) -> AdminResponse:
    """Return the answer to a request that ended in a `SyncError`."""
    shown = {"error": str(error)}
    if isinstance(error, ServiceError):
        shown["request_id"] = error.request_id
    match error:
        case ConfigError(problems=problems):
            wrong = {"error": "the app is not configured", "problems": problems}
            return _json(HTTPStatus.INTERNAL_SERVER_ERROR, wrong)
        case NotOurs():
            return _json(HTTPStatus.BAD_REQUEST, shown)
        case TryLater(after=after):
            return _json(HTTPStatus.SERVICE_UNAVAILABLE, shown, _retry_after(after))
        case Gone():
            return _json(HTTPStatus.NOT_FOUND, shown)
        case ServiceError():
            return _json(HTTPStatus.BAD_GATEWAY, shown)
        case _:
            return broken()


def broken() -> AdminResponse:
    """Return the answer to a request that ended in an unexpected error; the log has it."""
    return _json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "an unexpected error; see the function's log"})


def query_of(url: str, params: Mapping[str, str]) -> dict[str, str]:
    """Return a query: `params` as the host passes them, and the names without a value, which it drops."""
    return dict.fromkeys(parse_qs(urlsplit(url).query, keep_blank_values=True), "") | dict(params)


def require_known(given: Collection[str], known: Collection[str]) -> None:
    """Refuse query parameters that an endpoint does not know: a misspelt `dry_run` would write.

    `given` are the request's names, `known` those of the endpoint. The function key passes.

    Raises `NotOurs` with the known names. A name that may be a pasted key is not repeated.
    """
    unknown = sorted(name for name in given if name not in known and name.lower() != FUNCTION_KEY)
    if unknown:
        shown = [name if _NAME.fullmatch(name) else "(not shown)" for name in unknown]
        names = f"it has {', '.join(sorted(known))}" if known else "it has none"
        raise NotOurs(f"this endpoint has no query parameter {', '.join(dict.fromkeys(shown))}: {names}")


def sweep_to_release(given: Mapping[str, str]) -> str:
    """Return the sweep of `release_brake`, "" if absent; raise `NotOurs` if it is empty or beside `force`."""
    if "release_brake" not in given:
        return ""
    if not given["release_brake"].strip():
        raise NotOurs("release_brake is empty: set it to the id of the braked sweep, which `status` shows")
    if "force" in given:
        raise NotOurs("force opens a sweep and release_brake releases one: send two requests")
    return given["release_brake"].strip()


def flag(name: str, value: str | None) -> bool:
    """Return a query parameter as a boolean, False if it is missing.

    Raises `NotOurs` where it is neither true nor false.
    """
    if value is None or value.lower() == "false":
        return False
    if value.lower() == "true":
        return True
    raise NotOurs(f"{name} is either true or false")


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {"Retry-After": str(math.ceil(SHORTEST if seconds is None else max(seconds, 1.0)))}


def _json(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> AdminResponse:
    return AdminResponse(status, json.dumps(body), headers or {})
