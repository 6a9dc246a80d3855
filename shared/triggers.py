"""What the webhooks and the queues' triggers do, without Azure's types: `function_app` decodes and encodes.

Wrong settings are nobody's fault but the operator's: Graph is told to come again, and messages wait.
"""

import math
from dataclasses import dataclass

from shared import jobs, logs
from shared.app import App, Services
from shared.errors import ConfigError, ServiceError, TryLater
from shared.jobs import Check, Job, SweepPage, Sync, Tend
from shared.notifications import Malformed, read_changes, read_lifecycle

UNRECORDED_AFTER = 30  # seconds until poison that could not be written down is tried again
MISCONFIGURED_AFTER = 900  # seconds a message waits while the settings are wrong


@dataclass(frozen=True, slots=True)
class Taken:
    """What a webhook answers, and the messages that must be in the queue before it does."""

    status: int
    text: str = ""
    messages: tuple[str, ...] = ()


_NOT_NOW = Taken(503, "not configured")  # Graph tries again for four hours


class Doorway:
    """The bodies of the triggers. One object, long-lived, shared by all threads."""

    def __init__(self, app: App) -> None:
        self._app = app

    def take_changes(self, body: bytes) -> Taken:
        """Take a notification of changes: 202 with the checks of the users that it names.

        Items that are not Graph's are counted and dropped; the answer is 202 all the same, so that nobody
        learns which were believed. 400 or 413 for what is no notification at all.
        """
        services = self._services()
        if services is None:
            return _NOT_NOW
        changes = read_changes(body, state=services.client_state, tenant=services.settings.tenant_id)
        if isinstance(changes, Malformed):
            return Taken(changes.status, changes.reason)
        checks = jobs.pack(changes.users, why="notified", now=self._app.clock.now())
        logs.say(
            "notifications.taken",
            users=len(changes.users),
            refused=dict(changes.refused) or None,
            subscriptions=",".join(changes.subscriptions),
        )
        return Taken(202, messages=tuple(jobs.write(job) for job in checks))

    def take_lifecycle(self, body: bytes) -> Taken:
        """Take what Graph announces about our subscription, as `take_changes` takes changes."""
        services = self._services()
        if services is None:
            return _NOT_NOW
        state, tenant = services.client_state, services.settings.tenant_id
        announced = read_lifecycle(body, state=state, tenant=tenant, now=self._app.clock.now())
        if isinstance(announced, Malformed):
            return Taken(announced.status, announced.reason)
        logs.say("lifecycle.taken", count=len(announced.jobs), refused=dict(announced.refused) or None)
        return Taken(202, messages=tuple(jobs.write(job) for job in announced.jobs))

    def work(self, kind: type[Job], body: bytes) -> None:
        """Do the job of a queue's message.

        Raises:
            NotOurs: the message is malformed.
            ServiceError: as the job's use case says; the message is delivered again.
        """
        job = jobs.read(kind, body)
        services = self._services()
        if services is None:  # no fault of the message: it waits until the settings are right
            self._app.queues.defer_raw(kind.queue, body.decode(), MISCONFIGURED_AFTER)
        else:
            _do(services, job)

    def record(self, kind: type[Job], body: bytes) -> None:
        """Write down a message of the queue of `kind` that failed for good.

        Where that cannot be done now it is queued anew, as the last act: the host stops running a message
        that was delivered five times, from a poison queue too, behind which there is no other; and the
        message that the host put there expires after a week.
        github.com/Azure/azure-sdk-for-net, QueueProcessor.cs of Microsoft.Azure.WebJobs.Extensions.Storage

        Raises:
            TryLater: the queue is out of reach, too, so that only a redelivery is left.
        """
        try:
            self._app.recorder.record(kind, body)
        except ServiceError as error:
            after = (error.after if isinstance(error, TryLater) else None) or UNRECORDED_AFTER
            logs.warn("poison.not_recorded", queue=kind.queue, after=after, error=str(error))
            self._app.queues.defer_raw(f"{kind.queue}-poison", body.decode(), math.ceil(after))

    def _services(self) -> Services | None:
        try:
            return self._app.services
        except ConfigError as error:
            logs.cry("settings.wrong", problems=str(error))
            return None


def _do(services: Services, job: Job) -> None:
    match job:
        case Check():
            services.checker.check(job)
        case Sync():
            services.syncer.sync(job)
        case SweepPage():
            services.sweeper.step(job)
        case Tend():
            services.renewal.tend_for(job)
