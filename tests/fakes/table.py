"""A table in memory that behaves as Azure's."""

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import batched
from typing import Any

from shared.errors import Stale
from shared.storage.tables import ANY, ROWS_A_TRANSACTION
from tests.fakes.external_steps import ExternalSteps

LONGEST_TEXT = 32 * 1024  # UTF-16 code units in a column
LARGEST_INT = 2**31 - 1  # the largest that the client library writes as a plain number
type Watch = Callable[[str, str, Mapping[str, Any]], object]

NOT_IN_A_KEY = set("/\\#?\t\n\r")


class Table:
    """`shared.storage.tables.Table`. A merge keeps other columns; each write makes a new version.

    `watch` is called with the partition, key and columns of each merge as it takes effect.
    """

    def __init__(self, name: str, steps: ExternalSteps, watch: Watch | None = None) -> None:
        self._name = name
        self._watch = watch
        self._steps = steps
        self._lock = threading.Lock()
        self._writes = 0
        self.rows: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}

    def read(self, partition: str, key: str) -> tuple[dict[str, Any], str] | None:
        with self._steps.take(f"read {self._name}"), self._lock:
            found = self.rows.get((partition, key))
            return (dict(found[0]), found[1]) if found else None

    def merge(self, partition: str, key: str, columns: Mapping[str, Any], version: str | None) -> str:
        _check(partition, key, columns)
        with self._steps.take(f"write {self._name}", conditional=version is not ANY), self._lock:
            stands, standing = self.rows.get((partition, key), ({}, ""))
            if version is not ANY and version != standing:
                raise Stale(f"storage: {409 if version == '' else 412}")
            written = {name: value for name, value in columns.items() if value is not None}
            self._writes += 1
            if self._watch:
                self._watch(partition, key, written)
            self.rows[partition, key] = ({**stands, **written}, f'W/"{self._writes}"')
            return self.rows[partition, key][1]

    def scan(
        self, partition: str, only: Sequence[str] = (), *, after: str = "", before: str = ""
    ) -> list[tuple[str, dict[str, Any], str]]:
        with self._steps.take(f"scan {self._name}"), self._lock:
            here = ((key, row) for (where, key), row in self.rows.items() if where == partition)
            found = sorted((key, row) for key, row in here if key > after and (not before or key < before))
            return [
                (key, {name: columns[name] for name in only or columns if name in columns}, version)
                for key, (columns, version) in found
            ]

    def older(self, column: str, than: float) -> list[tuple[str, str]]:
        with self._steps.take(f"scan {self._name}"), self._lock:
            rows = sorted(self.rows.items(), key=lambda row: row[0])
            return [where for where, (columns, _) in rows if 0.0 < columns.get(column, 0.0) < than]

    def delete(self, partition: str, key: str) -> None:
        with self._steps.take(f"write {self._name}"), self._lock:
            self.rows.pop((partition, key), None)

    def delete_all(self, partition: str, keys: Iterable[str]) -> None:
        for some in batched(keys, ROWS_A_TRANSACTION, strict=False):
            if len(set(some)) < len(some):
                raise ValueError("a transaction may not name a row twice")
            with self._steps.take(f"write {self._name}"), self._lock:
                for key in some:
                    self.rows.pop((partition, key), None)


def _check(partition: str, key: str, columns: Mapping[str, Any]) -> None:
    """Refuse what Azure Tables refuses.

    learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
    """
    if NOT_IN_A_KEY & set(partition + key):
        raise ValueError(f"a key may not contain {NOT_IN_A_KEY}: {partition} {key}")
    for name, value in columns.items():
        _check_value(name, value)


def _check_value(name: str, value: object) -> None:
    match value:
        case str() if len(value.encode("utf-16-le")) // 2 > LONGEST_TEXT:
            raise ValueError(f"{name} is longer than a column")
        case float() if not math.isfinite(value):
            raise ValueError(f"{name} is not finite")
        case int() if abs(value) > LARGEST_INT:
            raise ValueError(f"{name} is not a 32-bit integer")
        case str() | float() | int() | None:
            return
        case _:
            raise TypeError(f"{name} is a {type(value).__name__}, which no column holds")
