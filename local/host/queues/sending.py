"""Putting messages into queues: for output bindings and for poison."""

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
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, retries=False, timeout=POST_SECONDS)

    def send(self, connection: str, queue: str, text: str) -> None:
        """Put one message into a queue, then wake its listener.

        Raises:
            AzureError: the storage account refused or could not be reached.
        """
        client = self._accounts.queues(connection).get_queue_client(queue)
        if not self._post(client, text):
            _send_with_care(client, text)
        self._bells.ring(queue)

    def _post(self, client: QueueClient, text: str) -> bool:
        """Put a message with one plain request, for a third of the library's work; say whether it is there.

        A webhook answers when its messages are written, and this process has one core for all of them.
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


def _send_with_care(client: QueueClient, text: str) -> None:
    """Put a message with the library, which tries again and knows every error; create a missing queue."""
    try:
        client.send_message(text)
    except ResourceNotFoundError:
        with contextlib.suppress(ResourceExistsError):  # another thread was faster
            client.create_queue()
        client.send_message(text)
