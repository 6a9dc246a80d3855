"""What a service's answer means for the caller: its status, its waiting times, its own code. Pure.

Header names are lower case.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from shared import backoff
from shared.errors import GRAPH, Denied, Gone, Locked, Moved, Refused, ServiceError, Throttled, TryLater

GATEWAY_LOST_IT = {408, 502, 504}  # a gateway answered; the server may still be processing
_TEMPORARY = {408, 429}  # and every 5xx
# How SharePoint numbers the errors of a locked file, beside the status 423: SPFileLockException and
# SPFileCheckOutException of learn.microsoft.com/openspecs/sharepoint_protocols/ms-csomspt; the last two are
# HRESULTs of learn.microsoft.com/windows/win32/debug/system-error-codes.
_LOCKED = {
    -2147018894,  # a shared lock
    -2147018887,  # an exclusive lock
    -2147023436,  # a lock that another request has just changed: github.com/pnp/pnpjs/issues/2381
    -2130575306,  # checked out
    -2147024864,  # ERROR_SHARING_VIOLATION
    -2147024863,  # ERROR_LOCK_VIOLATION
}
_REQUEST_ID_HEADERS = ("request-id", "sprequestguid", "x-ms-request-id")


def error_of(service: str, status: int, headers: Mapping[str, str], body: bytes, now: float) -> ServiceError:
    """Return the error for an unsuccessful answer that came at `now`, Unix seconds.

    429, and 503 with a waiting time, are what a service says of itself, whichever user was asked for:
    learn.microsoft.com/sharepoint/dev/general-development/
    how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online. Any other failure may be one user's.
    """
    code = _code_of(body)
    facts: dict[str, Any] = {"status": status, "code": code, "request_id": request_id(headers)}
    what = f"{status} {code}".rstrip()
    if status == HTTPStatus.LOCKED or says_locked(code.partition(",")[0]):
        return Locked(service, what, after=_asked_for(headers, now), **facts)
    if status in _TEMPORARY or status >= 500:
        after = _asked_for(headers, now)
        speaks = status == 429 or (status == 503 and after is not None)
        return (Throttled if speaks else TryLater)(service, what, after=after, **facts)
    if status in (401, 403):
        return Denied(service, what, **facts)
    if 300 <= status < 400 and service != GRAPH:  # Graph documents no redirect for what is asked of it
        return Moved(service, what, host=_host_in(headers.get("location", "")), **facts)
    return (Gone if status in (404, 410) else Refused)(service, what, **facts)


def says_locked(number: object) -> bool:
    """Return whether SharePoint's number of an error, a number or its text, means a locked file."""
    try:
        return int(str(number)) in _LOCKED
    except ValueError:
        return False


def _host_in(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _asked_for(headers: Mapping[str, str], now: float) -> float | None:
    """Return for how many seconds a service asks for a pause: the longer of its two headers."""
    waits = [backoff.parse_retry_after(headers.get(name), now) for name in ("retry-after", "ratelimit-reset")]
    return max((wait for wait in waits if wait is not None), default=None)


def nearly_spent(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until a nearly spent quota resets, None while a tenth or more is left.

    SharePoint sends these headers from 80 % of the minute's quota on, and does not guarantee them.
    """
    names = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
    limit, remaining, reset = (backoff.parse_seconds(headers.get(name)) for name in names)
    if limit is None or remaining is None or reset is None:
        return None
    return backoff.believed(reset) if remaining < limit / 10 else None


def _code_of(body: bytes) -> str:
    """Return the service's own error code: Graph's `error.code`, SharePoint's `odata.error.code`."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    error = (answer.get("error") or answer.get("odata.error")) if isinstance(answer, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code[:200] if isinstance(code, str) else ""


def request_id(headers: Mapping[str, str]) -> str:
    """Return the service's id of a request, "" if it gave none."""
    return next((headers[name] for name in _REQUEST_ID_HEADERS if name in headers), "")
