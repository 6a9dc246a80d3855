"""Graph's own posts to the two webhooks. No function reads the queues: every message shows.

Posts of strangers, and tokens to validate a webhook: `test_webhook_under_fire`.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests

from local.azurite import Azurite
from tests.e2e.story import Story, playing, quiet_stage

type Json = dict[str, Any]


@pytest.fixture(scope="module")
def shared_story(storage: Azurite) -> Iterator[Story]:
    off = {f"AzureWebJobs.{name}.Disabled": "true" for name in ("check_photos", "tend_subscription")}
    with playing(quiet_stage(storage=storage, settings=off)) as story:
        yield story


@pytest.fixture
def genuine(story: Story) -> Callable[[str], Json]:
    """Make an item about a user as Graph sends it for our subscription."""
    subscription = story.subscribed()
    story.people.clear_history()
    graph = story.stage.tenant.graph
    return lambda user: graph.notification(subscription["id"], user)


def _post(story: Story, face: str, body: object) -> requests.Response:
    return story.stage.call("POST", face, key="", data=json.dumps(body).encode())


def test_a_genuine_item_queues_a_check_of_its_user(story: Story, genuine: Callable[[str], Json]) -> None:
    user = str(uuid4())

    answer = _post(story, "notifications", {"value": [genuine(user)]})

    assert (answer.status_code, answer.text) == (202, "")
    (message,) = story.peek("photo-checks")
    assert message["job"].pop("seen") == message["job"].pop("born") == pytest.approx(time.time(), abs=10)
    job = {"users": [user], "why": "notified", "tries": 0, "force": False, "part": None, "letters": ""}
    assert message == {"v": 1, "job": job}
    assert story.history() == []


def test_a_lifecycle_event_is_queued_once(story: Story) -> None:
    subscription = story.subscribed()
    story.people.clear_history()
    event = {
        "subscriptionId": subscription["id"],
        "clientState": subscription["clientState"],
        "lifecycleEvent": "missed",
        "tenantId": story.stage.tenant.world.tenant_id,
    }

    answer = _post(story, "lifecycle", {"value": [event, event]})

    assert (answer.status_code, answer.text) == (202, "")
    (message,) = story.peek("photo-subscription")
    assert message["job"].pop("born") == pytest.approx(time.time(), abs=10)
    assert message == {"v": 1, "job": {"event": "missed", "subscription": event["subscriptionId"]}}
    assert story.history() == []


def test_two_hundred_users_in_one_post_make_ten_messages_within_a_second(
    story: Story, genuine: Callable[[str], Json]
) -> None:
    users = [str(uuid4()) for _ in range(200)]
    items = [genuine(user) for user in [*users, *users]]

    began = time.monotonic()
    answer = _post(story, "notifications", {"value": items})
    took = time.monotonic() - began

    assert (answer.status_code, answer.text) == (202, "")
    assert took < 1.0
    messages = story.peek("photo-checks")
    assert len(messages) == story.waiting("photo-checks") == 10
    assert sorted(user for each in messages for user in each["job"]["users"]) == sorted(users)
    assert story.history() == []


@pytest.mark.parametrize("face", ["notifications", "lifecycle"])
def test_only_post_requests_are_answered_and_two_tokens_as_one_text(story: Story, face: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = story.stage.call(method, f"{face}?validationToken=plain", key="")
        assert answer.status_code == 404
        assert "plain" not in answer.text

    answer = story.stage.call("POST", f"{face}?validationToken=one&validationToken=two", key="")
    assert (answer.status_code, answer.text) == (200, "one,two")
    assert story.history() == []
