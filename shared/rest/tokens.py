"""Bearer tokens: MSAL with a certificate (PS256), or azure-identity with a managed identity.

One long-lived client each, with its own cache; no second cache on top. A token is discarded with its client:
MSAL's `remove_tokens_for_client` may ask Entra first, and azure-identity has no such method. Both libraries
are imported on first use, because a cold start does not need them before the first outgoing call.
"""

import functools
import re
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

from shared.clock import SystemClock
from shared.errors import ENTRA, ConfigError, TryLater
from shared.rest.certificates import read_certificate
from shared.rest.session import new_session
from shared.settings import Settings

if TYPE_CHECKING:
    import msal
    import requests
    from azure.identity import ManagedIdentityCredential

TIMEOUT = 10.0  # seconds
RETRIES = 2  # of azure-identity, whose default of five takes a minute
_BUSY = "temporarily_unavailable"  # learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
_ERROR = re.compile(r"[a-z_]{1,64}")  # such as `invalid_client`: RFC 6749 §5.2
_TRACE = re.compile(r"[0-9a-fA-F-]{36}")
_ANY_REMEDY = (
    "check TENANT_ID, CLIENT_ID and CLIENT_CERTIFICATE, "
    "and that the certificate is registered and not expired"
)
_REMEDIES = {  # learn.microsoft.com/entra/identity-platform/reference-error-codes
    500011: "this directory knows no such host: check SHAREPOINT_HOST, CLOUD and TENANT_ID",
    700016: "this directory knows no such application: check CLIENT_ID and TENANT_ID",
    700027: "the certificate is not registered with the application, or expired: check CLIENT_CERTIFICATE",
    7000222: "the application's credentials expired: register a new certificate, and set CLIENT_CERTIFICATE",
}
_NO_DIRECTORY = "Entra knows no directory of this id: check TENANT_ID and CLOUD"


class Tokens(Protocol):
    """A source of bearer tokens."""

    def token(self, host: str) -> str:
        """Return a token whose audience is `https://{host}`."""

    def forget(self, host: str) -> None:
        """Discard the token for `https://{host}`, so that the next one is new."""


class _LastStatus(threading.local):
    """The status of the last answer that this thread received; neither library returns it."""

    status = 0

    def note(self, response: Any, **_: Any) -> None:
        """Note an answer's status."""
        self.status = response.status_code

    @property
    def temporary(self) -> bool:
        """Whether the failure is temporary, whatever error the library raises."""
        return self.status == 429 or self.status >= 500


class _LibraryTokens[Client](ABC):
    """Tokens of a library's client: built on first use, discarded with the tokens that it caches."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._last = _LastStatus()
        self._built: Client | None = None

    def forget(self, host: str) -> None:
        """Discard every token, that for `https://{host}` among them.

        The platform itself caches a managed identity's token for about a day:
        learn.microsoft.com/azure/app-service/overview-managed-identity
        """
        del host
        with self._lock:
            self._built = None

    def _client(self) -> Client:
        with self._lock:  # MSAL's constructor asks Entra for its endpoints
            if self._built is None:
                self._built = self._build()
            return self._built

    @abstractmethod
    def _build(self) -> Client: ...


class CertificateTokens(_LibraryTokens["msal.ConfidentialClientApplication"]):
    """Tokens of an application with a certificate. SharePoint takes no client secret.

    MSAL caches a refusal for a minute.
    """

    def token(self, host: str) -> str:
        """Return a token for `https://{host}`, from MSAL's cache if it has one.

        Raises:
            ConfigError: Entra refuses the application or its certificate.
            TryLater: Entra is unreachable or temporarily unavailable.
        """
        import requests
        from msal.exceptions import MsalServiceError

        self._last.status = 0
        try:
            answer = self._client().acquire_token_for_client([f"https://{host}/.default"]) or {}
        except (requests.RequestException, MsalServiceError) as error:
            raise TryLater(ENTRA, f"no token ({type(error).__name__})") from error
        except ValueError as error:  # no endpoints for this directory, or no JSON
            if 400 <= self._last.status < 500 and not self._last.temporary:
                raise ConfigError([_NO_DIRECTORY]) from error
            raise TryLater(ENTRA, "no answer that MSAL understands") from error
        if "access_token" in answer:
            return str(answer["access_token"])
        if answer.get("error") == _BUSY or self._last.temporary:
            raise TryLater(ENTRA, "no token for now")
        raise ConfigError([_refusal(answer, host)])

    def _build(self) -> "msal.ConfidentialClientApplication":
        import msal

        settings = self._settings
        key, certificate = read_certificate(settings, SystemClock().now())
        return msal.ConfidentialClientApplication(
            settings.client_id,
            authority=f"https://{settings.cloud.login}/{settings.tenant_id}",
            # Without a thumbprint MSAL signs with PS256 and x5t#S256, not SHA-1. It uses the key
            # as it is; a PEM would be parsed and checked for each signature, which takes 60 ms.
            client_credential={"private_key": key, "public_certificate": certificate},
            http_client=_new_session(settings.user_agent, self._last),
        )


class IdentityTokens(_LibraryTokens["ManagedIdentityCredential"]):
    """Tokens of the app's managed identity."""

    def token(self, host: str) -> str:
        """Return a token for `https://{host}`, from azure-identity's cache if it has one.

        Raises:
            ConfigError: this identity is not assigned to the app.
            TryLater: the identity endpoint is temporarily unavailable.
        """
        from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError

        self._last.status = 0
        try:
            return str(self._client().get_token(f"https://{host}/.default").token)
        except AzureError as error:
            if self._last.temporary or isinstance(error, ServiceRequestError | ServiceResponseError):
                raise TryLater(ENTRA, "the managed identity endpoint cannot now") from error
            identity = f"the managed identity {self._settings.client_id}"
            raise ConfigError([f"{identity} gives no token for {host}: assign it to this app"]) from error

    def _build(self) -> "ManagedIdentityCredential":
        from azure.identity import ManagedIdentityCredential

        return ManagedIdentityCredential(
            client_id=self._settings.client_id,
            retry_total=RETRIES,
            connection_timeout=TIMEOUT,
            read_timeout=TIMEOUT,
            raw_response_hook=lambda response: self._last.note(response.http_response),
        )


def tokens_of(settings: Settings) -> CertificateTokens | IdentityTokens:
    """Return the source of tokens that the settings select."""
    return CertificateTokens(settings) if settings.certificate else IdentityTokens(settings)


def _refusal(answer: dict[str, Any], host: str) -> str:
    """Return Entra's refusal as a problem: its codes are public, its description may name much more.

    A code that does not have the form of one is left out: it may repeat what was sent.
    """
    listed = answer.get("error_codes")
    numbers = [code for code in listed if isinstance(code, int)] if isinstance(listed, list) else []
    codes = ", ".join(f"AADSTS{number}" for number in numbers)
    codes = codes or _if_matches(_ERROR, answer.get("error")) or "no reason given"
    trace = _if_matches(_TRACE, answer.get("trace_id")) or "unknown"
    remedy = next((_REMEDIES[number] for number in numbers if number in _REMEDIES), _ANY_REMEDY)
    return f"Entra gives no token for {host} ({codes}): {remedy} (trace {trace})"


def _if_matches(form: re.Pattern[str], value: object) -> str:
    return value if isinstance(value, str) and form.fullmatch(value) else ""


def _new_session(user_agent: str, last: _LastStatus) -> "requests.Session":
    """Return a session for MSAL. MSAL's default would wait for as long as a `Retry-After` says."""
    session = new_session(user_agent)
    session.hooks["response"].append(last.note)
    session.request = functools.partial(session.request, timeout=TIMEOUT)  # type: ignore[method-assign]
    return session
