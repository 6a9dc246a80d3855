"""The status report: what an administrator needs to see first. It only reads."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from shared.clock import Clock
from shared.errors import ConfigError, ServiceError
from shared.ledger.failures import Failures
from shared.poison import PoisonStore
from shared.rest.gates import Gates
from shared.rest.problems import Problems
from shared.rest.roles import NOTE
from shared.subscription import ownership
from shared.subscription.record import SubscriptionStore
from shared.sweeps.state import LAST_PAGE_READ, SWEEPS_KEPT, SweepRecord
from shared.sweeps.store import PartStore, SweepStore
from shared.sweeps.tally import Totals

POISON_COUNTED = 1000  # kept messages: as many as the table service returns at once
POISON_SHOWN = 20


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
    wrong_settings: Callable[[], tuple[str, ...]]
    own_url: Callable[[], str]  # this deployment's notification URL, "" while the settings are wrong
    clock: Clock

    def status(self) -> dict[str, Any]:
        """Return the running sweep, the last ten, the subscription, gates, and what failed, as JSON.

        `problems` is what an operator must act on first: wrong settings, a token that was refused within the
        last hour, a redirect of SharePoint within the last day, a role that a token lacks, another deployment
        that holds the subscription or shares the storage account, and unreachable storage: then there is
        nothing else.
        `failed` are users, `poison` messages that were kept because they name no user; the newest come first.
        Times are Unix seconds.
        """
        now, problems = self.clock.now(), [*self.wrong_settings()]
        facts: dict[str, Any] = {}
        try:
            problems += [*self.token_problems.recent(), *self.redirects.recent()]
            facts = self._facts(now)
            problems += ownership.problems(self.subscription.read(), self.own_url(), now)
            problems += [gate["why"] for gate in facts["gates"].values() if NOTE in gate["why"]]
        except ServiceError as error:
            problems.append(f"{error}: nothing else can be told")
        except ConfigError as error:  # of the storage account: the settings' problems may include it
            problems += error.problems
        return {"now": now, "problems": list(dict.fromkeys(problems)), **facts}

    def _facts(self, now: float) -> dict[str, Any]:
        record, ended = self.sweeps.record(), self.sweeps.kept()
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

    def _running(
        self, record: SweepRecord, ended: list[tuple[str, dict[str, Any]]], now: float
    ) -> dict[str, Any]:
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


def _expected(record: SweepRecord, totals: Totals, ended: list[tuple[str, dict[str, Any]]]) -> int:
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
