"""HTTP requests to the shared host."""

from urllib.parse import urlsplit

import pytest


def test_a_function_receives_the_request_as_in_azure(web):
    url, headers = "/api/echo/adele/mail?x=1&x=2&y=&X=3&z=a%26b+c", {"X-One": "a", "Host": "h"}
    answer = web.post(url, data=b"\xff\x00", headers=headers)
    seen = answer.json()
    assert seen["method"] == "POST"
    assert seen["params"] == {"x": "1,2,3", "z": "a&b c"}  # joined in any case, empty values dropped
    assert seen["route"] == {"user": "adele", "source": "mail"}
    assert seen["headers"]["x-one"] == "a"  # names in lower case
    assert set(seen["headers"]) == {name.lower() for name in seen["headers"]}
    assert (seen["body"], seen["body_type"]) == ("\xff\x00", "bytes")
    assert seen["url"] == "http://h/api/echo/adele/mail?x=1&x=2&y=&X=3&z=a%26b+c"


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
    ],
)
def test_a_request_that_matches_no_function_is_404_without_a_body(web, method, path):
    answer = web.request(method, path)

    assert (answer.status_code, answer.content) == (404, b"")


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
    ],
)
def test_a_response_that_is_not_simulated_or_not_allowed_is_500(web, path, params):
    answer = web.get(path, params=params)

    assert (answer.status_code, answer.content) == (500, b"")


@pytest.mark.parametrize(
    ("function", "query", "header", "status"),
    [
        pytest.param("keyed", "", None, 401, id="no key"),
        pytest.param("keyed", "", "{default}", 200, id="the host key"),
        pytest.param("keyed", "code={default}", None, 200, id="in the query"),
        pytest.param("keyed", "CODE={default}", None, 200, id="in the query in any case"),
        pytest.param("keyed", "code={default}", "", 401, id="an empty header takes precedence"),
        pytest.param("guarded", "", "{default}", 401, id="the host key for an admin function"),
        pytest.param("files/a", "", "wrong", 200, id="a wrong key for an anonymous function"),
        pytest.param("switched_off", "", None, 401, id="no key for a disabled function"),
        pytest.param("switched_off", "code={default}", None, 404, id="the host key for a disabled function"),
        pytest.param("switched_off", "code={master}", None, 200, id="the master key for a disabled function"),
    ],
)
def test_a_call_needs_a_key_of_its_level(web, host, function, query, header, status):
    keys = {**host.function_keys, **host.keys}
    headers = {} if header is None else {"x-functions-key": header.format(**keys)}

    answer = web.get(f"/api/{function}?{query.format(**keys)}", headers=headers)

    assert answer.status_code == status
    assert bool(answer.content) is (status == 200)


class TestAdmin:
    """Functions run through the admin API."""

    def test_a_timer_runs_at_once_and_its_output_is_sent(self, web, host, shared_notes, read, eventually):
        before = len(shared_notes.of("yearly"))

        key = {"x-functions-key": host.keys["master"]}
        answer = web.post("/admin/functions/yearly", json={}, headers=key)

        assert (answer.status_code, answer.content) == (202, b"")
        runs = eventually(lambda: shared_notes.of("yearly")[before:])
        assert (len(runs), runs[0]["past_due"]) == (1, False)
        assert set(eventually(lambda: read("ticks"))) == {"tick"}

    def test_a_queue_function_gets_the_input_as_its_message(self, web, host, shared_notes, eventually):
        key = {"x-functions-key": host.keys["master"]}
        answer = web.post("/admin/functions/SILENT", json={"input": "by hand"}, headers=key)

        assert answer.status_code == 202
        (run,) = eventually(lambda: shared_notes.of("silent", "by hand"))
        assert run["body"] == "by hand"

    @pytest.mark.parametrize(
        ("name", "body", "status"),
        [
            pytest.param("none", "{}", 404, id="unknown function"),
            pytest.param("echo", "{}", 400, id="an HTTP function has its URL"),
            pytest.param("yearly", "", 400, id="no body"),
            pytest.param("yearly", "[]", 400, id="not an object"),
        ],
    )
    def test_a_function_that_cannot_be_run_manually_is_refused(self, web, host, name, body, status):
        key = {"x-functions-key": host.keys["master"]}

        assert web.post(f"/admin/functions/{name}", data=body, headers=key).status_code == status

    def test_a_manual_run_needs_the_master_key_and_a_post(self, web, host):
        default, master = ({"x-functions-key": host.keys[name]} for name in ("default", "master"))

        assert web.post("/admin/functions/yearly", json={}, headers=default).status_code == 401
        assert web.post("/admin/functions/yearly", json={}).status_code == 401
        assert web.get("/admin/functions/yearly", headers=master).status_code == 404
