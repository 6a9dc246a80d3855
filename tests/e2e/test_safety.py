"""Delivered twice, torn, at the same time: SharePoint shows the right photo, and no more is written."""

import hashlib

from tests.e2e.pictures import alike, jpeg
from tests.e2e.story import Story

COLORS = ("darkred", "darkgreen", "navy", "gold", "purple", "teal", "black", "orange", "brown", "pink")


def test_a_gather_torn_twice_settles_the_bytes_under_their_own_etag(story: Story) -> None:
    user = story.add_synced_user()
    uploaded: dict[str, bytes] = {}
    colors = iter(COLORS)

    def change() -> None:
        content = jpeg(next(colors))
        uploaded[story.people.set_photo(user, content)["etag"]] = content

    story.stage.tenant.graph.between_parts = change
    story.send_sync(user, tries=1)
    row = story.until(lambda: (r := story.ledger(user))["settled_etag"] in uploaded and r, user)

    content = uploaded[row["settled_etag"]]
    assert row["settled_sha256"] == hashlib.sha256(content).hexdigest()
    assert alike(story.people.shown(user), content)
    assert list(uploaded)[-1] == row["settled_etag"]  # the metadata had the etag of the photo before
    assert len(uploaded) == 2


def test_an_administrator_is_told_when_another_attempt_is_at_work(story: Story) -> None:
    user = story.add_synced_user()
    story.people.draw_photo(user)
    story.people.arm({"service": "sharepoint", "path": "SThumb", "latency": 1.5, "next": 1})
    story.send_sync(user)
    story.until(lambda: any("Thumb" in each["path"] for each in story.writes(user)), user)

    answer = story.stage.sync(user)

    assert answer.status_code == 409
    assert answer.json()["outcome"] == "deferred"
    assert answer.json()["reason"] == "another attempt works on this user"
    assert 1 <= int(answer.headers["Retry-After"]) <= 30
    story.until(lambda: story.settled(user), user)
    assert len(story.writes()) == 4
    assert story.shows_its_source(user)
