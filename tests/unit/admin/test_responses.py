"""The responses to administrators."""

import json
from typing import Any

import pytest

from shared.admin import responses
from shared.admin.responses import AdminResponse
from shared.errors import ConfigError, Denied, Gone, NotOurs, Refused, Stale, SyncError, TryLater
from shared.jobs import Sync
from shared.ledger.row import Outcome
from shared.subscription.renewal import Tended
from shared.sync.result import Hindrance, Result

USER = "0f000000-0000-4000-8000-000000000001"
JOB = Sync(USER, "asked", 1.0, 1.0)


@pytest.mark.parametrize(
    ("sweep", "status", "body"),
    [
        ("20270115T080000-0a1b", 200, {"sweep": "20270115T080000-0a1b", "running": False}),
        ("", 404, {"error": "no sweep is running"}),
    ],
)
def test_a_cancelled_sweep_is_named_and_none_is_not_found(sweep: str, status: int, body: dict) -> None:
    answer = responses.of_cancelled(sweep)
    assert (answer.status, json.loads(answer.body)) == (status, body)


def test_a_result_is_returned_with_all_its_fields() -> None:
    answer = responses.of_result(Result(USER, "synced", "identity unconfirmed", '"BA09"', 8, "request"))
    assert (answer.status, answer.headers) == (200, {})
    assert json.loads(answer.body) == {
        "user": USER,
        "outcome": "synced",
        "reason": "identity unconfirmed",
        "etag": '"BA09"',
        "requests": 8,
        "request_id": "request",
    }


@pytest.mark.parametrize("outcome", ["synced", "unchanged", "skipped", "deferred", "failed", "gone"])
def test_a_final_outcome_has_its_status(outcome: Outcome) -> None:
    assert responses.of_result(Result(USER, outcome, "")).status == (404 if outcome == "gone" else 200)


@pytest.mark.parametrize(
    ("hindrance", "after", "status", "retry_after"),
    [
        pytest.param("busy", 12.2, 409, "13", id="busy: rounded up"),
        pytest.param("throttled", 200.0, 503, "200", id="throttled"),
        pytest.param("paced", 1800.0, 503, "1800", id="the rate limit is reached"),
        pytest.param("throttled", None, 503, "30", id="no wait given: half a minute"),
        pytest.param("throttled", 0.0, 503, "1", id="never at once"),
        pytest.param("denied", 900.0, 502, "900", id="denied"),
        pytest.param("configuration", 900.0, 500, "900", id="settings"),
        pytest.param("", 30.0, 202, "30", id="comes back by itself"),
    ],
)
def test_a_deferred_result_says_how_long_to_wait(
    hindrance: Hindrance, after: float | None, status: int, retry_after: str
) -> None:
    result = Result(USER, "deferred", "why", again=JOB, after=after, hindrance=hindrance)
    answer = responses.of_result(result)
    assert (answer.status, answer.headers) == (status, {"Retry-After": retry_after})


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        pytest.param(NotOurs("no name"), 400, {}, id="not ours"),
        pytest.param(Gone("graph", "404"), 404, {}, id="gone"),
        pytest.param(Refused("graph", "400"), 502, {}, id="refused"),
        pytest.param(Denied("graph", "403"), 502, {}, id="denied"),
        pytest.param(TryLater("graph", "503"), 503, {"Retry-After": "30"}, id="later"),
        pytest.param(TryLater("graph", "503", after=0.5), 503, {"Retry-After": "1"}, id="very soon"),
        pytest.param(TryLater("graph", "429", after=311.2), 503, {"Retry-After": "312"}, id="at length"),
        pytest.param(Stale("412"), 500, {}, id="an error that should have been handled"),
    ],
)
def test_the_status_of_an_error_says_who_must_act(
    error: SyncError, status: int, headers: dict[str, str]
) -> None:
    answer = responses.of_error(error)
    assert (answer.status, answer.headers) == (status, headers)
    assert json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        pytest.param(
            responses.of_error(Refused("sharepoint", "400", request_id="abc")),
            502,
            {"error": "sharepoint: 400", "request_id": "abc"},
            id="a service's error",
        ),
        pytest.param(
            responses.of_error(ConfigError(["A is missing", "B is malformed"])),
            500,
            {"error": "the app is not configured", "problems": ["A is missing", "B is malformed"]},
            id="all problems of the settings",
        ),
        pytest.param(
            responses.broken(), 500, {"error": "an unexpected error; see the function's log"}, id="unexpected"
        ),
    ],
)
def test_an_error_is_returned_with_what_helps_and_without_other_details(
    answer: AdminResponse, status: int, body: dict[str, Any]
) -> None:
    assert (answer.status, json.loads(answer.body)) == (status, body)


@pytest.mark.parametrize("did", ["created", "kept", "ended", "blocked"])
def test_the_result_of_a_renewal_is_returned_with_its_status(did: str) -> None:
    answer = responses.of_tended(Tended(did, "why", "id", 7.0))
    assert answer.status == (409 if did == "blocked" else 200)
    assert json.loads(answer.body) == {"did": did, "reason": "why", "subscription": "id", "expires": 7.0}


@pytest.mark.parametrize(
    ("value", "means"), [(None, False), ("false", False), ("True", True), ("true", True), ("FALSE", False)]
)
def test_a_flag_is_true_or_false(value: str | None, means: bool) -> None:
    assert responses.flag("force", value) is means


@pytest.mark.parametrize("value", ["", "1", "yes", "true ", "<script>"])
def test_any_other_flag_is_refused_without_repeating_its_value(value: str) -> None:
    with pytest.raises(NotOurs) as caught:
        responses.flag("force", value)
    assert str(caught.value) == "force is either true or false"
