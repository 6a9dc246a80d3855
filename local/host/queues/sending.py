"""Send messages to queues, for output bindings and for poison messages."""

import contextlib
import threading
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from xml.sax.saxutils import escape

import urllib3
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import AccountSasPermissions, QueueClient, ResourceTypes, generate_account_sas

from local.host.app.storage import CONNECTIONS, Accounts

SIGNED_FOR = timedelta(minutes=15)
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
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, retries=False, timeout=POST_SECONDS)

    def send(self, connection: str, queue: str, text: str) -> None:
        """Send one message to a queue, then wake its listener.

        Raises:
            AzureError: the storage account refused or could not be reached.
        """
        client = self._accounts.queues(connection).get_queue_client(queue)
        if not self._post(client, text):
            _send_with_library(client, text)
        self._signals.notify(queue)

    def _post(self, client: QueueClient, text: str) -> bool:
        """Send a message with one request, for a third of the library's CPU time; return whether it is sent.

        A webhook answers after its messages are sent, and all of them share one core of this process.
        """
        key = getattr(client.credential, "account_key", None)
        if key is None:
            return False  # the account is reached with an identity
        signature = generate_account_sas(
            client.account_name or "",
            key,
            ResourceTypes(object=True),
            AccountSasPermissions(add=True),
            datetime.now(UTC) + SIGNED_FOR,
        )
        body = f"<QueueMessage><MessageText>{escape(text)}</MessageText></QueueMessage>".encode()
        headers = {"x-ms-version": client.api_version, "Content-Type": "application/xml"}
        try:
            url = f"{client.url}/messages?{signature}"
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
