"""The status report: what an administrator needs to see first. It only reads."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from shared.admin.configuration import Configuration
from shared.clock import Clock
from shared.errors import ConfigError, ServiceError
from shared.ledger.failures import Failures
from shared.poison import PoisonStore
from shared.rest.gates import Gates
from shared.rest.problems import Problems
from shared.rest.roles import NOTE
from shared.storage.queues import POISON, Queues
from shared.subscription import ownership
from shared.subscription.record import SubscriptionStore
from shared.sweeps.state import (
    COMPLETE,
    LAST_PAGE_READ,
    MISSED_AFTER,
    STALLED_AFTER,
    SWEEPS_KEPT,
    SweepRecord,
)
from shared.sweeps.store import PartStore, SweepStore
from shared.sweeps.tally import Totals

POISON_COUNTED = 1000  # kept messages: as many as the table service returns at once
POISON_SHOWN = 20
HOUR = 3600.0  # seconds

type _Ended = list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Builds the report. One long-lived object, shared by all threads."""

    sweeps: SweepStore
    parts: PartStore
    subscription: SubscriptionStore
    poison: PoisonStore
    failures: Failures
    gates: Gates
    token_problems: Problems
    redirects: Problems
    queues: Queues
    configuration: Configuration
    own_url: Callable[[], str]  # this deployment's notification URL, "" while the settings are wrong
    clock: Clock

    def status(self) -> dict[str, Any]:
        """Return the running sweep, the last ten, the subscription, gates, and what failed, as JSON.

        `problems` is what an operator must act on first: wrong settings, a token that was refused within the
        last hour, a redirect of SharePoint within the last day, a role that a token lacks, another deployment
        that holds the subscription or shares the storage account, a sweep that makes no progress or is
        braked, a day without a complete sweep, a poison queue that is not emptied, and unreachable storage:
        then there is nothing else. `queues` are the messages in each queue that has any.
        `warnings` are settings that are allowed but probably unintended.
        `failed` are users, `poison` messages that were kept because they name no user; the newest come first.
        Times are Unix seconds.
        """
        now, (problems, warnings) = self.clock.now(), self.configuration.findings()
        facts: dict[str, Any] = {}
        try:
            problems += [*self.token_problems.recent(), *self.redirects.recent()]
            record, ended = self.sweeps.record(), self.sweeps.kept()
            problems += sweep_problems(record, ended, now)
            facts = self._facts(record, ended, now)
            problems += ownership.problems(self.subscription.read(), self.own_url(), now)
            problems += [gate["why"] for gate in facts["gates"].values() if NOTE in gate["why"]]
            facts["queues"], wrong = self._queues()
            problems += wrong
        except ServiceError as error:
            problems.append(f"{error}: nothing else can be told")
        except ConfigError as error:  # of the storage account: the settings' problems may include it
            problems += error.problems
        return {"now": now, "problems": list(dict.fromkeys(problems)), "warnings": warnings, **facts}

    def _queues(self) -> tuple[dict[str, int], list[str]]:
        """Return how many messages wait in each queue, and the problems of the queues."""
        try:
            lengths = self.queues.lengths()
        except ServiceError as error:  # the tables have answered, so that the rest can be told
            return {}, [f"{error}: what waits in the queues cannot be told"]
        return lengths, queue_problems(lengths)

    def _facts(self, record: SweepRecord, ended: _Ended, now: float) -> dict[str, Any]:
        subscription = self.subscription.read()
        return {
            "sweep": self._running(record, ended, now) if record.running(now) else None,
            "sweeps": [{"id": sweep, **_figures(columns)} for sweep, columns in ended[:SWEEPS_KEPT]],
            "sweep_wanted": record.again_why if record.again else "",
            "subscription": {
                "state": subscription.state or "none",
                **{name: getattr(subscription, name) for name in ("id", "expires", "renewed_at", "trouble")},
                "owner": ownership.host_of(subscription.owner),
            },
            "gates": self.gates.report(),
            "failed": self.failures.report(),
            "poison": self._poison(),
        }

    def _poison(self) -> list[dict[str, Any]]:
        kept = [
            {"id": key, **{name: columns[name] for name in ("queue", "why", "at")}}
            for key, columns in self.poison.kept(POISON_COUNTED)
        ]
        return sorted(kept, key=lambda each: -each["at"])[:POISON_SHOWN]

    def _running(self, record: SweepRecord, ended: _Ended, now: float) -> dict[str, Any]:
        totals = self.parts.total(record.id)
        expected = _expected(record, totals, ended)
        answered = totals.seen - totals.unanswered
        elapsed = now - record.opened_at
        return {
            **{name: getattr(record, name) for name in ("id", "why", "force", "opened_at")},
            "pages": int(record.page),
            "every_page_read": record.next == LAST_PAGE_READ,
            "users_expected": expected,
            "users_answered": answered,
            "seconds_left": round(elapsed * (expected - answered) / answered) if answered else None,
            **asdict(totals),
        }


def queue_problems(lengths: Mapping[str, int]) -> list[str]:
    """Return which poison queues are not empty: what can be recorded leaves them within seconds."""
    remedy = (
        "if that stays so, no function can read it (it is not base64, as of a message that was put there or "
        "into the queue by hand): look at it in the storage account, and delete it"
    )
    counts = [(queue, length) for queue, length in lengths.items() if queue.endswith(POISON)]
    return [f"{queue} has a message, or several ({length}): {remedy}" for queue, length in counts]


def sweep_problems(record: SweepRecord, ended: _Ended, now: float) -> list[str]:
    """Return what is wrong with the sweeps: the one that runs or ran last, and the ended ones, latest first.

    Before the first sweep nothing is: a deployment has its first one when the timer fires.
    """
    found = []
    if record.state == "running" and (idle := now - record.progress_at) > STALLED_AFTER:
        hours = f"{idle / HOUR:.0f} h"
        found.append(f"sweep {record.id} has made no progress for {hours}: DELETE /api/sweeps ends it")
    complete = [(sweep, columns) for sweep, columns in ended if columns["state"] in COMPLETE]
    if complete and complete[0][1]["state"] == "braked":
        found.append(f"sweep {complete[0][0]} is braked: {complete[0][1]['reason']}")
    if complete:
        since = float(complete[0][1]["ended_at"])
    else:
        since = float(ended[-1][1]["opened_at"]) if ended else record.opened_at or now
    if now - since > MISSED_AFTER or (len(ended) >= SWEEPS_KEPT and not complete):
        hours, last = f"{(now - since) / HOUR:.0f} h", ""
        if ended:
            sweep, figures = ended[0]
            last = f"; the last one, {sweep}, is {figures['state']}: {figures['reason']}".removesuffix(": ")
        found.append(f"no sweep was completed for {hours}{last}")
    return found


def _expected(record: SweepRecord, totals: Totals, ended: _Ended) -> int:
    """Return how many users the sweep will check: until every page is read, as many as the last one."""
    if record.next == LAST_PAGE_READ:
        return totals.seen
    whole = [columns["seen"] for _, columns in ended if columns["state"] in ("finished", "braked")]
    return max(totals.seen, int(whole[0]) if whole else 0)


def _figures(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a row without those of the table service, and counts as whole numbers."""
    counts = {name: int(columns[name]) for name in asdict(Totals()) if name in columns}
    names = ("state", "reason", "why", "force", "opened_at", "ended_at")
    return {**{name: columns[name] for name in names if name in columns}, **counts}
