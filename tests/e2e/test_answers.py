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
    "key",
    [
        pytest.param(str(uuid4()), id="object id"),
        pytest.param("unknown@contoso.onmicrosoft.com", id="UPN"),
        pytest.param("no.body_fabrikam.com#EXT#@contoso.onmicrosoft.com", id="a guest's UPN"),
    ],
)
def test_an_unknown_user_is_not_found(story: Story, key: str) -> None:
    answer = story.stage.sync(key)

    assert answer.status_code == 404
    assert _read(answer)["request_id"]
    assert story.waiting("photo-syncs") == 0


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("anna", id="a first name"),
        pytest.param("123", id="a number"),
        pytest.param(str(uuid4())[:-1], id="a cut object id"),
        pytest.param("a b@contoso.onmicrosoft.com", id="a blank"),
        pytest.param("a@b@contoso.onmicrosoft.com", id="two at signs"),
        pytest.param("a?$select=id@contoso.onmicrosoft.com", id="a query"),
        pytest.param("a\u202e@contoso.onmicrosoft.com", id="an invisible character"),
        pytest.param("x" * 2000 + "@contoso.onmicrosoft.com", id="too long"),
    ],
)
def test_an_invalid_name_is_refused_before_graph_is_asked(story: Story, key: str) -> None:
    answer = story.stage.sync(key)

    assert answer.status_code == 400
    assert "user" in _read(answer)["error"]
    assert story.history() == []


@pytest.mark.parametrize(
    "query", [{"force": "yes"}, {"dry_run": "1"}, {"force": "true", "dry_run": "on"}, {"remove": "please"}]
)
def test_a_flag_is_true_or_false(story: Story, query: dict[str, str]) -> None:
    answer = story.stage.sync(str(uuid4()), **query)

    assert answer.status_code == 400
    assert "either true or false" in _read(answer)["error"]
    assert story.history() == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "users/{}/sync"), ("POST", "subscription"), ("POST", "sweeps"), ("GET", "status")],
)
@pytest.mark.parametrize("key", ["", "wrong"])
def test_a_request_without_the_key_has_no_effect(story: Story, method: str, path: str, key: str) -> None:
    answer = story.stage.call(method, path.format(uuid4()), key=key)

    assert answer.status_code == 401
    assert story.history() == []


def test_a_known_photo_is_unchanged_and_causes_no_request_to_sharepoint(story: Story) -> None:
    user = story.add_synced_user()

    answer = _read(story.stage.sync(user))

    assert (answer["outcome"], answer["reason"]) == ("unchanged", "SharePoint has this photo")
    assert answer["requests"] == len(story.history()) == 2
    assert story.waiting("photo-syncs") == 0


def test_force_writes_again(story: Story) -> None:
    user = story.add_synced_user()

    answer = _read(story.stage.sync(user, force="true"))

    assert (answer["outcome"], answer["requests"]) == ("synced", 6)
    assert len(story.writes()) == 4
    assert story.settled(user)


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


def test_a_picture_whose_photo_exists_is_not_removed_on_request(story: Story) -> None:
    user = story.add_synced_user()

    answer = _read(story.stage.sync(user, remove="true"))

    assert answer["outcome"] == "unchanged"
    assert story.writes() == []
    assert story.shows_its_source(user)


def test_a_dry_run_reports_the_outcome_and_writes_nothing(story: Story) -> None:
    user = story.add_user()

    answer = _read(story.stage.sync(user, dry_run="true"))

    assert answer["outcome"] == "synced"
    assert (
        answer["reason"] == "dry run: would write to contoso-my.sharepoint.com/User Photos/Profile Pictures"
    )
    assert answer["etag"] == story.people.user(user)["source"]["etag"]
    assert story.shows_nothing(user)
    assert story.writes() == []
    assert story.ledger(user) == {}
    assert story.waiting("photo-syncs") == 0


@pytest.mark.parametrize(
    ("fault", "service"),
    [
        pytest.param({"service": "graph", "path": "users/", "status": 403}, "graph", id="Graph denies"),
        pytest.param({"service": "graph", "path": "batch", "status": 403}, "graph", id="denied later"),
        pytest.param({"service": "graph", "path": "batch", "status": 400}, "graph", id="Graph refuses"),
        pytest.param({"path": "MThumb", "status": 403}, "sharepoint-files", id="SharePoint denies"),
        pytest.param({"path": "MThumb", "status": 400}, "sharepoint-files", id="SharePoint refuses"),
        pytest.param({"path": "Query", "status": 403}, "sharepoint-profiles", id="profiles denied"),
    ],
)
def test_a_refusal_is_reported_with_the_services_request_id_and_a_denial_closes_its_gate(
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
    closed = story.closed()
    assert set(closed) == ({service} if fault["status"] == 403 else set())
    assert all(880 < seconds <= 900 for seconds in closed.values())


@pytest.mark.parametrize(
    ("fault", "service"),
    [
        pytest.param(
            {"service": "graph", "path": "users/", "status": 429, "retry_after": 77}, "graph", id="Graph"
        ),
        pytest.param(
            {"service": "graph", "path": "batch", "status": 429, "retry_after": 17}, "graph", id="batch"
        ),
        pytest.param({"path": "SThumb", "status": 429, "retry_after": 55}, "sharepoint-files", id="files"),
    ],
)
def test_a_throttled_sync_reports_when_to_retry_and_the_service_is_not_called_before(
    story: Story, fault: dict[str, Any], service: str
) -> None:
    user, after = story.add_user(), fault["retry_after"]
    story.people.arm(fault)

    answer = story.stage.sync(user)

    assert answer.status_code == 503
    assert after - 2 <= int(answer.headers["Retry-After"]) <= after
    _read(answer)
    assert set(story.closed()) == {service}
    story.people.clear_history()
    again = story.stage.sync(user)
    assert again.status_code == 503
    assert after - 10 < int(again.headers["Retry-After"]) <= after
    assert story.history(service=service) == []
    assert story.people.faults()["early_return"] == []
    assert story.shows_nothing(user)
