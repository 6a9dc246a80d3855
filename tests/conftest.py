"""What every kind of test may ask for."""

from collections.abc import Iterator

import pytest

from local.azurite import Azurite


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """One storage account for the whole run; tests keep apart by the names of their queues and tables."""
    with Azurite() as storage:
        yield storage
