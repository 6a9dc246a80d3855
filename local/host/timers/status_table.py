"""Keep the status of timers in a table of AzureWebJobsStorage, so that the next start detects a missed tick.

Azure keeps it in a blob (azure-webjobs-hosts/timers/...). The app needs no blobs, but it needs the table
service; so this host uses a table.
"""

import contextlib
import logging
from datetime import datetime

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.data.tables import TableClient

from local.host.app.storage import Accounts, ConnectionMissingError, brief
from local.host.timers.timers import TimerStatus

logger = logging.getLogger("Host.Timers")

TABLE = "localhosttimers"
PARTITION = "timers"


class TimerStatusTable:
    """Keep timer status in a table. If storage fails, log a warning and continue without the status."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def load(self, name: str) -> TimerStatus | None:
        """Return the last saved status, or `None` if it does not exist or cannot be read."""
        try:
            row = self._table().get_entity(PARTITION, name)
        except ResourceNotFoundError:
            return None
        except (AzureError, ConnectionMissingError) as error:
            logger.warning("The last tick of %s cannot be read: %s", name, brief(error))
            return None
        return TimerStatus(*(datetime.fromisoformat(row[column]) for column in ("last", "next", "updated")))

    def save(self, name: str, status: TimerStatus) -> None:
        """Save a status, and create the table if it is missing."""
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
