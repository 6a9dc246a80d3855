"""Keep exactly one Graph subscription of this app alive: list, plan, apply, under a lease on its record.

The timer, a lifecycle event or an administrator starts it. Graph does not announce the loss of a `users`
subscription, so only its list is reliable, and every creation means that changes may have been missed.
Not here: which step is due (`plan`).
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from shared import logs
from shared.attempt import LONGEST_REQUEST, Attempt
from shared.clock import Clock
from shared.errors import GRAPH, Gone, PutOff, Refused, ServiceError, TryLater
from shared.graph.client import Graph
from shared.graph.subscription import Subscription
from shared.jobs import LifecycleEvent, Tend
from shared.storage.queues import Queues
from shared.subscription import plan as subscriptions
from shared.subscription.client_state import ClientState
from shared.subscription.ownership import HELD, belongs_to, is_same, owned_elsewhere, owner_of
from shared.subscription.plan import Adopt, Blocked, Create, Keep, Renew, SubscriptionPlan, Wanted
from shared.subscription.record import SubscriptionLease, SubscriptionStore

VALIDATIONS = 3  # attempts to pass Graph's validation of this app's URLs, in case the app was asleep

Did = Literal["created", "adopted", "renewed", "kept", "ended", "blocked"]


@dataclass(frozen=True, slots=True)
class Tended:
    """The outcome of a renewal."""

    did: Did
    reason: str = ""  # why, in words
    subscription: str = ""  # its id, "" if none exists
    expires: float = 0.0  # in Unix seconds, 0 if none exists


@dataclass(frozen=True, slots=True)
class Renewal:
    """Tends the subscription. One long-lived object, shared by all threads."""

    graph: Graph
    ring: Callable[[str], None]  # calls one of this app's URLs, so that it is awake when Graph does
    store: SubscriptionStore
    request_sweep: Callable[[str], None]  # because changes may have been missed; told the reason
    queues: Queues
    client_state: ClientState
    notification_url: str  # this app's public base URL
    clock: Clock

    @property
    def wanted(self) -> Wanted:
        """What this deployment's subscription must look like."""
        url = self.notification_url
        return Wanted(f"{url}/api/notifications", f"{url}/api/lifecycle", self.client_state.key_id)

    def tend_for(self, job: Tend) -> None:
        """Do a job from the queue; if it must be repeated, queue it again as the last step.

        Raises `Refused` where Graph refuses the subscription as it is.
        """
        try:
            self.tend(event=job.event)
        except PutOff as error:
            if error.needs_operator:
                logs.error("subscription.denied", error=str(error))
            wait = self.queues.put_off(job, error.after, now=self.clock.now())
            # The timer looks after the subscription every hour anyway.
            outcome = "subscription.event_dropped" if wait is None else "subscription.deferred"
            logs.warning(outcome, event=job.event, after=wait, reason=str(error))

    def tend(
        self, *, event: LifecycleEvent | None = None, asked: bool = False, take_over: bool = False
    ) -> Tended:
        """Make sure that one subscription of this app exists and does not expire.

        Args:
            event: the lifecycle event that caused this, if any.
            asked: an administrator asked; this may restart an ended subscription.
            take_over: replace another deployment's subscription of this application.

        Raises:
            TryLater: Graph or storage is temporarily unavailable, or another instance holds the lease.
            Denied, Refused, ConfigError: Graph refuses until an operator acts.
        """
        with closing(SubscriptionLease(self.store, self.clock)) as lease:
            try:
                tended = self._tend(lease, event, asked=asked, take_over=take_over)
            except ServiceError as error:
                self._note_trouble(lease, str(error))
                raise
            self._note_trouble(lease, tended.reason if tended.did == "blocked" else "")
            return self._reported(tended, event)

    def _tend(
        self, lease: SubscriptionLease, event: LifecycleEvent | None, *, asked: bool, take_over: bool
    ) -> Tended:
        own_url = self.wanted.notification_url
        if take_over and lease.record.owner != own_url:
            lease.write({"owner": own_url})
        if asked and lease.record.state == "ended" and not owned_elsewhere(lease.record.owner, own_url):
            lease.write({"state": ""})
        attempt = Attempt.begin(self.clock, LONGEST_REQUEST)
        listed, now = self.graph.subscriptions(attempt), self.clock.now()
        plan = subscriptions.plan_subscription(
            listed, lease.record, self.wanted, now=now, event=event, take_over=take_over
        )
        if plan.sweep:
            self.request_sweep(f"Graph announced {event}")
        return self._apply(plan, lease, attempt)

    def _note_trouble(self, lease: SubscriptionLease, why: str) -> None:
        """Let the record say why tending it failed; one of another deployment says nothing about this one."""
        record = lease.record
        if record.trouble == why or owned_elsewhere(record.owner, self.wanted.notification_url):
            return
        try:
            lease.write({"trouble": why})
        except ServiceError as error:
            logs.warning("subscription.not_noted", error=str(error))

    def end(self) -> Tended:
        """Delete this deployment's subscription and record that an administrator ended it, without an owner.

        Another deployment's is left alone: *blocked*.

        Raises:
            TryLater, Denied, Refused, ConfigError: as in `tend`.
        """
        with closing(SubscriptionLease(self.store, self.clock)) as lease:
            attempt, own_url = Attempt.begin(self.clock, LONGEST_REQUEST), self.wanted.notification_url
            listed = self.graph.subscriptions(attempt)
            owner = owner_of(lease.record, listed)
            if owned_elsewhere(owner, own_url):
                return self._reported(self._blocked(owner, lease), None)
            for subscription in listed:
                ours = is_same(subscription.notification_url, own_url)
                if ours or subscription.id == lease.record.id:
                    self.graph.delete_subscription(subscription.id, attempt)
            lease.write({"state": "ended", "id": "", "key": "", "expires": 0.0, "owner": "", "trouble": ""})
            return self._reported(Tended("ended", "an administrator ended it"), None)

    def _apply(self, plan: SubscriptionPlan, lease: SubscriptionLease, attempt: Attempt) -> Tended:
        for unwanted in plan.delete:
            self.graph.delete_subscription(unwanted, attempt)
        match plan.step:
            case Keep(kept):
                if not lease.record.owner:  # of an earlier release
                    lease.write(self._owner)
                return _tended("kept", "", kept)
            case Adopt(found):
                return self._adopt(found, lease, "adopted", "its creation was never noted")
            case Renew(due):
                return self._renew(due, lease, attempt)
            case Create(why):
                return self._create(why, lease, attempt)
            case Blocked(owner=owner) if owner:
                return self._blocked(owner, lease)
            case Blocked(hosts):
                return Tended("blocked", f"{HELD}: {', '.join(hosts)}")
            case subscriptions.Ended():
                return Tended("ended", "an administrator ended it")

    @property
    def _owner(self) -> dict[str, str]:
        """The column that makes this deployment the record's owner."""
        return {"owner": self.wanted.notification_url}

    def _blocked(self, owner: str, lease: SubscriptionLease) -> Tended:
        """Let the record tell its owner that this deployment shares the storage account."""
        own_url = self.wanted.notification_url
        lease.write({"owner": owner, "rival": own_url, "rival_at": self.clock.now()})
        return Tended("blocked", belongs_to(owner, own_url))

    def _renew(self, subscription: Subscription, lease: SubscriptionLease, attempt: Attempt) -> Tended:
        now = self.clock.now()
        try:
            renewed = self.graph.renew_subscription(subscription.id, now + subscriptions.LIFE, attempt)
        except Gone:
            return self._create("Graph lost it", lease, attempt)
        except Refused as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            # Graph has been seen to validate the URL on a renewal, and to time out.
            raise TryLater(GRAPH, "the renewal was not validated", request_id=error.request_id) from error
        lease.write({"renewed_at": now, "expires": renewed.expires, **self._owner})
        return _tended("renewed", "", renewed)

    def _create(self, why: str, lease: SubscriptionLease, attempt: Attempt) -> Tended:
        for url in (self.wanted.notification_url, self.wanted.lifecycle_url):
            self.ring(url)
        # Written before the POST, so that a creation whose answer is lost can be adopted.
        lease.write({"state": "creating", "id": "", "key": self.wanted.key, "expires": 0.0, **self._owner})
        return self._adopt(self._post(attempt), lease, "created", why)

    def _post(self, attempt: Attempt) -> Subscription:
        wanted, tries = self.wanted, 0
        while True:
            tries += 1
            state, expires = self.client_state.make(), self.clock.now() + subscriptions.LIFE
            try:
                return self.graph.create_subscription(
                    wanted.notification_url, wanted.lifecycle_url, state, expires, attempt
                )
            except Refused as error:
                if error.status != HTTPStatus.BAD_REQUEST or tries == VALIDATIONS:
                    raise
                logs.warning("subscription.not_validated", code=error.code, request_id=error.request_id)

    def _adopt(self, found: Subscription, lease: SubscriptionLease, did: Did, why: str) -> Tended:
        """Record a new subscription, and request a sweep for the changes before it."""
        now = self.clock.now()
        self.request_sweep(f"the subscription was {did}: {why}")
        active = {"state": "active", "id": found.id, "renewed_at": now, "expires": found.expires}
        lease.write({**active, **self._owner})
        return _tended(did, why, found)

    def _reported(self, tended: Tended, event: LifecycleEvent | None) -> Tended:
        write = logs.error if tended.did == "blocked" else logs.info
        left = round(tended.expires - self.clock.now()) if tended.expires else None
        known = tended.subscription
        write(f"subscription.{tended.did}", event=event, after=left, reason=tended.reason, subscription=known)
        return tended


def _tended(did: Did, reason: str, subscription: Subscription) -> Tended:
    return Tended(did, reason, subscription.id, subscription.expires)
