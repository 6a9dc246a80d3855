"""Order of the tests, and fixtures for all of them."""

import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from local.azurite import Azurite

settings.register_profile("any machine", deadline=None)  # a slow machine is not a counterexample
settings.load_profile("any machine")

TESTS = Path(__file__).parent
# Started first, so that none of them runs alone at the end.
LONGEST = (
    "e2e/test_killed_hosts.py",
    "simulation",
    "e2e/test_secrets.py",
    "stories/test_backfill.py",
    "stories/test_photo_service_forgets.py",
    "e2e",
    "stories",
    "app/test_sync_mishaps.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files that take longest first, and keep the order otherwise."""
    items.sort(key=lambda item: _rank(item.path))


def pytest_collection_finish() -> None:
    """Exclude the collected tests from garbage collection, and collect less often."""
    gc.freeze()
    gc.set_threshold(50_000)


@cache
def _rank(path: Path) -> int:
    """Return the index of a file or its directory in `LONGEST`, or an index behind all of them."""
    within = path.relative_to(TESTS)
    places = (str(within), within.parts[0])
    return min((LONGEST.index(each) for each in places if each in LONGEST), default=len(LONGEST))


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """One storage account for the whole run; each test uses queues and tables with names of its own."""
    with Azurite() as storage:
        yield storage
