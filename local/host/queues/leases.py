"""Keep messages hidden while their functions run.

A received message is hidden for a lease (10 minutes in Azure). After each half of it the lease is renewed. So
a long function keeps its message, and the message of a crashed host becomes visible again.
"""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError
from azure.storage.queue import QueueClient, QueueMessage

from local.host.app.storage import brief

logger = logging.getLogger("Host.Queues")

LEASE_SECONDS = 600  # QueueListener.cs in github.com/Azure/azure-sdk-for-net


class Lease:
    """The lease of one received message; `pop_receipt` is the valid one to delete or release it with."""

    def __init__(self, client: QueueClient, message: QueueMessage, seconds: int) -> None:
        self.pop_receipt = message.pop_receipt
        self._client = client
        self._id: str = message.id
        self._seconds = seconds
        self._lock = threading.Lock()
        self._ended = False

    def renew(self) -> float | None:
        """Renew the lease; return the seconds to the next renewal, or `None` if the lease has ended."""
        with self._lock:
            if self._ended:
                return None
            try:
                renewed = self._client.update_message(
                    self._id, pop_receipt=self.pop_receipt, visibility_timeout=self._seconds, retry_total=0
                )
            except AzureError as error:
                logger.warning("The lease of message %s was not renewed: %s", self._id, brief(error))
                return self._seconds / 8
            self.pop_receipt = renewed.pop_receipt
            return self._seconds / 2

    def end(self) -> None:
        """Stop the renewals; wait for one that is under way."""
        with self._lock:
            self._ended = True


class Renewer:
    """Renew every lease in time, in one thread.

    Args:
        seconds: the length of a lease, at least 1.
    """

    def __init__(self, seconds: int = LEASE_SECONDS) -> None:
        self.seconds = seconds
        self._due: list[tuple[float, int, Lease]] = []
        self._count = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="lease-renewal", daemon=True)
        self._thread.start()

    @contextmanager
    def hold(self, client: QueueClient, message: QueueMessage) -> Iterator[Lease]:
        """Keep a message hidden within the `with` block."""
        lease = Lease(client, message, self.seconds)
        self._schedule(lease, self.seconds / 2)
        try:
            yield lease
        finally:
            lease.end()

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _schedule(self, lease: Lease, seconds: float) -> None:
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._count), lease))
            self._changed.notify()

    def _run(self) -> None:
        while (lease := self._wait_for_next()) is not None:
            seconds = lease.renew()
            if seconds is not None:
                self._schedule(lease, seconds)

    def _wait_for_next(self) -> Lease | None:
        with self._changed:
            while not self._stopped:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait)
            return None
