"""The house in which most stories play. A module whose stories need other settings has its own `house`."""

from collections.abc import Iterator

import pytest

from tests.e2e.apps import brisk_app
from tests.e2e.story import Story, playing, quiet_stage


@pytest.fixture(scope="package")  # it goes when the stories end: even an idle host looks for messages
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    app = brisk_app(tmp_path_factory.mktemp("app"))
    with playing(quiet_stage(app=app)) as story:
        yield story


@pytest.fixture
def story(house: Story) -> Story:
    """The house, with nothing left over from the story before: nothing queued, no fault, no history."""
    return house.afresh()
