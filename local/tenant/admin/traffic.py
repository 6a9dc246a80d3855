"""The admin face's calls about traffic: history, faults, quotas."""

from dataclasses import dataclass, field
from typing import Any

from werkzeug.wrappers import Request

from local.tenant.admin.bodies import read
from local.tenant.traffic.early_returns import EarlyReturns
from local.tenant.traffic.faults import Fault, Faults
from local.tenant.traffic.history import History
from local.tenant.traffic.quota import Limits, Quota

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class FaultList:
    """The body of `PUT /faults`."""

    faults: list[dict[str, object]] = field(default_factory=list)
    seed: int | None = None


class TrafficCalls:
    """The traffic between the application and the tenant: what the administrator can see and change."""

    def __init__(self, history: History, faults: Faults, early_returns: EarlyReturns, quota: Quota) -> None:
        self._history = history
        self._faults = faults
        self._early_returns = early_returns
        self._quota = quota

    def requests(self, request: Request) -> Json:
        """`GET /history`: requests received, of `?host=` or `?service=`, numbered above `?since=`."""
        last = self._history.last
        return {"last": last, "requests": self._history.entries(**_selection(request))}

    def summary(self, request: Request) -> Json:
        """`GET /history/summary`: how many of them, by service, method and status."""
        last = self._history.last
        return {"last": last, **self._history.summary(**_selection(request))}

    def forget_requests(self, _: Request) -> Json:
        """`DELETE /history`."""
        return {"last": self._history.clear()}

    def faults(self, _: Request) -> Json:
        """`GET /faults`: the armed faults, how often each fired, and the early requests."""
        return {"faults": self._faults.report(), "early_return": self._early_returns.recorded()}

    def arm_faults(self, request: Request) -> Json:
        """`PUT /faults`: replace the armed faults."""
        arming = read(FaultList, request.get_json(force=True))
        self._faults.arm([read(Fault, fault) for fault in arming.faults], arming.seed)
        return self.faults(request)

    def disarm_faults(self, request: Request) -> Json:
        """`DELETE /faults`: disarm all, and forget the early returns."""
        self._faults.arm([])
        self._early_returns.clear()
        return self.faults(request)

    def quota(self, _: Request) -> Json:
        """`GET /quota`: the limits, and what was used of them."""
        return self._quota.report()

    def limit(self, request: Request) -> Json:
        """`PUT /quota`: replace the limits; count from zero."""
        self._quota.limit(read(Limits, request.get_json(force=True)))
        return self.quota(request)


def _selection(request: Request) -> dict[str, Any]:
    args = request.args
    return {
        "host": args.get("host", ""),
        "service": args.get("service", ""),
        "since": args.get("since", 0, type=int),
    }
