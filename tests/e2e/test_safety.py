"""Delivered twice, torn, at the same time: SharePoint shows the right photo, and no more is written."""

import hashlib
import time

from tests.e2e.pictures import alike, jpeg
from tests.e2e.story import Story

COLORS = ("darkred", "darkgreen", "navy", "gold", "purple", "teal", "black", "orange", "brown", "pink")


def _upload_seen(story: Story, user: str) -> bool:
    return any("Thumb" in each["path"] for each in story.writes(user))


def test_a_repeated_sync_message_makes_no_sharepoint_call(story: Story) -> None:
    user = story.add_synced_user()
    story.people.draw_photo(user)
    story.send_sync(user)
    story.until(lambda: story.settled(user), user)
    story.until(lambda: not story.waiting("photo-syncs"), user, what="the message is done")
    story.people.clear_history()

    story.send_sync(user)
    story.until(story.history, user)
    story.until(lambda: not story.waiting("photo-syncs"), user, what="the message is done again")

    assert story.history(service="sharepoint") == []
    assert len(story.history()) == 1
    assert story.shows_its_source(user)


def test_a_torn_gather_is_deferred_and_ends_with_the_right_photo(story: Story) -> None:
    user = story.add_synced_user()
    before = story.ledger(user)
    colors = iter(COLORS)

    def change() -> None:
        story.people.set_photo(user, jpeg(next(colors)))

    story.stage.tenant.graph.between_parts = change

    answer = story.stage.sync(user)

    assert answer.status_code == 202
    assert answer.json()["reason"] == "the photo changed while it was read"
    assert story.writes() == []
    assert story.ledger(user)["settled_etag"] == before["settled_etag"]

    story.stage.tenant.graph.between_parts = None
    assert story.stage.sync(user).json()["outcome"] == "synced"
    assert story.settled(user)
    assert story.shows_its_source(user)


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


def test_a_photo_removed_while_it_is_read_is_shown_until_a_sweep_removes_it(story: Story) -> None:
    user = story.add_synced_user()
    before = story.people.shown(user)
    story.people.draw_photo(user)
    calls = iter(range(10))
    # After the user, then after the metadata.
    story.stage.tenant.graph.between_parts = lambda: (
        story.people.remove_photo(user) if next(calls) == 1 else None
    )

    assert story.stage.sync(user).status_code == 202
    story.stage.tenant.graph.between_parts = None
    answer = story.stage.sync(user).json()

    assert (answer["outcome"], answer["reason"]) == ("unchanged", "no photo in Exchange")
    assert story.ledger(user)["missing_since"]
    assert story.people.shown(user) == before
    assert story.writes() == []


def test_a_removal_that_comes_before_its_time_clears_nothing(story: Story) -> None:
    user = story.add_synced_user()
    before = story.people.shown(user)
    story.people.remove_photo(user)
    story.send_check(user)
    story.until(lambda: story.ledger(user)["missing_since"], user)

    now = time.time()
    job = {
        "user": user,
        "cause": "swept",
        "removal": True,
        "seen": now,
        "born": now,
        "tries": 0,
        "force": False,
    }
    story.send("photo-backfill", {"v": 1, "job": job})

    story.until(lambda: story.ledger(user)["outcome"] == "unchanged", user)
    assert story.ledger(user)["missing_since"]  # for seconds, while an hour is required
    assert story.people.shown(user) == before
    assert story.writes() == []


def test_bytes_that_are_not_base64_are_read_again_without_a_batch(story: Story) -> None:
    user = story.add_synced_user()
    story.people.draw_photo(user)
    story.people.arm(
        {"part": True, "path": r"/photo/\$value$", "status": 200, "body": "no base64!", "next": 1}
    )

    answer = story.stage.sync(user).json()

    assert (answer["outcome"], answer["requests"]) == ("synced", 7)
    assert story.settled(user)
    assert story.shows_its_source(user)


def test_one_of_two_simultaneous_syncs_waits(story: Story) -> None:
    user = story.add_synced_user()
    story.people.draw_photo(user)
    story.people.arm({"service": "sharepoint", "path": "SThumb", "latency": 1.0, "next": 1})

    story.send_sync(user)
    story.send_sync(user)
    story.until(lambda: story.settled(user), user)

    assert len(story.writes(user)) + len(_queries(story)) == 4
    assert story.peek("photo-syncs") == []
    assert story.waiting("photo-syncs") == 1  # hidden for half a minute
    assert story.shows_its_source(user)


def test_an_administrator_is_told_when_another_attempt_is_at_work(story: Story) -> None:
    user = story.add_synced_user()
    story.people.draw_photo(user)
    story.people.arm({"service": "sharepoint", "path": "SThumb", "latency": 1.5, "next": 1})
    story.send_sync(user)
    story.until(lambda: _upload_seen(story, user), user)

    answer = story.stage.sync(user)

    assert answer.status_code == 409
    assert answer.json()["outcome"] == "deferred"
    assert answer.json()["reason"] == "another attempt works on this user"
    assert 1 <= int(answer.headers["Retry-After"]) <= 30
    story.until(lambda: story.settled(user), user)
    assert len(story.writes(user)) + len(_queries(story)) == 4


def _queries(story: Story) -> list[object]:
    """The property writes, whose URL does not name the user."""
    return [each for each in story.writes() if each["path"].endswith("ProcessQuery")]
