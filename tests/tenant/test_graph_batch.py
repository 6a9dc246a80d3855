"""`$batch`: its rules, its order, its parts."""

import base64
import json

import pytest

from tests.tenant.graph_client import ORIGIN, Webhook, jpeg


def get(name: str, url: str, **more: object) -> dict:
    return {"id": name, "method": "GET", "url": url, **more}


def parts(answer) -> dict[str, dict]:
    """The parts of an answer by their ids."""
    assert answer.status_code == 200, answer.text
    responses = answer.get_json()["responses"]
    assert len({part["id"] for part in responses}) == len(responses)
    return {part["id"]: part for part in responses}


def test_a_part_has_the_answer_of_the_single_request(graph) -> None:
    person = graph.person(photo=graph.photo())
    part = parts(graph.batch(get("a", f"/users/{person.id}/photo")))["a"]
    assert part["status"] == 200
    assert part["body"] == graph.get(f"/users/{person.id}/photo").get_json()
    assert part["headers"]["Content-Type"].startswith("application/json")


def test_an_image_is_a_base64_string_with_its_headers(graph) -> None:
    person = graph.person(photo=graph.photo())
    part = parts(graph.batch(get("a", f"/users/{person.id}/photo/$value")))["a"]
    assert base64.b64decode(part["body"], validate=True) == jpeg()
    assert part["headers"] == {"Content-Type": "image/jpeg", "ETag": person.photo.etag}


def test_a_upn_is_encoded_in_a_parts_url_and_a_query_is_understood(graph) -> None:
    person = graph.person("ada_example.org#EXT#@contoso.com", guest=True)
    answers = parts(
        graph.batch(
            get("right", "/users/ada_example.org%23EXT%23@contoso.com?$select=id,userType"),
            get("wrong", f"/users/{person.upn}?$select=id"),
        )
    )
    assert answers["right"]["body"]["userType"] == "Guest"
    assert answers["wrong"]["status"] == 404


def test_every_part_may_fail_and_the_batch_is_still_200(graph) -> None:
    answers = parts(
        graph.batch(
            get("absent", "/users/absent"),
            get("unknown", "/shoes"),
            get("versioned", "/v1.0/users"),
            get("query", "/users?$search=x"),
            {"id": "method", "method": "PUT", "url": "/users"},
        )
    )
    assert {name: part["status"] for name, part in answers.items()} == {
        "absent": 404,
        "unknown": 400,
        "versioned": 400,
        "query": 400,
        "method": 405,
    }
    assert answers["absent"]["body"]["error"]["code"] == "Request_ResourceNotFound"


def test_a_part_needs_the_permission_of_its_own_operation(graph) -> None:
    person = graph.person(photo=graph.photo())
    answers = parts(
        graph.batch(
            get("photo", f"/users/{person.id}/photo"),
            get("user", f"/users/{person.id}"),
            roles=["ProfilePhoto.Read.All"],
        )
    )
    assert (answers["photo"]["status"], answers["user"]["status"]) == (200, 403)


@pytest.mark.parametrize("path", ["photo", "photo/$value"])
def test_a_missing_photo_has_no_body_and_a_missing_user_has_one(graph, path: str) -> None:
    person = graph.person()
    ask = [get("photo", f"/users/{person.id}/{path}"), get("user", f"/users/absent/{path}")]
    answers = parts(graph.batch(*ask))
    assert (answers["photo"]["status"], answers["photo"]["body"]) == (404, None)
    assert answers["user"]["body"]["error"]["code"] == "Request_ResourceNotFound"
    graph.world.knobs.batch_no_photo = "error"
    assert parts(graph.batch(*ask))["photo"]["body"]["error"]["code"] == "ImageNotFound"


def test_a_missing_mailbox_and_a_missing_photo_have_different_answers(graph) -> None:
    person = graph.person(mailbox=False)
    body = parts(graph.batch(get("a", f"/users/{person.id}/photo")))["a"]["body"]
    assert body["error"]["code"] == "ErrorNonExistentMailbox"


def test_a_part_can_write(graph) -> None:
    with Webhook() as webhook:
        request = {
            "id": "a",
            "method": "post",
            "url": "/subscriptions",
            "headers": {"content-type": "application/json"},
            "body": graph.creation(webhook.url),
        }
        created = parts(graph.batch(request))["a"]
        assert created["status"] == 201
        gone = {"id": "b", "method": "DELETE", "url": f"/subscriptions/{created['body']['id']}"}
        assert parts(graph.batch(gone))["b"] == {
            "id": "b",
            "status": 204,
            "headers": {"Cache-Control": "no-cache"},
            "body": None,
        }


TWENTY_ONE = [get(str(n), "/users") for n in range(21)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param({"requests": TWENTY_ONE}, "MaximumValueExceeded", id="more than twenty"),
        pytest.param({"requests": []}, "BadRequest", id="none"),
        pytest.param({}, "BadRequest", id="no requests"),
        pytest.param({"requests": {}}, "BadRequest", id="no array"),
        pytest.param({"requests": TWENTY_ONE[:2], "more": 1}, "BadRequest", id="another property"),
        pytest.param({"requests": ["/users"]}, "BadRequest", id="no object"),
        pytest.param({"requests": [get("a", "/users"), get("A", "/users")]}, "BadRequest", id="ids alike"),
        pytest.param({"requests": [get(7, "/users")]}, "BadRequest", id="an id that is a number"),
        pytest.param({"requests": [get("", "/users")]}, "BadRequest", id="an empty id"),
        pytest.param({"requests": [{"method": "GET", "url": "/users"}]}, "BadRequest", id="no id"),
        pytest.param({"requests": [{"id": "a", "url": "/users"}]}, "BadRequest", id="no method"),
        pytest.param({"requests": [get("a", "/users", method="LOOK")]}, "BadRequest", id="no such method"),
        pytest.param({"requests": [get("a", "/users", colour="red")]}, "BadRequest", id="an unknown member"),
        pytest.param({"requests": [get("a", None)]}, "BadRequest", id="no URL"),
        pytest.param({"requests": [get("a", "users")]}, "BadRequest", id="no slash"),
        pytest.param(
            {"requests": [get("a", "https://graph.microsoft.com/v1.0/users")]},
            "BadRequest",
            id="an absolute URL",
        ),
        pytest.param({"requests": [get("a", "//elsewhere/users")]}, "BadRequest", id="another host"),
        pytest.param(
            {"requests": [get("a", "/$batch", method="POST")]}, "BadRequest", id="a batch in a batch"
        ),
        pytest.param({"requests": [get("a", "/users", headers=[])]}, "BadRequest", id="headers in an array"),
        pytest.param({"requests": [get("a", "/users", headers=["x"])]}, "BadRequest", id="no headers"),
        pytest.param(
            {"requests": [get("a", "/users", headers={"a": 1})]}, "BadRequest", id="a numeric header"
        ),
        pytest.param(
            {"requests": [get("a", "/subscriptions", method="POST", body={})]},
            "BadRequest",
            id="an untyped body",
        ),
        pytest.param({"requests": [get("a", "/users", dependsOn="b")]}, "BadRequest", id="no array of ids"),
        pytest.param(
            {"requests": [get("a", "/users", dependsOn=["b"])]}, "BadRequest", id="on an absent part"
        ),
        pytest.param({"requests": [get("a", "/users", dependsOn=["a"])]}, "BadRequest", id="on itself"),
        pytest.param(
            {"requests": [get("a", "/users", dependsOn=["b"]), get("b", "/users")]},
            "BadRequest",
            id="on a later one",
        ),
        pytest.param(
            {"requests": [get("a", "/users"), get("b", "/users", dependsOn=["a"]), get("c", "/users")]},
            "BadRequest",
            id="half serial",
        ),
        pytest.param(
            {
                "requests": [
                    get("a", "/users"),
                    get("b", "/users", dependsOn=["a"]),
                    get("c", "/users", dependsOn=["a"]),
                ]
            },
            "BadRequest",
            id="a tree",
        ),
    ],
)
def test_a_batch_that_breaks_a_rule_is_400_as_a_whole(graph, body, code: str) -> None:
    answer = graph.call("POST", "/$batch", body)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, code)


def test_twenty_parts_run_and_answer_in_random_orders(graph) -> None:
    people = [graph.person(f"{n}@contoso.com") for n in range(20)]
    ran = []
    graph.service.part_fault = lambda _, url: ran.append(url)
    asked = [get(str(n), f"/users/{person.id}") for n, person in enumerate(people)]
    answer = graph.batch(*asked)
    answered = [f"/users/{part['body']['id']}" for part in answer.get_json()["responses"]]
    urls = [part["url"] for part in asked]
    assert sorted(urls) == sorted(ran) == sorted(answered)
    assert urls != ran != answered != urls


def test_serial_parts_run_in_order_and_answer_in_any(graph) -> None:
    ran = []
    graph.service.part_fault = lambda _, url: ran.append(url)
    asked = [get("P0", "/users?$top=1")]
    asked += [get(f"P{n}", f"/users?$top={n + 1}", dependsOn=[f"{'pP'[n % 2]}{n - 1}"]) for n in range(1, 10)]
    answer = graph.batch(*asked)
    assert ran == [f"/users?$top={n}" for n in range(1, 11)]
    answered = [part["id"] for part in answer.get_json()["responses"]]
    assert sorted(answered) == [f"P{n}" for n in range(10)] != answered


def test_a_part_that_depends_on_a_failed_one_is_424_and_does_not_run(graph) -> None:
    person = graph.person(photo=graph.photo())
    ran = []
    graph.service.part_fault = lambda _, url: ran.append(url)
    answers = parts(
        graph.batch(
            get("1", f"/users/{person.id}"),
            get("2", "/users/absent/photo", dependsOn=["1"]),
            get("3", f"/users/{person.id}/photo/$value", dependsOn=["2"]),
            get("4", f"/users/{person.id}", dependsOn=["3"]),
        )
    )
    assert [answers[name]["status"] for name in "1234"] == [200, 404, 424, 424]
    assert ran == [f"/users/{person.id}", "/users/absent/photo"]


def test_a_photo_may_change_between_its_metadata_and_its_bytes(graph) -> None:
    person = graph.person(photo=graph.photo(504, "red"))
    old, new = person.photo.etag, graph.photo(504, "blue")
    seen = []

    def change_photo() -> None:
        seen.append(True)
        graph.world.set_photo(person, new)

    graph.service.between_parts = change_photo
    answers = parts(
        graph.batch(
            get("metadata", f"/users/{person.id}/photo"),
            get("bytes", f"/users/{person.id}/photo/$value", dependsOn=["metadata"]),
        )
    )
    assert answers["metadata"]["body"]["@odata.mediaEtag"] == old
    assert answers["bytes"]["headers"]["ETag"] == new.etag
    assert base64.b64decode(answers["bytes"]["body"]) == jpeg(504, "blue")
    assert seen == [True]


@pytest.mark.parametrize("outer", [200, 424])
def test_a_throttled_part_is_429_and_by_knob_the_batch_is_424(graph, outer: int) -> None:
    person = graph.person()
    body = {"error": {"code": "TooManyRequests", "message": "Please retry again later."}}
    graph.service.part_fault = lambda _, url: (429, {"Retry-After": "10"}, body) if "photo" in url else None
    graph.world.knobs.batch_throttled_outer = outer
    answer = graph.batch(get("1", f"/users/{person.id}/photo"), get("2", f"/users/{person.id}"))
    assert answer.status_code == outer
    answers = {part["id"]: part for part in answer.get_json()["responses"]}
    assert answers["1"] == {"id": "1", "status": 429, "headers": {"Retry-After": "10"}, "body": body}
    assert answers["2"]["status"] == 200
    assert graph.batch(get("2", f"/users/{person.id}")).status_code == 200


def test_a_token_in_a_part_does_not_replace_the_batchs_token(graph) -> None:
    token = {"Authorization": f"Bearer {graph.tokens.issue(ORIGIN, ['User.Read.All'])}"}
    answer = graph.batch(get("1", "/users", headers=token), token="")
    assert answer.status_code == 401
    assert json.loads(answer.data)["error"]["code"] == "InvalidAuthenticationToken"
