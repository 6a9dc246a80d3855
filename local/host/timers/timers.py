"""Run timers: one thread each, so that a timer never overlaps itself, with a saved status.

As in TimerListener.cs and ScheduleMonitor.cs of github.com/Azure/azure-webjobs-sdk-extensions. Azure keeps
the status in a blob, and a blob lease makes one instance at a time run the timer. Here the status is a row of
a table (see `status_table`), and this process is the only instance.
"""

import json
import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from local.host.app.functions import Function, TimerTrigger
from local.host.calls.invocations import Invoker
from local.host.timers.schedules import Schedule
from local.host.worker import protos

logger = logging.getLogger("Host.Timers")

NEVER = datetime.min.replace(tzinfo=UTC)
LONGEST_WAIT_SECONDS = 30  # then read the clock again: it may have been set


@dataclass(frozen=True)
class TimerStatus:
    """When a timer last ran, when it is due next, and when that was computed; all in UTC."""

    last: datetime
    next: datetime
    updated: datetime


class TimerStatusStore(Protocol):
    """Keep the status of timers over restarts; never raise."""

    def load(self, name: str) -> TimerStatus | None:
        """Return the last saved status, or `None`."""

    def save(self, name: str, status: TimerStatus) -> None:
        """Save a status."""


def make_initial_status(status: TimerStatus | None, schedule: Schedule, now: datetime) -> TimerStatus:
    """Return the status to start from; the timer is past due if `next` is before *now*.

    If the schedule has changed since, missed ticks of the new schedule are not caught up.
    """
    if status is None:
        return TimerStatus(NEVER, schedule.after(now), now)
    since = status.updated if status.last == NEVER else status.last
    expected = schedule.after(since) if since != NEVER else schedule.after(now)
    if status.next == expected:
        return status
    if now > expected:
        return TimerStatus(NEVER, schedule.after(now), now)
    return TimerStatus(NEVER, expected, since)


def make_next_status(
    status: TimerStatus, schedule: Schedule, started: datetime, on_time: bool
) -> TimerStatus:
    """Return the status after a run that began at *started*; *on_time* means that it was a regular tick."""
    # If the clock is a few milliseconds ahead, the same tick must not happen twice.
    moment = max(started, status.next) if on_time else started
    return TimerStatus(moment, schedule.after(moment), moment)


class Timer:
    """Run one function by its schedule, from `start` to `stop`.

    Args:
        function: has a timer trigger.
        schedule: when it is due.
        invoker: calls it.
        store: keeps its status; `None` if the timer is not monitored.
    """

    def __init__(
        self, function: Function, schedule: Schedule, invoker: Invoker, store: TimerStatusStore | None
    ) -> None:
        self._function = function
        self._schedule = schedule
        self._invoker = invoker
        self._store = store
        self._status: TimerStatus | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{function.name}-timer", daemon=True)

    def start(self) -> None:
        """Start the timer's thread."""
        self._thread.start()

    def stop(self) -> None:
        """Let no further tick happen. Return at once; a run under way continues."""
        self._stopping.set()

    def join(self, seconds: float) -> bool:
        """Wait until the timer's thread ends; return whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def call(self) -> None:
        """Run the function now, independently of the schedule."""
        self._invoke(self._status, past_due=False)

    def _run(self) -> None:
        now = datetime.now(UTC)
        status = make_initial_status(
            self._store.load(self._function.name) if self._store else None, self._schedule, now
        )
        self._save(status)
        trigger = self._function.trigger
        if self._store and now > status.next:
            logger.info("Function '%s' is past due on startup. Executing now.", self._function.name)
            status = self._tick(status, on_time=False, past_due=True)
        elif isinstance(trigger, TimerTrigger) and trigger.run_on_startup:
            logger.info("Function '%s' is configured to run on startup. Executing now.", self._function.name)
            status = self._tick(status, on_time=False)
        while self._wait_until(status.next):
            status = self._tick(status, on_time=True)

    def _wait_until(self, moment: datetime) -> bool:
        """Wait for a moment; return whether it came before `stop`."""
        while not self._stopping.is_set():
            left = (moment - datetime.now(UTC)).total_seconds()
            if left <= 0:
                return True
            self._stopping.wait(min(left, LONGEST_WAIT_SECONDS))
        return False

    def _tick(self, status: TimerStatus, *, on_time: bool, past_due: bool = False) -> TimerStatus:
        started = datetime.now(UTC)
        self._invoke(status, past_due=past_due)
        status = make_next_status(status, self._schedule, started, on_time)
        self._save(status)
        return status

    def _save(self, status: TimerStatus) -> None:
        self._status = status
        if self._store:
            self._store.save(self._function.name, status)

    def _invoke(self, status: TimerStatus | None, *, past_due: bool) -> None:
        data = _timer_info(status if self._store else None, past_due)
        self._invoker.run(self._function, data)


def _timer_info(status: TimerStatus | None, past_due: bool) -> protos.TypedData:
    known = status and {
        "Last": status.last.isoformat(),
        "Next": status.next.isoformat(),
        "LastUpdated": status.updated.isoformat(),
    }
    info = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": known, "IsPastDue": past_due}
    return protos.TypedData(json=json.dumps(info))
