"""The one loop of a conditional update: no write is lost, whichever instances write to the row at once."""

from collections.abc import Callable

import pytest

from shared.errors import TryLater
from shared.storage.tables import UPDATE_TRIES, update
from tests.fakes.external_steps import ExternalSteps, drop_connection, fail_precondition
from tests.fakes.schedules import Schedule, Turn, explore, play
from tests.fakes.table import Table

ROW = "partition", "key"


@pytest.fixture
def steps() -> ExternalSteps:
    return ExternalSteps()


@pytest.fixture
def table(steps: ExternalSteps) -> Table:
    return Table("photostate", steps)


def add(table: Table, column: str) -> Callable[[], object]:
    """Return an attempt that counts a column up twice, never beyond three."""

    def counted(columns) -> dict[str, float] | None:
        count = columns.get(column, 0.0)
        return {column: count + 1} if count < 3 else None

    return lambda: [update(table, *ROW, counted) for _ in range(2)]


@pytest.mark.parametrize(
    ("columns", "counts"),
    [
        pytest.param(["a", "a"], {"a": 3.0}, id="one column, up to its limit"),
        pytest.param(["a", "b"], {"a": 2.0, "b": 2.0}, id="two columns of a row"),
    ],
)
def test_no_interleaving_of_two_instances_loses_an_update_or_exceeds_a_limit(columns, counts) -> None:
    def run(schedule: Schedule) -> list[Turn]:
        table = Table("photostate", steps := ExternalSteps())
        attempts = {f"instance {number}": add(table, column) for number, column in enumerate(columns)}
        turns = play(steps, attempts, {}, schedule)
        assert {name: table.rows[ROW][0][name] for name in counts} == counts
        return turns

    assert explore(run, changes=3) > 10


def test_what_stands_is_returned_and_nothing_written_where_nothing_is_wanted(table: Table) -> None:
    assert update(table, *ROW, lambda _: None) == ({}, False)
    columns, written = update(table, *ROW, lambda _: {"a": 1.0})
    assert (columns["a"], written) == (1.0, True)
    columns, written = update(table, *ROW, lambda columns: None if columns["a"] else {"a": 2.0})
    assert (columns["a"], written, table.rows[ROW][0]["a"]) == (1.0, False, 1.0)


def test_a_row_that_keeps_changing_is_left_for_later(steps: ExternalSteps, table: Table) -> None:
    steps.on("write photostate", fail_precondition, times=UPDATE_TRIES - 1)
    assert update(table, *ROW, lambda _: {"a": 1.0})[1]
    steps.on("write photostate", fail_precondition, times=UPDATE_TRIES)
    with pytest.raises(TryLater):
        update(table, *ROW, lambda _: {"a": 2.0})


@pytest.mark.parametrize("step", ["read photostate", "write photostate"])
def test_a_table_that_cannot_be_reached_is_an_outage(steps: ExternalSteps, table: Table, step: str) -> None:
    steps.on(step, drop_connection)
    with pytest.raises(TryLater):
        update(table, *ROW, lambda _: {"a": 1.0})
