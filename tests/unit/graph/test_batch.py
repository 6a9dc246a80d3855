"""The requests in a Graph batch for one user, and how its response parts are read, however odd they are."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Denied, Refused, ServiceError, TryLater
from shared.graph.batch import (
    gather_requests,
    is_part,
    read_bytes,
    read_memberships,
    read_part,
    require_answer,
    require_known,
)
from shared.graph.photo import BatchPart, NoMailbox, NoPhoto, Photo, PhotoFailed, Unavailable, UserGone
from shared.graph.photo import PhotoDenied as DeniedPhoto

ANNA = "01234567-89ab-cdef-0123-456789abcdef"
TEAM, SHY = "11111111-0000-4000-8000-00000000000a", "22222222-0000-4000-8000-000000000000"
BYTES = b"\xff\xd8\xff"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
ODD = {"headers": JSON, "body": JSON}


def part(status: int, body: Any = None, **headers: str) -> BatchPart:
    return read_part({"id": "x", "status": status, "headers": headers, "body": body}, 0.0)


def an_error(code: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": "..."}}


# --- requests ---


def test_a_user_the_photo_and_its_bytes_are_requested_one_after_the_other() -> None:
    user, photo, content = gather_requests(ANNA, [])

    assert (user["id"], photo["dependsOn"], content["dependsOn"]) == ("user", ["user"], ["photo"])
    assert user["url"] == f"/users/{ANNA}?$select=id,userPrincipalName,accountEnabled,userType"
    assert photo["url"] == f"/users/{ANNA}/photo"
    assert content["url"] == f"/users/{ANNA}/photo/$value"
    assert [each["method"] for each in (user, photo, content)] == ["GET"] * 3
    assert "dependsOn" not in user


def test_groups_are_requested_after_the_user_where_the_scope_needs_them() -> None:
    user, groups, photo, content = gather_requests(ANNA, (TEAM, SHY))

    assert [each["id"] for each in (user, groups, photo, content)] == ["user", "groups", "photo", "bytes"]
    assert (groups["dependsOn"], photo["dependsOn"], content["dependsOn"]) == (
        ["user"],
        ["groups"],
        ["photo"],
    )
    assert (groups["method"], groups["url"]) == ("POST", f"/users/{ANNA}/checkMemberGroups")
    assert groups["body"] == {"groupIds": [TEAM, SHY]}
    assert groups["headers"] == {"Content-Type": "application/json"}  # a batch part with a body needs it


# --- parts ---


@pytest.mark.parametrize(
    ("given_part", "good"),
    [
        pytest.param({"id": "user", "status": 200}, True, id="the least"),
        pytest.param({"id": "user", "status": 404, "headers": None, "body": None}, True, id="empty headers"),
        pytest.param({"id": "user"}, False, id="no status"),
        pytest.param({"status": 200}, False, id="no id"),
        pytest.param({"id": 7, "status": 200}, False, id="a number as id"),
        pytest.param({"id": "user", "status": "200"}, False, id="a text as status"),
        pytest.param([], False, id="a list"),
        pytest.param(None, False, id="nothing"),
    ],
)
def test_a_batch_part_has_an_id_and_a_status(given_part: object, good: bool) -> None:
    assert is_part(given_part) is good


@pytest.mark.parametrize(
    ("headers", "after"),
    [
        pytest.param({"Retry-After": "10"}, 10.0, id="whole seconds"),
        pytest.param({"retry-after": "2.128"}, 2.128, id="decimals, in lower case"),
        pytest.param({"RETRY-AFTER": 30}, 30.0, id="a number, in capitals"),
        pytest.param({"Retry-After": "Thu, 01 Jan 1970 00:00:07 GMT"}, 7.0, id="a date"),
        pytest.param({}, None, id="no Retry-After"),
        pytest.param(None, None, id="null for headers"),
        pytest.param("Retry-After: 10", None, id="a text for headers"),
    ],
)
def test_a_throttled_part_has_its_wait_in_its_own_headers(headers: object, after: float | None) -> None:
    found = read_part({"id": "x", "status": 429, "headers": headers}, 0.0)

    assert (found.status, found.retry_after, found.body) == (429, after, None)


def test_header_names_are_in_lower_case() -> None:
    assert part(200, None, ETag='"E"', CONTENT="x").headers == {"etag": '"E"', "content": "x"}


@given(st.fixed_dictionaries({"id": st.text(), "status": st.integers()}, optional=ODD))
def test_a_part_with_odd_headers_and_body_is_read(found: dict[str, Any]) -> None:
    assert is_part(found)
    assert read_part(found, 0.0).status == found["status"]


# --- bytes ---


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        pytest.param(part(200, base64.b64encode(BYTES).decode()), BYTES, id="base64"),
        pytest.param(part(200, ""), None, id="an empty text"),
        pytest.param(part(200, "not base64!"), None, id="a text that is not base64"),
        pytest.param(part(200, "/9j/\n"), None, id="base64 with a line break"),
        pytest.param(part(200, "/9j"), None, id="base64 that was cut"),
        pytest.param(part(200, "\u00ff\u00d8"), None, id="letters beyond ASCII"),
        pytest.param(part(200, {"error": {}}), None, id="an object"),
        pytest.param(part(200, None), None, id="nothing"),
        pytest.param(part(404, base64.b64encode(BYTES).decode()), None, id="bytes under a 404"),
        pytest.param(part(424, None), None, id="its dependency failed"),
        pytest.param(None, None, id="no part at all"),
    ],
)
def test_bytes_are_read_from_base64_text_only(answer: BatchPart | None, content: bytes | None) -> None:
    assert read_bytes(answer) == content


@given(st.binary(min_size=1))
def test_bytes_survive_the_batch(content: bytes) -> None:
    assert read_bytes(part(200, base64.b64encode(content).decode())) == content


# --- memberships ---


@pytest.mark.parametrize(
    ("body", "groups"),
    [
        pytest.param({"value": []}, frozenset(), id="none"),
        pytest.param({"value": [TEAM]}, frozenset({TEAM}), id="one"),
        pytest.param({"value": [TEAM.upper(), SHY]}, frozenset({TEAM, SHY}), id="in capitals"),
        pytest.param({"@odata.context": "...", "value": [SHY, SHY]}, frozenset({SHY}), id="the same twice"),
    ],
)
def test_memberships_are_those_of_the_groups_that_were_asked_for(body: Any, groups: frozenset[str]) -> None:
    assert read_memberships(part(200, body)) == groups


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(part(403, an_error("Authorization_RequestDenied")), Denied, id="denied"),
        pytest.param(part(429, None, **{"Retry-After": "7"}), TryLater, id="throttled"),
        pytest.param(part(503), TryLater, id="busy"),
        pytest.param(part(424), TryLater, id="its dependency failed: the user's own part says why"),
        pytest.param(part(404), TryLater, id="not found"),
        pytest.param(part(200, {"value": None}), TryLater, id="null"),
        pytest.param(part(200, {"value": {TEAM: 1}}), TryLater, id="an object"),
        pytest.param(part(200, [TEAM]), TryLater, id="a list without a name"),
        pytest.param(part(200), TryLater, id="nothing"),
        pytest.param(None, TryLater, id="no part at all"),
    ],
)
def test_memberships_that_graph_does_not_return_never_count_as_no_memberships(
    answer: BatchPart | None, kind: type[ServiceError]
) -> None:
    with pytest.raises(kind) as caught:
        read_memberships(answer)
    assert not isinstance(caught.value, TryLater) or caught.value.after in (None, 7.0)


# --- definite answers ---


@pytest.mark.parametrize("source", [Photo('"E"'), NoPhoto(), NoMailbox("no mailbox"), UserGone()], ids=str)
def test_a_definite_answer_of_graph_is_returned(source: Any) -> None:
    assert require_known(source) == source


def test_an_indefinite_answer_of_graph_raises_the_error_that_says_who_must_act() -> None:
    with pytest.raises(TryLater) as busy:
        require_known(Unavailable(12.5))
    with pytest.raises(Denied) as denied:
        require_known(DeniedPhoto("ErrorAccessDenied"))
    with pytest.raises(Refused) as odd:
        require_known(PhotoFailed(418, "Teapot"))

    assert busy.value.after == 12.5
    assert (denied.value.status, denied.value.code) == (403, "ErrorAccessDenied")
    assert (odd.value.status, odd.value.code) == (418, "Teapot")
    assert "Teapot" in str(odd.value)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(None, None, id="no part"),
        pytest.param(part(200), None, id="an answer"),
        pytest.param(part(404), None, id="none"),
        pytest.param(part(400, an_error("BadRequest")), None, id="odd: an answer all the same"),
        pytest.param(part(424), None, id="its dependency failed"),
        pytest.param(
            part(403, an_error("MailboxNotHostedInExchangeOnline")), None, id="403 that is not a denial"
        ),
        pytest.param(part(401), Denied, id="401"),
        pytest.param(part(403), Denied, id="403"),
        pytest.param(part(408), TryLater, id="408"),
        pytest.param(part(429), TryLater, id="429"),
        pytest.param(part(500), TryLater, id="500"),
        pytest.param(part(504), TryLater, id="504"),
    ],
)
def test_only_denials_and_temporary_errors_are_not_answers(
    answer: BatchPart | None, kind: type[ServiceError] | None
) -> None:
    if kind is None:
        require_answer(answer)
        return
    with pytest.raises(kind):
        require_answer(answer)
