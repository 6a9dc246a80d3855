"""The hooks of azd: what they do, what they say, and when they stop a deployment."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import grant
from tests.fakes.scripted_server import ScriptedServer, reply
from tests.scripts.azure_cli import AzureCli

SCRIPTS = Path(grant.__file__).parent
KEY = "a-host-key"
WELL = reply(body=b'{"problems": [], "gates": {}}')
SUBSCRIBED = reply(body=b'{"did": "created"}')

type Done = subprocess.CompletedProcess[str]


@pytest.fixture
def hook(tenant, environ, az: AzureCli) -> Callable[..., Done]:
    """Run a script as azd does, with its environment; a setting `None` is left out."""
    az.hold_keys(KEY)
    azd = {
        "AZURE_TENANT_ID": tenant.world.tenant_id,
        "AZURE_RESOURCE_GROUP": "rg",
        "IDENTITY_PRINCIPAL_ID": tenant.world.service_principal_id,
        "FUNCTION_APP_NAME": "app",
        "FUNCTION_APP_URL": "http://127.0.0.1:9",
        "FILES_ROLE": "Sites.FullControl.All",
        "SCOPE": "members",
        "EXCLUDE_GROUP": "",
        "GRANT_WITH_BICEP": "false",
        "DRY_RUN": "true",
        "POSTDEPLOY_SECONDS": "0",
    }

    def hook(name: str, **settings: str | None) -> Done:
        changed = {key: value for key, value in {**azd, **settings}.items() if value is not None}
        return subprocess.run(
            [sys.executable, "-s", str(SCRIPTS / name)],
            env={**environ, **changed},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return hook


class TestPostprovision:
    @pytest.mark.parametrize("settings", [{"SCOPE": "group:1"}, {"EXCLUDE_GROUP": "1"}, {}], ids=str)
    def test_it_grants_the_roles_that_the_settings_need(self, hook, granted, settings) -> None:
        done = hook("postprovision.py", FILES_ROLE="Sites.ReadWrite.All", **settings)
        assert (done.returncode, done.stderr) == (0, "")
        expected = {"graph User.Read.All", "sharepoint User.ReadWrite.All", "sharepoint Sites.ReadWrite.All"}
        assert granted() == expected | ({"graph GroupMember.ReadBasic.All"} if settings else set())

    def test_one_who_may_not_grant_gets_the_line_for_another_administrator(
        self, hook, admin, az, granted, environ, capsys
    ) -> None:
        az.sign_in(admin.sign_in("Member"))

        done = hook("postprovision.py", FILES_ROLE="Sites.Selected", SCOPE="group:1")

        assert done.returncode == 0
        assert done.stderr.count("\n") == 1
        assert "shell.azure.com" in done.stdout
        assert granted() == set()
        (line,) = re.findall(r"^  python3 grant\.py (.+)$", done.stdout, re.MULTILINE)
        az.sign_in(admin.sign_in("Privileged Role Administrator"))
        assert grant.main(line.split(), environ) == grant.DONE
        assert "graph GroupMember.ReadBasic.All" in granted()
        assert "sharepoint Sites.Selected" in granted()
        capsys.readouterr()

    def test_a_missing_azure_cli_does_not_stop_the_deployment(self, hook, az) -> None:
        az.remove()
        done = hook("postprovision.py")
        assert (done.returncode, "python3 grant.py" in done.stdout) == (0, True)

    def test_nothing_is_granted_twice_where_bicep_does_it(self, hook, granted, tenant) -> None:
        done = hook("postprovision.py", GRANT_WITH_BICEP="true")
        assert (done.returncode, granted(), tenant.history.entries()) == (0, set(), [])

    @pytest.mark.parametrize("settings", [{"IDENTITY_PRINCIPAL_ID": None}, {"FILES_ROLE": "All"}], ids=str)
    def test_wrong_settings_stop_the_deployment(self, hook, settings) -> None:
        done = hook("postprovision.py", **settings)
        assert done.returncode > 0
        assert next(iter(settings)).lower().replace("_", "-")[:8] in done.stderr.lower().replace("_", "-")


class TestPostdeploy:
    def test_a_dry_run_ends_with_the_line_that_goes_live(self, hook) -> None:
        with ScriptedServer(WELL, SUBSCRIBED, WELL) as app:
            done = hook("postdeploy.py", FUNCTION_APP_URL=app.url)
        assert (done.returncode, done.stderr) == (0, "")
        assert "created" in done.stdout
        assert done.stdout.splitlines()[-1] == "To go live: azd env set DRY_RUN false && azd provision"
        lines = [(each.line.rpartition(" ")[0], each.headers["x-functions-key"]) for each in app.requests]
        assert lines == [("GET /api/status", KEY), ("POST /api/subscription", KEY), ("GET /api/status", KEY)]
        assert KEY not in done.stdout

    def test_a_live_app_is_said_to_write(self, hook) -> None:
        with ScriptedServer(WELL, SUBSCRIBED, WELL) as app:
            done = hook("postdeploy.py", FUNCTION_APP_URL=app.url, DRY_RUN="false")
        assert "go live" not in done.stdout
        assert "is live" in done.stdout.splitlines()[-2]
        assert done.stdout.splitlines()[-1].endswith(f"POST {app.url}/api/sweeps")

    def test_it_waits_for_an_app_that_starts(self, hook) -> None:
        replies = [reply(503, b"starting"), reply(401, b""), reply(404, b""), WELL, SUBSCRIBED, WELL]
        with ScriptedServer(*replies) as app:
            done = hook("postdeploy.py", FUNCTION_APP_URL=app.url, POSTDEPLOY_SECONDS="1")
        assert done.returncode == 0
        assert [line.split(" answers ")[1][:3] for line in done.stdout.splitlines()[:3]] == [
            "503",
            "401",
            "404",
        ]

    def test_missing_roles_come_with_the_line_that_grants_them(self, hook, tenant) -> None:
        denied = reply(502, b'{"error": "graph: 403"}')
        gates = reply(
            body=b'{"problems": [], "gates": {"graph": {"closed": true, "for": 9, "why": "graph: 403"}}}'
        )
        with ScriptedServer(WELL, denied, gates) as app:
            done = hook("postdeploy.py", FUNCTION_APP_URL=app.url)
        assert done.returncode == 0
        assert f"python3 grant.py --identity={tenant.world.service_principal_id}" in done.stdout
        assert "graph is not called for 9 s: graph: 403" in done.stdout
        assert "24 hours" in done.stdout
        assert done.stdout.splitlines()[-1].startswith("To go live")

    def test_wrong_settings_are_a_failure_that_names_each(self, hook) -> None:
        text = (
            "CLIENT_STATE_SECRET is an unresolved Key Vault reference: let the app's identity read the secret"
        )
        wrong = reply(500, f'{{"error": "not configured", "problems": ["{text}"]}}'.encode())
        with ScriptedServer(WELL, wrong, reply(body=f'{{"problems": ["{text}"]}}'.encode())) as app:
            done = hook("postdeploy.py", FUNCTION_APP_URL=app.url)
        assert done.returncode == 1
        assert done.stdout.count(text) == 1

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            pytest.param(reply(403, b"<html>"), "virtual network", id="access is restricted"),
            pytest.param(reply(200, b"<html>"), "no answer", id="another site"),
            pytest.param(reply(500, b'{"error": "a defect"}'), "a defect", id="an error"),
            pytest.param(reply(302, b"", Location="http://127.0.0.1:9/"), "302", id="a redirect"),
        ],
    )
    def test_an_app_that_does_not_answer_is_a_failure(self, hook, answer, words) -> None:
        with ScriptedServer(answer) as app:
            done = hook("postdeploy.py", FUNCTION_APP_URL=app.url)
        assert done.returncode == 1
        assert words in done.stderr
        assert "azd hooks run postdeploy" in done.stderr

    def test_an_app_that_stops_answering_is_reported(self, hook) -> None:
        with ScriptedServer(WELL, reply(503, b"recycling")) as app:
            done = hook("postdeploy.py", FUNCTION_APP_URL=app.url)
        assert done.returncode == 0
        assert "503" in done.stdout

    def test_an_unreachable_app_and_an_unreadable_key_are_failures(self, hook, az) -> None:
        assert "127.0.0.1:9" in hook("postdeploy.py").stderr
        az.fail(f"ERROR: {KEY} is not yours")
        done = hook("postdeploy.py")
        assert (done.returncode, "az login" in done.stderr, KEY in done.stderr) == (1, True, False)

    def test_it_needs_the_outputs_of_the_deployment(self, hook) -> None:
        done = hook("postdeploy.py", FUNCTION_APP_URL=None)
        assert (done.returncode, "FUNCTION_APP_URL is missing" in done.stderr) == (1, True)

    def test_it_asks_for_the_keys_of_this_deployment(self, hook, az) -> None:
        hook("postdeploy.py", AZURE_SUBSCRIPTION_ID="s")
        expected = "--name app --resource-group rg --subscription s"
        assert az.calls[-1] == f"functionapp keys list --output json {expected}"
