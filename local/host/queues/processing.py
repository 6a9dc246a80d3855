"""Process one queue message: run the function, then delete, release or poison the message.

As in QueueProcessor.cs of github.com/Azure/azure-sdk-for-net.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from azure.core.exceptions import HttpResponseError
from azure.storage.queue import QueueClient, QueueMessage

from local.host.app.functions import Function
from local.host.app.hostjson import QueueOptions
from local.host.calls.invocations import Invoker, Succeeded
from local.host.queues.leases import Renewer
from local.host.queues.messages import EncodingError, decode, describe
from local.host.queues.sending import Sender
from local.host.worker import protos

logger = logging.getLogger("Host.Queues")

POISON = "-poison"
LONGEST_QUEUE_NAME = 63


@dataclass(frozen=True)
class TriggerQueue:
    """A queue that triggers a function; names are resolved, the queue's is in lower case."""

    function: Function
    connection: str
    queue: str

    @property
    def poison(self) -> str | None:
        """The poison queue; a poison queue itself has none."""
        name = self.queue + POISON
        return None if self.queue.endswith(POISON) or len(name) > LONGEST_QUEUE_NAME else name


class QueueProcessor:
    """Process the messages of one trigger queue. Thread-safe."""

    def __init__(
        self,
        trigger_queue: TriggerQueue,
        client: QueueClient,
        options: QueueOptions,
        invoker: Invoker,
        sender: Sender,
        renewer: Renewer,
    ) -> None:
        self.trigger_queue = trigger_queue
        self.client = client
        self.lease_seconds = renewer.seconds
        self._options = options
        self._invoker = invoker
        self._sender = sender
        self._renewer = renewer

    def process(self, message: QueueMessage) -> None:
        """Process one received message.

        Raises:
            AzureError: the message could not be deleted, released or poisoned; it stays hidden for its lease.
        """
        tries = message.dequeue_count or 0
        if tries > self._options.max_dequeue_count:
            self._poison(message, message.pop_receipt)
            return
        try:
            body = decode(message.content or "", self._options.message_encoding)
        except EncodingError as error:
            text = "Message %s of %s cannot be decoded: %s"
            logger.error(text, message.id, self.trigger_queue.queue, error)  # noqa: TRY400
            self._poison(message, message.pop_receipt)
            return
        with self._renewer.hold(self.client, message) as lease:
            data = protos.TypedData(string=body)
            outcome = self._invoker.run(self.trigger_queue.function, data, describe(message, body))
        if isinstance(outcome, Succeeded):
            self._delete(message, lease.pop_receipt)
        elif tries >= self._options.max_dequeue_count:
            self._poison(message, lease.pop_receipt)
        elif self.trigger_queue.poison is not None:
            self._release(message, lease.pop_receipt)

    def _poison(self, message: QueueMessage, receipt: str | None) -> None:
        """Move a message to the poison queue; without one, it stays hidden until its lease ends."""
        if self.trigger_queue.poison is None:
            return
        text = "Message has reached MaxDequeueCount of %d. Moving message to queue '%s'."
        logger.warning(text, self._options.max_dequeue_count, self.trigger_queue.poison)
        self._sender.send(self.trigger_queue.connection, self.trigger_queue.poison, message.content or "")
        self._delete(message, receipt)

    def _delete(self, message: QueueMessage, receipt: str | None) -> None:
        with _ignore_lost():
            self.client.delete_message(message.id, pop_receipt=receipt)

    def _release(self, message: QueueMessage, receipt: str | None) -> None:
        seconds = int(self._options.visibility_timeout.total_seconds())
        with _ignore_lost():
            self.client.update_message(message.id, pop_receipt=receipt, visibility_timeout=seconds)


@contextmanager
def _ignore_lost() -> Iterator[None]:
    """Ignore that a message is deleted, or that another listener has received it."""
    try:
        yield
    except HttpResponseError as error:
        if error.status_code not in (400, 404):
            raise
