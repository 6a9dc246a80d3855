"""The tables and queues that the app uses, as a test reads and changes them."""

import contextlib
import json
from collections.abc import Iterable
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.data.tables import TableServiceClient, UpdateMode
from azure.storage.queue import QueueServiceClient, TextBase64DecodePolicy, TextBase64EncodePolicy

KINDS = (
    "photo-checks",
    "photo-syncs",
    "photo-sweeps",
    "photo-sweep-checks",
    "photo-backfill",
    "photo-subscription",
)

type Json = dict[str, Any]


class Stored:
    """The rows and messages in a storage account."""

    def __init__(self, connection: str) -> None:
        self._tables = TableServiceClient.from_connection_string(connection)
        self._queues = QueueServiceClient.from_connection_string(connection)

    def close(self) -> None:
        self._tables.close()
        self._queues.close()

    # --- tables ---

    def ledger(self, user: str) -> Json:
        """The user's row, empty if it does not exist."""
        return self.row("photoledger", user[:2], user)

    def row(self, table: str, partition: str, key: str) -> Json:
        """A row's columns, and as `version` its ETag, which every write changes; empty without a row."""
        try:
            entity = self._tables.get_table_client(table).get_entity(partition, key)
        except ResourceNotFoundError:
            return {}
        return {**entity, "version": entity.metadata["etag"]}

    def rows(self, table: str) -> list[Json]:
        try:
            return [dict(each) for each in self._tables.get_table_client(table).list_entities()]
        except ResourceNotFoundError:
            return []

    def write_row(self, table: str, partition: str, key: str, **columns: Any) -> None:
        """Set columns of a row that otherwise only time would change."""
        entity = {"PartitionKey": partition, "RowKey": key, **columns}
        self._tables.get_table_client(table).upsert_entity(entity, mode=UpdateMode.MERGE)

    def forget(self, table: str, partition: str) -> None:
        """Delete a partition's rows."""
        client = self._tables.get_table_client(table)
        for row in self.rows(table):
            if row["PartitionKey"] == partition:
                client.delete_entity(row)

    def write_rows(self, table: str, partitions: Iterable[Iterable[Json]]) -> None:
        """Write rows with their keys, by partition; create the table if it does not exist."""
        client = self._tables.create_table_if_not_exists(table)
        for rows in partitions:
            client.submit_transaction([("upsert", row) for row in rows])

    # --- queues ---

    def queues(self) -> list[str]:
        """The names of all queues."""
        return [each.name for each in self._queues.list_queues()]

    def waiting(self, queue: str) -> int:
        """How many messages a queue holds, hidden ones too."""
        try:
            return int(self._queue(queue).get_queue_properties().approximate_message_count or 0)
        except ResourceNotFoundError:
            return 0

    def peek(self, queue: str) -> list[Json]:
        """The visible messages of a queue."""
        try:
            return [json.loads(each.content) for each in self._queue(queue).peek_messages(max_messages=32)]
        except ResourceNotFoundError:
            return []

    def take(self, queue: str) -> list[Json]:
        """Take the visible messages out of a queue."""
        client = self._queue(queue)
        try:
            taken = list(client.receive_messages(messages_per_page=32))
        except ResourceNotFoundError:
            return []
        for each in taken:
            client.delete_message(each)
        return [json.loads(each.content) for each in taken]

    def empty(self, queue: str) -> None:
        """Delete every message of a queue, hidden ones too."""
        self._queue(queue).clear_messages()

    def poisoned(self) -> int:
        return sum(self.waiting(f"{queue}-poison") for queue in KINDS)

    def send_plain(self, queue: str, text: str) -> None:
        """Put a text into a queue without base64, as people do by hand."""
        client = self._queues.get_queue_client(queue)
        with contextlib.suppress(ResourceExistsError):
            client.create_queue()
        client.send_message(text)

    def clear(self, queue: str) -> None:
        """Delete the messages of a queue."""
        self._queue(queue).clear_messages()

    def send(self, queue: str, body: str | Json) -> None:
        """Put a message into a queue."""
        text, client = body if isinstance(body, str) else json.dumps(body), self._queue(queue)
        try:
            client.send_message(text)
        except ResourceNotFoundError:  # the app creates its queues on first use, and has not used this one
            client.create_queue()
            client.send_message(text)

    def _queue(self, name: str) -> Any:
        return self._queues.get_queue_client(
            name,
            message_encode_policy=TextBase64EncodePolicy(),
            message_decode_policy=TextBase64DecodePolicy(),
        )
