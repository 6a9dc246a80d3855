"""Read `CLIENT_CERTIFICATE`: the RSA key and the certificate that fits it, in any common wrapping.

Each problem says what was found and what to write, never a part of a key or a password. The library is
imported on first use (cold start).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared import pem
from shared.errors import ConfigError
from shared.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

NAME, PASSWORD = "CLIENT_CERTIFICATE", "CLIENT_CERTIFICATE_PASSWORD"
CLOCKS_DIFFER = 300.0  # seconds; how long before its time a certificate is used all the same
_PFX_VERSION = b"\x02\x01\x03"  # the first field of a PFX: RFC 7292 §4
_LENGTH_BYTES = {0x81: 1, 0x82: 2, 0x83: 3}
_FORMS = "give the key and its certificate in one PEM, or a PFX in base64"


@dataclass(slots=True)
class _Found:
    """What a setting contains."""

    keys: list[Any] = field(default_factory=list)
    certificates: list[Any] = field(default_factory=list)
    others: list[str] = field(default_factory=list)  # labels of blocks of a known kind that are not used


def read_certificate(settings: Settings, now: float) -> tuple["RSAPrivateKey", str]:
    """Return the private key, and its certificate as PEM text. `now` is in Unix seconds.

    Of several certificates the one that fits the key is taken, and of those the one that is valid longest.

    Raises:
        ConfigError: no such pair can be read, or its certificate is not valid now.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    given = settings.certificate.reveal() if settings.certificate else ""
    password = settings.certificate_password.reveal() if settings.certificate_password else None
    key, certificate = _pair(_contents(given, password))
    if now > certificate.not_valid_after_utc.timestamp():
        expired = f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
        raise _problem(
            f"has a certificate ({_thumbprint(certificate)}) that {expired}: register a new one "
            "with the application, and set it here with its key"
        )
    if now < certificate.not_valid_before_utc.timestamp() - CLOCKS_DIFFER:
        begins = f"begins on {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        raise _problem(
            f"has a certificate ({_thumbprint(certificate)}) whose validity {begins}: set a valid one"
        )
    return key, certificate.public_bytes(Encoding.PEM).decode()


def certificate_problems(settings: Settings, now: float) -> tuple[str, ...]:
    """Return what is wrong with the certificate of these settings; nothing where none is set."""
    if settings.certificate is None:
        return ()
    try:
        read_certificate(settings, now)
    except ConfigError as error:
        return error.problems
    return ()


def _problem(what: str, name: str = NAME) -> ConfigError:
    return ConfigError([f"{name} {what}"])


def _thumbprint(certificate: Any) -> str:
    """Return the thumbprint that Entra shows beside a registered certificate."""
    from cryptography.hazmat.primitives.hashes import SHA1

    return f"thumbprint {certificate.fingerprint(SHA1()).hex().upper()}"  # noqa: S303 - a name, no proof


def _contents(given: str, password: str | None) -> _Found:
    data = pem.unwrapped(given)
    if pem.is_pem(text := pem.text_of(data) or ""):
        found = _Found()
        blocks = pem.blocks(text)
        if len(blocks) < pem.begun(text):
            raise _problem("is a PEM that was cut off: a block has -----BEGIN and no -----END. Copy it whole")
        for block in blocks:
            _read_block(block, password, found)
        return found
    return _read_binary(data, password)


def _read_block(block: pem.Block, password: str | None, found: _Found) -> None:
    from cryptography.x509 import load_der_x509_certificate

    if block.label.endswith("PRIVATE KEY"):
        found.keys.append(_read_key(block, password))
    elif block.label in ("CERTIFICATE", "X509 CERTIFICATE"):
        if _is_pfx(block.der):  # as `certutil -encode` writes a PFX
            inside = _read_pfx(block.der, password)
            found.keys += inside.keys
            found.certificates += inside.certificates
            return
        try:
            found.certificates.append(load_der_x509_certificate(block.der))
        except ValueError:
            raise _problem("has a CERTIFICATE block that cannot be read: copy it again, whole") from None
    elif block.label in ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST", "PUBLIC KEY", "PKCS7"):
        found.others.append(block.label)


def _read_key(block: pem.Block, password: str | None) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    ssh = block.label == "OPENSSH PRIVATE KEY"
    load = serialization.load_ssh_private_key if ssh else serialization.load_pem_private_key
    try:
        return load(block.pem, password.encode() if password else None)
    except UnsupportedAlgorithm:
        what = "has a private key whose encryption is not supported: export it with AES-256"
        raise _problem(what) from None
    except (TypeError, ValueError):
        locked = "ENCRYPTED" in block.label or b"ENCRYPTED" in block.pem or ssh
        if password and _opens_without(block):
            raise _not_encrypted("the private key") from None
        if password and locked:
            raise _problem("does not open the private key: set the key's password", PASSWORD) from None
        if locked:
            what = f"has an encrypted private key: set {PASSWORD}, or give a key that is not encrypted"
            raise _problem(what) from None
        raise _problem("has a PRIVATE KEY block that cannot be read: copy it again, whole") from None


def _opens_without(block: pem.Block) -> bool:
    from cryptography.hazmat.primitives import serialization

    try:
        serialization.load_pem_private_key(block.pem, None)
    except (TypeError, ValueError):
        return False
    return True


def _not_encrypted(what: str) -> ConfigError:
    return _problem(f"is set, but {what} in {NAME} is not encrypted: remove it", PASSWORD)


def _is_pfx(data: bytes) -> bool:
    """Return whether data has the outer form of a PFX: a sequence that begins with its version."""
    start = 2 + _LENGTH_BYTES.get(data[1], 0) if len(data) > 5 else 0
    return data[:1] == b"\x30" and data[start : start + 3] == _PFX_VERSION


def _read_pfx(data: bytes, password: str | None) -> _Found:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import pkcs12

    width = _LENGTH_BYTES.get(data[1], 0)
    size = 2 + width + int.from_bytes(data[2 : 2 + width]) if width else len(data)
    if size > len(data):
        raise _problem(f"is a PFX that was cut off: {len(data)} of {size} bytes. Copy the base64 whole")
    for attempt in [password.encode()] if password else [None, b""]:
        try:
            key, certificate, chain = pkcs12.load_key_and_certificates(data, attempt)
        except UnsupportedAlgorithm:
            raise _problem("is a PFX whose encryption is not supported: export it with AES-256") from None
        except (TypeError, ValueError):
            continue
        return _Found([key] if key else [], [certificate, *chain] if certificate else [*chain])
    if not password:
        raise _problem(f"is a PFX with a password: set {PASSWORD}")
    for attempt in (None, b""):
        try:
            pkcs12.load_key_and_certificates(data, attempt)
        except (TypeError, ValueError):
            continue
        raise _not_encrypted("the PFX")
    raise _problem("does not open the PFX: set the password with which it was exported", PASSWORD)


def _read_binary(data: bytes, password: str | None) -> _Found:
    """Return what a PFX has, or the one thing that another binary is."""
    from cryptography.hazmat.primitives.serialization import load_der_private_key
    from cryptography.x509 import load_der_x509_certificate

    if _is_pfx(data):
        return _read_pfx(data, password)
    try:
        return _Found(certificates=[load_der_x509_certificate(data)])
    except ValueError:
        pass
    try:
        return _Found(keys=[load_der_private_key(data, None)])
    except (TypeError, ValueError):
        raise _problem(f"has {len(data)} bytes that are neither a PFX nor a PEM: {_FORMS}") from None


def _pair(found: _Found) -> tuple["RSAPrivateKey", Any]:
    """Return a key and its certificate; raise `ConfigError` that says what is missing."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    keys = [key for key in found.keys if isinstance(key, RSAPrivateKey)]  # PS256 needs RSA
    if found.keys and not keys:
        raise _problem("has a private key that is not RSA: make a certificate with an RSA key of 2048 bits")
    if not keys:
        raise _problem(f"has {_listed(found)} and no private key: {_FORMS}")
    if not found.certificates:
        raise _problem(f"has a private key and {_listed(found)}: {_FORMS}")
    public = [key.public_key().public_numbers() for key in keys]
    numbers = [_public_numbers(each) for each in found.certificates]
    fitting = [
        (keys[public.index(number)], each)
        for each, number in zip(found.certificates, numbers, strict=True)
        if number in public
    ]
    if not fitting:
        shown = ", ".join(_thumbprint(each) for each in found.certificates[:3])
        raise _problem(f"has another key's certificate ({shown}): add the one of the private key")
    return max(fitting, key=lambda pair: pair[1].not_valid_after_utc.timestamp())


def _public_numbers(certificate: Any) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return getattr(certificate.public_key(), "public_numbers", lambda: None)()
    except (UnsupportedAlgorithm, ValueError):
        return None


def _listed(found: _Found) -> str:
    """Return in words which certificates, and other blocks, were found."""
    return ", ".join([_counted(found.certificates), *(f"a {label}" for label in dict.fromkeys(found.others))])


def _counted(certificates: Iterable[Any]) -> str:
    thumbprints = [_thumbprint(each) for each in certificates]
    if not thumbprints:
        return "no certificate"
    number = "a certificate" if len(thumbprints) == 1 else f"{len(thumbprints)} certificates"
    return f"{number} ({', '.join(thumbprints[:3])})"
