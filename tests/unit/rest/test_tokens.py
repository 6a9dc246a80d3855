"""Bearer tokens: the forms of a certificate, errors by who must act, and how often a token is requested."""

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509 import load_pem_x509_certificate
from werkzeug.wrappers import Request, Response

from local.tenant.entra.face import Entra
from local.tenant.tenant import Tenant
from local.tenant.traffic.faults import Fault
from shared.errors import ConfigError, SyncError, TryLater
from shared.rest.tokens import CertificateTokens, IdentityTokens, Tokens, tokens_of
from shared.settings import Settings
from tests.fakes.scripted_server import ScriptedServer

GRAPH, MY = "graph.microsoft.com", "contoso-my.sharepoint.com"
PASSWORD = "pass phrase, é"
UNKNOWN = "11111111-1111-4111-8111-111111111111"

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
def pem(tenant: Tenant) -> str:
    return tenant.settings["CLIENT_CERTIFICATE"]


@pytest.fixture
def make(tenant: Tenant) -> Callable[..., Tokens]:
    """`make(**settings)`: the app's token source under these settings; None leaves one out."""

    def build(**changes: str | None) -> Tokens:
        environ = {**tenant.settings, "NOTIFICATION_URL": "https://photos.contoso.com", **changes}
        return tokens_of(Settings.from_environ({k: v for k, v in environ.items() if v is not None}))

    return build


class RecordedAssertions:
    """The tenant's Entra, recording the assertions that it receives."""

    def __init__(self, entra: Entra) -> None:
        self._entra = entra
        self.assertions: list[str] = []

    def respond(self, request: Request) -> Response:
        if assertion := request.form.get("client_assertion"):
            self.assertions.append(assertion)
        return self._entra.respond(request)


@pytest.fixture
def recorded(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> RecordedAssertions:
    monkeypatch.setattr(tenant, "entra", RecordedAssertions(tenant.entra))
    return tenant.entra


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def asked(tenant: Tenant) -> list[str]:
    return [f"{each['method']} {each['path']}" for each in tenant.history.entries(service="entra")]


# --- forms of a certificate ---


def halves(pem: str) -> tuple[str, str]:
    """Return the key and the certificate of a PEM."""
    start = pem.index("-----BEGIN CERTIFICATE")
    return pem[:start], pem[start:]


def lock(password: str | None) -> serialization.KeySerializationEncryption:
    return (
        serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    )


def locked(pem: str, key: Any = None, password: str | None = PASSWORD) -> str:
    """Return a PEM with its key, or another one, under a password."""
    key = key or serialization.load_pem_private_key(pem.encode(), None)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    return key.private_bytes(*form, lock(password)).decode() + halves(pem)[1]


def pfx(pem: str, password: str | None) -> bytes:
    key = serialization.load_pem_private_key(pem.encode(), None)
    certificate = load_pem_x509_certificate(halves(pem)[1].encode())
    return pkcs12.serialize_key_and_certificates(b"photos", key, certificate, None, lock(password))


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


FORMS = [
    pytest.param(lambda pem: pem, None, id="PEM"),
    pytest.param(lambda pem: pem.replace("\n", "\\n"), None, id="PEM on one line"),
    pytest.param(lambda pem: pem.replace("\n", "\r\n"), None, id="PEM from Windows"),
    pytest.param(lambda pem: "".join(reversed(halves(pem))), None, id="PEM, certificate first"),
    pytest.param(lambda pem: f"Bag Attributes\n    friendlyName: é\n{pem}", None, id="PEM with attributes"),
    pytest.param(locked, PASSWORD, id="PEM with a password"),
    pytest.param(
        lambda pem: locked(pem).replace("\n", "\\n"), PASSWORD, id="PEM with a password on one line"
    ),
    pytest.param(lambda pem: in_base64(pfx(pem, None)), None, id="PFX"),
    pytest.param(lambda pem: in_base64(pfx(pem, PASSWORD)), PASSWORD, id="PFX with a password"),
    pytest.param(
        lambda pem: base64.encodebytes(pfx(pem, PASSWORD)).decode(), PASSWORD, id="PFX on several lines"
    ),
]


@pytest.mark.parametrize(("form", "password"), FORMS)
def test_a_certificate_may_come_in_many_forms(make, pem: str, form, password: str | None) -> None:
    tokens = make(CLIENT_CERTIFICATE=form(pem), CLIENT_CERTIFICATE_PASSWORD=password)
    assert claims(tokens.token(GRAPH))["aud"] == f"https://{GRAPH}"


def elliptic(pem: str) -> str:
    return locked(pem, ec.generate_private_key(ec.SECP256R1()), None)


@pytest.mark.parametrize(
    ("form", "password"),
    [
        pytest.param(lambda pem: halves(pem)[0], None, id="no certificate"),
        pytest.param(lambda pem: halves(pem)[1], None, id="no key"),
        pytest.param(lambda pem: pem.replace("MII", "!!!"), None, id="not base64"),
        pytest.param(locked, "wrong", id="PEM and a wrong password"),
        pytest.param(locked, None, id="PEM and no password"),
        pytest.param(lambda pem: pem, PASSWORD, id="a password and nothing to open"),
        pytest.param(lambda pem: in_base64(pfx(pem, PASSWORD)), "wrong", id="PFX and a wrong password"),
        pytest.param(lambda pem: in_base64(pfx(pem, PASSWORD)), None, id="PFX and no password"),
        pytest.param(lambda _: in_base64(b"0" * 600), None, id="base64 of something else"),
        pytest.param(elliptic, None, id="a key that cannot sign PS256"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_the_operators_problem(
    make, pem: str, tenant: Tenant, form, password: str | None
) -> None:
    given = form(pem)
    tokens = make(CLIENT_CERTIFICATE=given, CLIENT_CERTIFICATE_PASSWORD=password)
    with pytest.raises(ConfigError) as caught:
        tokens.token(GRAPH)
    (problem,) = caught.value.problems
    assert "CLIENT_CERTIFICATE" in problem
    assert given[40:80] not in problem
    assert "POST" not in "".join(asked(tenant))


# --- a certificate's tokens ---


def test_the_assertion_is_signed_with_ps256_and_names_the_certificate_by_sha256(
    make, recorded: RecordedAssertions
) -> None:
    make().token(GRAPH)
    (assertion,) = recorded.assertions
    header = jwt.get_unverified_header(assertion)
    assert header["alg"] == "PS256"
    assert "x5t#S256" in header
    assert "x5t" not in header


def test_every_host_gets_its_own_token_and_each_is_asked_for_once(make, tenant: Tenant) -> None:
    tokens = make()
    got = [tokens.token(host) for host in (GRAPH, MY, GRAPH, MY)]
    assert got[:2] == got[2:]
    assert [claims(token)["aud"] for token in got[:2]] == [f"https://{GRAPH}", f"https://{MY}"]
    posts = [line for line in asked(tenant) if line.startswith("POST")]
    assert len(posts) == 2
    assert len(asked(tenant)) <= 4  # and its endpoints, once: the client is built once


@pytest.mark.parametrize(
    ("changes", "host", "code"),
    [
        pytest.param({"CLIENT_ID": UNKNOWN}, GRAPH, "AADSTS700016", id="application"),
        pytest.param({"TENANT_ID": UNKNOWN}, GRAPH, "TENANT_ID", id="directory"),
        pytest.param({}, "fabrikam.sharepoint.com", "AADSTS500011", id="host"),
    ],
)
def test_entras_refusal_is_the_operators_problem_and_named_by_its_code(
    make, changes: dict[str, str], host: str, code: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        make(**changes).token(host)
    (problem,) = caught.value.problems
    assert code in problem
    for description in ("not found", "Timestamp", "Correlation", "directory."):
        assert description not in problem


SENT = "Bearer eyJhbGciOi"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param({"error": "invalid_client"}, "(invalid_client)", id="a code by its name"),
        pytest.param({"error": SENT}, "(no reason given)", id="no name"),
        pytest.param({"error": {"message": SENT}}, "(no reason given)", id="no text"),
        pytest.param({"error": "odd", "error_codes": [SENT, 7]}, "(AADSTS7)", id="no number"),
        pytest.param({"error": "odd", "error_codes": SENT}, "(odd)", id="no list"),
        pytest.param({"error": "odd", "trace_id": SENT}, "(trace unknown)", id="no trace"),
        pytest.param({"error": "odd", "error_description": SENT}, "(odd)", id="a description"),
    ],
)
def test_only_codes_are_taken_from_entras_refusal(
    make, tenant: Tenant, answer: dict[str, object], told: str
) -> None:
    tenant.faults.arm([Fault(service="entra", method="POST", status=401, body=json.dumps(answer))])
    with pytest.raises(ConfigError) as caught:
        make().token(GRAPH)
    (problem,) = caught.value.problems
    assert told in problem
    assert SENT not in problem
    tenant.faults.arm([])


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 503}, id="503"),
        pytest.param({"status": 500}, id="500"),
        pytest.param({"status": 429, "retry_after": 7}, id="429"),
        pytest.param({"drop": True}, id="no answer"),
        pytest.param({"truncate": True}, id="half an answer"),
        pytest.param({"status": 200, "body": "<html>"}, id="not JSON"),
        pytest.param({"status": 502, "body": "<html>"}, id="a gateway"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"], ids=["discovery", "token"])
def test_a_temporary_error_of_entra_means_later(
    make, tenant: Tenant, fault: dict[str, Any], method: str
) -> None:
    tokens = make()
    tenant.faults.arm([Fault(service="entra", method=method, **fault)])
    with pytest.raises(SyncError) as caught:
        tokens.token(GRAPH)
    assert type(caught.value) is TryLater
    tenant.faults.arm([])


def test_tokens_are_issued_again_after_an_outage(make, tenant: Tenant) -> None:
    tokens = make()
    tenant.faults.arm([Fault(service="entra", status=503)])
    with pytest.raises(TryLater):
        tokens.token(GRAPH)
    tenant.faults.arm([])
    assert claims(tokens.token(GRAPH))["aud"] == f"https://{GRAPH}"


def roles(token: str) -> list[str]:
    return claims(token).get("roles", [])


def test_a_token_keeps_the_permissions_it_was_given_with_until_it_is_forgotten(make, tenant: Tenant) -> None:
    tenant.permissions.consent("graph", [])
    tokens = make()
    before = tokens.token(GRAPH)
    tenant.permissions.consent("graph", ["User.Read.All"])
    assert roles(tokens.token(GRAPH)) == roles(before) == []

    tokens.forget(GRAPH)

    assert roles(tokens.token(GRAPH)) == ["User.Read.All"]


def test_many_threads_may_forget_a_token_at_once(make) -> None:
    tokens = make()

    def forget_and_ask() -> str:
        tokens.forget(GRAPH)
        return tokens.token(GRAPH)

    with ThreadPoolExecutor(8) as threads:
        got = [each.result() for each in [threads.submit(forget_and_ask) for _ in range(16)]]
    assert {claims(token)["aud"] for token in got} == {f"https://{GRAPH}"}


# --- a managed identity's ---


@pytest.fixture
def platform(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Azure sets where a managed identity is assigned."""
    for name, value in tenant.identity_settings.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("platform")
def test_without_a_certificate_the_managed_identity_is_used_once_a_host_until_a_token_is_forgotten(
    make, tenant: Tenant
) -> None:
    tokens = make(CLIENT_CERTIFICATE=None)
    assert isinstance(tokens, IdentityTokens)
    got = [tokens.token(host) for host in (GRAPH, MY, GRAPH)]
    assert [claims(token)["aud"] for token in got[:2]] == [f"https://{GRAPH}", f"https://{MY}"]
    assert got[0] == got[2]
    assert len(tenant.history.entries(service="identity")) == 2
    tokens.forget(GRAPH)
    tokens.token(GRAPH)
    assert len(tenant.history.entries(service="identity")) == 3


def test_with_a_certificate_the_managed_identity_is_not_used(make) -> None:
    assert isinstance(make(), CertificateTokens)


@pytest.mark.usefixtures("platform")
def test_an_identity_that_is_not_assigned_is_the_operators_problem(make) -> None:
    tokens = make(CLIENT_CERTIFICATE=None, CLIENT_ID=UNKNOWN)
    with pytest.raises(ConfigError, match="assign it to this app"):
        tokens.token(GRAPH)


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize("reachable", [True, False])
def test_an_identity_endpoint_that_fails_or_cannot_be_reached_means_later(
    make, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, reachable: bool
) -> None:
    with ScriptedServer() as server:
        closed = server.url
    if not reachable:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{closed}/msi/token")
    tenant.faults.arm([Fault(service="identity", status=503)])
    with pytest.raises(SyncError) as caught:
        make(CLIENT_CERTIFICATE=None).token(GRAPH)
    assert type(caught.value) is TryLater


@pytest.mark.timeout(10)
@pytest.mark.parametrize("status", [429, 503])
def test_no_thread_sleeps_for_as_long_as_entra_asks(make, tenant: Tenant, status: int) -> None:
    tenant.faults.arm([Fault(service="entra", status=status, retry_after=300)])
    with pytest.raises(TryLater):
        make().token(GRAPH)
