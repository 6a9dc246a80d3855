"""Entra's discovery and tokens, and the managed identity's endpoint, over plain HTTP requests."""

import base64
import time
import uuid
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local.tenant.entra.face import JWT_BEARER
from local.tenant.tenant import Tenant

HOST = "https://login.microsoftonline.com"
GRAPH = "https://graph.microsoft.com"
MY = "https://contoso-my.sharepoint.com"
DEFAULT = f"{GRAPH}/.default"
OTHER_TENANT = "https://fabrikam.sharepoint.com/.default"
NOT_HTTPS = "http://graph.microsoft.com/.default"


def sign(
    tenant: Tenant, header: dict[str, Any] | None = None, algorithm: str = "PS256", **claims: Any
) -> str:
    """Return an assertion of the tenant's application; a claim that is None is left out."""
    now = int(time.time())
    payload = {
        "aud": f"{HOST}/{tenant.world.tenant_id}/oauth2/v2.0/token",
        "iss": tenant.world.client_id,
        "sub": tenant.world.client_id,
        "jti": str(uuid.uuid4()),
        "nbf": now,
        "exp": now + 600,
    } | claims
    if header is None:
        header = {"x5t#S256": thumbprint(tenant, hashes.SHA256())}
    key = serialization.load_pem_private_key(tenant.certificates.client_pem.encode(), None)
    return jwt.encode({k: v for k, v in payload.items() if v is not None}, key, algorithm, header)


def thumbprint(tenant: Tenant, digest: hashes.HashAlgorithm) -> str:
    """Return the thumbprint of the application's certificate, padded, as msal sends it."""
    return base64.urlsafe_b64encode(tenant.certificates.client.fingerprint(digest)).decode()


class EntraClient:
    """Asks for tokens."""

    def __init__(self, tenant: Tenant, session: requests.Session) -> None:
        self.tenant = tenant
        self.session = session

    def ask(self, directory: str | None = None, **form: str | None) -> requests.Response:
        """POST the form of a correct request, changed by `form` (None leaves a field out)."""
        whole = {
            "grant_type": "client_credentials",
            "client_id": self.tenant.world.client_id,
            "scope": f"{GRAPH}/.default",
            "client_assertion_type": JWT_BEARER,
        } | form
        if "client_assertion" not in whole:
            whole["client_assertion"] = sign(self.tenant)
        directory = self.tenant.world.tenant_id if directory is None else directory
        return self.session.post(f"{HOST}/{directory}/oauth2/v2.0/token", data=whole, timeout=10)

    def claims(self, answer: requests.Response) -> dict[str, Any]:
        """Return the claims of a token that the tenant accepts."""
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        claims = jwt.decode(token, options={"verify_signature": False})
        self.tenant.tokens.check(f"Bearer {token}", claims["aud"])
        return claims


@pytest.fixture
def client(tenant: Tenant, session: requests.Session) -> EntraClient:
    return EntraClient(tenant, session)


class TestDiscovery:
    def test_the_metadata_names_the_endpoints_that_libraries_read(self, client) -> None:
        tenant_id = client.tenant.world.tenant_id
        url = f"{HOST}/{tenant_id}/v2.0/.well-known/openid-configuration"
        metadata = client.session.get(url, timeout=10).json()
        assert metadata["issuer"] == f"{HOST}/{tenant_id}/v2.0"
        assert metadata["token_endpoint"] == f"{HOST}/{tenant_id}/oauth2/v2.0/token"
        assert metadata["authorization_endpoint"].startswith(HOST)


class TestTokens:
    @pytest.mark.parametrize("resource", [GRAPH, MY], ids=["Graph", "SharePoint"])
    def test_a_token_has_audience_tenant_application_and_life(self, client, resource) -> None:
        answer = client.ask(scope=f"{resource}/.default")
        claims = client.claims(answer)
        assert claims["aud"] == resource
        assert claims["tid"] == client.tenant.world.tenant_id
        assert claims["appid"] == client.tenant.world.client_id
        assert claims["appidacr"] == "2"
        assert claims["exp"] - claims["iat"] == answer.json()["expires_in"] == 3599
        assert "refresh_token" not in answer.json()

    def test_roles_are_those_granted_for_the_resource(self, client, admin) -> None:
        admin.consent(graph=["ProfilePhoto.Read.All", "User.Read.All"])
        assert client.claims(client.ask())["roles"] == ["ProfilePhoto.Read.All", "User.Read.All"]
        sharepoint = client.claims(client.ask(scope=f"{MY}/.default"))
        assert sharepoint["roles"] == ["Sites.FullControl.All", "User.ReadWrite.All"]
        admin.consent(graph=[])
        assert "roles" not in client.claims(client.ask())

    def test_tokens_do_not_follow_the_tenants_clock(self, client, session, admin) -> None:
        bearer = {"Authorization": f"Bearer {client.ask().json()['access_token']}"}
        admin.advance(30 * 24 * 3600)
        assert session.get(f"{GRAPH}/v1.0/users", headers=bearer, timeout=10).status_code == 200
        assert client.ask().status_code == 200

    @pytest.mark.parametrize(
        ("form", "error", "code"),
        [
            pytest.param({"directory": "fabrikam.com"}, "invalid_request", 90002, id="unknown tenant"),
            pytest.param({"directory": "common"}, "invalid_request", 50059, id="no tenant"),
            pytest.param({"grant_type": None}, "invalid_request", 900144, id="no grant type"),
            pytest.param({"grant_type": "password"}, "unsupported_grant_type", 70003, id="another grant"),
            pytest.param({"client_id": "other"}, "unauthorized_client", 700016, id="unknown client"),
            pytest.param({"scope": None}, "invalid_request", 900144, id="no scope"),
            pytest.param({"scope": f"{GRAPH}/User.Read.All"}, "invalid_scope", 1002012, id="a named role"),
            pytest.param({"scope": f"{DEFAULT} {MY}/.default"}, "invalid_scope", 70011, id="two resources"),
            pytest.param({"scope": f"{GRAPH}/X {DEFAULT}"}, "invalid_scope", 1002012, id="a role besides"),
            pytest.param({"scope": OTHER_TENANT}, "invalid_resource", 500011, id="another tenant's resource"),
            pytest.param({"scope": NOT_HTTPS}, "invalid_resource", 500011, id="not https"),
            pytest.param({"client_assertion": None}, "invalid_client", 7000218, id="no credential"),
            pytest.param({"client_assertion_type": "x"}, "invalid_request", 900144, id="another assertion"),
            pytest.param({"client_assertion": "x.y.z"}, "invalid_client", 50027, id="not a JWT"),
        ],
    )
    def test_a_wrong_request_is_refused_with_entras_number(self, client, form, error, code) -> None:
        answer = client.ask(**form)
        body = answer.json()
        assert answer.status_code == (401 if error == "invalid_client" else 400)
        assert (body["error"], body["error_codes"]) == (error, [code])
        assert body["error_description"].startswith(f"AADSTS{code}: ")
        assert {"timestamp", "trace_id", "correlation_id", "error_uri"} <= body.keys()


class TestAssertions:
    @pytest.mark.parametrize(
        ("name", "digest", "pad", "algorithm"),
        [
            pytest.param("x5t#S256", hashes.SHA256(), "", "PS256", id="PS256 and x5t#S256, padded, as msal"),
            pytest.param("x5t#S256", hashes.SHA256(), "=", "PS256", id="PS256 and x5t#S256, unpadded"),
            pytest.param("x5t", hashes.SHA1(), "=", "RS256", id="RS256 and x5t, as azure-identity"),
        ],
    )
    def test_the_applications_signature_is_accepted(self, client, name, digest, pad, algorithm) -> None:
        header = {name: thumbprint(client.tenant, digest).rstrip(pad)}
        answer = client.ask(client_assertion=sign(client.tenant, header, algorithm))
        assert answer.status_code == 200, answer.text

    @pytest.mark.parametrize(
        ("claims", "code"),
        [
            pytest.param({"aud": f"{HOST}/common/oauth2/v2.0/token"}, 700023, id="for another tenant"),
            pytest.param({"iss": "another"}, 700021, id="by another"),
            pytest.param({"jti": None}, 50027, id="without an id"),
            pytest.param({"nbf": None}, 50027, id="without a beginning"),
            pytest.param({"nbf": "now"}, 50027, id="with a word for a time"),
            pytest.param({"nbf": 1, "exp": 600}, 700024, id="long expired"),
            pytest.param({"nbf": 4102444800, "exp": 4102444900}, 700024, id="not yet valid"),
            pytest.param({"exp": int(time.time()) + 86400}, 700024, id="living for a day"),
        ],
    )
    def test_an_assertion_with_a_wrong_claim_is_refused(self, client, claims, code) -> None:
        answer = client.ask(client_assertion=sign(client.tenant, **claims))
        assert (answer.status_code, answer.json()["error_codes"]) == (401, [code])
        assert answer.json()["error"] == "invalid_client"

    @pytest.mark.parametrize(
        ("algorithm", "key"),
        [
            pytest.param("PS256", rsa.generate_private_key(65537, 2048), id="by another key"),
            pytest.param("HS256", "s" * 32, id="with a shared secret"),
        ],
    )
    def test_another_signature_is_refused(self, client, algorithm, key) -> None:
        claims = jwt.decode(sign(client.tenant), options={"verify_signature": False})
        header = {"x5t#S256": thumbprint(client.tenant, hashes.SHA256())}
        answer = client.ask(client_assertion=jwt.encode(claims, key, algorithm, header))
        assert (answer.status_code, answer.json()["error_codes"]) == (401, [700027])

    @pytest.mark.parametrize("header", [{}, {"x5t#S256": "AAAA"}], ids=["naming none", "naming another"])
    def test_an_unregistered_certificate_is_refused(self, client, header) -> None:
        answer = client.ask(client_assertion=sign(client.tenant, header))
        assert (answer.status_code, answer.json()["error_codes"]) == (401, [700027])


class TestSecrets:
    def test_a_secret_gives_a_token_that_graph_takes_and_sharepoint_does_not(self, client, session) -> None:
        def ask(resource: str) -> dict[str, str]:
            answer = client.ask(
                client_secret=client.tenant.entra.client_secret,
                client_assertion=None,
                scope=f"{resource}/.default",
            )
            assert client.claims(answer)["appidacr"] == "1"
            return {"Authorization": f"Bearer {answer.json()['access_token']}"}

        assert session.get(f"{GRAPH}/v1.0/users", headers=ask(GRAPH), timeout=10).status_code == 200
        refused = session.get(f"{MY}/_api/web/lists", headers=ask(MY), timeout=10)
        assert (refused.status_code, "Unsupported app only token" in refused.text) == (401, True)

    @pytest.mark.parametrize("allowed", [True, False], ids=["a wrong one", "none is allowed"])
    def test_a_secret_can_be_refused(self, client, admin, allowed) -> None:
        admin.turn(client_secrets=allowed)
        secret = "wrong" if allowed else client.tenant.entra.client_secret
        answer = client.ask(client_secret=secret, client_assertion=None)
        assert (answer.status_code, answer.json()["error_codes"]) == (401, [7000215])


class TestManagedIdentity:
    @pytest.fixture
    def ask(self, tenant: Tenant, session: requests.Session):
        settings = tenant.identity_settings

        def ask(*, header: str | None = None, **query: str) -> requests.Response:
            headers = {"X-IDENTITY-HEADER": settings["IDENTITY_HEADER"] if header is None else header}
            query = {"api-version": "2019-08-01", "resource": GRAPH} | query
            return session.get(settings["IDENTITY_ENDPOINT"], params=query, headers=headers, timeout=10)

        return ask

    @pytest.mark.parametrize("resource", [GRAPH, f"{GRAPH}/", MY], ids=["Graph", "with a slash", "my site"])
    def test_it_gives_a_token_for_a_plain_resource(self, ask, client, resource) -> None:
        answer = ask(resource=resource)
        assert client.claims(answer)["appidacr"] == "2"
        assert client.claims(ask(client_id=client.tenant.world.client_id))["aud"] == GRAPH
        body = answer.json()
        assert (body["resource"], body["token_type"]) == (resource, "Bearer")
        assert isinstance(body["expires_on"], str)
        assert 86_300 < int(body["expires_on"]) - time.time() < 86_500

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            pytest.param({"header": ""}, 403, id="without the header"),
            pytest.param({"api-version": "2017-09-01"}, 400, id="another version"),
            pytest.param({"client_id": "another"}, 400, id="another identity"),
            pytest.param({"resource": f"{GRAPH}/.default"}, 500, id="a scope for a resource"),
        ],
    )
    def test_a_wrong_request_is_refused_with_a_reason(self, ask, change, status) -> None:
        answer = ask(**change)
        assert answer.status_code == status
        assert answer.json()["statusCode"] == status
        assert answer.json()["message"]

    def test_requests_for_a_managed_identity_are_recorded_and_can_have_faults(self, ask, admin) -> None:
        admin.arm({"service": "identity", "status": 503})
        assert ask().json()["statusCode"] == 503
        (entry,) = admin.history()
        assert (entry["service"], entry["status"]) == ("identity", 503)
