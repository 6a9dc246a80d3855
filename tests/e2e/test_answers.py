"""The answers to an administrator's sync of one user: always JSON, never a stack trace."""

from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.e2e.story import Story

REQUEST_ID = "5f0e9c9a-0000-4711-8000-canary000000"


def _read(answer: requests.Response) -> dict[str, Any]:
    assert answer.headers["Content-Type"].partition(";")[0] == "application/json"
    assert "Traceback" not in answer.text
    return dict(answer.json())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "users/{}/sync"),
        ("POST", "subscription"),
        ("POST", "sweeps"),
        ("DELETE", "sweeps"),
        ("GET", "status"),
    ],
)
@pytest.mark.parametrize("key", ["", "wrong"])
def test_a_request_without_the_key_has_no_effect(story: Story, method: str, path: str, key: str) -> None:
    answer = story.stage.call(method, path.format(uuid4()), key=key)

    assert answer.status_code == 401
    assert story.history() == []


def test_a_known_photo_causes_no_request_to_sharepoint_unless_it_is_forced(story: Story) -> None:
    user = story.add_synced_user()

    for query in ({}, {"remove": "true"}):  # a photo that exists is not removed
        story.people.clear_history()
        answer = _read(story.stage.sync(user, **query))
        assert (answer["outcome"], answer["reason"]) == ("unchanged", "SharePoint has this photo")
        assert answer["requests"] == len(story.history()) == 2
    assert story.waiting("photo-syncs") == 0

    answer = _read(story.stage.sync(user, force="true"))
    assert (answer["outcome"], answer["requests"]) == (
        "synced",
        8,
    )  # the profile and the folders are read again
    assert len(story.writes()) == 4
    assert story.settled(user)
    assert story.shows_its_source(user)


def test_a_picture_without_a_photo_is_removed_on_request_and_only_then(story: Story) -> None:
    user = story.add_synced_user()
    story.people.remove_photo(user)

    left = _read(story.stage.sync(user))
    assert (left["outcome"], left["reason"]) == ("unchanged", "no photo in Exchange")
    rehearsed = _read(story.stage.sync(user, remove="true", dry_run="true"))
    assert rehearsed["outcome"] == "cleared"
    assert story.writes() == []
    removed = _read(story.stage.sync(user, remove="true"))

    assert removed["outcome"] == "cleared"
    target = story.people.user(user)["target"]
    assert (target["files"], target["properties"]["PictureURL"]) == ([], "")
    assert set(target["userphoto"].values()) == {"placeholder"}
    row = story.ledger(user)
    assert (row["settled_etag"], row["missing_since"], row["dirty"]) == ("", 0, False)
    assert story.waiting("photo-syncs") == 0


@pytest.mark.parametrize(
    ("fault", "service"),
    [
        pytest.param({"service": "graph", "path": "users/", "status": 403}, "graph", id="Graph denies"),
        pytest.param({"path": "MThumb", "status": 400}, "sharepoint-files", id="SharePoint refuses"),
    ],
)
def test_a_refusal_is_reported_with_the_services_request_id_and_closes_no_gate(
    story: Story, fault: dict[str, Any], service: str
) -> None:
    user = story.add_synced_user()
    story.people.draw_photo(user)
    name = "request-id" if service == "graph" else "SPRequestGuid"
    story.people.arm(fault | {"headers": {name: REQUEST_ID}})

    answer = story.stage.sync(user)

    assert answer.status_code == 502
    read = _read(answer)
    assert read["request_id"] == REQUEST_ID
    assert (read.get("error") or read["reason"]).startswith(f"{service}: {fault['status']}")
    assert story.closed() == {}  # of one user's refusals none


def test_a_throttled_sync_reports_when_to_retry_and_the_service_is_not_called_before(story: Story) -> None:
    user = story.add_user()
    story.people.arm({"path": "SThumb", "status": 429, "retry_after": 55})

    answer = story.stage.sync(user)

    assert answer.status_code == 503
    assert 83 <= int(answer.headers["Retry-After"]) <= 85  # after all others
    _read(answer)
    assert set(story.closed()) == {"sharepoint-files@contoso-my.sharepoint.com"}
    story.people.clear_history()
    again = story.stage.sync(user)
    assert again.status_code == 503
    assert 45 < int(again.headers["Retry-After"]) <= 55
    assert story.history(service="sharepoint-files") == []
    assert story.people.faults()["early_return"] == []
    assert story.shows_nothing(user)


@pytest.mark.parametrize("queue", ["photo-syncs", "photo-checks", "photo-subscription"])
def test_a_text_that_was_put_into_a_queue_by_hand_shows_in_the_status(story: Story, queue: str) -> None:
    story.send_plain(queue, "please sync anna@contoso.com")

    named = f"{queue}-poison has a message"
    story.until(
        lambda: any(problem.startswith(named) for problem in story.status()["problems"]), what="it is named"
    )

    assert story.status()["queues"][f"{queue}-poison"] == 1
    story.clear(f"{queue}-poison")
    assert story.status()["queues"] == {}


@pytest.mark.parametrize("query", ["dry-run=true", "dry_run", "dry_run=", "Dry_Run=true", "force=true&x"])
def test_a_misspelt_dry_run_writes_nothing(story: Story, query: str) -> None:
    user = story.add_user()

    answer = story.stage.call("POST", f"users/{user}/sync?{query}")

    assert answer.status_code == 400
    assert "dry_run" in _read(answer)["error"]
    assert story.history() == []
