"""A clock that moves only when a test advances it."""

import threading

from local.tenant.directory.world import Clock as TenantClock


class Clock:
    """`shared.clock.Clock` that is advanced by hand, and the tenant's clock with it."""

    def __init__(self, tenant: TenantClock) -> None:
        self._tenant = tenant
        self._lock = threading.Lock()
        self._now = self.began = tenant.now().timestamp()

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now - self.began

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds
            self._tenant.advance(seconds)
