"""How an error status is classified: who must act, and which details are kept."""

import json
from typing import Any

import pytest

from shared.errors import Denied, Gone, Refused, ServiceError, Throttled, TryLater
from shared.rest.status import error_of

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        pytest.param(400, Refused, id="bad request"),
        pytest.param(401, Denied, id="unauthorized"),
        pytest.param(403, Denied, id="forbidden"),
        pytest.param(404, Gone, id="not found"),
        pytest.param(408, TryLater, id="request timeout"),
        pytest.param(409, Refused, id="conflict"),
        pytest.param(410, Gone, id="gone"),
        pytest.param(424, Refused, id="failed dependency"),
        pytest.param(429, Throttled, id="throttled"),
        pytest.param(500, TryLater, id="server error"),
        pytest.param(502, TryLater, id="bad gateway"),
        pytest.param(503, TryLater, id="unavailable"),
        pytest.param(504, TryLater, id="gateway timeout"),
        pytest.param(507, TryLater, id="insufficient storage, which Graph answers to writes"),
        pytest.param(509, TryLater, id="bandwidth"),
        pytest.param(520, TryLater, id="a 5xx of a proxy: an outage"),
    ],
)
def test_a_status_says_who_must_act(status: int, kind: type[ServiceError]) -> None:
    error = error_of("graph", status, {}, b"", NOW)
    assert type(error) is kind
    assert error.status == status


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param({"error": {"code": "ErrorX", "message": "secret"}}, "ErrorX", id="Graph's"),
        pytest.param({"odata.error": {"code": "-2147, System.Y"}}, "-2147, System.Y", id="SharePoint's"),
        pytest.param({"error": "invalid_client"}, "", id="a word"),
        pytest.param({"error": {"code": 5}}, "", id="a number"),
        pytest.param({"error": {"code": "x" * 900}}, "x" * 200, id="a long one is cut"),
        pytest.param(["error"], "", id="a list"),
        pytest.param(None, "", id="nothing"),
    ],
)
def test_the_services_own_code_is_kept_and_its_message_is_not(body: Any, code: str) -> None:
    error = error_of("graph", 400, {"request-id": "1234"}, json.dumps(body).encode(), NOW)
    assert (error.code, error.request_id) == (code, "1234")
    assert "secret" not in str(error)
