"""Bearer tokens: MSAL with a certificate (PS256), or azure-identity with a managed identity.

One long-lived client each, with its own cache; no second cache on top. Both libraries are imported on first
use, because a cold start does not need them before the first outgoing call.
"""

import base64
import binascii
import json
import threading
from typing import TYPE_CHECKING, Any

from shared.errors import ConfigError, TryLater
from shared.settings import Settings

if TYPE_CHECKING:
    import msal

TIMEOUT = 10.0  # seconds
_BUSY = "temporarily_unavailable"  # learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
_NO_DIRECTORY = "Entra knows no directory of this id: check TENANT_ID and CLOUD"


class CertificateTokens:
    """Tokens of an application with a certificate. SharePoint takes no client secret.

    MSAL remembers a refusal for a minute and repeats it without asking again.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: msal.ConfidentialClientApplication | None = None

    def token(self, host: str) -> str:
        """Return a token for `https://{host}`, from MSAL's cache where it has one.

        Raises:
            ConfigError: Entra refuses the application or its certificate.
            TryLater: Entra cannot be reached or cannot now.
        """
        import requests
        from msal.exceptions import MsalServiceError

        try:
            answer = self._built().acquire_token_for_client([f"https://{host}/.default"]) or {}
        except (requests.RequestException, MsalServiceError, json.JSONDecodeError) as error:
            raise TryLater("entra", f"no token ({type(error).__name__})") from error
        except ValueError as error:  # MSAL found no endpoints for this directory
            raise ConfigError([_NO_DIRECTORY]) from error
        if "access_token" in answer:
            return str(answer["access_token"])
        if answer.get("error") == _BUSY:
            raise TryLater("entra", f"no token ({_BUSY})")
        raise ConfigError([_refusal(answer, host)])

    def _built(self) -> "msal.ConfidentialClientApplication":
        import msal

        with self._lock:  # building it asks Entra for its endpoints
            if self._client is None:
                settings = self._settings
                key, certificate = _pem_pair(settings)
                self._client = msal.ConfidentialClientApplication(
                    settings.client_id,
                    authority=f"https://{settings.cloud.login}/{settings.tenant_id}",
                    # Without a thumbprint MSAL signs with PS256 and x5t#S256 instead of SHA-1.
                    client_credential={"private_key": key, "public_certificate": certificate},
                    timeout=TIMEOUT,
                )
            return self._client


class IdentityTokens:
    """Tokens of the managed identity that the app runs as."""

    def __init__(self, settings: Settings) -> None:
        self._client_id = settings.client_id
        self._lock = threading.Lock()
        self._credential: Any = None

    def token(self, host: str) -> str:
        """Return a token for `https://{host}`, from azure-identity's cache where it has one.

        Raises:
            ConfigError: there is no such identity here.
            TryLater: the identity endpoint cannot now.
        """
        from azure.core.exceptions import AzureError, ClientAuthenticationError
        from azure.identity import CredentialUnavailableError

        try:
            return str(self._built().get_token(f"https://{host}/.default").token)
        except (CredentialUnavailableError, ClientAuthenticationError) as error:
            if _temporary(error):
                raise TryLater("entra", "the managed identity endpoint cannot now") from error
            raise ConfigError(
                [f"the managed identity {self._client_id} gives no token for {host}: assign it to this app"]
            ) from error
        except AzureError as error:
            raise TryLater("entra", f"no token ({type(error).__name__})") from error

    def _built(self) -> Any:
        from azure.identity import ManagedIdentityCredential

        with self._lock:
            if self._credential is None:
                self._credential = ManagedIdentityCredential(client_id=self._client_id)
            return self._credential


def tokens_of(settings: Settings) -> CertificateTokens | IdentityTokens:
    """Return the token source that the settings ask for."""
    return CertificateTokens(settings) if settings.certificate else IdentityTokens(settings)


def _refusal(answer: dict[str, Any], host: str) -> str:
    """Return what Entra said, as a problem: its codes are public, its description may name much more."""
    codes = ", ".join(f"AADSTS{code}" for code in answer.get("error_codes", ()))
    codes = codes or answer.get("error", "no reason given")
    return (
        f"Entra gives no token for {host} ({codes}): check TENANT_ID, CLIENT_ID and CLIENT_CERTIFICATE, "
        f"and that the certificate is registered and not expired (trace {answer.get('trace_id', 'unknown')})"
    )


def _temporary(error: Exception) -> bool:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status is not None and (status == 429 or status >= 500)


def _pem_pair(settings: Settings) -> tuple[str, str]:
    """Return private key and certificate as PEM texts.

    Raises:
        ConfigError: `CLIENT_CERTIFICATE` cannot be read as either form, or its password is wrong.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import pkcs12
    from cryptography.x509 import load_pem_x509_certificate

    given = settings.certificate.reveal() if settings.certificate else ""
    password = settings.certificate_password.reveal().encode() if settings.certificate_password else None
    try:
        if "-----BEGIN" in given:
            pem = given.replace("\\n", "\n").encode()
            key: Any = serialization.load_pem_private_key(pem, password)
            certificate: Any = load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERTIFICATE") :])
        else:
            key, certificate, _ = pkcs12.load_key_and_certificates(base64.b64decode(given), password)
    except (ValueError, TypeError, binascii.Error) as error:
        raise ConfigError([_CERTIFICATE_PROBLEM]) from error
    if key is None or certificate is None:
        raise ConfigError([_CERTIFICATE_PROBLEM])
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return plain.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()


_CERTIFICATE_PROBLEM = (
    "CLIENT_CERTIFICATE holds no private key with its certificate, or CLIENT_CERTIFICATE_PASSWORD is wrong: "
    "give both in one PEM, or a PFX in base64"
)
