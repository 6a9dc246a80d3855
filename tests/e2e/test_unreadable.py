"""A photo that is none, or is too much of one: said once, and never in the way of the next."""

import pytest

from tests.e2e.pictures import bomb, jpeg
from tests.e2e.story import Story


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x00" * 5_000, id="no image"),
        pytest.param(jpeg("navy")[:600], id="half a JPEG"),
        pytest.param(bomb(), id="a decompression bomb"),
    ],
)
def test_an_unreadable_image_fails_after_a_second_look_and_the_next_photo_is_synced(
    story: Story, content: bytes
) -> None:
    user = story.arrive_synced()
    before = story.people.shown(user)
    story.subscribed()
    story.people.clear_history()

    etag = story.people.set_photo(user, content, raw=True, notify="on")["etag"]
    story.until(lambda: story.ledger(user).get("outcome") == "failed", user)

    row = story.ledger(user)
    assert (row["reason"], row["refused_etag"], row["dirty"]) == ("unreadable image", etag, False)
    assert story.people.shown(user) == before
    assert story.writes() == []
    assert len(story.history()) == 3  # one check, two looks
    story.until(lambda: not story.waiting("photo-syncs"), user)

    story.people.clear_history()
    story.send_check(user)
    story.until(story.history, what="the check")
    story.until(lambda: not story.waiting("photo-checks"), what="the check's message is done")
    assert story.waiting("photo-syncs") == 0  # no retry storm
    assert len(story.history()) == 1

    story.people.draw_photo(user, notify="on")
    story.until(lambda: story.settled(user), user)
    assert story.shows_its_source(user)
    assert story.ledger(user)["refused_etag"] == ""
