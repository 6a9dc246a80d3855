"""Timers: one thread each, so that a timer never overlaps itself, and a record of its ticks.

As in TimerListener.cs and ScheduleMonitor.cs of github.com/Azure/azure-webjobs-sdk-extensions. Azure keeps
the record in a blob and lets one instance at a time hold the timer by a lease; here it is a row of a table
(see `records`), and the one host process is the only instance.
"""

import json
import logging
import random
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from local.host.app.functions import Function, RetryPolicy, TimerTrigger
from local.host.calls.invocations import Failed, Invoker
from local.host.timers.schedules import Schedule
from local.host.worker import protos

logger = logging.getLogger("Host.Timers")

NEVER = datetime.min.replace(tzinfo=UTC)
LONGEST_WAIT_SECONDS = 30  # then look at the clock again: it may have been set


@dataclass(frozen=True)
class Status:
    """When a timer last ran, when it is due next, and when that was worked out; all UTC."""

    last: datetime
    next: datetime
    updated: datetime


class Records(Protocol):
    """Keeps the status of timers over restarts; never raises."""

    def load(self, name: str) -> Status | None:
        """Give what was saved last."""

    def save(self, name: str, status: Status) -> None:
        """Keep a status."""


def begin(status: Status | None, schedule: Schedule, now: datetime) -> Status:
    """Work out the status to start from; it is past due if its `next` lies before *now*.

    A schedule that was changed since is followed from now on: its missed ticks are not made up for.
    """
    if status is None:
        return Status(NEVER, schedule.after(now), now)
    since = status.updated if status.last == NEVER else status.last
    expected = schedule.after(since) if since != NEVER else schedule.after(now)
    if status.next == expected:
        return status
    if now > expected:
        return Status(NEVER, schedule.after(now), now)
    return Status(NEVER, expected, since)


def advance(status: Status, schedule: Schedule, started: datetime, on_time: bool) -> Status:
    """Work out the status after a run that began at *started*; *on_time* if it was a regular tick."""
    # A clock that ran ahead by a few milliseconds must not make the same tick happen twice.
    moment = max(started, status.next) if on_time else started
    return Status(moment, schedule.after(moment), moment)


class Timer:
    """Runs one function by its schedule, from `start` to `stop`.

    Args:
        function: has a timer trigger.
        schedule: when it is due.
        invoker: calls it.
        records: keeps its status; `None` if its ticks are not monitored.
    """

    def __init__(
        self, function: Function, schedule: Schedule, invoker: Invoker, records: Records | None
    ) -> None:
        self._function = function
        self._schedule = schedule
        self._invoker = invoker
        self._records = records
        self._status: Status | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{function.name}-timer", daemon=True)

    def start(self) -> None:
        """Begin to keep time."""
        self._thread.start()

    def stop(self) -> None:
        """Let no further tick happen. Returns at once; a run under way goes on."""
        self._stopping.set()

    def join(self, seconds: float) -> bool:
        """Wait until nothing runs any more; say whether that is so."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def call(self) -> None:
        """Run the function now, beside the schedule, as the admin face asks."""
        self._invoke(self._status, past_due=False)

    def _run(self) -> None:
        now = datetime.now(UTC)
        status = begin(
            self._records.load(self._function.name) if self._records else None, self._schedule, now
        )
        self._keep(status)
        trigger = self._function.trigger
        if self._records and now > status.next:
            logger.info("Function '%s' is past due on startup. Executing now.", self._function.name)
            status = self._tick(status, on_time=False, past_due=True)
        elif isinstance(trigger, TimerTrigger) and trigger.run_on_startup:
            logger.info("Function '%s' is configured to run on startup. Executing now.", self._function.name)
            status = self._tick(status, on_time=False)
        while self._wait_until(status.next):
            status = self._tick(status, on_time=True)

    def _wait_until(self, moment: datetime) -> bool:
        """Wait for a moment; say whether it came before `stop`."""
        while not self._stopping.is_set():
            left = (moment - datetime.now(UTC)).total_seconds()
            if left <= 0:
                return True
            self._stopping.wait(min(left, LONGEST_WAIT_SECONDS))
        return False

    def _tick(self, status: Status, *, on_time: bool, past_due: bool = False) -> Status:
        started = datetime.now(UTC)
        self._invoke(status, past_due=past_due)
        status = advance(status, self._schedule, started, on_time)
        self._keep(status)
        return status

    def _keep(self, status: Status) -> None:
        self._status = status
        if self._records:
            self._records.save(self._function.name, status)

    def _invoke(self, status: Status | None, *, past_due: bool) -> None:
        data = _timer_info(status if self._records else None, past_due)
        policy = self._function.retry or RetryPolicy(0, timedelta(0))
        outcome = self._invoker.run(self._function, data)
        count = 0
        while isinstance(outcome, Failed) and (policy.retries < 0 or count < policy.retries):
            if self._stopping.wait(_delay(policy, count)):
                return
            count += 1
            context = protos.RetryContext(
                retry_count=count, max_retry_count=policy.retries, exception=outcome.error
            )
            outcome = self._invoker.run(self._function, data, retry=context)


def _delay(policy: RetryPolicy, retries_done: int) -> float:
    """Give the seconds before the next retry: fixed, or doubling with a fifth of chance up and down."""
    if policy.longest is None:
        return policy.delay.total_seconds()
    doubled = policy.delay.total_seconds() * 2.0 ** min(retries_done, 30)
    return min(doubled * random.uniform(0.8, 1.2), policy.longest.total_seconds())  # noqa: S311 - no secret


def _timer_info(status: Status | None, past_due: bool) -> protos.TypedData:
    record = status and {
        "Last": status.last.isoformat(),
        "Next": status.next.isoformat(),
        "LastUpdated": status.updated.isoformat(),
    }
    info = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": record, "IsPastDue": past_due}
    return protos.TypedData(json=json.dumps(info))
