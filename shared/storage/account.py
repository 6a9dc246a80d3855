"""The app's storage account: its queue and table clients, and what their errors mean.

How `AzureWebJobsStorage` is read: `connection`. The Azure libraries are imported on first use (cold start).
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from shared.errors import STORAGE, ConfigError, Denied, Refused, ServiceError, Stale, TryLater
from shared.storage.connection import CONNECTION, Connection, resolve

if TYPE_CHECKING:
    from azure.data.tables import TableServiceClient
    from azure.storage.queue import QueueServiceClient

type _Service = Literal["table", "queue"]

# PropertyValueTooLarge, EntityTooLarge, MessageTooLarge, InvalidInput; RequestBodyTooLarge and others:
# learn.microsoft.com/rest/api/storageservices/table-service-error-codes
_OWN_FAULT = {400, 405, 411, 413, 414, 415, 416}

# Short timeouts: a message that storage fails is deferred or redelivered. (The SDKs would wait minutes.)
_OPTIONS = {"connection_timeout": 3, "read_timeout": 10, "retry_total": 2}
_TABLE_OPTIONS = {**_OPTIONS, "retry_backoff_factor": 0.2, "retry_backoff_max": 1}
# The SDK waits initial_backoff + increment_base ** attempt seconds.
_QUEUE_OPTIONS = {**_OPTIONS, "initial_backoff": 0.3, "increment_base": 0.5, "random_jitter_range": 0}


class Storage:
    """Builds the account's two service clients, once each."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._lock = threading.Lock()
        self._built: dict[_Service, Any] = {}

    def problems(self) -> list[str]:
        """Return the problems of the storage settings, each with its remedy."""
        return list(resolve(self._environ).problems)

    def warnings(self) -> tuple[str, ...]:
        """Return what is allowed in the storage settings, but probably unintended."""
        return resolve(self._environ).warnings

    def tables(self) -> "TableServiceClient":
        """Return the table service."""
        from azure.data.tables import TableServiceClient

        return self._client(TableServiceClient, "table", _TABLE_OPTIONS)

    def queues(self) -> "QueueServiceClient":
        """Return the queue service, with base64 messages as in host.json."""
        from azure.storage.queue import QueueServiceClient

        return self._client(QueueServiceClient, "queue", _QUEUE_OPTIONS)

    def _client[Client](self, kind: type[Client], service: _Service, options: Mapping[str, Any]) -> Client:
        with self._lock:
            client: Client = self._built.get(service) or self._build(kind, service, options)
            self._built[service] = client
            return client

    def _build(self, kind: Any, service: _Service, options: Mapping[str, Any]) -> Any:
        connection = resolve(self._environ)
        if connection.problems:
            raise ConfigError(connection.problems)
        try:
            if connection.text:
                return kind.from_connection_string(connection.text, **options)
            return kind(connection.endpoints[service], credential=_credential(connection), **options)
        except ValueError:  # its text may repeat the connection string, so it is not passed on
            problem = f"{CONNECTION} is malformed: copy the storage account's connection string"
            raise ConfigError([problem]) from None


def _credential(connection: Connection) -> Any:
    """Return the credential that the host would use: learn.microsoft.com/dotnet/azure/sdk/authentication."""
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

    kind, value = connection.identity
    if not connection.managed:
        return DefaultAzureCredential(**({"managed_identity_client_id": value} if kind == "clientId" else {}))
    if kind == "managedIdentityResourceId":
        return ManagedIdentityCredential(identity_config={"resource_id": value})
    if kind == "managedIdentityObjectId":
        return ManagedIdentityCredential(identity_config={"object_id": value})
    return ManagedIdentityCredential(client_id=value or None)


@contextmanager
def storage_errors(*, conditional: bool = False) -> Iterator[None]:
    """Turn errors of the Azure libraries into those that say what the caller does next.

    `conditional`: the operation is a table write with a condition that may not hold.

    Raises:
        Stale: the condition does not hold: another writer was first, or the row no longer exists.
        Denied: the identity or key is missing or lacks permission.
        Refused: the request is wrong or too large, which is this app's own fault and no outage.
        TryLater: any other error; an unreachable account is an outage, never a fault of a message.
    """
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

    try:
        yield
    except HttpResponseError as error:
        # A malformed key and a missing identity have no status.
        denied = (
            error.status_code in (401, 403)
            or isinstance(error, ClientAuthenticationError)
            or storage_error_code(error) == "InvalidAuthenticationInfo"  # a 400
        )
        raise _error_of(error, denied, conditional) from error
    except AzureError as error:
        raise TryLater(STORAGE, f"no answer ({type(error).__name__})") from error


def storage_error_code(error: Exception) -> str:
    """Return the storage service's own code of an error, such as `TableNotFound`."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def _error_of(error: Any, denied: bool, conditional: bool) -> ServiceError | Stale:
    status, code = error.status_code, storage_error_code(error)
    what = f"{status or type(error).__name__} {code}".rstrip()
    if conditional and not denied and status in (404, 409, 412) and code != "TableBeingDeleted":
        return Stale(f"{STORAGE}: {what}")
    # Without a code it is not storage that answered, but a gateway on the way.
    own_fault = status in _OWN_FAULT and code != ""
    kind = Denied if denied else Refused if own_fault else TryLater
    return kind(STORAGE, what, status=status, code=code)
