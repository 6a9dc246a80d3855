"""Services that fail for a while: waited for in the queue, as long as they ask."""

import time

from tests.e2e.story import Json, Story


def _checks(story: Story) -> list[Json]:
    """The batches that only ask for photos' metadata."""
    batches = [each for each in story.history(service="graph") if each["parts"]]
    return [each for each in batches if all(url.endswith("/photo") for _, url, _ in each["parts"])]


def test_only_the_throttled_users_of_a_batch_wait_for_the_time_that_graph_asks_for(story: Story) -> None:
    users = [story.add_synced_user() for _ in range(3)]
    for user in users:
        story.people.draw_photo(user)
    throttled = f"/users/{users[1]}/photo"
    fault = {"part": True, "path": f"{throttled}$", "status": 429, "retry_after": 30}
    story.people.clear_history()
    story.people.arm(fault | {"next": 1})

    story.send_check(*users)
    story.until(lambda: story.settled(users[0]) and story.settled(users[2]), *users)
    story.until(lambda: "check.deferred" in story.log, what="the check of the throttled user is deferred")

    (first,) = _checks(story)
    assert len(first["parts"]) == 3
    assert story.peek("photo-checks") == []
    assert story.ledger(users[1])["wait_until"] > time.time() + 20
    assert story.closed() == {}
    assert story.people.faults()["early_return"] == []
    assert all(story.shows_its_source(user) for user in (users[0], users[2]))


def test_a_sync_waits_in_its_queue_as_long_as_sharepoint_asks_for(story: Story) -> None:
    user = story.add_synced_user()
    story.people.draw_photo(user)
    story.people.arm({"service": "sharepoint", "path": "LThumb", "status": 429, "retry_after": 5, "next": 1})

    story.send_sync(user)
    story.until(lambda: story.ledger(user).get("dirty") and not story.ledger(user)["claim_until"], user)
    story.until(lambda: story.waiting("photo-syncs") == 1, user, what="only its successor is left")
    assert story.peek("photo-syncs") == []

    (refused,) = [each for each in story.writes(user) if "LThumb" in each["path"]]
    assert refused["status"] == 429
    assert set(story.closed()) == {"sharepoint-files@contoso-my.sharepoint.com"}
    assert story.people.faults()["early_return"] == []
    assert story.poisoned() == 0


def test_a_check_stays_in_its_queue_while_graph_is_out_of_reach(story: Story) -> None:
    user = story.add_synced_user()
    story.people.draw_photo(user)
    story.people.arm({"service": "graph", "drop": True})

    story.send_check(user)
    story.until(lambda: "check.deferred" in story.log, what="the check is deferred")
    story.until(lambda: story.waiting("photo-checks") == 1, what="only its successor is left")

    assert story.peek("photo-checks") == []
    assert story.poisoned() == 0
    assert story.ledger(user)["outcome"] == "synced"
    assert story.closed() == {}  # no other user met that
