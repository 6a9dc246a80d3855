"""Whether a client assertion proves that its sender holds the application's certificate.

learn.microsoft.com/entra/identity-platform/certificate-credentials: a JWT for one token endpoint, signed
PS256 (certificate named by `x5t#S256`) or, as azure-identity still does, RS256 (`x5t`). A `jti` seen before
is not a replay: the libraries send one assertion for several tokens within its life.
"""

import base64
import time
from collections.abc import Collection
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

LONGEST_LIFE = 600  # seconds from `nbf` (or `iat`) to `exp`; the page above asks for five to ten minutes
SKEW = 300  # seconds by which the sender's clock may be off

INVALID_SIGNATURE = 700027
INVALID_TIME = 700024
INVALID_AUDIENCE = 700023
INVALID_ISSUER = 700021
MALFORMED = 50027


class InvalidAssertion(Exception):
    """The assertion is not valid. `code` is Entra's number for the reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def verify(assertion: str, certificate: x509.Certificate, client_id: str, audiences: Collection[str]) -> None:
    """Accept an assertion of application `client_id`, meant for one of `audiences`.

    Raises:
        InvalidAssertion: it is malformed, wrongly signed, outside its validity, or for another purpose.
    """
    try:
        header = jwt.get_unverified_header(assertion)
    except jwt.InvalidTokenError as error:
        raise InvalidAssertion(MALFORMED, "JWT token is invalid or malformed.") from error
    if not _names_certificate(header, certificate):
        raise InvalidAssertion(INVALID_SIGNATURE, _word_unregistered("The key was not found."))
    _check_claims(_read_claims(assertion, certificate), client_id, audiences)


def _names_certificate(header: dict[str, Any], certificate: x509.Certificate) -> bool:
    for name, digest in (("x5t#S256", hashes.SHA256()), ("x5t", hashes.SHA1())):  # noqa: S303 - as documented
        if name in header:  # msal pads the newer one, others do not
            thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(digest)).decode()
            return bool(str(header[name]).rstrip("=") == thumbprint.rstrip("="))
    return False


def _read_claims(assertion: str, certificate: x509.Certificate) -> dict[str, Any]:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError("the application's certificate has an RSA key")
    try:
        claims: dict[str, Any] = jwt.decode(
            assertion,
            key,
            algorithms=["PS256", "RS256"],
            options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
        )
    except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError) as error:
        text = _word_unregistered("The signature does not match.")
        raise InvalidAssertion(INVALID_SIGNATURE, text) from error
    except jwt.InvalidTokenError as error:
        raise InvalidAssertion(MALFORMED, "JWT token is invalid or malformed.") from error
    return claims


def _check_claims(claims: dict[str, Any], client_id: str, audiences: Collection[str]) -> None:
    begin, end = claims.get("nbf", claims.get("iat")), claims.get("exp")  # msal sends `iat` alone
    missing = [name for name in ("aud", "iss", "jti", "sub") if not claims.get(name)]
    if missing or not isinstance(begin, int | float) or not isinstance(end, int | float):
        text = f"JWT token is invalid or malformed. Without: {missing or 'its times'}."
        raise InvalidAssertion(MALFORMED, text)
    if claims["aud"] not in audiences:
        text = "Client assertion audience claim does not match Realm issuer."
        raise InvalidAssertion(INVALID_AUDIENCE, text)
    if claims["iss"] != client_id or claims["sub"] != client_id:
        text = "Client assertion's issuer and subject are not the 'client_id'."
        raise InvalidAssertion(INVALID_ISSUER, text)
    if not begin - SKEW <= time.time() < end + SKEW:
        raise InvalidAssertion(INVALID_TIME, "Client assertion is not within its valid time range.")
    if end - begin > LONGEST_LIFE:
        raise InvalidAssertion(INVALID_TIME, f"Client assertion lives longer than {LONGEST_LIFE} s.")


def _word_unregistered(why: str) -> str:
    return f"The certificate used to sign the client assertion is not registered on application. [{why}]"
