"""Invalid settings hide nothing and lose nothing; DRY_RUN writes nothing."""

from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from tests.e2e.story import SWEEPING, Story, playing, quiet_stage

MISSING = ("CLIENT_ID", "SHAREPOINT_HOST", "CLIENT_STATE_SECRET")


@pytest.fixture(scope="module")
def shared_story(storage: Azurite) -> Iterator[Story]:
    with playing(quiet_stage(storage=storage, settings=dict.fromkeys(MISSING, ""))) as story:
        yield story


@pytest.mark.parametrize("path", ["users/anna@contoso.com/sync", "subscription", "sweeps"])
def test_administrators_are_told_every_problem_at_once(story: Story, path: str) -> None:
    answer, status = story.stage.call("POST", path), story.status()

    assert answer.status_code == 500
    assert answer.json()["error"] == "the app is not configured"
    for problems in (answer.json()["problems"], status["problems"]):
        assert len(problems) == len(MISSING)
        assert all(any(name in each for each in problems) for name in MISSING)
    assert (status["sweep"], status["failed"]["users"]) == (None, 0)
    assert story.history() == []


@pytest.mark.parametrize("face", ["notifications", "lifecycle"])
def test_notifications_are_refused_for_now_but_the_handshake_works(story: Story, face: str) -> None:
    refused = story.stage.call("POST", face, key="", json={"value": []})
    greeted = story.stage.call("POST", f"{face}?validationToken=hello", key="")

    assert (refused.status_code, refused.text) == (503, "not configured")
    assert (greeted.status_code, greeted.text) == (200, "hello")


def test_a_queued_message_waits_until_the_settings_are_valid(story: Story) -> None:
    user = story.add_user()

    story.send_sync(user)
    story.until(lambda: "settings.wrong" in story.log, what="the settings are reported")
    story.until(lambda: story.waiting("photo-syncs") == 1, what="only its successor is left")

    assert story.peek("photo-syncs") == []
    assert story.poisoned() == 0
    assert story.history() == []


def test_a_timer_that_cannot_work_fails_visibly(story: Story) -> None:
    story.stage.fire("renew_subscription")

    story.until(lambda: "'Functions.renew_subscription' (Failed" in story.log, what="the failed run")
    assert "CLIENT_STATE_SECRET is missing" in story.log


def test_a_dry_run_of_the_whole_app_writes_nothing(story: Story) -> None:
    right = {name: story.stage.tenant.settings[name] for name in MISSING}
    story.remove_all_users()
    known, changed, removed = (story.add_user() for _ in range(3))
    with story.restarted(**right):
        for user in (known, changed, removed):
            assert story.stage.sync(user).json()["outcome"] == "synced"
    story.people.draw_photo(changed)
    story.people.remove_photo(removed)
    users = (known, changed, removed, story.add_user(), story.add_user(mailbox=False, photo=False))
    rows = [story.ledger(user) for user in users]
    pictures = [story.people.user(user)["target"] for user in users]
    story.people.clear_history()

    with story.restarted(DRY_RUN="true", **right, **SWEEPING):
        answer = story.stage.sync(changed).json()
        assert (answer["outcome"], answer["reason"].partition(":")[0]) == ("synced", "dry run")
        story.send_check(*users)
        story.until(lambda: story.log.count("photo.synced") == 3, changed)  # by hand, and two of the check
        story.until(lambda: not story.waiting("photo-syncs"), what="the messages are done")
        figures = story.ended(story.sweep())
        assert (figures["changed"], figures["missing"]) == (2, 1)

    assert [story.ledger(user) for user in users] == rows
    assert [story.people.user(user)["target"] for user in users] == pictures
    assert story.writes() == []
