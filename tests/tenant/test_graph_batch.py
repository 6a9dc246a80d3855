"""`$batch`: its rules, its order, its parts."""

import base64
import json

import pytest

from tests.tenant.graph_client import ORIGIN, Webhook, jpeg, refusal


def get(name: str, url: str, **more: object) -> dict:
    return {"id": name, "method": "GET", "url": url, **more}


def parts(answer) -> dict[str, dict]:
    """The parts of an answer by their ids."""
    assert answer.status_code == 200, answer.text
    responses = answer.get_json()["responses"]
    assert len({part["id"] for part in responses}) == len(responses)
    return {part["id"]: part for part in responses}


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
    statuses = [answers[name]["status"] for name in ("absent", "unknown", "versioned", "query", "method")]
    assert statuses == [404, 400, 400, 400, 405]
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
def test_a_missing_photo_has_no_body_and_a_missing_user_has_one(graph, path) -> None:
    users = {"photo": graph.person().id, "mailbox": graph.person("b@contoso.com", mailbox=False).id}
    ask = [get(name, f"/users/{user}/{path}") for name, user in (users | {"user": "absent"}).items()]
    answers = parts(graph.batch(*ask))
    assert (answers["photo"]["status"], answers["photo"]["body"]) == (404, None)
    assert answers["mailbox"]["body"]["error"]["code"] == "ErrorNonExistentMailbox"
    assert answers["user"]["body"]["error"]["code"] == "Request_ResourceNotFound"
    graph.world.knobs.batch_no_photo = "error"
    assert parts(graph.batch(*ask))["photo"]["body"]["error"]["code"] == "ImageNotFound"


def test_by_knob_the_answer_repeats_ids_in_upper_case(graph) -> None:
    person = graph.person(photo=graph.photo())
    graph.world.knobs.batch_ids = "upper"
    after = get("bytes", f"/users/{person.id}/photo/$value") | {"dependsOn": ["photo"]}
    answers = parts(graph.batch(get("photo", f"/users/{person.id}/photo"), after))
    assert {name: answer["status"] for name, answer in answers.items()} == {"PHOTO": 200, "BYTES": 200}


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
        answer = {"id": "b", "status": 204, "headers": {"Cache-Control": "no-cache"}, "body": None}
        assert parts(graph.batch(gone))["b"] == answer


USERS = get("a", "/users")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"requests": []}, id="none"),
        pytest.param({"requests": {}}, id="no array"),
        pytest.param({"requests": [USERS], "more": 1}, id="another property"),
        pytest.param({"requests": ["/users"]}, id="not an object"),
    ],
)
def test_a_body_without_an_array_of_requests_is_400(graph, body) -> None:
    answer = graph.call("POST", "/$batch", body)
    assert refusal(answer) == (400, "BadRequest")


def test_more_than_twenty_parts_are_400(graph) -> None:
    answer = graph.batch(*(get(str(n), "/users") for n in range(21)))
    assert refusal(answer) == (400, "MaximumValueExceeded")


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(get("A", "/users"), id="ids alike"),
        pytest.param(get(7, "/users"), id="a number as id"),
        pytest.param(get("", "/users"), id="an empty id"),
        pytest.param({"id": "b", "url": "/users"}, id="no method"),
        pytest.param(get("b", "/users", method="LOOK"), id="no such method"),
        pytest.param(get("b", "/users", colour="red"), id="an unknown member"),
        pytest.param(get("b", None), id="no URL"),
        pytest.param(get("b", "https://graph.microsoft.com/v1.0/users"), id="an absolute URL"),
        pytest.param(get("b", "//elsewhere/users"), id="another host"),
        pytest.param(get("b", "/$batch", method="POST"), id="a batch in a batch"),
        pytest.param(get("b", "/users", headers=[]), id="headers in an array"),
        pytest.param(get("b", "/users", headers={"a": 1}), id="a numeric header"),
        pytest.param(get("b", "/subscriptions", method="POST", body={}), id="an untyped body"),
        pytest.param(get("b", "/users", dependsOn="a"), id="no array of ids"),
        pytest.param(get("b", "/users", dependsOn=["c"]), id="on an absent part"),
    ],
)
def test_a_batch_with_an_invalid_part_is_400_as_a_whole(graph, part) -> None:
    answer = graph.batch(USERS, part)
    assert refusal(answer) == (400, "BadRequest")


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(["b", None, None], id="on a later one"),
        pytest.param([None, "a", "a"], id="a tree"),
    ],
)
def test_a_batch_is_fully_serial_or_fully_parallel(graph, after) -> None:
    waits = [{"dependsOn": [each]} if each else {} for each in after]
    answer = graph.batch(*(get(name, "/users", **more) for name, more in zip("abc", waits, strict=True)))
    assert refusal(answer) == (400, "BadRequest")


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
def test_a_throttled_part_is_429_and_by_knob_the_batch_is_424(graph, outer) -> None:
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
