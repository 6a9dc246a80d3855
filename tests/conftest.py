"""What every kind of test may ask for."""

import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from local.azurite import Azurite

TESTS = Path(__file__).parent
# Begun first, so that none of them is what everybody waits for at the end.
LONGEST = ("simulation", "e2e", "stories", "app/test_sync_mishaps.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; those of the same kind stay in their order."""
    items.sort(key=lambda item: _rank(item.path))


def pytest_collection_finish() -> None:
    """Look for garbage among what the tests make and not, again and again, among thousands of tests."""
    gc.freeze()
    gc.set_threshold(50_000)


@cache
def _rank(path: Path) -> int:
    """Return a file's place: its own or its directory's in `LONGEST`, or behind them all."""
    within = path.relative_to(TESTS)
    places = (str(within), within.parts[0])
    return min((LONGEST.index(each) for each in places if each in LONGEST), default=len(LONGEST))


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """One storage account for the whole run; tests keep apart by the names of their queues and tables."""
    with Azurite() as storage:
        yield storage
