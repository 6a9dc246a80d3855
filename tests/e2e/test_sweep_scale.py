"""The cost of a sweep of two thousand users without a change."""

from collections import Counter
from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from tests.e2e.apps import fast_app
from tests.e2e.story import SWEEPING, Story, playing, quiet_stage

USERS = 2000
PAGES = 3  # of at most 999 users each
CHECKS = 50 + 50 + 1  # of at most 20 users of one page each


@pytest.fixture(scope="module")
def shared_story(storage: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    app = fast_app(tmp_path_factory.mktemp("app"))
    with playing(quiet_stage(storage=storage, app=app, settings=SWEEPING)) as story:
        yield story


def test_two_thousand_unchanged_users_cost_a_twentieth_of_a_request_each_and_no_write(story: Story) -> None:
    story.people.add(count=USERS, photo="shared")
    story.settle()
    rows = story.versions("photoledger")
    assert len(rows) == USERS

    figures = story.ended(story.open_sweep(), seconds=90)  # started early, a page could be read twice

    assert (figures["state"], figures["seen"], figures["unchanged"]) == ("finished", USERS, USERS)
    asked = Counter((each["service"], each["method"]) for each in story.history())
    assert asked == {("graph", "GET"): PAGES, ("graph", "POST"): CHECKS}
    assert story.versions("photoledger") == rows
    assert len(story.rows("photoparts")) == CHECKS
