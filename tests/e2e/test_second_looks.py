"""Graph can notify before its photo store has the new photo, and a photo can be unreadable: a second look.

Here it comes after two seconds.
"""

from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from tests.e2e.apps import fast_app
from tests.e2e.pictures import jpeg
from tests.e2e.story import Story, playing, quiet_stage


@pytest.fixture(scope="module")
def shared_story(storage: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    # One at a time: two syncs of a user at once would make one of them wait for half a minute.
    app = fast_app(tmp_path_factory.mktemp("app"), at_once=1)
    with playing(quiet_stage(storage=storage, app=app, settings={"RECHECK_AFTER": "PT2S"})) as story:
        yield story


def _batches(story: Story) -> tuple[int, int]:
    """The number of checks, and the number of requests for a user's bytes, that Graph received."""
    sizes = [len(each["parts"]) for each in story.history(service="graph")]
    return sizes.count(1), sizes.count(3)


def _all_done(story: Story) -> bool:
    return not any(story.waiting(queue) for queue in ("photo-checks", "photo-syncs"))


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
    story.until(lambda: _all_done(story), what="there is no third look")
    assert _batches(story) == (2, 1)
    assert story.ledger(user)["lag_ms"] >= 2000  # from the hint on


def test_an_unreadable_image_fails_after_a_second_look_and_the_next_photo_is_synced(story: Story) -> None:
    user = story.add_synced_user()
    before = story.people.shown(user)
    story.subscribed()
    story.people.clear_history()

    etag = story.people.set_photo(user, jpeg("navy")[:600], raw=True, notify="on")["etag"]
    story.until(lambda: story.ledger(user).get("outcome") == "failed", user)
    story.until(lambda: _all_done(story), user)

    row = story.ledger(user)
    assert (row["reason"], row["refused_etag"], row["dirty"]) == ("unreadable image", etag, False)
    assert story.people.shown(user) == before
    assert story.writes() == []
    checks, looks = _batches(story)
    assert checks == 2  # that of the hint, and its second look ...
    assert 2 <= looks <= 4  # ... which may come so early that the photo is read twice, too

    story.people.clear_history()
    story.send_check(user)
    story.until(lambda: _batches(story)[0] == 2, what="the check and its second look")
    story.until(lambda: _all_done(story), user)
    assert _batches(story) == (2, 0)  # no retry storm

    story.people.draw_photo(user, notify="on")
    story.until(lambda: story.settled(user), user)
    assert story.shows_its_source(user)
    assert story.ledger(user)["refused_etag"] == ""
