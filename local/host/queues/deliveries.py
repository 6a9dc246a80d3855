"""What happens to one queue message: run, then delete, retry or poison.

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
class Source:
    """One queue that triggers one function; names are resolved, the queue's in lower case."""

    function: Function
    connection: str
    queue: str

    @property
    def poison(self) -> str | None:
        """Where its poisoned messages go; a poison queue has no poison queue of its own."""
        name = self.queue + POISON
        return None if self.queue.endswith(POISON) or len(name) > LONGEST_QUEUE_NAME else name


class Delivery:
    """Takes the messages of one source to its function. Safe to use from several threads."""

    def __init__(
        self,
        source: Source,
        client: QueueClient,
        options: QueueOptions,
        invoker: Invoker,
        sender: Sender,
        renewer: Renewer,
    ) -> None:
        self.source = source
        self.client = client
        self.lease_seconds = renewer.seconds
        self._options = options
        self._invoker = invoker
        self._sender = sender
        self._renewer = renewer

    def process(self, message: QueueMessage) -> None:
        """See one received message through.

        Raises:
            AzureError: it could not be deleted, released or poisoned; it comes back when its lease ends.
        """
        tries = message.dequeue_count or 0
        if tries > self._options.max_dequeue_count:
            self._move_aside(message, message.pop_receipt)
            return
        try:
            body = decode(message.content or "", self._options.message_encoding)
        except EncodingError as error:
            logger.error("Message %s of %s cannot be decoded: %s", message.id, self.source.queue, error)  # noqa: TRY400
            self._move_aside(message, message.pop_receipt)
            return
        with self._renewer.hold(self.client, message) as lease:
            data = protos.TypedData(string=body)
            outcome = self._invoker.run(self.source.function, data, describe(message, body))
        if isinstance(outcome, Succeeded):
            self._delete(message, lease.pop_receipt)
        elif tries >= self._options.max_dequeue_count:
            self._move_aside(message, lease.pop_receipt)
        elif self.source.poison is not None:
            self._release(message, lease.pop_receipt)

    def _move_aside(self, message: QueueMessage, receipt: str | None) -> None:
        """Move a message to the poison queue; where there is none, it stays hidden until its lease ends."""
        if self.source.poison is None:
            return
        text = "Message has reached MaxDequeueCount of %d. Moving message to queue '%s'."
        logger.warning(text, self._options.max_dequeue_count, self.source.poison)
        self._sender.send(self.source.connection, self.source.poison, message.content or "")
        self._delete(message, receipt)

    def _delete(self, message: QueueMessage, receipt: str | None) -> None:
        with _pass_over_lost():
            self.client.delete_message(message.id, pop_receipt=receipt)

    def _release(self, message: QueueMessage, receipt: str | None) -> None:
        seconds = int(self._options.visibility_timeout.total_seconds())
        with _pass_over_lost():
            self.client.update_message(message.id, pop_receipt=receipt, visibility_timeout=seconds)


@contextmanager
def _pass_over_lost() -> Iterator[None]:
    """Pass over a message that is gone, or that another listener holds by now: it is theirs."""
    try:
        yield
    except HttpResponseError as error:
        if error.status_code not in (400, 404):
            raise
