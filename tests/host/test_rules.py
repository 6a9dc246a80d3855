"""The host's rules as tables: host.json, settings, names, routes, keys, messages, outputs, waits."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host import checks
from local.host.app import hostjson, settings
from local.host.app.functions import Function, HttpTrigger, QueueOutput, QueueTrigger
from local.host.app.hostshape import find_problems, parse_time_span
from local.host.app.settings import AppSettings, SettingsError
from local.host.app.storage import Accounts
from local.host.calls.outputs import split
from local.host.http.conversions import ResponseError, decode_path, from_worker, read_query
from local.host.http.keys import FunctionKeys
from local.host.http.routes import RouteError, compile_route
from local.host.queues.listeners import Backoff
from local.host.queues.messages import EncodingError, decode, describe, encode
from local.host.worker import protos

ROOT = Path(__file__).resolve().parents[2]


class TestHostJson:
    """Checks of host.json, key by key."""

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            pytest.param([], "must be an object", id="not an object"),
            pytest.param({}, 'version must be "2.0"', id="no version"),
            pytest.param({"version": 2}, 'version must be "2.0", not 2', id="version as a number"),
            pytest.param(
                {"Version": "2.0"}, "Version is unknown; the known keys are: version", id="another case"
            ),
            pytest.param({"queues": {}}, "queues is unknown", id="queues at the place of version 1"),
            pytest.param({"functionTimeout": "5 min"}, "functionTimeout must be a time span", id="timeout"),
            pytest.param({"functionTimeout": "00:00:00"}, "must be at least 0:00:01", id="timeout of zero"),
            pytest.param({"telemetryMode": "otel"}, "telemetryMode must be one of", id="telemetry"),
            pytest.param(
                {"logging": {"logLevel": {"default": "Info"}}}, "logging.logLevel must map", id="level"
            ),
            pytest.param(
                {"extensions": {"queues": 1}}, "extensions.queues must be an object", id="no section"
            ),
            pytest.param({"extensionBundle": {"id": "x"}}, "extensionBundle.id must be", id="bundle"),
            pytest.param(
                {"extensionBundle": {"version": "4"}}, "must be a version range", id="bundle version"
            ),
            pytest.param(
                {"extensionBundle": {"version": "[4.*, 5.0.0"}},
                "must be a version range",
                id="bundle unclosed",
            ),
        ],
    )
    def test_a_wrong_key_is_named_with_its_path(self, content, problem):
        given = {"version": "2.0", **content} if isinstance(content, dict) and content else content

        assert any(problem in each for each in find_problems(given)), find_problems(given)

    @pytest.mark.parametrize(
        ("name", "value", "problem"),
        [
            pytest.param("newBatchSize", 1, "is unknown; the known keys are: batchSize", id="misspelt"),
            pytest.param("batchSize", 0, "from 1 to 32", id="batch of 0"),
            pytest.param("batchSize", 33, "from 1 to 32", id="batch of 33"),
            pytest.param("batchSize", True, "from 1 to 32", id="a flag is not a number"),
            pytest.param("batchSize", "8", "from 1 to 32", id="a string is not a number"),
            pytest.param("newBatchThreshold", -1, "from 0 up", id="threshold"),
            pytest.param("maxPollingInterval", "00:00:00.05", "at least 0:00:00.1", id="polling too often"),
            pytest.param("visibilityTimeout", "30s", "time span", id="not a time span"),
            pytest.param("visibilityTimeout", 30, "time span", id="seconds as a number"),
            pytest.param("maxDequeueCount", 0, "from 1 up", id="zero tries"),
            pytest.param("messageEncoding", "utf8", "one of base64, none", id="encoding"),
        ],
    )
    def test_queue_options_have_their_types_and_ranges(self, name, value, problem):
        (found,) = find_problems({"version": "2.0", "extensions": {"queues": {name: value}}})

        assert f"extensions.queues.{name}" in found
        assert problem in found

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            pytest.param("routePrefix", 1, id="prefix"),
            pytest.param("maxConcurrentRequests", 0, id="concurrent"),
            pytest.param("maxOutstandingRequests", -2, id="outstanding"),
            pytest.param("dynamicThrottlesEnabled", "true", id="flag as a string"),
        ],
    )
    def test_http_options_have_their_types_and_ranges(self, name, value):
        (found,) = find_problems({"version": "2.0", "extensions": {"http": {name: value}}})

        assert f"extensions.http.{name} must be" in found

    def test_an_absent_option_has_azures_default(self, tmp_path):
        (tmp_path / "host.json").write_text('{"version": "2.0"}')

        options, problems = hostjson.read(tmp_path)

        assert problems == []
        assert (options.queues.batch_size, options.queues.max_dequeue_count) == (16, 5)
        assert (options.queues.visibility_timeout, options.queues.message_encoding) == (
            timedelta(0),
            "base64",
        )
        assert (options.route_prefix, options.function_timeout) == ("api", timedelta(minutes=30))

    def test_a_given_option_replaces_the_default(self, tmp_path):
        queues = {"batchSize": 8, "visibilityTimeout": "00:00:30", "messageEncoding": "None"}
        content = {
            "version": "2.0",
            "functionTimeout": "-1",
            "extensions": {"queues": queues, "http": {"routePrefix": ""}},
        }
        (tmp_path / "host.json").write_text(json.dumps(content), "utf-8-sig")

        options, problems = hostjson.read(tmp_path)

        assert problems == []
        assert (options.queues.batch_size, options.queues.message_encoding) == (8, "none")
        assert options.queues.visibility_timeout == timedelta(seconds=30)
        assert (options.route_prefix, options.function_timeout) == ("", None)

    def test_a_missing_or_malformed_file_is_a_problem(self, tmp_path):
        assert hostjson.read(tmp_path)[1] == ["host.json is missing"]
        (tmp_path / "host.json").write_text("{")
        assert "host.json is not valid JSON" in hostjson.read(tmp_path)[1][0]

    @pytest.mark.parametrize(
        ("text", "span"),
        [
            pytest.param("00:00:30", timedelta(seconds=30), id="seconds"),
            pytest.param("1.02:03:04.5", timedelta(1, 4, 500_000, 0, 3, 2), id="every part"),
            pytest.param("00:05", timedelta(minutes=5), id="hours and minutes"),
            pytest.param("24:00:00", None, id="24 hours are a day"),
            pytest.param("00:60:00", None, id="60 minutes"),
            pytest.param("5", None, id="a number"),
            pytest.param(5, None, id="not a string"),
        ],
    )
    def test_a_time_span_is_read_as_dotnet_reads_it(self, text, span):
        assert parse_time_span(text) == span


class TestSettings:
    """App settings."""

    def test_names_are_compared_without_regard_to_case(self):
        assert AppSettings({"Tenant_Id": "t"}).get("TENANT_ID") == "t"

    def test_every_name_between_percent_signs_is_replaced(self):
        assert AppSettings({"A": "1", "b": "2"}).resolve("x-%a%-%B%-100%") == "x-1-2-100%"

    def test_a_setting_that_is_not_set_is_an_error_with_its_name(self):
        with pytest.raises(SettingsError, match="the setting NOPE is not set"):
            AppSettings({}).resolve("%NOPE%")

    @pytest.mark.parametrize(
        ("value", "disabled"),
        [
            pytest.param("true", True, id="true"),
            pytest.param("True", True, id="True"),
            pytest.param("1", True, id="1"),
            pytest.param("false", False, id="false"),
            pytest.param("yes", False, id="yes"),
        ],
    )
    def test_a_function_is_disabled_by_a_setting_of_its_name(self, value, disabled):
        assert AppSettings({"AzureWebJobs.tick.Disabled": value}).disables("Tick") is disabled

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            pytest.param("{", "is not valid JSON", id="not JSON"),
            pytest.param("[]", "must be an object", id="not an object"),
            pytest.param('{"Values": []}', "must be an object", id="values not an object"),
            pytest.param('{"IsEncrypted": true}', "is encrypted", id="encrypted"),
            pytest.param(
                '{"Values": {"B": true, "A": 1, "C": "x"}}', "not strings: A, B", id="values not strings"
            ),
        ],
    )
    def test_an_unusable_settings_file_is_an_error_with_the_reason(self, tmp_path, content, problem):
        (tmp_path / "local.settings.json").write_text(content)

        with pytest.raises(SettingsError, match=problem):
            settings.read_file(tmp_path / settings.FILE)


class TestNames:
    """Names, routes and connections that Azure's host accepts."""

    NONE = AppSettings(
        {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "AzureWebJobsMine": "x", "R": "q"}
    )

    def problems(self, *functions: Function) -> list[str]:
        accounts = Accounts(self.NONE)
        try:
            return checks.find_problems(functions, self.NONE, accounts)
        finally:
            accounts.close()

    def http(self, route: str = "", *methods: str, name: str = "f") -> Function:
        return Function(name, "id", HttpTrigger("req", route, frozenset(methods), "anonymous"), (), ("req",))

    def queue(self, queue: str = "q-1", connection: str = "", *bindings: str) -> Function:
        return Function("f", "id", QueueTrigger("msg", queue, connection), (), ("msg", *bindings))

    @pytest.mark.parametrize("name", ["a", "Sync_user-2", "a" * 128])
    def test_a_good_function_name_is_accepted(self, name):
        assert self.problems(self.http(name=name)) == []

    @pytest.mark.parametrize("name", ["", "1a", "_a", "a b", "a.b", "host", "Host", "a" * 129, "größe"])
    def test_a_bad_function_name_is_refused(self, name):
        assert any("not a valid function name" in each for each in self.problems(self.http(name=name)))

    @pytest.mark.parametrize("name", ["out", "_out", "out_1", "$return"])
    def test_a_good_binding_name_is_accepted(self, name):
        assert self.problems(self.queue("q-1", "", name)) == []

    @pytest.mark.parametrize("name", ["1out", "a__b", "a-b", "", "$x"])
    def test_a_bad_binding_name_is_refused(self, name):
        assert any("not a valid binding name" in each for each in self.problems(self.queue("q-1", "", name)))

    def test_two_bindings_with_one_name_are_refused(self):
        assert "two bindings have the same name" in self.problems(self.queue("q-1", "", "MSG"))[0]

    @pytest.mark.parametrize("name", ["abc", "a-b-c", "1ab", "x" * 63, "Upper-Case"])
    def test_a_good_queue_name_is_accepted_in_any_case(self, name):
        assert self.problems(self.queue(name)) == []

    @pytest.mark.parametrize("name", ["ab", "x" * 64, "-abc", "abc-", "a--b", "a_b", "a.b", ""])
    def test_a_bad_queue_name_is_refused(self, name):
        assert any("not a valid queue name" in each for each in self.problems(self.queue(name)))

    def test_an_output_is_checked_like_a_trigger(self):
        function = Function(
            "f",
            "id",
            HttpTrigger("r", "", frozenset(), "admin"),
            (QueueOutput("o", "%X%", "No"),),
            ("r", "o"),
        )

        setting, connection = self.problems(function)
        assert setting == "the function f: the setting X is not set (used in '%X%')"
        assert connection.startswith(
            "the function f: the connection No is not set: neither No, nor No__accountName"
        )

    def test_a_connection_string_that_cannot_be_read_is_named(self):
        assert (
            "the connection string AzureWebJobsMine cannot be read"
            in self.problems(self.queue("q-1", "Mine"))[0]
        )

    @pytest.mark.parametrize("route", ["admin", "/Admin/x", "runtime/x", "administrators"])
    def test_a_route_that_is_reserved_for_the_host_is_refused(self, route):
        assert "is reserved for the host" in self.problems(self.http(route))[0]

    @pytest.mark.parametrize(
        ("one", "other", "conflict"),
        [
            pytest.param(("r", "GET"), ("r", "POST"), False, id="other methods"),
            pytest.param(("r", "GET"), ("/R/", "GET", "POST"), True, id="one method in common, in any case"),
            pytest.param(("r", "GET"), ("r",), True, id="every method"),
            pytest.param(("r", "GET"), ("s", "GET"), False, id="other routes"),
            pytest.param(("g", "GET"), ("", "GET"), True, id="a function's name is its route"),
        ],
    )
    def test_two_functions_on_one_route_are_refused(self, one, other, conflict):
        found = self.problems(self.http(*one, name="f"), self.http(*other, name="g"))

        assert (found == ["the function g: the function f has the same route"]) is conflict

    def test_two_functions_of_one_name_in_any_case_are_refused(self):
        assert "two functions have the name f" in self.problems(self.http("a"), self.http("b", name="F"))


class TestConnections:
    """From a connection's name to its account."""

    @pytest.mark.parametrize(
        ("values", "name", "url"),
        [
            pytest.param(
                {"AzureWebJobsStorage": "UseDevelopmentStorage=true"},
                "",
                "http://127.0.0.1:10001/devstoreaccount1",
                id="the emulator on its own ports",
            ),
            pytest.param(
                {"AzureWebJobsStorage__accountName": "acct"},
                "AzureWebJobsStorage",
                "https://acct.queue.core.windows.net/",
                id="an identity and an account",
            ),
            pytest.param(
                {
                    "AzureWebJobsStorage__queueServiceUri": "https://x.example/",
                    "AzureWebJobsStorage__credential": "managedidentity",
                },
                "Storage",
                "https://x.example/",
                id="a managed identity and an address",
            ),
            pytest.param(
                {"Mine": "UseDevelopmentStorage=true", "azurewebjobsmine__accountname": "acct"},
                "Mine",
                "https://acct.queue.core.windows.net/",
                id="the name with the prefix AzureWebJobs takes precedence",
            ),
        ],
    )
    def test_a_connection_is_found_by_its_settings(self, values, name, url):
        accounts = Accounts(AppSettings(values))

        assert accounts.queues(name).url.rstrip("/") == url.rstrip("/")
        accounts.close()


class TestRoutes:
    """Route templates, as ASP.NET reads them."""

    @pytest.mark.parametrize(
        ("template", "path", "values"),
        [
            pytest.param("users/{user}/sync", "users/a@b/sync", {"user": "a@b"}, id="a parameter"),
            pytest.param("users/{user}/sync", "Users/A/SYNC", {"user": "A"}, id="literals in any case"),
            pytest.param("users/{user}/sync", "users/a/b/sync", None, id="no slash in a parameter"),
            pytest.param("users/{user}/sync", "users//sync", None, id="no empty parameter"),
            pytest.param("r", "r/", {}, id="a trailing slash"),
            pytest.param("r.x", "rax", None, id="a dot is a dot"),
            pytest.param("{a}/{b?}", "x", {"a": "x"}, id="optional, absent"),
            pytest.param("{a}/{b?}", "x/y", {"a": "x", "b": "y"}, id="optional, there"),
            pytest.param("r/{*path}", "r", {}, id="catch-all, empty"),
            pytest.param("r/{**path}", "r/a/b", {"path": "a/b"}, id="catch-all with two stars"),
            pytest.param("{a:int}", "-5", {"a": "-5"}, id="int"),
            pytest.param("{a:int}", "3000000000", None, id="int is 32 bits"),
            pytest.param("{a:alpha}", "a1", None, id="alpha"),
            pytest.param("{a:alpha?}", "", {}, id="a constraint does not apply to an absent value"),
        ],
    )
    def test_a_path_matches_or_not(self, template, path, values):
        assert compile_route(template).match(path) == values

    @pytest.mark.parametrize(
        "template",
        [
            pytest.param("{a", id="open brace"),
            pytest.param("{}", id="no name"),
            pytest.param("{a}/{a}", id="twice"),
            pytest.param("{a?}/b", id="optional before a literal"),
            pytest.param("{a?}/{b}", id="optional before another"),
            pytest.param("{a:nope}", id="unknown constraint"),
            pytest.param("{a:length(2)}", id="a constraint with an argument"),
            pytest.param("{a}.{b}", id="two parameters in a segment"),
            pytest.param("{a=1}", id="a default"),
            pytest.param("a//b", id="empty segment"),
            pytest.param("a?b", id="question mark"),
        ],
    )
    def test_a_template_that_is_not_valid_or_not_supported_is_refused(self, template):
        with pytest.raises(RouteError):
            compile_route(template)

    @given(st.text(min_size=1).filter(lambda text: not set("/%") & set(text) and text.isprintable()))
    def test_any_segment_arrives_as_it_was_before_it_was_encoded(self, text):
        path = decode_path(f"/users/{quote(text, safe='')}/sync?x=/").strip("/")

        assert compile_route("users/{user}/sync").match(path) == {"user": text}


class TestConversions:
    """Conversion of requests and responses."""

    def test_a_query_keeps_every_value_under_its_first_spelling(self):
        assert read_query("/p?a=1&B=&A=2&b=x%3Dy&c") == {"a": ["1", "2"], "B": ["", "x=y"], "c": [""]}

    def test_a_function_that_returns_nothing_answers_200_without_a_body(self):
        response = from_worker(None)

        assert (response.status, response.body) == (200, b"")

    @pytest.mark.parametrize(
        "returned",
        [
            pytest.param(protos.TypedData(string="x"), id="a string"),
            pytest.param(protos.TypedData(http=protos.RpcHttp(cookies=[{"name": "a"}])), id="a cookie"),
        ],
    )
    def test_a_return_value_that_is_not_simulated_is_refused(self, returned):
        with pytest.raises(ResponseError):
            from_worker(returned)


class TestKeys:
    """Function keys."""

    KEYS = FunctionKeys("m", "d", {"f": "k"})

    @pytest.mark.parametrize(
        ("presented", "opens"),
        [
            pytest.param("", {"anonymous"}, id="none"),
            pytest.param("x", {"anonymous"}, id="wrong"),
            pytest.param("k", {"anonymous", "function"}, id="the function's"),
            pytest.param("d", {"anonymous", "function"}, id="the host's"),
            pytest.param("m", {"anonymous", "function", "admin"}, id="the master"),
            pytest.param("ü", {"anonymous"}, id="beyond ASCII"),
        ],
    )
    def test_each_key_opens_its_levels(self, presented, opens):
        levels = {"anonymous", "function", "admin"}

        assert {level for level in levels if self.KEYS.allows(presented, "f", level)} == opens

    def test_another_functions_key_opens_nothing_and_an_unknown_function_has_none(self):
        assert not self.KEYS.allows("k", "g", "function")
        assert not self.KEYS.allows("", "g", "function")

    def test_keys_are_drawn_for_each_function_and_never_twice(self):
        keys = FunctionKeys.generate(["f", "g"], {"f": "given"})

        assert keys.functions["f"] == "given"
        assert len({keys.master, keys.default, *keys.functions.values()}) == 4


def message(body: str) -> SimpleNamespace:
    return SimpleNamespace(
        id="1",
        dequeue_count=2,
        pop_receipt="p",
        expires_on=None,
        inserted_on=None,
        next_visible_on=None,
        content=body,
    )


class TestMessages:
    """Queue messages."""

    @given(st.text(), st.sampled_from(["base64", "none"]))
    def test_decoding_reverses_encoding(self, text, encoding):
        assert decode(encode(text, encoding), encoding) == text

    @pytest.mark.parametrize("text", ["***", "YQ=", "/w=="])
    def test_a_text_that_is_not_base64_of_utf8_is_refused(self, text):
        with pytest.raises(EncodingError):
            decode(text, "base64")

    @pytest.mark.parametrize(
        ("body", "name", "value"),
        [
            pytest.param('{"id": "x"}', "Id", protos.TypedData(string="x"), id="a string"),
            pytest.param('{"ID": 7}', "Id", protos.TypedData(string="7"), id="a number"),
            pytest.param('{"popreceipt": true}', "PopReceipt", protos.TypedData(string="True"), id="a flag"),
            pytest.param('{"id": {"a": 1}}', "Id", protos.TypedData(json='{"a": 1}'), id="an object"),
            pytest.param('{"id": [1]}', "Id", protos.TypedData(string="1"), id="a list does not"),
            pytest.param('{"id": null}', "Id", protos.TypedData(string="1"), id="null does not"),
            pytest.param(
                '[{"id": "x"}]', "Id", protos.TypedData(string="1"), id="a list of objects does not"
            ),
            pytest.param('{"id": "x"', "Id", protos.TypedData(string="1"), id="malformed JSON does not"),
            pytest.param('{"more": "x"}', "more", protos.TypedData(string="x"), id="other names are added"),
        ],
    )
    def test_top_level_properties_overwrite_the_metadata(self, body, name, value):
        assert describe(message(body), body)[name] == value


class TestOutputs:
    """Conversion of a function's output to messages."""

    @pytest.mark.parametrize(
        ("value", "bodies"),
        [
            pytest.param(protos.TypedData(string="x"), ["x"], id="text"),
            pytest.param(protos.TypedData(string="[x"), ["[x"], id="an unclosed list"),
            pytest.param(protos.TypedData(string=' {"a":"ü"} '), ['{\n  "a": "ü"\n}'], id="an object"),
            pytest.param(protos.TypedData(string="[]"), [], id="an empty list"),
            pytest.param(protos.TypedData(bytes=b"\xff"), [b"\xff"], id="bytes"),
            pytest.param(
                protos.TypedData(json='["{\\"a\\":1}", 2, null, true]'),
                ['{"a":1}', "2", "", "True"],
                id="items",
            ),
        ],
    )
    def test_an_output_value_is_converted_to_messages(self, value, bodies):
        assert split(value) == bodies


class TestBackoff:
    """Waits between polls."""

    def test_waits_double_up_to_the_longest_until_a_message_is_found(self):
        backoff = Backoff(2, draw=lambda: 0.5)

        assert [round(backoff.next(), 3) for _ in range(7)] == [0.1, 0.2, 0.3, 0.5, 0.9, 1.7, 2]
        backoff.reset()
        assert backoff.next() == 0.1

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.1, 100))
    def test_no_wait_is_shorter_than_the_shortest_or_longer_than_the_longest(self, draws, longest):
        backoff = Backoff(longest, draw=iter(draws * 2).__next__)

        assert all(0.1 <= backoff.next() <= longest for _ in draws)


class TestProtos:
    """The messages between host and worker."""

    @pytest.mark.parametrize(
        ("kind", "values"),
        [
            pytest.param(protos.TypedData, {"nope": 1}, id="an unknown field"),
            pytest.param(protos.TypedData, {"int": 2**63}, id="a number too large"),
            pytest.param(protos.RpcHttp, {"headers": {"a": 1}}, id="a number in a map of strings"),
            pytest.param(protos.RpcHttp, {"body": b"x"}, id="bytes as a message"),
            pytest.param(protos.RpcRetryOptions, {"retry_strategy": "often"}, id="an unknown enum label"),
        ],
    )
    def test_a_field_that_the_schema_does_not_allow_is_refused(self, kind, values):
        with pytest.raises((TypeError, ValueError)):
            kind(**values)

    def test_an_empty_value_of_a_oneof_counts_as_set(self):
        assert protos.TypedData(string="").WhichOneof("data") == "string"
        assert protos.ParameterBinding(name="x").WhichOneof("rpc_data") is None


def test_this_projects_app_passes_the_check_with_the_sample_settings():
    answer = subprocess.run(
        [sys.executable, "-m", "local.host", "--check", "--settings", "local.settings.sample.json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert answer.stderr == ""
    assert answer.returncode == 0
    assert {line.split()[0] for line in answer.stdout.splitlines()} >= {
        "notifications",
        "lifecycle",
        "check_photos",
        "sync_photo",
        "tend_subscription",
        "renew_subscription",
        "sync_user",
        "subscribe",
        "record_poisoned_checks",
        "record_poisoned_syncs",
        "record_poisoned_subscription",
    }
