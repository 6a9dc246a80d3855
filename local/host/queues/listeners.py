"""Poll queues: when to poll, and how many messages at a time.

As in QueueListener.cs of github.com/Azure/azure-sdk-for-net. For the processing of a
message see `processing`.
"""

import logging
import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage

from local.host.app.hostjson import QueueOptions
from local.host.app.storage import brief
from local.host.queues.peeking import QueuePeeker
from local.host.queues.processing import QueueProcessor
from local.host.queues.sending import QueueSignals

logger = logging.getLogger("Host.Queues")

SHORTEST_POLL_SECONDS = 0.1
# learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#host-json
LONGEST_POLL_SECONDS = 60.0
LONGEST_POLL_SECONDS_IN_DEVELOPMENT = 2.0


class Backoff:
    """Compute the waits between polls that find nothing: random, doubling, up to a longest wait.

    Args:
        longest: seconds.
        draw: returns a random number from 0 to 1.
    """

    def __init__(self, longest: float, draw: Callable[[], float] = random.random) -> None:
        self._longest = max(longest, SHORTEST_POLL_SECONDS)
        self._draw = draw
        self._exponent = 0

    def reset(self) -> None:
        """Begin again with the shortest wait."""
        self._exponent = 0

    def next(self) -> float:
        """Return the seconds to wait now."""
        wait = SHORTEST_POLL_SECONDS
        if self._exponent:
            wait += SHORTEST_POLL_SECONDS * 2 ** (self._exponent - 1) * (0.8 + 0.4 * self._draw())
        if wait >= self._longest:
            return self._longest
        self._exponent += 1
        return wait


class Receiver:
    """Receive messages for all listeners; until the first message, for one listener at a time.

    The library's models initialize themselves on first use. Of two concurrent threads, one fails with
    "dictionary changed size during iteration" (azure-storage-queue 12.18, _generated/_utils/model_base.py,
    `Model`), when the messages that it has received are hidden already.
    """

    def __init__(self) -> None:
        self._first = threading.Lock()
        self._prepared = False

    def fetch(self, client: QueueClient, count: int, lease_seconds: int) -> list[QueueMessage]:
        """Return up to *count* messages, hidden for a lease.

        Raises:
            AzureError: the queue does not exist, or the storage account refused or could not be reached.
        """
        if self._prepared:
            return _fetch(client, count, lease_seconds)
        with self._first:
            found = _fetch(client, count, lease_seconds)
            self._prepared = self._prepared or bool(found)
        return found


def _fetch(client: QueueClient, count: int, lease_seconds: int) -> list[QueueMessage]:
    # One page: if a second request failed, the messages of the first would be lost until their lease ends.
    pages = client.receive_messages(
        messages_per_page=count, visibility_timeout=lease_seconds, retry_total=0
    ).by_page()
    return list(next(pages, []))


class QueueListener:
    """Poll one queue in a thread, from `start` to `stop`, and process its messages in other threads."""

    def __init__(
        self, processor: QueueProcessor, options: QueueOptions, receiver: Receiver, signals: QueueSignals
    ) -> None:
        self._processor = processor
        self._receiver = receiver
        self._queue = processor.trigger_queue.queue
        self._batch_size = options.batch_size
        self._threshold = _threshold(options)
        self._backoff = Backoff(_longest_poll(options))
        self._slots = threading.Condition()
        self._in_flight = 0
        self._stopping = threading.Event()
        self._signal = threading.Event()
        self._unavailable = False
        self._peeker = QueuePeeker(processor.client)
        name = processor.trigger_queue.function.name
        self._pool = ThreadPoolExecutor(self._batch_size + self._threshold, f"{name}-message")
        self._thread = threading.Thread(target=self._poll, name=f"{name}-poll", daemon=True)
        signals.register(self._queue, self._signal)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def stop(self) -> None:
        """Receive no more messages. Return at once; running calls continue."""
        self._stopping.set()
        self._signal.set()
        with self._slots:
            self._slots.notify()

    def join(self, seconds: float) -> bool:
        """Wait until no message is processed any more; return whether that is so."""
        self._thread.join(seconds)
        with self._slots:
            return not self._thread.is_alive() and self._slots.wait_for(lambda: not self._in_flight, seconds)

    def _poll(self) -> None:
        while self._wait_for_room():
            self._signal.clear()
            batch = self._receive()
            if batch:
                self._backoff.reset()
                self._begin(batch)
            elif not self._stopping.is_set():
                self._signal.wait(self._backoff.next())

    def _wait_for_room(self) -> bool:
        """Wait until few enough messages are processed; return whether to continue at all."""
        with self._slots:
            self._slots.wait_for(lambda: self._stopping.is_set() or self._in_flight <= self._threshold)
        return not self._stopping.is_set()

    def _receive(self) -> list[QueueMessage]:
        if not self._unavailable and self._peeker.is_empty():
            return []
        try:
            found = self._receiver.fetch(
                self._processor.client, self._batch_size, self._processor.lease_seconds
            )
        except ResourceNotFoundError:
            found = []  # the sender of the first message creates the queue
        except AzureError as error:
            if not self._unavailable:
                logger.error("The queue %s cannot be read, trying again: %s", self._queue, brief(error))  # noqa: TRY400
            self._unavailable = True
            return []
        except Exception:  # without this, the queue would never be read again
            logger.exception("The queue %s was not read, trying again", self._queue)
            return []
        if self._unavailable:
            logger.info("The queue %s can be read again", self._queue)
        self._unavailable = False
        return found

    def _begin(self, batch: list[QueueMessage]) -> None:
        with self._slots:
            self._in_flight += len(batch)
        for message in batch:
            self._pool.submit(self._process, message)

    def _process(self, message: QueueMessage) -> None:
        try:
            self._processor.process(message)
        except AzureError as error:
            logger.error("Message %s of %s is left to its lease: %s", message.id, self._queue, brief(error))  # noqa: TRY400
        except Exception:
            logger.exception("Message %s of %s is left to its lease", message.id, self._queue)
        finally:
            with self._slots:
                self._in_flight -= 1
                self._slots.notify_all()


def _threshold(options: QueueOptions) -> int:
    if options.new_batch_threshold is not None:
        return options.new_batch_threshold
    return options.batch_size // 2 * (os.cpu_count() or 1)


def _longest_poll(options: QueueOptions) -> float:
    if options.max_polling_interval is not None:
        return options.max_polling_interval.total_seconds()
    development = os.environ.get("AZURE_FUNCTIONS_ENVIRONMENT", "").lower() == "development"
    return LONGEST_POLL_SECONDS_IN_DEVELOPMENT if development else LONGEST_POLL_SECONDS
