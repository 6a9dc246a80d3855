"""Settings are read once and whole: every problem is named with its remedy, and no secret is ever shown."""

import base64
import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shared.attempt import FUNCTION_TIMEOUT
from shared.errors import ConfigError
from shared.settings import CLOUDS, VERSION, Settings
from shared.settings_reader import SHORTEST_SECRET, Secret
from shared.subscription.client_state import ClientState
from shared.users import Scope

PROPERTY = hypothesis_settings(deadline=None)  # a slow machine is not a counterexample

ROOT = Path(__file__).parents[2]
TENANT = "aaaaaaaa-0000-0000-0000-000000000001"
CLIENT = "bbbbbbbb-0000-0000-0000-000000000002"
GROUP = "cccccccc-0000-4000-8000-00000000000a"
NEW, OLD = "n" * SHORTEST_SECRET, "o" * SHORTEST_SECRET
PEM = "-----BEGIN PRIVATE KEY-----\\nTHEKEY\\n-----END PRIVATE KEY-----"
PFX = base64.b64encode(bytes(range(256)) * 2).decode()
REFERENCE = "@Microsoft.KeyVault(SecretUri=https://vault.example/secrets/x)"
ENOUGH = {
    "TENANT_ID": TENANT,
    "CLIENT_ID": CLIENT,
    "SHAREPOINT_HOST": "contoso.sharepoint.com",
    "NOTIFICATION_URL": "https://sync.contoso.com",
    "CLIENT_STATE_SECRET": NEW,
}


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
        warnings=(),
    )


@pytest.mark.parametrize(
    ("name", "value", "attribute", "read_as"),
    [
        pytest.param("TENANT_ID", TENANT.upper(), "tenant_id", TENANT, id="ids in lower case"),
        pytest.param("CLIENT_ID", f"  {CLIENT}\n", "client_id", CLIENT, id="blanks around a value"),
        pytest.param(
            "SHAREPOINT_HOST",
            "https://Contoso.SharePoint.com/",
            "sharepoint_host",
            "contoso.sharepoint.com",
            id="a host given as an address",
        ),
        pytest.param(
            "NOTIFICATION_URL",
            "https://a.example/base/",
            "notification_url",
            "https://a.example/base",
            id="an address without its last slash",
        ),
        pytest.param("SCOPE", "members+guests", "scope", Scope(guests=True), id="guests too"),
        pytest.param("SCOPE", "MEMBERS", "scope", Scope(), id="a choice in capitals"),
        pytest.param("SCOPE", f"group:{GROUP}", "scope", Scope(group=GROUP), id="a group"),
        pytest.param(
            "SCOPE", f" Group:{GROUP.upper()}\n", "scope", Scope(group=GROUP), id="a group in capitals"
        ),
        pytest.param("EXCLUDE_GROUP", GROUP.upper(), "scope", Scope(excluded=GROUP), id="a group left out"),
        pytest.param("EXCLUDE_GROUP", "", "scope", Scope(), id="no group left out"),
        pytest.param("REMOVE_AFTER", "P1D", "remove_after", 86_400.0, id="a day before a removal"),
        pytest.param("ON_PHOTO_REMOVED", "Keep", "on_photo_removed", "keep", id="removed photos kept"),
        pytest.param(
            "REMOVAL_BRAKE", "0", "removal_brake", 0, id="a brake for every removal beyond the first few"
        ),
        pytest.param(
            "REMOVAL_BRAKE", "100", "removal_brake", 100, id="a brake that never stops a sweep below half"
        ),
        pytest.param("REMOVAL_BRAKE", " 07 ", "removal_brake", 7, id="a number with a nought and blanks"),
        pytest.param("SHAREPOINT_UNITS_PER_MINUTE", "100", "units_a_minute", 100, id="the slowest pace"),
        pytest.param("SHAREPOINT_UNITS_PER_MINUTE", "100000", "units_a_minute", 100_000, id="the fastest"),
        pytest.param("EXCHANGE_SYNC_STATE", "0", "exchange_sync_state", "0", id="the state 0"),
        pytest.param("EXCHANGE_SYNC_STATE", "keep", "exchange_sync_state", "keep", id="the state as it is"),
        pytest.param("PHOTO_FOLDER", "Profilbilder", "photo_folder", "Profilbilder", id="a folder"),
        pytest.param(
            "PHOTO_FOLDER", "Imágenes del perfil", "photo_folder", "Imágenes del perfil", id="another"
        ),
        pytest.param("RECHECK_AFTER", "PT30S", "recheck_after", (30.0,), id="one second look"),
        pytest.param(
            "RECHECK_AFTER", "PT1M, PT1H ,P1D", "recheck_after", (60.0, 3600.0, 86400.0), id="three"
        ),
        pytest.param("CLAIM_FOR", "PT10M", "claim_for", 600.0, id="a longer claim"),
        pytest.param("COMPANY", "Contoso & Sons", "company", "Contoso & Sons", id="a company"),
        pytest.param("DRY_RUN", "True", "dry_run", True, id="a dry run"),
        pytest.param("DRY_RUN", "", "dry_run", False, id="an empty value counts as absent"),
    ],
)
def test_a_setting_is_read(name: str, value: str, attribute: str, read_as: object) -> None:
    assert getattr(settings(**{name: value}), attribute) == read_as


@pytest.mark.parametrize(
    ("cloud", "host", "login", "graph", "mine", "admin"),
    [
        pytest.param(
            "global",
            "contoso.sharepoint.com",
            "login.microsoftonline.com",
            "graph.microsoft.com",
            "contoso-my.sharepoint.com",
            "contoso-admin.sharepoint.com",
            id="global",
        ),
        pytest.param(
            "gcchigh",
            "contoso.sharepoint.us",
            "login.microsoftonline.us",
            "graph.microsoft.us",
            "contoso-my.sharepoint.us",
            "contoso-admin.sharepoint.us",
            id="GCC High",
        ),
        pytest.param(
            "dod",
            "contoso.sharepoint-mil.us",
            "login.microsoftonline.us",
            "dod-graph.microsoft.us",
            "contoso-my.sharepoint-mil.us",
            "contoso-admin.sharepoint-mil.us",
            id="DoD",
        ),
        pytest.param(
            "china",
            "contoso.sharepoint.cn",
            "login.partner.microsoftonline.cn",
            "microsoftgraph.chinacloudapi.cn",
            "contoso-my.sharepoint.cn",
            "contoso-admin.sharepoint.cn",
            id="China",
        ),
    ],
)
def test_a_cloud_decides_every_host(
    cloud: str, host: str, login: str, graph: str, mine: str, admin: str
) -> None:
    found = settings(CLOUD=cloud, SHAREPOINT_HOST=host)

    assert (found.cloud.login, found.cloud.graph) == (login, graph)
    assert (found.my_host, found.admin_host) == (mine, admin)


def test_the_user_agent_names_the_company_and_the_version() -> None:
    assert settings().user_agent == f"NONISV|contoso|PhotoSync/{VERSION}"
    assert settings(COMPANY="Fabrikam").user_agent == f"NONISV|Fabrikam|PhotoSync/{VERSION}"


def test_azures_host_name_is_the_default_address() -> None:
    environ = {**ENOUGH, "WEBSITE_HOSTNAME": "photos.azurewebsites.net"}
    del environ["NOTIFICATION_URL"]

    assert Settings.from_environ(environ).notification_url == "https://photos.azurewebsites.net"


def test_a_given_address_takes_precedence_over_azures() -> None:
    found = settings(WEBSITE_HOSTNAME="photos.azurewebsites.net")

    assert found.notification_url == "https://sync.contoso.com"


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
        pytest.param("NOTIFICATION_URL", "/", id="only a slash"),
        pytest.param("NOTIFICATION_URL", "https://sync.contoso.com?code=x", id="a query"),
        pytest.param("NOTIFICATION_URL", "https://sync.contoso.com#x", id="a fragment"),
        pytest.param("NOTIFICATION_URL", "https://sync.contoso.com/a b", id="a blank inside"),
        pytest.param("CLIENT_STATE_SECRET", "n" * (SHORTEST_SECRET - 1), id="a secret too short"),
        pytest.param("CLIENT_STATE_SECRET", f"{NEW},short", id="an old secret too short"),
        pytest.param("CLIENT_STATE_SECRET", f"{NEW},", id="a comma and nothing behind it"),
        pytest.param("CLIENT_STATE_SECRET", f"{NEW},{OLD},{NEW}", id="three secrets"),
        pytest.param("CLOUD", "moon", id="no cloud of Microsoft's"),
        pytest.param("SCOPE", "all users", id="no scope"),
        pytest.param("SCOPE", "group:", id="a group without an id"),
        pytest.param("SCOPE", "group:Marketing", id="a group by its name"),
        pytest.param("SCOPE", f"group:{GROUP},group:{GROUP}", id="two groups"),
        pytest.param("SCOPE", f"groups:{GROUP}", id="nearly a group"),
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
        pytest.param("REMOVAL_BRAKE", "2.5", id="half per cents"),
        pytest.param("REMOVAL_BRAKE", "\u0665", id="an Arabic digit"),
        pytest.param("REMOVAL_BRAKE", "\u00b2", id="a superscript digit"),
        pytest.param("SHAREPOINT_UNITS_PER_MINUTE", "99", id="a pace that is too slow"),
        pytest.param("SHAREPOINT_UNITS_PER_MINUTE", "100001", id="faster than any tenant"),
        pytest.param("SHAREPOINT_UNITS_PER_MINUTE", "9" * 5000, id="a number longer than Python reads"),
        pytest.param("SHAREPOINT_UNITS_PER_MINUTE", "1e3", id="an exponent"),
        pytest.param("EXCHANGE_SYNC_STATE", "2", id="no state"),
        pytest.param("PHOTO_FOLDER", "User Photos/Profile Pictures", id="a path for a folder"),
        pytest.param("RECHECK_AFTER", "120", id="seconds for a duration"),
        pytest.param("RECHECK_AFTER", "PT2M,,PT15M", id="an empty one among durations"),
        pytest.param("RECHECK_AFTER", ",", id="only a comma"),
        pytest.param("CLAIM_FOR", "PT7M,PT8M", id="two durations for one"),
        pytest.param("CLAIM_FOR", "-PT7M", id="a negative duration"),
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


@pytest.mark.parametrize(
    "name",
    [
        *ENOUGH,
        "CLOUD",
        "SCOPE",
        "EXCLUDE_GROUP",
        "EXCHANGE_SYNC_STATE",
        "PHOTO_FOLDER",
        "RECHECK_AFTER",
        "REMOVE_AFTER",
        "ON_PHOTO_REMOVED",
        "REMOVAL_BRAKE",
        "SHAREPOINT_UNITS_PER_MINUTE",
        "CLAIM_FOR",
        "COMPANY",
        "DRY_RUN",
        "CLIENT_CERTIFICATE",
    ],
)
def test_a_secret_in_the_wrong_place_is_not_shown(name: str) -> None:
    (problem,) = problems(**{name: "horse/battery|staple"})

    assert not any(word in problem for word in ("horse", "battery", "staple"))


@pytest.mark.parametrize(
    "name",
    [
        *ENOUGH,
        "CLIENT_CERTIFICATE",
        "SCOPE",
        "EXCLUDE_GROUP",
        "COMPANY",
        "CLAIM_FOR",
        "REMOVE_AFTER",
        "ON_PHOTO_REMOVED",
        "REMOVAL_BRAKE",
        "DRY_RUN",
    ],
)
def test_an_unresolved_key_vault_reference_is_a_problem_like_any_other(name: str) -> None:
    (problem,) = problems(**{name: REFERENCE})

    assert problem.startswith(f"{name} is an unresolved Key Vault reference")
    assert "vault.example" not in problem


def test_a_reference_beside_a_secret_is_a_problem_too() -> None:
    (problem,) = problems(CLIENT_STATE_SECRET=f"{NEW},{REFERENCE}")

    assert "unresolved" in problem


@PROPERTY
@given(
    st.dictionaries(
        st.sampled_from(
            [
                *ENOUGH,
                "CLOUD",
                "SCOPE",
                "EXCLUDE_GROUP",
                "COMPANY",
                "CLAIM_FOR",
                "RECHECK_AFTER",
                "REMOVAL_BRAKE",
                "SHAREPOINT_UNITS_PER_MINUTE",
                "PHOTO_FOLDER",
            ]
        ),
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
    shown = " ".join(
        problems(
            CLIENT_STATE_SECRET="horse,battery", CLIENT_CERTIFICATE=PEM, CLIENT_CERTIFICATE_PASSWORD="staple"
        )
    )

    assert not any(word in shown for word in ("horse", "battery", "THEKEY", "staple"))


def test_a_secret_has_at_least_thirty_two_characters() -> None:
    assert SHORTEST_SECRET == 32


def test_two_secrets_are_read_newest_first_and_rotate() -> None:
    both = [
        secret.reveal() for secret in settings(CLIENT_STATE_SECRET=f" {NEW} , {OLD} ").client_state_secrets
    ]

    assert both == [NEW, OLD]
    assert ClientState(both).key_id == ClientState([NEW]).key_id


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
    assert problem.startswith("CLIENT_CERTIFICATE is neither")


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

    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    by_the_host = {
        "AzureWebJobsStorage",
        "FUNCTIONS_WORKER_RUNTIME",
        "PYTHON_THREADPOOL_THREAD_COUNT",
        "RENEWAL_SCHEDULE",
        "SWEEP_SCHEDULE",
    }
    set_by_azure = {"WEBSITE_HOSTNAME"}
    assert environ.names - set_by_azure == sample.keys() - by_the_host


def test_the_sample_has_a_thread_for_every_message_of_a_queue_that_the_host_delivers_at_once() -> None:
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    queues = json.loads((ROOT / "host.json").read_text())["extensions"]["queues"]

    at_once = queues["batchSize"] + queues["newBatchThreshold"]
    assert int(sample["PYTHON_THREADPOOL_THREAD_COUNT"]) > at_once


def test_the_sample_must_be_filled_in() -> None:
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]

    with pytest.raises(ConfigError):
        Settings.from_environ(sample)


def test_the_host_stops_functions_when_the_settings_say_so() -> None:
    host = json.loads((ROOT / "host.json").read_text())

    hours, minutes, seconds = (int(part) for part in host["functionTimeout"].split(":"))
    assert hours * 3600 + minutes * 60 + seconds == FUNCTION_TIMEOUT


@pytest.mark.parametrize("address", ["http://localhost:7071", "http://127.0.0.1:7071/"])
def test_on_one_machine_an_emulated_graph_may_post_without_tls(address):
    settings = Settings.from_environ({**ENOUGH, "NOTIFICATION_URL": address})

    assert settings.notification_url == address.rstrip("/")
