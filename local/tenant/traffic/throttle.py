"""Throttling before every service: what a request costs, and how it is refused over the limit.

SharePoint: each request costs units, those to PeopleManager a call each besides
(learn.microsoft.com/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online).
Graph: photo requests, single or as parts of a `$batch`, where each part is throttled by itself
(learn.microsoft.com/graph/throttling). What is refused here never reaches the service.
"""

import json
import math
import re
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request, Response

from local.tenant.directory.world import World
from local.tenant.sharepoint.csom import count_methods
from local.tenant.sharepoint.hosts import name_geo
from local.tenant.sharepoint.service import PROCESS_QUERY
from local.tenant.traffic import refusals
from local.tenant.traffic.early_returns import EarlyReturns, name_waiting
from local.tenant.traffic.quota import LimitName, MeterReading, Quota

UNITS: LimitName = "sharepoint_units_per_minute"
PEOPLE_MANAGER: LimitName = "people_manager_calls_per_5_minutes"
PHOTOS: LimitName = "graph_photos_per_10_seconds"
PHOTO_SERVICE = "graph-photos"  # a wait for a photo is not a wait for the rest of Graph
INFORM_SHARE = 0.8  # of the limit; from there on SharePoint reports what is left

_PHOTO = re.compile(r"(?:/v1\.0)?/users/([^/?]+)/photos?(?:/|\?|$)", re.IGNORECASE)


def name_part(url: str) -> str:
    """Return what a wait for this part of a `$batch` applies to: for a photo, the mailbox that stores it.

    learn.microsoft.com/graph/throttling-limits limits photos per application and mailbox.
    """
    found = _PHOTO.match(url)
    return f"{PHOTO_SERVICE}/{found[1].lower()}" if found else "graph"


class Throttle:
    """Charge the quota for requests, refuse what is over it, and report each wait to `early_returns`."""

    def __init__(self, world: World, quota: Quota, early_returns: EarlyReturns) -> None:
        self._world = world
        self._quota = quota
        self._early_returns = early_returns

    def admit(self, service: str, request: Request) -> Response | dict[str, str]:
        """Charge a whole request; return its refusal, or the headers to add to its answer."""
        if service.startswith("sharepoint-"):
            return self._admit_sharepoint(service, request)
        if service == "graph" and _PHOTO.match(request.path):
            refused = self.admit_part(request.method, request.environ["REQUEST_URI"])
            if refused is not None:
                status, headers, body = refused
                return Response(json.dumps(body), status, headers, content_type="application/json")
        return {}

    def admit_part(self, method: str, url: str) -> tuple[int, dict[str, str], Any] | None:
        """Charge one part of a Graph `$batch`; return the status, headers and body of its refusal, if any."""
        if not _PHOTO.match(url):
            return None
        self._early_returns.begin(name_part(url), method, url)
        wait = self._quota.charge(PHOTO_SERVICE, {PHOTOS: 1})[PHOTOS].wait
        if not wait:
            return None
        # learn.microsoft.com/graph/throttling-limits has these for the directory's own limits.
        scope = f"Tenant_Application/ReadWrite/{self._world.client_id}/{self._world.tenant_id}"
        headers = {"x-ms-throttle-scope": scope, "x-ms-throttle-information": "ResourceUnitLimitExceeded"}
        return 429, self._ask_to_wait(name_part(url), wait) | headers, refusals.graph_throttled()

    def _admit_sharepoint(self, service: str, request: Request) -> Response | dict[str, str]:
        amounts: dict[LimitName, int] = {UNITS: self._world.knobs.sharepoint_units_per_call}
        if service == "sharepoint-profiles":
            amounts[PEOPLE_MANAGER] = self._count_calls(request)
        readings = self._quota.charge(service, amounts, name_geo(request.host, self._world.domain))
        wait = max(reading.wait for reading in readings.values())
        # Documented to be left out where another limit is hit than the one that they describe.
        headers = {} if wait and not readings[UNITS].wait else self._inform(readings[UNITS])
        if not wait:
            return headers
        return refusals.respond(
            service, 429, headers | self._ask_to_wait(name_waiting(service, request.host), wait)
        )

    def _count_calls(self, request: Request) -> int:
        """Return how many calls to PeopleManager a request is; a query of several methods, by knob."""
        if self._world.knobs.process_query_counts == "one" or request.path.lower() != PROCESS_QUERY:
            return 1
        return max(1, count_methods(request.get_data()))

    def _inform(self, reading: MeterReading) -> dict[str, str]:
        if self._world.knobs.rate_limit_headers == "never" or reading.share < INFORM_SHARE:
            return {}
        limit = reading.limit or 0
        return {
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": str(max(0, limit - reading.used)),
            "RateLimit-Reset": str(math.ceil(reading.reset)),
        }

    def _ask_to_wait(self, waiting: str, seconds: float) -> dict[str, str]:
        headers = refusals.retry_after(seconds, self._world.knobs.retry_after, self._world.clock.now())
        self._early_returns.note_answer(waiting, 429, Headers(headers))
        return headers
