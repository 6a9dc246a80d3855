"""The cost of a photo, counted where Microsoft counts: at the services, without tokens."""

import re

from tests.e2e.story import Story

AGENT = re.compile(r"NONISV\|contoso\|PhotoSync/[0-9.]+")


def _shapes(story: Story) -> list[tuple[str, str, int]]:
    """Host, kind and number of parts of each request, apart from those of the timer that renews."""
    return [
        (
            each["host"].partition(".")[0],
            each["path"].rpartition("/")[2].partition("(")[0],
            len(each["parts"]),
        )
        for each in story.history()
        if "/subscriptions" not in each["path"]
    ]


def test_a_first_photo_costs_at_most_eight_requests_and_the_next_one_six_with_its_check(story: Story) -> None:
    user = story.add_user(photo=False)
    story.subscribed()
    story.people.clear_history()

    story.people.draw_photo(user, notify="on")
    story.until(lambda: story.settled(user), user)

    assert len(_shapes(story)) <= 8, _shapes(story)
    assert story.shows_its_source(user)

    story.people.clear_history()
    story.people.draw_photo(user, notify="on")
    story.until(lambda: story.settled(user), user)

    assert _shapes(story) == [
        ("graph", "$batch", 1),
        ("graph", "$batch", 3),
        ("contoso-my", "AddUsingPath", 0),
        ("contoso-my", "AddUsingPath", 0),
        ("contoso-my", "AddUsingPath", 0),
        ("contoso-admin", "ProcessQuery", 0),
    ]


def _checked(story: Story) -> None:
    """Wait for the end of a notified check: only its two second looks are left."""
    story.until(lambda: "check.done" in story.log, what="the check")
    story.until(lambda: story.waiting("photo-checks") == 2, what="the check's message is done")
    assert story.peek("photo-checks") == []


def test_a_check_of_twenty_unchanged_users_costs_one_request_and_none_to_sharepoint(story: Story) -> None:
    users = story.people.add(count=20, photo="shared")
    story.settle()
    story.people.clear_history()
    rows = [story.ledger(user) for user in users]

    story.send_check(*users)
    _checked(story)

    assert _shapes(story) == [("graph", "$batch", 20)]
    assert story.waiting("photo-syncs") == 0
    assert [story.ledger(user) for user in users] == rows


def test_a_notification_about_another_change_costs_one_request(story: Story) -> None:
    user = story.add_synced_user()
    subscription = story.subscribed()
    story.people.clear_history()

    graph = story.stage.tenant.graph
    graph.deliver([graph.notification(subscription["id"], user)])
    _checked(story)

    assert _shapes(story) == [("graph", "$batch", 1)]


def test_every_request_has_the_user_agent_that_sharepoint_asks_for(story: Story) -> None:
    story.subscribed()
    story.stage.sync(story.add_user(geo="eur"))

    asked = story.history()

    assert {each["service"] for each in asked} == {"graph", "sharepoint-files", "sharepoint-profiles"}
    assert 401 not in {each["status"] for each in asked}  # each token was for its host
    assert [each for each in asked if not AGENT.fullmatch(each["user_agent"])] == []
