"""Find storage accounts by the name of a connection, as the Functions extensions do.

A connection `X` is the setting `AzureWebJobsX` or `X` holding a connection string, or `X__accountName`,
`X__queueServiceUri`, `X__tableServiceUri` with an identity.
learn.microsoft.com/azure/azure-functions/functions-reference#configure-an-identity-based-connection
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableServiceClient
from azure.storage.queue import LinearRetry, QueueServiceClient
from requests.adapters import HTTPAdapter

from local.host.app.settings import AppSettings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

DEFAULT = "AzureWebJobsStorage"

# learn.microsoft.com/azure/storage/common/storage-use-azurite#well-known-storage-account-and-key
DEVELOPMENT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)

# The .NET client of the real host retries three times, starting at 0.8 s.
RETRIES = 3
RETRY_SECONDS = 1
TIMEOUTS = {"connection_timeout": 5, "read_timeout": 30}  # seconds
CONNECTIONS = 100  # all listeners and their messages share one account


class ConnectionMissingError(Exception):
    """No setting defines this connection; the message names the settings that would."""


class Accounts:
    """Connect to the storage accounts of an app, once each, on first use."""

    def __init__(self, settings: AppSettings) -> None:
        self._settings = settings
        self._queues: dict[str, QueueServiceClient] = {}
        self._tables: TableServiceClient | None = None

    def check(self, connection: str) -> None:
        """Check that a connection is defined, without a request.

        Raises:
            ConnectionMissingError: no setting defines it, or its connection string cannot be read.
        """
        self.queues(connection)

    def queues(self, connection: str) -> QueueServiceClient:
        """Return the queue service of a connection ("" is AzureWebJobsStorage). It is thread-safe.

        Raises:
            ConnectionMissingError: no setting defines it, or its connection string cannot be read.
        """
        name = self._setting_name(connection)
        if name not in self._queues:
            self._queues[name] = self._connect(QueueServiceClient, name, "queue", _queue_options())
        return self._queues[name]

    def tables(self) -> TableServiceClient:
        """Return the table service of AzureWebJobsStorage.

        Raises:
            ConnectionMissingError: no setting defines it.
        """
        if self._tables is None:
            self._tables = self._connect(TableServiceClient, DEFAULT, "table", {"retry_total": 1, **TIMEOUTS})
        return self._tables

    def close(self) -> None:
        """Close every connection."""
        for client in self._queues.values():
            client.close()
        if self._tables:
            self._tables.close()

    def _setting_name(self, connection: str) -> str:
        prefixed = f"AzureWebJobs{connection}"
        if connection and self._settings.get(prefixed) is None and not self._identity_names(prefixed):
            return connection
        return prefixed if connection else DEFAULT

    def _identity_names(self, name: str) -> set[str]:
        return self._settings.names_with_prefix(f"{name}__")

    def _connect[Client: (QueueServiceClient, TableServiceClient)](
        self, kind: type[Client], name: str, service: str, options: dict[str, Any]
    ) -> Client:
        text = self._settings.get(name)
        if text:
            text = DEVELOPMENT if text.strip().lower() == "usedevelopmentstorage=true" else text
            try:
                return kind.from_connection_string(text, **options)
            except ValueError as error:
                raise ConnectionMissingError(
                    f"the connection string {name} cannot be read: {error}"
                ) from error
        return self._connect_with_identity(kind, name, service, options)

    def _connect_with_identity[Client: (QueueServiceClient, TableServiceClient)](
        self, kind: type[Client], name: str, service: str, options: dict[str, Any]
    ) -> Client:
        url = self._settings.get(f"{name}__{service}ServiceUri")
        account = self._settings.get(f"{name}__accountName")
        if not url and not account:
            raise ConnectionMissingError(
                f"the connection {name} is not set: neither {name}, nor {name}__accountName, "
                f"nor {name}__{service}ServiceUri"
            )
        url = url or f"https://{account}.{service}.core.windows.net"
        if kind is TableServiceClient:
            return kind(endpoint=url, credential=self._credential(name), **options)
        return kind(url, credential=self._credential(name), **options)

    def _credential(self, name: str) -> TokenCredential:
        # Imported here, because the import takes half a second and most local hosts use no identity.
        from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

        client_id = self._settings.get(f"{name}__clientId")
        if (self._settings.get(f"{name}__credential") or "").lower() == "managedidentity":
            return ManagedIdentityCredential(client_id=client_id)
        return DefaultAzureCredential(managed_identity_client_id=client_id)


def brief(error: Exception) -> str:
    """Summarize an error for the log: the storage library's text contains the URL with its signature."""
    if not isinstance(error, AzureError):
        return str(error)
    return f"{type(error).__name__} {getattr(error, 'status_code', None) or ''}".rstrip()


def _queue_options() -> dict[str, Any]:
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))
    return {
        "retry_policy": LinearRetry(backoff=RETRY_SECONDS, retry_total=RETRIES, random_jitter_range=0),
        "transport": RequestsTransport(session=session, **TIMEOUTS),
    }
