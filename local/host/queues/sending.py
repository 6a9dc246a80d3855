"""Send messages to queues, for output bindings and for poison messages."""

import contextlib
import threading
from collections import defaultdict
from http import HTTPStatus
from xml.sax.saxutils import escape

import urllib3
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import AccountSasPermissions, QueueClient

from local.host.app.storage import CONNECTIONS, Accounts
from local.host.queues.signing import SignedUrl

POST_SECONDS = 5.0


class QueueSignals:
    """Wake the listeners of a queue to which this host has sent a message, before their next poll."""

    def __init__(self) -> None:
        self._signals: defaultdict[str, list[threading.Event]] = defaultdict(list)

    def register(self, queue: str, signal: threading.Event) -> None:
        """Set *signal* whenever a message is sent to *queue*."""
        self._signals[queue].append(signal)

    def notify(self, queue: str) -> None:
        """Wake the listeners of *queue*."""
        for signal in self._signals.get(queue, ()):
            signal.set()


class Sender:
    """Send encoded messages, and create missing queues."""

    def __init__(self, accounts: Accounts, signals: QueueSignals) -> None:
        self._accounts = accounts
        self._signals = signals
        self._queues: dict[tuple[str, str], tuple[QueueClient, SignedUrl]] = {}
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, retries=False, timeout=POST_SECONDS)

    def send(self, connection: str, queue: str, text: str) -> None:
        """Send one message to a queue, then wake its listener.

        Raises:
            AzureError: the storage account refused or could not be reached.
        """
        if (connection, queue) not in self._queues:
            client = self._accounts.queues(connection).get_queue_client(queue)
            self._queues[connection, queue] = client, SignedUrl(client, AccountSasPermissions(add=True))
        client, url = self._queues[connection, queue]
        if not self._post(url.get(), client.api_version, text):
            _send_with_library(client, text)
        self._signals.notify(queue)

    def _post(self, url: str | None, version: str, text: str) -> bool:
        """Send a message with one request, for a third of the library's CPU time; return whether it is sent.

        A webhook answers after its messages are sent, and all of them share one core of this process.
        """
        if url is None:
            return False
        body = f"<QueueMessage><MessageText>{escape(text)}</MessageText></QueueMessage>".encode()
        headers = {"x-ms-version": version, "Content-Type": "application/xml"}
        try:
            return self._pool.request("POST", url, body=body, headers=headers).status == HTTPStatus.CREATED
        except urllib3.exceptions.HTTPError:
            return False


def _send_with_library(client: QueueClient, text: str) -> None:
    """Send a message with the library, which retries and knows every error; create a missing queue."""
    try:
        client.send_message(text)
    except ResourceNotFoundError:
        with contextlib.suppress(ResourceExistsError):  # another thread was faster
            client.create_queue()
        client.send_message(text)
