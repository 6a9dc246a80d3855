"""Who is let in, and how Graph words its refusals."""

import pytest

from local.tenant.graph.wire import read_time, write_time
from tests.tenant.graph_client import ORIGIN, GraphClient, refusal


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda _: "", "Access token is empty.", id="no token"),
        pytest.param(lambda _: "nonsense", "JWT is not well formed", id="no JWT"),
        pytest.param(lambda graph: graph.tokens.issue("https://x", ()), "Invalid audience", id="audience"),
        pytest.param(lambda graph: graph.tokens.issue(ORIGIN, (), lifetime=-1), "expired", id="an old token"),
        pytest.param(lambda _: GraphClient().tokens.issue(ORIGIN, ()), "Invalid signature", id="forged"),
    ],
)
def test_an_invalid_token_is_401_with_a_challenge(graph, make, message) -> None:
    answer = graph.get("/users", token=make(graph))
    assert refusal(answer) == (401, "InvalidAuthenticationToken")
    assert message in answer.get_json()["error"]["message"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize(
    ("method", "path", "roles"),
    [
        pytest.param("GET", "/users", ["ProfilePhoto.Read.All"], id="users need more than photos"),
        pytest.param("GET", "/users/x", [], id="a token without roles"),
        pytest.param("POST", "/subscriptions", ["User.ReadBasic.All"], id="subscribing"),
        pytest.param("GET", "/subscriptions", ["Subscription.Read.All"], id="a delegated permission"),
    ],
)
def test_a_missing_permission_is_403(graph, method, path, roles) -> None:
    answer = graph.call(method, path, roles=roles)
    assert refusal(answer) == (403, "Authorization_RequestDenied")


@pytest.mark.parametrize(
    "role", ["User.Read.All", "User.ReadBasic.All", "ProfilePhoto.Read.All", "ProfilePhoto.ReadWrite.All"]
)
def test_any_one_of_the_documented_permissions_opens_a_photo(graph, role) -> None:
    person = graph.person(photo=graph.photo())
    assert graph.get(f"/users/{person.id}/photo", roles=[role]).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        pytest.param("GET", "/nothing/here", 400, "BadRequest", id="an unknown path"),
        pytest.param("GET", "/users/a/photos/48x48/more", 400, "BadRequest", id="below a known path"),
        pytest.param("PUT", "/users", 405, "Request_BadRequest", id="a method that is not for this path"),
        pytest.param("PUT", "/users/a/photo/$value", 405, "Request_BadRequest", id="writing a photo"),
        pytest.param("GET", "/$batch", 400, "BadRequest", id="a batch that is not received"),
        pytest.param("GET", "/users?$search=x", 400, "BadRequest", id="an unknown query parameter"),
        pytest.param("GET", "/users?$top=1&$top=2", 400, "BadRequest", id="a parameter twice"),
        pytest.param("GET", "/users/a/photo?$select=id", 400, "BadRequest", id="a parameter of another path"),
    ],
)
def test_an_unknown_request_is_refused_in_graphs_shape(graph, method, path, status, code) -> None:
    answer = graph.call(method, path)
    assert refusal(answer) == (status, code)


def test_the_words_of_a_path_are_read_in_any_case(graph) -> None:
    person = graph.person(photo=graph.photo())
    assert graph.get(f"/USERS/{person.id}/Photo/$VALUE").status_code == 200
    assert "The batch payload" in graph.call("POST", "/$Batch", {}).get_json()["error"]["message"]


@pytest.mark.parametrize("path", ["/beta/users", "/users", "/v1.0", "/v2.0/users", "/v1.0users"])
def test_only_version_1_is_played(graph, path) -> None:
    answer = graph.get(path, version="")
    assert (answer.status_code, answer.get_json()["error"]["message"]) == (400, "Invalid version")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(b"{", {"Content-Type": "application/json"}, id="no JSON"),
        pytest.param(b"\xff", {"Content-Type": "application/json"}, id="no UTF-8"),
        pytest.param(b"[]", {"Content-Type": "application/json"}, id="no object"),
        pytest.param(b"[" * 100_000, {"Content-Type": "application/json"}, id="too deep"),
        pytest.param(b"{}", {}, id="no content type"),
    ],
)
@pytest.mark.parametrize("path", ["/subscriptions", "/$batch"])
def test_a_body_that_is_not_a_json_object_is_400(graph, path, body, headers) -> None:
    answer = graph.call("POST", path, body, **headers)
    assert answer.status_code == 400
    assert answer.get_json()["error"]["code"] in {"BadRequest", "Request_BadRequest"}


def test_an_error_names_the_request_by_both_ids(graph) -> None:
    answer = graph.get("/users/absent", client_request_id="mine")
    inner = answer.get_json()["error"]["innerError"]
    assert inner["client-request-id"] == answer.headers["client-request-id"] == "mine"
    assert inner["request-id"] == answer.headers["request-id"] != "mine"
    another = graph.get("/users").headers
    assert answer.headers["request-id"] != another["request-id"] == another["client-request-id"]
    assert read_time(f"{inner['date']}Z")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("2026-11-20T18:23:45.9356913Z", "2026-11-20T18:23:45.9356910Z", id="seven digits"),
        pytest.param("2026-11-20T18:23:45Z", "2026-11-20T18:23:45Z", id="whole seconds"),
        pytest.param("2026-11-20T18:23:45+00:00", "2026-11-20T18:23:45Z", id="an offset"),
    ],
)
def test_times_are_written_as_graph_writes_them(text, written) -> None:
    assert write_time(read_time(text)) == written


@pytest.mark.parametrize(
    "text",
    ["2026-11-20T18:23:45", "2026-11-20", "2026-13-20T18:23:45Z", "2026-11-20T18:23:45.12345678Z", 7, None],
)
def test_an_incomplete_time_is_not_read(text) -> None:
    assert read_time(text) is None
