"""The app's queues: send a job, hide it for a while, delete it. Not here: what jobs mean (`jobs`).

Messages never expire. Queues are created on first use. A duplicate is always safe, a lost message never is:
a handler sends the consequences of a message before it completes the message.
"""

import math
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from shared import backoff, jobs
from shared.jobs import Job
from shared.storage.account import Storage, storage_error_code, storage_errors

POISON = "-poison"  # how the host names the queue of what failed too often
LONGEST_HIDING = 6 * 24 * 3600  # seconds; the service takes no more than seven days
_TAKEN = {"PopReceiptMismatch", "MessageNotFound", "QueueNotFound"}  # it is being handled, or was


@dataclass(frozen=True, slots=True)
class Receipt:
    """What identifies a message that can be deleted again."""

    queue: str
    message: str
    pop_receipt: str


class Outbox(Protocol):
    """Sends and deletes messages."""

    def put(self, queue: str, body: str, hidden: int) -> Receipt:
        """Send a message that becomes visible after `hidden` seconds."""

    def take_back(self, receipt: Receipt) -> None:
        """Delete a message that no handler has received yet; leave one that is being handled."""

    def length(self, queue: str) -> int:
        """Return about how many messages a queue has, hidden ones too; 0 where it does not exist yet."""


@dataclass(slots=True)
class AzureOutbox:
    """The queues of the storage account."""

    storage: Storage
    _first: threading.Lock = field(default_factory=threading.Lock, init=False)
    _used: bool = field(default=False, init=False)

    def put(self, queue: str, body: str, hidden: int) -> Receipt:
        """See `Outbox.put`."""
        client = self._client(queue)
        with storage_errors():
            sent = self._send_first_alone(lambda: self._send(client, body, hidden))
        return Receipt(queue, str(sent.id), str(sent.pop_receipt))

    def _send_first_alone(self, send: Callable[[], Any]) -> Any:
        """Send; until the first message is sent, no other thread sends.

        Azure's models initialise on first use, and if two threads do so at once, one fails with "dictionary
        changed size during iteration": azure-storage-queue 12.18, _generated/_utils/model_base.py, `Model`.
        """
        with self._first:
            if not self._used:
                try:
                    return send()
                finally:
                    self._used = True
        return send()

    def _send(self, client: Any, body: str, hidden: int) -> Any:
        from azure.core.exceptions import ResourceNotFoundError

        send = partial(client.send_message, body, visibility_timeout=hidden, time_to_live=-1)
        try:
            return send()
        except ResourceNotFoundError:
            self._create(client)
            return send()

    def take_back(self, receipt: Receipt) -> None:
        """See `Outbox.take_back`."""
        from azure.core.exceptions import HttpResponseError

        with storage_errors():
            try:
                self._client(receipt.queue).delete_message(receipt.message, receipt.pop_receipt)
            except HttpResponseError as error:
                if storage_error_code(error) not in _TAKEN:
                    raise

    def length(self, queue: str) -> int:
        """See `Outbox.length`."""
        from azure.core.exceptions import ResourceNotFoundError

        with storage_errors():
            try:
                found = self._client(queue).get_queue_properties()
            except ResourceNotFoundError:
                return 0
        return int(found.approximate_message_count or 0)

    def _create(self, client: Any) -> None:
        from azure.core.exceptions import ResourceExistsError

        try:
            client.create_queue()
        except ResourceExistsError as error:
            if storage_error_code(error) != "QueueAlreadyExists":
                raise

    def _client(self, queue: str) -> Any:
        from azure.storage.queue import TextBase64EncodePolicy

        return self.storage.queues().get_queue_client(queue, message_encode_policy=TextBase64EncodePolicy())


@dataclass(frozen=True, slots=True)
class Queues:
    """Sends jobs to the queue of their kind."""

    outbox: Outbox
    jitter: Callable[[], float] = random.random

    def send(self, job: Job, *, hidden: float = 0.0) -> Receipt:
        """Queue a job that becomes visible after `hidden` seconds, rounded up."""
        seconds = min(math.ceil(max(hidden, 0.0)), LONGEST_HIDING)
        return self.outbox.put(job.queue, jobs.write(job), seconds)

    def defer(self, job: Job, retry_after: float | None, *, now: float) -> int:
        """Queue a job again for later and return the seconds; the last step of its handler.

        `job` keeps its `seen` and `born`; `retry_after` are the seconds that the service asked for, None if
        it named no time; `now` is in Unix seconds.
        """
        wait = backoff.wait_in_queue(retry_after, age=now - job.born, jitter=self.jitter())
        self.outbox.put(job.queue, jobs.write(job), wait)
        return wait

    def put_off(self, job: Job, after: float | None, *, now: float, exact: bool = False) -> int | None:
        """Queue a job again for later, as `defer` does; return None if it is older than a day.

        Then its handler ends it. `exact`: wait exactly so long, because a minute is reserved.
        """
        if now - job.born > jobs.LONGEST_LIFE:
            return None
        if not exact:
            return self.defer(job, after, now=now)
        self.send(job, hidden=after or 0.0)
        return math.ceil(after or 0.0)

    def defer_raw(self, queue: str, body: str, seconds: int) -> None:
        """Queue a message unchanged, for later: its handler cannot work now, whatever the message is."""
        self.outbox.put(queue, body, seconds)

    def lengths(self) -> dict[str, int]:
        """Return how many messages each queue of the app has, and each poison queue, where there are any."""
        names = [name for queue in jobs.QUEUES for name in (queue, f"{queue}{POISON}")]
        found = {name: self.outbox.length(name) for name in names}
        return {name: length for name, length in found.items() if length}
