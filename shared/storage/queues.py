"""The app's queues: sending a job, hiding it for a while, taking it back.

Messages never expire. Queues are made on first use. A duplicate is always safe, a gap never: whoever answers
a message sends its consequences first.
"""

import math
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from shared import backoff, jobs
from shared.jobs import Job
from shared.storage.account import Storage, storage_error_code, storage_errors

LONGEST_HIDING = 6 * 24 * 3600  # seconds; the service takes no more than seven days
_TAKEN = {"PopReceiptMismatch", "MessageNotFound", "QueueNotFound"}  # somebody works on it, or did


@dataclass(frozen=True, slots=True)
class Receipt:
    """What it takes to take a message back."""

    queue: str
    message: str
    pop_receipt: str


class Outbox(Protocol):
    """Where messages go."""

    def put(self, queue: str, body: str, hidden: int) -> Receipt:
        """Send a message that shows up after `hidden` seconds."""

    def take_back(self, receipt: Receipt) -> None:
        """Delete a message that nobody has taken yet; one that somebody has is left to him."""


class AzureOutbox:
    """The queues of the storage account."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._first = threading.Lock()
        self._used = False

    def put(self, queue: str, body: str, hidden: int) -> Receipt:
        """See `Outbox.put`."""
        client = self._client(queue)
        with storage_errors():
            sent = self._alone_at_first(lambda: self._send(client, body, hidden))
        return Receipt(queue, str(sent.id), str(sent.pop_receipt))

    def _alone_at_first(self, send: Callable[[], Any]) -> Any:
        """Send, and let nobody else send before the first message of all was.

        Azure's models prepare themselves on first use, and of two threads at once one fails, with "dictionary
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

    def _create(self, client: Any) -> None:
        from azure.core.exceptions import ResourceExistsError

        try:
            client.create_queue()
        except ResourceExistsError as error:
            if storage_error_code(error) != "QueueAlreadyExists":
                raise

    def _client(self, queue: str) -> Any:
        from azure.storage.queue import TextBase64EncodePolicy

        return self._storage.queues().get_queue_client(queue, message_encode_policy=TextBase64EncodePolicy())


class Queues:
    """Sends jobs to the queue of their kind.

    Args:
        outbox: where messages go.
        jitter: a random number of [0, 1).
    """

    def __init__(self, outbox: Outbox, *, jitter: Callable[[], float] = random.random) -> None:
        self._outbox = outbox
        self._jitter = jitter

    def send(self, job: Job, *, hidden: float = 0.0) -> Receipt:
        """Queue a job that shows up after `hidden` seconds, rounded up."""
        seconds = min(math.ceil(max(hidden, 0.0)), LONGEST_HIDING)
        return self._outbox.put(job.queue, jobs.write(job), seconds)

    def defer(self, job: Job, retry_after: float | None, *, now: float) -> int:
        """Queue a job again for later and return the seconds; the last act of whoever handled it.

        Args:
            job: what to do then, with its `seen` and `born` as they were.
            retry_after: what the service asked for, None where it did not say.
            now: Unix seconds.
        """
        wait = backoff.wait_in_queue(retry_after, age=now - job.born, jitter=self._jitter())
        self._outbox.put(job.queue, jobs.write(job), wait)
        return wait

    def defer_raw(self, queue: str, body: str, seconds: int) -> None:
        """Queue a message as it came, for later: its reader cannot work now, whatever it says."""
        self._outbox.put(queue, body, seconds)

    def take_back(self, receipt: Receipt) -> None:
        """Delete a message that is not needed any more, unless somebody works on it already."""
        self._outbox.take_back(receipt)
