"""What the webhooks and the queues' triggers do, without Azure's types: `function_app` decodes and encodes.

While the settings are wrong, which only an administrator can mend, Graph must try again and messages wait.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared import jobs, logs
from shared.app import App, Services
from shared.errors import ConfigError, Refused, ServiceError, TryLater
from shared.jobs import Check, Job, SweepPage, Sync, Tend
from shared.notifications import Malformed, read_changes, read_handshake, read_lifecycle

UNRECORDED_AFTER = 30  # seconds until poison that could not be recorded is tried again
LONGEST_UNREADABLE = 32 * 1024  # bytes, of which even fewer are kept; a message has at most 48 KiB
MISCONFIGURED_AFTER = 900  # seconds a message waits while the settings are wrong


@dataclass(frozen=True, slots=True)
class WebhookReply:
    """What a webhook answers, and the messages that must be in the queue before it does."""

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    messages: tuple[str, ...] = ()


# The token is text of an unknown sender: plain, and not to be taken for anything else.
_PLAIN: Mapping[str, str] = {"X-Content-Type-Options": "nosniff"}
_NOT_NOW = WebhookReply(503, "not configured")  # Graph tries again for four hours


@dataclass(frozen=True, slots=True)
class Triggers:
    """The bodies of the triggers. One object, long-lived, shared by all threads."""

    app: App

    def notifications(self, token: str | None, body: bytes) -> WebhookReply:
        """Take a notification of changes: 202 with the checks of the users that it names.

        Items that are not Graph's are counted and dropped; the answer is 202 all the same, so that no
        sender learns which were accepted. 400 or 413 for what is not a notification at all.

        `token` is the query's `validationToken` as the host decoded it, None if it is absent. Graph sends one
        to ask whether this endpoint is ours, and wants it back.
        """
        return _greeting(token) or self._changes(body)

    def lifecycle(self, token: str | None, body: bytes) -> WebhookReply:
        """Take what Graph announces about our subscription, as `notifications` takes changes."""
        return _greeting(token) or self._announcements(body)

    def _changes(self, body: bytes) -> WebhookReply:
        services = self._services()
        if services is None:
            return _NOT_NOW
        changes = read_changes(body, state=services.client_state, tenant=services.settings.tenant_id)
        if isinstance(changes, Malformed):
            return WebhookReply(changes.status, changes.reason)
        checks = jobs.pack(changes.users, why="notified", now=self.app.clock.now())
        refused, subscriptions = dict(changes.refused) or None, ",".join(changes.subscriptions)
        logs.info(
            "notifications.taken", users=len(changes.users), refused=refused, subscriptions=subscriptions
        )
        return WebhookReply(202, messages=tuple(jobs.write(job) for job in checks))

    def _announcements(self, body: bytes) -> WebhookReply:
        services = self._services()
        if services is None:
            return _NOT_NOW
        state, tenant = services.client_state, services.settings.tenant_id
        announced = read_lifecycle(body, state=state, tenant=tenant, now=self.app.clock.now())
        if isinstance(announced, Malformed):
            return WebhookReply(announced.status, announced.reason)
        logs.info("lifecycle.taken", count=len(announced.jobs), refused=dict(announced.refused) or None)
        return WebhookReply(202, messages=tuple(jobs.write(job) for job in announced.jobs))

    def work(self, kind: type[Job], body: bytes) -> None:
        """Do the job of a queue's message.

        Raises:
            NotOurs: the message is malformed.
            ServiceError: as the job's use case says; the message is delivered again.
        """
        job = jobs.read(kind, body)
        services = self._services()
        if services is None:  # the message is not at fault: it waits until the settings are right
            self.app.queues.defer_raw(kind.queue, _text_of(body), MISCONFIGURED_AFTER)
        else:
            _do(services, job)

    def record(self, kind: type[Job], body: bytes) -> None:
        """Record a message of the queue of `kind` that failed for good.

        Where that cannot be done now it is queued again, as the last act: the host stops running a message
        that was delivered five times, from a poison queue too, which has no poison queue of its own; and
        the message that the host put there expires after a week.
        github.com/Azure/azure-sdk-for-net, QueueProcessor.cs of Microsoft.Azure.WebJobs.Extensions.Storage

        Raises:
            Refused: storage refuses what would be recorded, each time; the host gives up soon.
            TryLater: the queue is out of reach, too, so that only a redelivery is left.
        """
        try:
            self.app.recorder.record(kind, body)
        except Refused:
            raise
        except ServiceError as error:
            after = (error.after if isinstance(error, TryLater) else None) or UNRECORDED_AFTER
            logs.warning("poison.not_recorded", queue=kind.queue, after=after, error=str(error))
            self.app.queues.defer_raw(f"{kind.queue}-poison", _text_of(body), math.ceil(after))

    def _services(self) -> Services | None:
        try:
            return self.app.services
        except ConfigError as error:
            logs.error("settings.wrong", problems=str(error))
            return None


def _text_of(body: bytes) -> str:
    """Return a message as the text that a queue takes; bytes that are not text are escaped, and cut."""
    try:
        return body.decode(json.detect_encoding(body))  # what the JSON reader would take, UTF-16 too
    except UnicodeDecodeError:
        shown = body.decode("utf-8", "backslashreplace").encode()
        return shown[:LONGEST_UNREADABLE].decode("utf-8", "ignore")


def _greeting(token: str | None) -> WebhookReply | None:
    """Return the answer to a handshake, None where the request is not a handshake."""
    if token is None:
        return None
    match read_handshake(token):
        case Malformed(status, reason):
            return WebhookReply(status, reason)
        case given:
            return WebhookReply(200, given, _PLAIN)


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
