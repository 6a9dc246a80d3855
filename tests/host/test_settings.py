"""host.json, app settings, connections, and names that Azure's host accepts."""

import json
from datetime import timedelta

import pytest

from local.host.app import hostjson, settings
from local.host.app.hostshape import find_problems, parse_time_span
from local.host.app.settings import AppSettings, SettingsError
from local.host.app.storage import DEFAULT, Accounts

EMULATOR = "UseDevelopmentStorage=true"
URL = "https://acct.queue.core.windows.net/"


class TestHostJson:
    """Checks of host.json, key by key."""

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            pytest.param([], "must be an object", id="not an object"),
            pytest.param({}, 'version must be "2.0"', id="no version"),
            pytest.param({"version": 2}, 'version must be "2.0", not 2', id="version as a number"),
            pytest.param({"Version": "2.0"}, "Version is unknown to this host", id="another case"),
            pytest.param({"queues": {}}, "queues is unknown", id="queues at the place of version 1"),
            pytest.param({"functionTimeout": "5 min"}, "functionTimeout must be a time span", id="timeout"),
            pytest.param({"functionTimeout": "00:00:00"}, "at least 0:00:01", id="timeout of zero"),
            pytest.param({"telemetryMode": "otel"}, "telemetryMode must be one of", id="telemetry"),
            pytest.param({"logging": {"logLevel": {"default": "Info"}}}, "logLevel must map", id="level"),
            pytest.param({"extensions": {"queues": 1}}, "queues must be an object", id="no section"),
            pytest.param({"extensionBundle": {"version": "4"}}, "must be a version range", id="version"),
            pytest.param({"extensionBundle": {"version": "[4.*, 5.0"}}, "a version range", id="unclosed"),
        ],
    )
    def test_a_wrong_key_is_named_with_its_path(self, content, problem):
        given = {"version": "2.0", **content} if isinstance(content, dict) and content else content

        assert any(problem in each for each in find_problems(given)), find_problems(given)

    @pytest.mark.parametrize(
        ("path", "value", "problem"),
        [
            pytest.param("queues.newBatchSize", 1, "is unknown to this host; it knows", id="misspelt"),
            pytest.param("queues.batchSize", 0, "from 1 to 32", id="batch of 0"),
            pytest.param("queues.batchSize", True, "from 1 to 32", id="a flag is not a number"),
            pytest.param("queues.newBatchThreshold", -1, "from 0 up", id="threshold"),
            pytest.param("queues.maxPollingInterval", "00:00:00.05", "at least 0:00:00.1", id="polling"),
            pytest.param("queues.visibilityTimeout", "30s", "time span", id="not a time span"),
            pytest.param("queues.maxDequeueCount", 0, "from 1 up", id="zero tries"),
            pytest.param("queues.messageEncoding", "utf8", "one of base64, none", id="encoding"),
            pytest.param("http.routePrefix", 1, "a string", id="prefix"),
            pytest.param("http.maxConcurrentRequests", 0, "-1 or at least 1", id="concurrent"),
            pytest.param("http.dynamicThrottlesEnabled", "true", "true or false", id="flag as a string"),
        ],
    )
    def test_extension_options_have_their_types_and_ranges(self, path, value, problem):
        extension, name = path.split(".")
        (found,) = find_problems({"version": "2.0", "extensions": {extension: {name: value}}})

        assert f"extensions.{path} " in found
        assert problem in found

    def test_an_absent_option_has_azures_default(self, tmp_path):
        (tmp_path / "host.json").write_text('{"version": "2.0"}')

        options, problems = hostjson.read(tmp_path)

        assert problems == []
        assert (options.queues.batch_size, options.queues.max_dequeue_count) == (16, 5)
        queues = options.queues
        assert (queues.visibility_timeout, queues.message_encoding) == (timedelta(0), "base64")
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
            pytest.param('{"Values": {"B": true, "A": 1, "C": "x"}}', "not strings: A, B", id="no strings"),
        ],
    )
    def test_an_unusable_settings_file_is_an_error_with_the_reason(self, tmp_path, content, problem):
        (tmp_path / "local.settings.json").write_text(content)

        with pytest.raises(SettingsError, match=problem):
            settings.read_file(tmp_path / settings.FILE)


class TestConnections:
    """From a connection's name to its account."""

    @pytest.mark.parametrize(
        ("values", "name", "url"),
        [
            pytest.param({DEFAULT: EMULATOR}, "", "http://127.0.0.1:10001/devstoreaccount1", id="emulator"),
            pytest.param({f"{DEFAULT}__accountName": "acct"}, DEFAULT, URL, id="identity and account"),
            pytest.param(
                {f"{DEFAULT}__queueServiceUri": URL, f"{DEFAULT}__credential": "managedidentity"},
                "Storage",
                URL,
                id="a managed identity and an address",
            ),
            pytest.param({"Mine": EMULATOR, "azurewebjobsmine__accountname": "acct"}, "Mine", URL, id="both"),
        ],
    )
    def test_a_connection_is_found_by_its_settings(self, values, name, url):
        accounts = Accounts(AppSettings(values))

        assert accounts.queues(name).url.rstrip("/") == url.rstrip("/")
        accounts.close()


def test_this_projects_app_passes_the_check_with_the_sample_settings(run_host):
    answer = run_host("--check", "--settings", "local.settings.sample.json")

    assert (answer.returncode, answer.stderr) == (0, "")
    functions = {line.split()[0] for line in answer.stdout.splitlines()}
    called = {"notifications", "lifecycle", "sync_user", "subscribe"}
    worked = {"renew_subscription", "tend_subscription", "check_photos", "sync_photo"}
    poisoned = {f"record_poisoned_{each}" for each in ("checks", "syncs", "subscription")}
    assert functions >= called | worked | poisoned
