"""Putting messages into queues: for output bindings and for poison."""

import contextlib
import threading
from collections import defaultdict

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from local.host.storage import Accounts


class Bells:
    """Wakes the listener of a queue that got a message from this host, so that it need not poll for it."""

    def __init__(self) -> None:
        self._bells: defaultdict[str, list[threading.Event]] = defaultdict(list)

    def register(self, queue: str, bell: threading.Event) -> None:
        """Ring *bell* whenever a message is sent to *queue*."""
        self._bells[queue].append(bell)

    def ring(self, queue: str) -> None:
        """Wake whoever listens to *queue*."""
        for bell in self._bells.get(queue, ()):
            bell.set()


class Sender:
    """Sends encoded messages, and creates a queue that is missing."""

    def __init__(self, accounts: Accounts, bells: Bells) -> None:
        self._accounts = accounts
        self._bells = bells

    def send(self, connection: str, queue: str, text: str) -> None:
        """Put one message into a queue, then wake its listener.

        Raises:
            AzureError: the storage account refused or could not be reached.
        """
        client = self._accounts.queues(connection).get_queue_client(queue)
        try:
            client.send_message(text)
        except ResourceNotFoundError:
            with contextlib.suppress(ResourceExistsError):  # another thread was faster
                client.create_queue()
            client.send_message(text)
        self._bells.ring(queue)
