"""Plan the next step for the Graph subscription, from Graph's list and the app's own record. Pure.

The goal is exactly one subscription on `users`, `updated,deleted`, with a lifecycle URL and a `clientState`
signed with the newest secret. Rules: learn.microsoft.com/graph/api/resources/subscription.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.graph.subscription import RESOURCE, Subscription
from shared.jobs import LifecycleEvent
from shared.subscription.ownership import host_of, is_same, owned_elsewhere, owner_of
from shared.subscription.record import SubscriptionRecord

LIFE = (41_760 - 60) * 60.0  # seconds; the longest life of a subscription on directory objects, less an hour
RENEW_AFTER = 24 * 3600.0  # seconds; daily, because Graph ties delivery to a token that it does not name
REAUTHORIZE_AFTER = 600.0  # seconds; two of PATCH and /reauthorize within 10 minutes confuse Graph
ENDS_SOON = 2 * 3600.0  # seconds; Graph may grant less than requested, and the timer runs every hour


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the subscription must look like: the two URLs and the id of the key that signs."""

    notification_url: str
    lifecycle_url: str
    key: str


@dataclass(frozen=True, slots=True)
class Keep:
    """The subscription is correct as it is."""

    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Adopt:
    """The subscription was created but its answer was not recorded: record it."""

    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Renew:
    """PATCH the expiry, which also reauthorises it; if Graph no longer knows it, create one."""

    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Create:
    """No subscription of this deployment can stay: create one, after those in `delete` are deleted."""

    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """An administrator ended the subscription; only an administrator starts a new one."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Another deployment of this application holds the one subscription that Graph allows: leave it alone."""

    hosts: tuple[str, ...]  # of those deployments
    owner: str = ""  # its notification URL, where the storage account is that deployment's, too


type SubscriptionStep = Keep | Adopt | Renew | Create | Ended | Blocked


@dataclass(frozen=True, slots=True)
class SubscriptionPlan:
    """First delete these ids, then do the step. `sweep`: changes may have been missed."""

    step: SubscriptionStep
    delete: tuple[str, ...] = ()
    sweep: bool = False


def plan_subscription(
    listed: Sequence[Subscription],
    record: SubscriptionRecord,
    wanted: Wanted,
    *,
    now: float,
    event: LifecycleEvent | None = None,
    take_over: bool = False,
) -> SubscriptionPlan:
    """Return what to do about this application's subscriptions, as Graph lists them.

    `now` is in Unix seconds; `event` is the lifecycle event that caused this, if any; `take_over`: replace
    another deployment's subscription, and the owner of the record.
    """
    missed, owner, own_url = event == "missed", owner_of(record, listed), wanted.notification_url
    if owned_elsewhere(owner, own_url) and not take_over:
        return SubscriptionPlan(Blocked((host_of(owner),), owner), sweep=missed)
    if record.state == "ended":
        return SubscriptionPlan(Ended())
    ours, foreign = _ours_and_foreign(listed, record, own_url)
    if foreign and not take_over and not ours:
        return SubscriptionPlan(Blocked(tuple(host_of(s.notification_url) for s in foreign)), sweep=missed)
    others = tuple(s.id for s in foreign) if take_over else ()
    if not ours:
        return SubscriptionPlan(Create("none of ours exists"), delete=others)
    *older, youngest = sorted(ours, key=lambda s: s.expires)
    others += tuple(s.id for s in older)
    if reason := _unfit(youngest, record, wanted):
        return SubscriptionPlan(Create(reason), delete=(*others, youngest.id))
    return SubscriptionPlan(_tend(youngest, record, now=now, event=event), delete=others, sweep=missed)


def _ours_and_foreign(
    listed: Sequence[Subscription], record: SubscriptionRecord, own_url: str
) -> tuple[list[Subscription], list[Subscription]]:
    on_users = [s for s in listed if s.resource.strip("/").lower() == RESOURCE]
    ours = [s for s in on_users if s.id == record.id or is_same(s.notification_url, own_url)]
    return ours, [s for s in on_users if s not in ours]


def _unfit(subscription: Subscription, record: SubscriptionRecord, wanted: Wanted) -> str:
    """Return why a subscription of ours cannot stay, "" if it can: Graph allows no change of these."""
    if subscription.notification_url != wanted.notification_url:
        return "its notification URL is not ours any more"
    if subscription.lifecycle_url != wanted.lifecycle_url:
        return "its lifecycle URL is not ours"
    known = record.id == subscription.id or (record.state == "creating" and not record.id)
    return "" if known and record.key == wanted.key else "it was not signed with the newest secret"


def _tend(
    subscription: Subscription, record: SubscriptionRecord, *, now: float, event: LifecycleEvent | None
) -> Keep | Adopt | Renew:
    if record.state == "creating":
        return Adopt(subscription)
    age = now - record.renewed_at
    urgent = event == "reauthorizationRequired" or subscription.expires - now < ENDS_SOON
    due = age > RENEW_AFTER or (urgent and age >= REAUTHORIZE_AFTER)
    return Renew(subscription) if due else Keep(subscription)
