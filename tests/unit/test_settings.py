"""Settings are read once and whole: every problem is named with its remedy, and no secret is ever shown."""

import base64
import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.attempt import FUNCTION_TIMEOUT
from shared.errors import ConfigError
from shared.settings import CLOUDS, VERSION, Settings
from shared.settings_reader import Secret
from shared.users import Scope

ROOT = Path(__file__).parents[2]
TENANT = "aaaaaaaa-0000-0000-0000-000000000001"
CLIENT = "bbbbbbbb-0000-0000-0000-000000000002"
GROUP = "cccccccc-0000-4000-8000-00000000000a"
NEW, OLD = "n" * 32, "o" * 32
PEM = "-----BEGIN PRIVATE KEY-----\\nTHEKEY\\n-----END PRIVATE KEY-----"
PFX = base64.b64encode(bytes(range(256)) * 2).decode()
LOCAL, LOCAL_IP = "http://localhost:7071", "http://127.0.0.1:7071"
REFERENCE = "@Microsoft.KeyVault(SecretUri=https://vault.example/secrets/x)"
ENOUGH = {
    "TENANT_ID": TENANT,
    "CLIENT_ID": CLIENT,
    "SHAREPOINT_HOST": "contoso.sharepoint.com",
    "NOTIFICATION_URL": "https://sync.contoso.com",
    "CLIENT_STATE_SECRET": NEW,
}
OPEN = (
    *ENOUGH, "CLOUD", "SCOPE", "EXCLUDE_GROUP", "EXCHANGE_SYNC_STATE", "PHOTO_FOLDER", "RECHECK_AFTER",
    "REMOVE_AFTER", "ON_PHOTO_REMOVED", "REMOVAL_BRAKE", "SHAREPOINT_UNITS_PER_MINUTE", "CLAIM_FOR",
    "COMPANY", "DRY_RUN", "CLIENT_CERTIFICATE",
)  # fmt: skip
"""The settings whose problems must not repeat what they were set to."""
SAMPLE = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
HOST = json.loads((ROOT / "host.json").read_text())


def settings(**changed: str) -> Settings:
    return Settings.from_environ({**ENOUGH, **changed})


def problems(**changed: str | None) -> tuple[str, ...]:
    environ = {name: value for name, value in {**ENOUGH, **changed}.items() if value is not None}
    with pytest.raises(ConfigError) as refusal:
        Settings.from_environ(environ)
    return refusal.value.problems


# --- what is enough, and what it means ---


def test_five_settings_are_enough_and_the_others_have_their_defaults() -> None:
    assert settings() == Settings(
        tenant_id=TENANT,
        client_id=CLIENT,
        certificate=None,
        certificate_password=None,
        sharepoint_host="contoso.sharepoint.com",
        notification_url="https://sync.contoso.com",
        client_state_secrets=(Secret(NEW),),
        cloud=CLOUDS["global"],
        scope=Scope(guests=False, group="", excluded=""),
        exchange_sync_state="1",
        photo_folder="",
        recheck_after=(120.0, 900.0),
        remove_after=3600.0,
        on_photo_removed="clear",
        removal_brake=5,
        units_a_minute=1000,
        claim_for=420.0,
        company="contoso",
        dry_run=False,
    )


ATTRIBUTES = {"EXCLUDE_GROUP": "scope", "SHAREPOINT_UNITS_PER_MINUTE": "units_a_minute"}  # of other names
HOST_NAME, BASE = "contoso.sharepoint.com", "https://a.example/base"


@pytest.mark.parametrize(
    ("name", "value", "read_as"),
    [
        pytest.param("TENANT_ID", TENANT.upper(), TENANT, id="ids in lower case"),
        pytest.param("CLIENT_ID", f"  {CLIENT}\n", CLIENT, id="blanks around a value"),
        pytest.param("SHAREPOINT_HOST", "https://Contoso.SharePoint.com/", HOST_NAME, id="a host as address"),
        pytest.param("NOTIFICATION_URL", f"{BASE}/", BASE, id="an address without its last slash"),
        pytest.param("NOTIFICATION_URL", LOCAL, LOCAL, id="this machine, without TLS"),
        pytest.param(
            "NOTIFICATION_URL", "HTTPS://sync.contoso.com/", "https://sync.contoso.com", id="in capitals"
        ),
        pytest.param("NOTIFICATION_URL", "Https://a.example:8443", "https://a.example:8443", id="a port"),
        pytest.param("NOTIFICATION_URL", f"{LOCAL_IP}/", LOCAL_IP, id="its IP address"),
        pytest.param("SCOPE", "members+guests", Scope(guests=True), id="guests too"),
        pytest.param("SCOPE", "MEMBERS", Scope(), id="a choice in capitals"),
        pytest.param("SCOPE", f"group:{GROUP}", Scope(group=GROUP), id="a group"),
        pytest.param("SCOPE", f" Group:{GROUP.upper()}\n", Scope(group=GROUP), id="a group in capitals"),
        pytest.param("EXCLUDE_GROUP", GROUP.upper(), Scope(excluded=GROUP), id="a group left out"),
        pytest.param("EXCLUDE_GROUP", "", Scope(), id="no group left out"),
        pytest.param("REMOVE_AFTER", "P1D", 86_400.0, id="a day before a removal"),
        pytest.param("ON_PHOTO_REMOVED", "Keep", "keep", id="removed photos kept"),
        pytest.param("REMOVAL_BRAKE", "0", 0, id="a brake for every removal beyond the first few"),
        pytest.param("REMOVAL_BRAKE", "100", 100, id="a brake that never stops a sweep below half"),
        pytest.param("REMOVAL_BRAKE", " 07 ", 7, id="a number with a nought and blanks"),
        pytest.param("SHAREPOINT_UNITS_PER_MINUTE", "100", 100, id="the slowest pace"),
        pytest.param("SHAREPOINT_UNITS_PER_MINUTE", "100000", 100_000, id="the fastest"),
        pytest.param("EXCHANGE_SYNC_STATE", "0", "0", id="the state 0"),
        pytest.param("EXCHANGE_SYNC_STATE", "keep", "keep", id="the state as it is"),
        pytest.param("PHOTO_FOLDER", "Profilbilder", "Profilbilder", id="a folder"),
        pytest.param("PHOTO_FOLDER", "Imágenes del perfil", "Imágenes del perfil", id="another"),
        pytest.param("RECHECK_AFTER", "PT30S", (30.0,), id="one second look"),
        pytest.param("RECHECK_AFTER", "PT1M, PT1H ,P1D", (60.0, 3600.0, 86400.0), id="three"),
        pytest.param("CLAIM_FOR", "PT10M", 600.0, id="a longer claim"),
        pytest.param("COMPANY", "Contoso & Sons", "Contoso & Sons", id="a company"),
        pytest.param("DRY_RUN", "True", True, id="a dry run"),
        pytest.param("DRY_RUN", "", False, id="an empty value counts as absent"),
    ],
)
def test_a_setting_is_read(name: str, value: str, read_as: object) -> None:
    assert getattr(settings(**{name: value}), ATTRIBUTES.get(name, name.lower())) == read_as


@pytest.mark.parametrize(
    ("cloud", "domain", "login", "graph"),
    [
        ("global", "sharepoint.com", "login.microsoftonline.com", "graph.microsoft.com"),
        ("gcchigh", "sharepoint.us", "login.microsoftonline.us", "graph.microsoft.us"),
        ("dod", "sharepoint-mil.us", "login.microsoftonline.us", "dod-graph.microsoft.us"),
        ("china", "sharepoint.cn", "login.partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn"),
    ],
)
def test_a_cloud_decides_every_host(cloud: str, domain: str, login: str, graph: str) -> None:
    found = settings(CLOUD=cloud, SHAREPOINT_HOST=f"contoso.{domain}")

    assert (found.cloud.login, found.cloud.graph) == (login, graph)
    assert found.admin_host == f"contoso-admin.{domain}"


def test_the_user_agent_names_the_company_and_the_version() -> None:
    assert settings().user_agent == f"NONISV|contoso|PhotoSync/{VERSION}"
    assert settings(COMPANY="Fabrikam").user_agent == f"NONISV|Fabrikam|PhotoSync/{VERSION}"


def test_azures_host_name_is_the_default_address() -> None:
    azure = {"WEBSITE_HOSTNAME": "photos.azurewebsites.net"}
    environ = {name: value for name, value in ENOUGH.items() if name != "NOTIFICATION_URL"}

    assert settings(**azure).notification_url == "https://sync.contoso.com"
    assert Settings.from_environ(environ | azure).notification_url == "https://photos.azurewebsites.net"


@pytest.mark.parametrize(
    ("claim_for", "warned"),
    [("PT7M", False), ("PT5M", False), ("PT4M59S", True), ("PT1S", True)],
)
def test_a_claim_shorter_than_a_function_may_run_is_a_warning_and_no_problem(
    claim_for: str, warned: bool
) -> None:
    found = settings(CLAIM_FOR=claim_for)

    assert bool(found.warnings) is warned
    assert all("CLAIM_FOR" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"CLAIM_FOR": "PT1S"}, "no call may take longer than 0.1 s", id="a second for a claim"),
        pytest.param({"CLAIM_FOR": "PT4M"}, "two instances may write one photo at once", id="four minutes"),
        pytest.param({"CLAIM_FOR": "P10D"}, "after a crash its user waits", id="ten days for a claim"),
        pytest.param({"CLAIM_FOR": "PT1H"}, None, id="an hour for a claim"),
        pytest.param({"REMOVE_AFTER": "P10D"}, "stays in SharePoint for 10 days", id="ten days to a removal"),
        pytest.param({"REMOVE_AFTER": "P7D"}, None, id="a week to a removal"),
        pytest.param({"NOTIFICATION_URL": BASE}, "/api/notifications behind it", id="a gateway's path"),
        pytest.param({"NOTIFICATION_URL": LOCAL}, None, id="this machine"),
        pytest.param({"NOTIFICATION_URL": "https://a.example/"}, None, id="a slash"),
    ],
)
def test_what_is_allowed_but_odd_is_a_warning_that_says_what_to_write(
    changed: dict[str, str], told: str | None
) -> None:
    found = settings(**changed).warnings

    assert len(found) == bool(told)
    assert all(told in warning and "et it to" in warning for warning in found)


@pytest.mark.parametrize("scope", [f"group:{GROUP}", f"GROUP:{GROUP.upper()}"])
def test_a_scope_without_users_is_a_problem(scope: str) -> None:
    (problem,) = problems(SCOPE=scope, EXCLUDE_GROUP=GROUP)

    assert problem.startswith("SCOPE and EXCLUDE_GROUP name the same group")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SHAREPOINT_HOST", "contoso", "set it to the host alone, such as contoso.sharepoint.com"),
        ("SHAREPOINT_HOST", "contoso.sharepoint.us", "CLOUD decides its end, .sharepoint.com"),
        ("PHOTO_FOLDER", "a/b", "set it to the name of a folder, without"),
        ("COMPANY", "a|b", "set it to 1 to 64 letters"),
        ("EXCLUDE_GROUP", "Marketing", "set it to a group's object id"),
        (
            "NOTIFICATION_URL",
            "https://me:horse@a.example",
            "no user name and no password: set it to https://",
        ),
        ("NOTIFICATION_URL", "https://a.example?code=x", "no query and no fragment: set it to https://"),
        (
            "NOTIFICATION_URL",
            "https://a.example/api",
            "must end before /api, which the app appends itself: set",
        ),
        ("NOTIFICATION_URL", "ftp://a.example", "must begin with https://, as Graph posts nowhere else: set"),
        ("RECHECK_AFTER", ",".join(["PT1M"] * 500), "has 500 durations: set at most 10"),
    ],
)
def test_a_problem_says_what_is_wrong_and_what_to_write(name: str, value: str, told: str) -> None:
    (problem,) = problems(**{name: value})

    assert told in problem
    assert "horse" not in problem


def test_a_scope_is_a_group_and_the_group_left_out_of_it() -> None:
    other = GROUP.replace("c", "d")

    assert settings(SCOPE=f"group:{GROUP}", EXCLUDE_GROUP=other).scope == Scope(group=GROUP, excluded=other)
    assert settings(SCOPE="members+guests", EXCLUDE_GROUP=other).scope == Scope(guests=True, excluded=other)


# --- what is wrong ---


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as refusal:
        Settings.from_environ({"CLOUD": "moon", "DRY_RUN": "perhaps", "CLAIM_FOR": "soon"})

    named = [problem.split()[0] for problem in refusal.value.problems]
    assert sorted(named) == sorted([*ENOUGH, "CLOUD", "DRY_RUN", "CLAIM_FOR"])


@pytest.mark.parametrize("name", ENOUGH)
@pytest.mark.parametrize("nothing", [None, "", "   "], ids=["absent", "empty", "blank"])
def test_a_setting_without_which_nothing_works_is_missing_by_name_and_with_a_remedy(
    name: str, nothing: str | None
) -> None:
    (problem,) = problems(**{name: nothing})

    assert problem.startswith(f"{name} is missing: set it to ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("TENANT_ID", "contoso.onmicrosoft.com", id="a domain for the tenant's id"),
        pytest.param("CLIENT_ID", "0" * 36, id="36 digits that are no GUID"),
        pytest.param("SHAREPOINT_HOST", "contoso", id="a host without a domain"),
        pytest.param("SHAREPOINT_HOST", "contoso.sharepoint.us", id="another cloud's host"),
        pytest.param("SHAREPOINT_HOST", "contoso-my.sharepoint.com", id="the My Site host"),
        pytest.param("SHAREPOINT_HOST", "contoso-admin.sharepoint.com", id="the admin host"),
        pytest.param("SHAREPOINT_HOST", "contoso.sharepoint.com/sites/x", id="a site"),
        pytest.param("SHAREPOINT_HOST", "contoso.sharepoint.com.evil.example", id="a longer domain"),
        pytest.param("SHAREPOINT_HOST", "evil.example/.sharepoint.com", id="a path that looks like it"),
        pytest.param("SHAREPOINT_HOST", "a@b.sharepoint.com", id="a name before it"),
        pytest.param("SHAREPOINT_HOST", "contosoxsharepoint.com", id="another character for the dot"),
        pytest.param("NOTIFICATION_URL", "http://localhost.contoso.com", id="no TLS, and not this machine"),
        pytest.param("NOTIFICATION_URL", "http://sync.contoso.com", id="no TLS"),
        pytest.param("NOTIFICATION_URL", "sync.contoso.com", id="no scheme"),
        pytest.param("NOTIFICATION_URL", "https://", id="no host"),
        pytest.param("NOTIFICATION_URL", "https://sync.contoso.com?code=x", id="a query"),
        pytest.param("NOTIFICATION_URL", "https://sync.contoso.com#x", id="a fragment"),
        pytest.param("NOTIFICATION_URL", "https://sync.contoso.com/a b", id="a blank inside"),
        pytest.param("NOTIFICATION_URL", "https://me:horse@sync.contoso.com", id="a password"),
        pytest.param("NOTIFICATION_URL", "https://horse@sync.contoso.com", id="a user name"),
        pytest.param("NOTIFICATION_URL", "https://:443", id="a port alone"),
        pytest.param("NOTIFICATION_URL", "https://sync.contoso.com/api", id="the path that is appended"),
        pytest.param("NOTIFICATION_URL", "https://sync.contoso.com/api/notifications/", id="the whole of it"),
        pytest.param("NOTIFICATION_URL", "https://sync.contoso.com/base/API/lifecycle", id="the other's"),
        pytest.param("CLIENT_STATE_SECRET", "n" * 31, id="a secret too short"),
        pytest.param("CLIENT_STATE_SECRET", f"{NEW},short", id="an old secret too short"),
        pytest.param("CLIENT_STATE_SECRET", f"{NEW},", id="a comma and nothing behind it"),
        pytest.param("CLIENT_STATE_SECRET", f"{NEW},{OLD},{NEW}", id="three secrets"),
        pytest.param("CLOUD", "moon", id="no cloud of Microsoft's"),
        pytest.param("SCOPE", "all users", id="no scope"),
        pytest.param("SCOPE", "group:", id="a group without an id"),
        pytest.param("SCOPE", "group:Marketing", id="a group by its name"),
        pytest.param("SCOPE", f"group:{GROUP},group:{GROUP}", id="two groups"),
        pytest.param("SCOPE", GROUP, id="only a group's id"),
        pytest.param("SCOPE", "members+guests+robots", id="more than there is"),
        pytest.param("EXCLUDE_GROUP", "Marketing", id="a group left out by its name"),
        pytest.param("EXCLUDE_GROUP", f"group:{GROUP}", id="an id with a word before it"),
        pytest.param("REMOVE_AFTER", "PT0S", id="removals at once"),
        pytest.param("REMOVE_AFTER", "3600", id="seconds before a removal"),
        pytest.param("REMOVE_AFTER", "PT1H,PT2H", id="two durations before a removal"),
        pytest.param("ON_PHOTO_REMOVED", "delete", id="neither clear nor keep"),
        pytest.param("REMOVAL_BRAKE", "101", id="more than all"),
        pytest.param("REMOVAL_BRAKE", "-1", id="a negative number"),
        pytest.param("REMOVAL_BRAKE", "5%", id="a per-cent sign"),
        pytest.param("REMOVAL_BRAKE", "\u0665", id="an Arabic digit"),
        pytest.param("REMOVAL_BRAKE", "\u00b2", id="a superscript digit"),
        pytest.param("SHAREPOINT_UNITS_PER_MINUTE", "99", id="a pace that is too slow"),
        pytest.param("SHAREPOINT_UNITS_PER_MINUTE", "100001", id="faster than any tenant"),
        pytest.param("SHAREPOINT_UNITS_PER_MINUTE", "9" * 5000, id="a number longer than Python reads"),
        pytest.param("EXCHANGE_SYNC_STATE", "2", id="no state"),
        pytest.param("PHOTO_FOLDER", "User Photos/Profile Pictures", id="a path for a folder"),
        pytest.param("RECHECK_AFTER", "120", id="seconds for a duration"),
        pytest.param("RECHECK_AFTER", "PT2M,,PT15M", id="an empty one among durations"),
        pytest.param("RECHECK_AFTER", ",".join(["PT1M"] * 500), id="500 durations"),
        pytest.param("RECHECK_AFTER", ",".join(["PT1M"] * 11), id="eleven"),
        pytest.param("RECHECK_AFTER", "PT2M,P10D", id="ten days"),
        pytest.param("RECHECK_AFTER", "P1DT1S", id="a second more than a day"),
        pytest.param("CLAIM_FOR", "PT7M,PT8M", id="two durations for one"),
        pytest.param("CLAIM_FOR", "PT0S", id="no time at all"),
        pytest.param("CLAIM_FOR", f"PT{'9' * 400}S", id="a duration beyond every number"),
        pytest.param("COMPANY", "Contoso|Evil", id="a bar, which the User-Agent is divided by"),
        pytest.param("COMPANY", "Contoso\r\nX: y", id="a line break"),
        pytest.param("COMPANY", "Bäcker", id="a letter that is not allowed in a header"),
        pytest.param("COMPANY", "c" * 65, id="a long company"),
        pytest.param("DRY_RUN", "yes", id="neither true nor false"),
        pytest.param("CLIENT_CERTIFICATE", "/no/such/file.pem", id="a file that is not there"),
        pytest.param("CLIENT_CERTIFICATE", "/", id="a directory"),
        pytest.param("CLIENT_CERTIFICATE", "\x00", id="a path with a zero"),
        pytest.param("CLIENT_CERTIFICATE", "x" * 100_001, id="a path longer than paths are"),
    ],
)
def test_a_malformed_setting_is_named_once(name: str, value: str) -> None:
    (problem,) = problems(**{name: value})

    assert problem.startswith(f"{name} ")


@pytest.mark.parametrize("name", OPEN)
def test_a_secret_in_the_wrong_place_is_not_shown(name: str) -> None:
    (problem,) = problems(**{name: "horse/battery|staple"})

    assert not any(word in problem for word in ("horse", "battery", "staple"))


@pytest.mark.parametrize("name", OPEN)
def test_an_unresolved_key_vault_reference_is_a_problem_like_any_other(name: str) -> None:
    (problem,) = problems(**{name: REFERENCE})

    assert problem.startswith(f"{name} is an unresolved Key Vault reference")
    assert "vault.example" not in problem


def test_a_reference_beside_a_secret_is_a_problem_too() -> None:
    (problem,) = problems(CLIENT_STATE_SECRET=f"{NEW},{REFERENCE}")

    assert "unresolved" in problem


@given(
    st.dictionaries(
        st.sampled_from([name for name in OPEN if name != "CLIENT_CERTIFICATE"]),
        st.text() | st.sampled_from([*ENOUGH.values(), "PT1M", "members", "group:", f"group:{GROUP}", "7"]),
    )
)
def test_every_environment_gives_settings_or_problems(environ: dict[str, str]) -> None:
    try:
        found: Settings | tuple[str, ...] = Settings.from_environ(environ)
    except ConfigError as error:
        found = error.problems

    assert found


# --- secrets ---

WORDS = "correct horse battery staple, in thirty-two letters"


def test_settings_show_none_of_their_secrets_however_they_are_printed() -> None:
    found = settings(
        CLIENT_STATE_SECRET=f"{NEW},{OLD}", CLIENT_CERTIFICATE=PEM, CLIENT_CERTIFICATE_PASSWORD="horse"
    )

    for shown in (repr(found), str(found), f"{found}", repr(asdict(found)), repr(replace(found))):
        assert "**********" in shown
        assert not any(secret in shown for secret in (NEW, OLD, "THEKEY", "horse"))
    for written in (json.dumps, pickle.dumps):
        with pytest.raises(TypeError):
            written(asdict(found))


def test_problems_show_no_secret_even_of_the_settings_that_are_right() -> None:
    shown = " ".join(problems(CLOUD="moon", CLIENT_CERTIFICATE=PEM, CLIENT_CERTIFICATE_PASSWORD="staple"))

    assert not any(word in shown for word in (NEW, "THEKEY", "staple"))


def test_two_secrets_are_read_newest_first_and_rotate() -> None:
    found = settings(CLIENT_STATE_SECRET=f" {NEW} , {OLD} ").client_state_secrets

    assert [secret.reveal() for secret in found] == [NEW, OLD]


# --- the certificate ---


def the_certificate(given_as: object) -> str:
    found = settings(CLIENT_CERTIFICATE=str(given_as)).certificate
    assert found is not None
    return found.reveal()


def test_without_a_certificate_the_managed_identity_is_chosen() -> None:
    assert settings(CLIENT_CERTIFICATE="").certificate is None


@pytest.mark.parametrize(
    "given_as",
    [
        pytest.param(PEM, id="a PEM with written line breaks"),
        pytest.param(PEM.replace("\\n", "\n"), id="a PEM with real ones"),
        pytest.param(PFX, id="a PFX in base64"),
        pytest.param(
            "\n".join(PFX[i : i + 76] for i in range(0, len(PFX), 76)), id="a PFX in lines of base64"
        ),
    ],
)
def test_a_certificate_may_stand_in_the_setting_itself(given_as: str) -> None:
    assert the_certificate(given_as) == given_as


@pytest.mark.parametrize(
    ("content", "read_as"),
    [
        pytest.param(PEM.encode(), PEM, id="a PEM"),
        pytest.param(b"B\xe4cker\n" + PEM.encode(), f"B\ufffdcker\n{PEM}", id="a PEM with a name in Latin-1"),
        pytest.param(b"\x30\x82\xff\x00", base64.b64encode(b"\x30\x82\xff\x00").decode(), id="a PFX"),
    ],
)
def test_a_certificate_may_stand_in_a_file(tmp_path: Path, content: bytes, read_as: str) -> None:
    path = tmp_path / "certificate"
    path.write_bytes(content)

    assert the_certificate(path) == read_as


def test_an_empty_file_is_no_certificate(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()

    (problem,) = problems(CLIENT_CERTIFICATE=str(path))
    assert problem.startswith("CLIENT_CERTIFICATE names an empty file")


# --- the files beside the code say the same ---


class RecordingEnviron(Mapping[str, str]):
    """An environment that records the names that are read from it."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def test_the_sample_names_every_setting_that_is_read_and_what_the_host_reads_itself() -> None:
    environ = RecordingEnviron({name: value for name, value in ENOUGH.items() if name != "NOTIFICATION_URL"})
    with pytest.raises(ConfigError):
        Settings.from_environ(environ)

    by_the_host = {
        "AzureWebJobsStorage",
        "FUNCTIONS_WORKER_RUNTIME",
        "PYTHON_THREADPOOL_THREAD_COUNT",
        "RENEWAL_SCHEDULE",
        "SWEEP_SCHEDULE",
    }
    set_by_azure = {"WEBSITE_HOSTNAME"}
    assert environ.names - set_by_azure == SAMPLE.keys() - by_the_host


def test_the_sample_has_a_thread_for_every_message_of_a_queue_that_the_host_delivers_at_once() -> None:
    queues = HOST["extensions"]["queues"]

    at_once = queues["batchSize"] + queues["newBatchThreshold"]
    assert int(SAMPLE["PYTHON_THREADPOOL_THREAD_COUNT"]) > at_once


def test_the_sample_must_be_filled_in() -> None:
    with pytest.raises(ConfigError):
        Settings.from_environ(SAMPLE)


def test_the_host_stops_functions_when_the_settings_say_so() -> None:
    hours, minutes, seconds = (int(part) for part in HOST["functionTimeout"].split(":"))
    assert hours * 3600 + minutes * 60 + seconds == FUNCTION_TIMEOUT
