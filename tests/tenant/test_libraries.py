"""Microsoft's own libraries, as they come, in an environment that names the tenant."""

import os
from collections.abc import Iterator

import jwt
import msal
import pytest
from azure.identity import CertificateCredential, ManagedIdentityCredential

from local.tenant.tenant import Tenant

GRAPH = "https://graph.microsoft.com/.default"
MY = "https://contoso-my.sharepoint.com/.default"


@pytest.fixture(autouse=True)
def environment(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly what the ready line tells an app to set."""
    for name in [name for name in os.environ if name.lower().endswith(("_proxy", "_ca_bundle"))]:
        monkeypatch.delenv(name)
    for name in ("HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, tenant.settings[name])


@pytest.fixture
def msal_app(tenant: Tenant) -> Iterator[msal.ConfidentialClientApplication]:
    pem = tenant.settings["CLIENT_CERTIFICATE"]
    app = msal.ConfidentialClientApplication(
        tenant.settings["CLIENT_ID"],
        authority=f"https://login.microsoftonline.com/{tenant.settings['TENANT_ID']}",
        client_credential={"private_key": pem, "public_certificate": pem[pem.index("-----BEGIN CERT") :]},
    )
    yield app
    app.http_client.close()


def read(token: str) -> dict[str, object]:
    return jwt.decode(token, options={"verify_signature": False})


def test_msal_signs_in_with_a_certificate_and_caches(msal_app, admin) -> None:
    for scope in (GRAPH, MY, GRAPH):
        result = msal_app.acquire_token_for_client([scope])
        assert "error" not in result, result
        assert read(result["access_token"])["aud"] == scope.removesuffix("/.default")
    posts = [entry for entry in admin.history(service="entra") if entry["method"] == "POST"]
    assert [entry["status"] for entry in posts] == [200, 200]


def test_azure_identity_signs_in_with_a_certificate(tenant) -> None:
    settings = tenant.settings
    pem = settings["CLIENT_CERTIFICATE"].encode()
    with CertificateCredential(
        settings["TENANT_ID"], settings["CLIENT_ID"], certificate_data=pem
    ) as credential:
        tokens = [credential.get_token(scope).token for scope in (GRAPH, MY)]
    assert [read(token)["aud"] for token in tokens] == [
        "https://graph.microsoft.com",
        "https://contoso-my.sharepoint.com",
    ]


@pytest.mark.parametrize("named", [True, False], ids=["user-assigned", "system-assigned"])
def test_azure_identity_uses_the_managed_identity(tenant, monkeypatch, named) -> None:
    for name, value in tenant.identity_settings.items():
        monkeypatch.setenv(name, value)
    arguments = {"client_id": tenant.settings["CLIENT_ID"]} if named else {}
    with ManagedIdentityCredential(**arguments) as credential:
        token = read(credential.get_token(MY).token)
    assert (token["aud"], token["appidacr"]) == (MY.removesuffix("/.default"), "2")
