"""The house in which most stories play. A module whose stories need other settings has its own `house`."""

from collections.abc import Iterator

import pytest

from local.stage import Stage
from tests.e2e.story import Story, playing


@pytest.fixture(scope="session")
def house() -> Iterator[Story]:
    with playing(Stage(settings={"RECHECK_AFTER": "PT1S"})) as story:
        yield story


@pytest.fixture
def story(house: Story) -> Story:
    """The house, with nothing left over from the story before: nothing queued, no fault, no history."""
    return house.afresh()
