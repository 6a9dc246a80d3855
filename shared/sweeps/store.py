"""The stores of sweeps: the record of the one that runs, its parts, and the last ten's figures."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

from shared.errors import Stale
from shared.storage.tables import ANY, StateRows, Table, update
from shared.sweeps import tally
from shared.sweeps.state import SWEEPS_KEPT, SweepRecord, SweepState
from shared.sweeps.tally import Letter, SweepPart, Totals

AFTER_PARTS = ":"  # keys of parts begin with a digit; those of the other rows of a sweep with a letter


@dataclass(frozen=True, slots=True)
class SweepStore:
    """The record, and the ended sweeps."""

    table: Table

    def record(self) -> SweepRecord:
        """Return the record of the sweep that runs or ran last, an empty one (version "") at first."""
        found = self.table.read(StateRows.SWEEP, "record")
        return SweepRecord.from_columns(*found) if found else SweepRecord()

    def write(self, record: SweepRecord, columns: Mapping[str, Any]) -> SweepRecord:
        """Merge `columns` into the record if it is unchanged since it was read; `Stale` if not."""
        version = self.table.merge(StateRows.SWEEP, "record", columns, record.version)
        return replace(record, version=version, **columns)

    def advance(self, sweep: str, page: int, columns: Mapping[str, Any]) -> bool:
        """Write to the record if this sweep runs and is at this page; return whether that was done.

        Raises `TryLater` where the table is out of reach, or too many instances write to the record at once.
        """

        def forward(current: Mapping[str, Any]) -> Mapping[str, Any] | None:
            record = SweepRecord.from_columns(current, version="")
            return columns if (record.id, record.state, record.page) == (sweep, "running", page) else None

        _, advanced = update(self.table, StateRows.SWEEP, "record", forward)
        return advanced

    def request_again(self, why: str) -> None:
        """Note that another sweep is requested when this one ends."""
        self.table.merge(StateRows.SWEEP, "record", {"again": True, "again_why": why}, ANY)

    def keep(
        self,
        record: SweepRecord,
        state: SweepState,
        reason: str,
        totals: Totals,
        now: float,
        *,
        removing: int = 0,
        removed: int = 0,
    ) -> None:
        """Keep the figures of a sweep that ended, unless some are kept: the first verdict is final.

        `removing` is how many removals it has queued, `removed` how many of them no sweep before it had.
        """
        columns = {
            **{name: float(count) for name, count in asdict(totals).items()},
            "state": state,
            "reason": reason,
            "why": record.why,
            "force": record.force,
            "page": record.page,
            "opened_at": record.opened_at,
            "ended_at": now,
            "removing": float(removing),
            "removed": float(removed),
        }
        with suppress(Stale):
            self.table.merge(StateRows.SWEEPS, record.id, columns, "")

    def figures(self, sweep: str) -> dict[str, Any] | None:
        """Return the figures of a sweep, None as long as it has no verdict."""
        found = self.table.read(StateRows.SWEEPS, sweep)
        return found[0] if found else None

    def kept(self) -> list[tuple[str, dict[str, Any]]]:
        """Return ids and figures of the ended sweeps, the latest first."""
        return [(sweep, columns) for sweep, columns, _ in self.table.scan(StateRows.SWEEPS)][::-1]

    def mark(self, sweep: str, columns: Mapping[str, Any]) -> None:
        """Note something of an ended sweep, unless it was forgotten."""
        update(self.table, StateRows.SWEEPS, sweep, lambda figures: columns if figures else None)

    def old(self) -> list[tuple[str, dict[str, Any]]]:
        """Return ids and figures of all ended sweeps but the last ten."""
        return self.kept()[SWEEPS_KEPT:]

    def forget(self, sweep: str) -> None:
        """Forget the figures of an ended sweep."""
        self.table.delete(StateRows.SWEEPS, sweep)


@dataclass(frozen=True, slots=True)
class PartStore:
    """The parts of sweeps: which users were asked for, and what was answered."""

    table: Table

    def add(self, sweep: str, key: str, users: tuple[str, ...]) -> SweepPart:
        """Write a part without answers; one that exists already is returned unchanged."""
        part = SweepPart(users, Letter.UNANSWERED * len(users))
        try:
            self.table.merge(sweep, key, {"users": ",".join(users), "letters": part.letters}, "")
        except Stale:
            found = self.table.read(sweep, key)
            return _part(found[0]) if found else part
        return part

    def answer(self, sweep: str, key: str, answers: Mapping[str, str]) -> None:
        """Write answers into a part; they are dropped if it was deleted.

        Raises `TryLater` where the table is out of reach, or too many instances write to this part at once.
        """

        def filled(columns: Mapping[str, Any]) -> Mapping[str, Any] | None:
            if not columns:
                return None
            letters = _part(columns).answered(answers)
            return {"letters": letters} if letters != columns["letters"] else None

        update(self.table, sweep, key, filled)

    def all(self, sweep: str) -> Iterator[tuple[str, SweepPart]]:
        """Yield key and part of every part of a sweep."""
        return ((key, _part(columns)) for key, columns, _ in self.table.scan(sweep, before=AFTER_PARTS))

    def removable(self, sweep: str, after: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield each part's key, after `after`, with the users of it whose pictures may be removed."""
        for key, columns, _ in self.table.scan(sweep, after=after, before=AFTER_PARTS):
            yield key, _part(columns).removable

    def total(self, sweep: str) -> Totals:
        """Return the sums over every part of a sweep."""
        found = self.table.scan(sweep, ["letters"], before=AFTER_PARTS)  # which is all that the sums need
        return tally.sum_letters(str(columns["letters"]) for _, columns, _ in found)

    def met(self, sweep: str, users: Iterable[str]) -> set[str]:
        """Return those of the users who are in a sweep's parts."""
        wanted, found = set(users), set[str]()
        for _, columns, _ in self.table.scan(sweep, ["users"], before=AFTER_PARTS) if wanted else ():
            found |= wanted.intersection(str(columns["users"]).split(","))
        return found

    def forget(self, sweep: str, most: int) -> bool:
        """Delete up to `most` rows of a sweep, its parts and its lists; return whether some may be left."""
        keys = [key for key, _, _ in islice(self.table.scan(sweep, ["RowKey"]), most)]
        self.table.delete_all(sweep, keys)
        return len(keys) == most


def _part(columns: Mapping[str, Any]) -> SweepPart:
    return SweepPart(tuple(str(columns["users"]).split(",")), str(columns["letters"]))
