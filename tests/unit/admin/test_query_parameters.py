"""What administrators write behind the question mark: an unknown name is refused before anything is done."""

import json
from collections.abc import Callable, Iterator

import azure.functions as func
import pytest

import function_app

GRAPHS = {"notifications", "lifecycle"}
KEY = "d4Xk_0aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789-_AzFuabcdef=="


def http_functions() -> Iterator[tuple[str, str, Callable[[func.HttpRequest], func.HttpResponse]]]:
    """Return name, method and body of each HTTP function that administrators call."""
    for each in function_app.app.get_functions():
        trigger = each.get_trigger()
        if trigger is not None and trigger.type == "httpTrigger" and each.get_function_name() not in GRAPHS:
            for method in trigger.methods:
                yield each.get_function_name(), method.value, each.get_user_function()


FUNCTIONS = list(http_functions())  # the library lists them once
ENDPOINTS = [pytest.param(method, body, id=f"{method} {name}") for name, method, body in FUNCTIONS]


def call(body: Callable[[func.HttpRequest], func.HttpResponse], method: str, **query: str) -> tuple[int, str]:
    request = func.HttpRequest(
        method, "https://photos.example/api", params=query, route_params={"user": "a"}, body=b""
    )
    answer = body(request)
    return answer.status_code, json.loads(answer.get_body()).get("error", "")


def endpoint(name: str) -> Callable[[func.HttpRequest], func.HttpResponse]:
    return next(body for found, _, body in FUNCTIONS if found == name)


def test_the_endpoints_of_administrators_are_found() -> None:
    assert {name for name, _, _ in FUNCTIONS} >= {"sync_user", "subscribe", "sweep_now", "status"}


@pytest.mark.parametrize(("method", "body"), ENDPOINTS)
@pytest.mark.parametrize("name", ["dry-run", "dryrun", "Force", "what_if", "takeover", "format"])
def test_an_unknown_parameter_is_refused_by_every_endpoint(method: str, body, name: str) -> None:
    status, error = call(body, method, **{name: "true"})

    assert status == 400
    assert error.startswith(f"this endpoint has no query parameter {name}: it has ")


@pytest.mark.parametrize(
    ("name", "method", "known"),
    [
        ("sync_user", "POST", "dry_run, force, remove"),
        ("subscribe", "POST", "take_over"),
        ("subscribe", "DELETE", "none"),
        ("sweep_now", "POST", "force, release_brake"),
        ("sweep_now", "DELETE", "none"),
        ("status", "GET", "none"),
    ],
)
def test_the_known_names_are_listed(name: str, method: str, known: str) -> None:
    assert call(endpoint(name), method, dryRun="true", force_="true") == (
        400,
        f"this endpoint has no query parameter dryRun, force_: it has {known}",
    )


@pytest.mark.parametrize(("method", "body"), ENDPOINTS)
@pytest.mark.parametrize("name", ["code", "Code", "CODE"])
def test_the_function_key_passes(method: str, body, name: str) -> None:
    assert "query parameter" not in call(body, method, **{name: KEY})[1]


@pytest.mark.parametrize("name", [KEY, "<script>", "a\r\nb", ""], ids=["a key", "a tag", "a line", "empty"])
def test_what_may_be_a_key_or_no_name_is_not_repeated(name: str, caplog: pytest.LogCaptureFixture) -> None:
    status, error = call(endpoint("status"), "GET", **{name: ""})

    assert (status, error) == (400, "this endpoint has no query parameter (not shown): it has none")
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "query",
    [
        pytest.param({"release_brake": ""}, id="no sweep"),
        pytest.param({"release_brake": "  "}, id="blanks"),
        pytest.param({"release_brake": "20270115T080000-0a1b", "force": "true"}, id="two requests in one"),
    ],
)
def test_a_brake_is_released_for_one_named_sweep_and_nothing_else(query: dict[str, str]) -> None:
    status, error = call(endpoint("sweep_now"), "POST", **query)

    assert status == 400
    assert "release" in error


@pytest.mark.parametrize("value", ["", "yes", "1", "true,true"])
def test_a_flag_that_is_neither_true_nor_false_is_refused(value: str) -> None:
    status, error = call(endpoint("sync_user"), "POST", dry_run=value)

    assert (status, error) == (400, "dry_run is either true or false")


@pytest.mark.parametrize("query", ["dry_run", "dry_run=", "force&dry_run", "dry_run=&code=x"])
def test_a_flag_without_a_value_is_refused_although_the_host_drops_it(query: str) -> None:
    request = func.HttpRequest("POST", f"https://photos.example/api?{query}", params={}, body=b"")

    answer = endpoint("sync_user")(request)

    assert answer.status_code == 400
    assert "is either true or false" in json.loads(answer.get_body())["error"]


@pytest.mark.parametrize("query", ["dry-run", "dry-run=", "x&y", "%64ry-run"])
def test_an_unknown_parameter_without_a_value_is_refused_too(query: str) -> None:
    request = func.HttpRequest("POST", f"https://photos.example/api?{query}", params={}, body=b"")

    answer = endpoint("sync_user")(request)

    assert answer.status_code == 400
    assert "no query parameter" in json.loads(answer.get_body())["error"]
