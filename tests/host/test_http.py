"""HTTP requests to the shared host."""

import json
import socket
from urllib.parse import urlsplit

import pytest


def test_a_function_receives_the_request_as_in_azure(web, host):
    answer = web.post(
        "/api/echo/adele/mail?x=1&x=2&y=&X=3&z=a%26b+c", data=b"\xff\x00", headers={"X-One": "a"}
    )

    seen = answer.json()
    assert seen["method"] == "POST"
    assert seen["params"] == {"x": "1,2,3", "z": "a&b c"}  # joined in any case, empty values dropped
    assert seen["route"] == {"user": "adele", "source": "mail"}
    assert seen["headers"]["x-one"] == "a"  # names in lower case
    assert set(seen["headers"]) == {name.lower() for name in seen["headers"]}
    assert (seen["body"], seen["body_type"]) == ("\xff\x00", "bytes")
    assert seen["url"] == f"{host.url}/api/echo/adele/mail?x=1&x=2&y=&X=3&z=a%26b+c"


@pytest.mark.parametrize(
    ("segment", "value"),
    [
        pytest.param("guest%23EXT%23%40contoso.com", "guest#EXT#@contoso.com", id="guest"),
        pytest.param("a%20b", "a b", id="space"),
        pytest.param("J%C3%BCrgen", "Jürgen", id="utf-8"),
        pytest.param("a%2Fb", "a%2Fb", id="a slash stays encoded, as in ASP.NET"),
        pytest.param("a+b", "a+b", id="a plus in a path stays a plus"),
    ],
)
def test_a_route_parameter_arrives_decoded(web, segment, value):
    assert web.get(f"/api/echo/{segment}").json()["route"] == {"user": value}


def test_a_repeated_header_is_joined_with_commas(host):
    place = urlsplit(host.url)
    with socket.create_connection((place.hostname, place.port), timeout=5) as raw:
        raw.sendall(
            b"GET /api/echo/me HTTP/1.1\r\nHost: h\r\nX-Two: a\r\nx-two: b\r\nConnection: close\r\n\r\n"
        )
        answer = b"".join(iter(lambda: raw.recv(65536), b""))

    seen = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert seen["headers"]["x-two"] == "a,b"
    assert seen["url"] == "http://h/api/echo/me"


def test_a_chunked_body_does_not_reach_the_function_and_the_connection_stays_usable(web):
    def pieces():
        yield b"one"
        yield b"two"

    assert web.post("/api/echo/me", data=pieces()).json()["body"] == ""
    assert web.post("/api/echo/me", data=b"whole").json()["body"] == "whole"


def test_the_app_finds_its_settings_its_host_name_and_its_directory(web, host, app_dir):
    seen = web.get("/api/echo/me").json()

    assert seen["hostname"] == urlsplit(host.url).netloc
    assert seen["from_file"] == "yes"
    assert seen["cwd"] == str(app_dir)


def test_a_body_over_the_limit_is_answered_413(web):
    assert web.post("/api/echo/me", data=b"x" * 100_000).status_code == 200
    assert web.post("/api/echo/me", data=b"x" * 100_001).status_code == 413


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("PUT", "/api/echo/me", id="another method is 404 and not 405"),
        pytest.param("GET", "/api/none", id="unknown route"),
        pytest.param("GET", "/echo/me", id="without the prefix"),
        pytest.param("GET", "/api/echo", id="parameter missing"),
        pytest.param("GET", "/api/echo/me/123", id="constraint not met"),
        pytest.param("GET", "/api/echo/me/abc/more", id="too long"),
        pytest.param("GET", "/", id="root"),
    ],
)
def test_a_request_that_matches_no_function_is_404_without_a_body(web, method, path):
    answer = web.request(method, path)

    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize(
    ("path", "params"),
    [
        pytest.param("/api/files/a/b/c", {"path": "a/b/c"}, id="several segments"),
        pytest.param("/api/files/", {}, id="empty is absent"),
        pytest.param("/API/Files/a", {"path": "a"}, id="literals in any case"),
    ],
)
def test_a_catch_all_parameter_takes_the_rest_of_the_path(web, path, params):
    assert web.get(path).json() == params


def test_a_function_that_raises_is_500_without_a_body_and_its_traceback_is_logged(web, host, eventually):
    answer = web.get("/api/raise_error")

    assert (answer.status_code, answer.content) == (500, b"")
    eventually(lambda: "ValueError: broken on purpose" in host.log)
    assert "Executed 'Functions.raise_error' (Failed, Id=" in host.log


def test_what_the_app_logs_carries_its_function_and_invocation_id(web, host, eventually):
    invocation = web.get("/api/wait?seconds=0").text

    eventually(lambda: f"[wait {invocation}] waiting in wait" in host.log)
    eventually(lambda: f"Executed 'Functions.wait' (Succeeded, Id={invocation}, Duration=" in host.log)
    assert "printed to standard output" in host.log


def test_a_response_keeps_its_status_headers_and_bytes(web):
    answer = web.get("/api/answer", params={"status": "418", "headers": '{"X-A": "1"}'})

    assert (answer.status_code, answer.content, answer.headers["x-a"]) == (418, b"\x00\xff", "1")


@pytest.mark.parametrize(
    ("path", "params"),
    [
        pytest.param("/api/answer_text", {}, id="a string"),
        pytest.param("/api/answer", {"status": "200", "headers": '{"Set-Cookie": "k=v"}'}, id="a cookie"),
        pytest.param(
            "/api/answer", {"status": "200", "headers": '{"X": "\u00fc"}'}, id="a header beyond ASCII"
        ),
        pytest.param("/api/answer", {"status": "099", "headers": "{}"}, id="a status below 200"),
    ],
)
def test_a_response_that_is_not_simulated_or_not_allowed_is_500(web, path, params):
    answer = web.get(path, params=params)

    assert (answer.status_code, answer.content) == (500, b"")


class TestKeys:
    """Who may call what."""

    def test_a_function_key_the_host_key_and_the_master_key_open_a_function(self, web, host):
        opened = [
            web.get("/api/keyed", headers={"x-functions-key": key}).status_code
            for key in (host.function_keys["keyed"], host.keys["default"], host.keys["master"])
        ]

        assert opened == [200, 200, 200]

    def test_a_key_in_the_query_opens_too(self, web, host):
        assert web.get("/api/keyed", params={"code": host.keys["default"]}).text == "in"
        assert web.get("/api/keyed", params={"CODE": host.keys["default"]}).text == "in"

    def test_the_header_counts_before_the_query_even_when_it_is_wrong_or_empty(self, web, host):
        right = {"code": host.keys["default"]}

        assert web.get("/api/keyed", params=right, headers={"x-functions-key": "wrong"}).status_code == 401
        assert web.get("/api/keyed", params=right, headers={"x-functions-key": ""}).status_code == 401

    def test_without_the_right_key_the_answer_is_401_without_a_body(self, web, host):
        answers = [
            web.get("/api/keyed"),
            web.get("/api/keyed", headers={"x-functions-key": "wrong"}),
            web.get("/api/keyed", headers={"x-functions-key": host.function_keys["guarded"]}),
        ]

        assert [(each.status_code, each.content) for each in answers] == [(401, b"")] * 3

    def test_only_the_master_key_opens_an_admin_function(self, web, host):
        keys = (host.function_keys["guarded"], host.keys["default"], host.keys["master"])
        opened = [web.get("/api/guarded", headers={"x-functions-key": key}).status_code for key in keys]

        assert opened == [401, 401, 200]

    def test_an_anonymous_function_answers_whatever_key_comes(self, web):
        assert web.get("/api/files/a", headers={"x-functions-key": "wrong"}).status_code == 200

    def test_a_disabled_function_is_404_but_not_for_the_master_key(self, web, host):
        assert web.get("/api/switched_off").status_code == 401  # the key is asked for first
        assert web.get("/api/switched_off", params={"code": host.keys["default"]}).status_code == 404
        assert web.get("/api/switched_off", params={"code": host.keys["master"]}).text == "in"


class TestAdmin:
    """Functions called by hand."""

    def test_a_timer_runs_at_once_and_its_output_is_sent(self, web, host, shared_notes, read, eventually):
        before = len(shared_notes.of("yearly"))

        answer = web.post(
            "/admin/functions/yearly", json={}, headers={"x-functions-key": host.keys["master"]}
        )

        assert (answer.status_code, answer.content) == (202, b"")
        runs = eventually(lambda: shared_notes.of("yearly")[before:])
        assert (len(runs), runs[0]["past_due"]) == (1, False)
        assert set(eventually(lambda: read("ticks"))) == {"tick"}

    def test_a_queue_function_gets_the_input_as_its_message(self, web, host, shared_notes, eventually):
        answer = web.post(
            "/admin/functions/SILENT",
            json={"input": "by hand"},
            headers={"x-functions-key": host.keys["master"]},
        )

        assert answer.status_code == 202
        (run,) = eventually(lambda: shared_notes.of("silent", "by hand"))
        assert run["body"] == "by hand"

    @pytest.mark.parametrize(
        ("name", "body", "status"),
        [
            pytest.param("none", "{}", 404, id="no such function"),
            pytest.param("echo", "{}", 400, id="an HTTP function has its URL"),
            pytest.param("yearly", "", 400, id="no body"),
            pytest.param("yearly", "[]", 400, id="no object"),
        ],
    )
    def test_what_cannot_be_run_is_refused(self, web, host, name, body, status):
        key = {"x-functions-key": host.keys["master"]}

        assert web.post(f"/admin/functions/{name}", data=body, headers=key).status_code == status

    def test_it_wants_the_master_key_and_a_post(self, web, host):
        default, master = ({"x-functions-key": host.keys[name]} for name in ("default", "master"))

        assert web.post("/admin/functions/yearly", json={}, headers=default).status_code == 401
        assert web.post("/admin/functions/yearly", json={}).status_code == 401
        assert web.get("/admin/functions/yearly", headers=master).status_code == 404
