"""How an error status is classified: who must act, and which details are kept."""

import json
from typing import Any

import pytest

from shared.errors import Denied, Gone, Locked, Moved, Refused, ServiceError, Throttled, TryLater
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


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("service", "kind"),
    [
        pytest.param("sharepoint-files", Moved, id="files"),
        pytest.param("sharepoint-profiles", Moved, id="profiles"),
        pytest.param("graph", Refused, id="Graph, which documents none for what is asked of it"),
    ],
)
def test_only_a_redirect_of_sharepoint_says_that_something_moved(
    service: str, kind: type[ServiceError], status: int
) -> None:
    assert type(error_of(service, status, {}, b"", NOW)) is kind


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("https://Fabrikam-My.SharePoint.com:443/x?t=1", "fabrikam-my.sharepoint.com"),
        ("https://user:word@fabrikam.sharepoint.com/", "fabrikam.sharepoint.com"),
        ("/x", ""),
        ("https://[evil", ""),
        ("", ""),
    ],
)
def test_of_the_address_of_a_redirect_only_the_host_is_kept(location: str, host: str) -> None:
    error = error_of("sharepoint-files", 302, {"location": location}, b"", NOW)
    assert isinstance(error, Moved)
    assert error.host == host
    assert str(error) == "sharepoint-files: 302"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        pytest.param(423, "", id="a status alone"),
        pytest.param(423, "-2147018894, Microsoft.SharePoint.SPFileLockException", id="a shared lock"),
        pytest.param(409, "-2147018887, Microsoft.SharePoint.SPFileLockException", id="an exclusive lock"),
        pytest.param(423, "-2147023436, Microsoft.SharePoint.SPFileLockException", id="a lock that changed"),
        pytest.param(400, "-2130575306, Microsoft.SharePoint.SPFileCheckOutException", id="checked out"),
        pytest.param(500, "-2147024864, System.IO.IOException", id="a sharing violation"),
        pytest.param(500, "-2147024863, System.IO.IOException", id="a lock violation"),
        pytest.param(403, "-2147018894, irgendeine Ausnahme", id="by number, not by name or status"),
    ],
)
def test_a_locked_file_is_for_later(status: int, code: str) -> None:
    body = json.dumps({"odata.error": {"code": code, "message": {"lang": "de", "value": "gesperrt"}}})
    assert type(error_of("sharepoint-files", status, {}, body.encode(), NOW)) is Locked


@pytest.mark.parametrize(
    "code", ["-2130575257, x", "-2147024891, x", "2147018894, x", "x, -2147018894", "ErrorX"]
)
def test_another_number_is_no_lock(code: str) -> None:
    body = json.dumps({"odata.error": {"code": code}}).encode()
    assert type(error_of("sharepoint-files", 409, {}, body, NOW)) is Refused


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
