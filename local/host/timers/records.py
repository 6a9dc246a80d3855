"""The ticks of timers, kept in a table of AzureWebJobsStorage: the next start notices a missed one.

Azure keeps them in a blob (azure-webjobs-hosts/timers/...). The app needs no blobs, so neither does this
host: it uses the table service, which the app's storage has to offer anyway.
"""

import contextlib
import logging
from datetime import datetime

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.data.tables import TableClient

from local.host.app.storage import Accounts, ConnectionMissingError, brief
from local.host.timers.timers import Status

logger = logging.getLogger("Host.Timers")

TABLE = "localhosttimers"
PARTITION = "timers"


class TableRecords:
    """Timer status in a table. With the storage away it says so in the log and the timer goes on without."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def load(self, name: str) -> Status | None:
        """Give what was saved last; `None` if nothing was, or it cannot be read."""
        try:
            row = self._table().get_entity(PARTITION, name)
        except ResourceNotFoundError:
            return None
        except (AzureError, ConnectionMissingError) as error:
            logger.warning("The last tick of %s cannot be read: %s", name, brief(error))
            return None
        return Status(*(datetime.fromisoformat(row[column]) for column in ("last", "next", "updated")))

    def save(self, name: str, status: Status) -> None:
        """Keep a status, and create the table if it is missing."""
        row = {
            "PartitionKey": PARTITION,
            "RowKey": name,
            "last": status.last.isoformat(),
            "next": status.next.isoformat(),
            "updated": status.updated.isoformat(),
        }
        try:
            table = self._table()
            try:
                table.upsert_entity(row)
            except ResourceNotFoundError:
                with contextlib.suppress(ResourceExistsError):
                    table.create_table()
                table.upsert_entity(row)
        except (AzureError, ConnectionMissingError) as error:
            logger.warning("The tick of %s cannot be recorded: %s", name, brief(error))

    def _table(self) -> TableClient:
        return self._accounts.tables().get_table_client(TABLE)
