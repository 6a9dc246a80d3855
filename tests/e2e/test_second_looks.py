"""Graph can notify before its photo store has the new photo. Here the second look is after two seconds."""

from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from tests.e2e.apps import fast_app
from tests.e2e.story import Story, playing, quiet_stage


@pytest.fixture(scope="module")
def shared_story(storage: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    app = fast_app(tmp_path_factory.mktemp("app"))
    with playing(quiet_stage(storage=storage, app=app, settings={"RECHECK_AFTER": "PT2S"})) as story:
        yield story


def _checks(story: Story) -> int:
    return sum(len(each["parts"]) == 1 for each in story.history(service="graph"))


def test_a_photo_that_arrives_after_its_notification_is_found_by_the_second_look(story: Story) -> None:
    user = story.add_synced_user()
    subscription = story.subscribed()
    story.people.clear_history()
    graph = story.stage.tenant.graph

    graph.deliver([graph.notification(subscription["id"], user)])
    story.until(lambda: "check.done" in story.log, what="the check")
    story.people.draw_photo(user, notify="off")

    story.until(lambda: story.settled(user), user)
    assert story.shows_its_source(user)
    assert _checks(story) == 2
    story.until(lambda: not story.waiting("photo-checks"), what="there is no third look")
    assert story.ledger(user)["lag_ms"] >= 2000  # from the hint on


def test_a_second_look_that_finds_nothing_new_is_the_last(story: Story) -> None:
    user = story.add_synced_user()
    subscription = story.subscribed()
    story.people.clear_history()
    graph = story.stage.tenant.graph

    graph.deliver([graph.notification(subscription["id"], user)])
    story.until(lambda: _checks(story) == 2, what="the second look")

    story.until(lambda: not story.waiting("photo-checks"), what="there is no third look")
    assert len(story.history()) == 2
