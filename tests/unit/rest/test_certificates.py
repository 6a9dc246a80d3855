"""How people paste a certificate with its key, and what they are told where it cannot be used."""

import base64
import re
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from shared.errors import ConfigError
from shared.rest.certificates import certificate_problems, read_certificate
from shared.settings import Settings

NOW = datetime(2026, 6, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
PASSWORD = "pass phrase, é"
PEM_FORM = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
OLD_FORM = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL)


@cache
def key(name: str) -> Any:
    if name == "elliptic":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def certificate(name: str, until: datetime = NOW + YEAR, since: datetime = NOW - YEAR) -> x509.Certificate:
    """Return a certificate of the key of this name."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key(name).public_key())
        .serial_number(7)
        .not_valid_before(since)
        .not_valid_after(until)
        .sign(key(name), hashes.SHA256())
    )


def lock(password: str | None) -> Any:
    return (
        serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    )


def key_pem(name: str = "app", password: str | None = None, form: Any = PEM_FORM) -> str:
    return key(name).private_bytes(*form, lock(password)).decode()


def pem_of(each: x509.Certificate) -> str:
    return each.public_bytes(serialization.Encoding.PEM).decode()


def cert_pem(name: str = "app", **dates: datetime) -> str:
    return pem_of(certificate(name, **dates))


def pfx(password: str | None = None, name: str = "app", chain: tuple[str, ...] = ()) -> bytes:
    others = [certificate(each) for each in chain] or None
    return pkcs12.serialize_key_and_certificates(b"x", key(name), certificate(name), others, lock(password))


def in_base64(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def whole() -> str:
    return key_pem() + cert_pem()


def settings(given: str, password: str = "") -> Settings:
    return Settings.from_environ(
        {
            "TENANT_ID": "aaaaaaaa-0000-0000-0000-000000000001",
            "CLIENT_ID": "bbbbbbbb-0000-0000-0000-000000000002",
            "SHAREPOINT_HOST": "contoso.sharepoint.com",
            "NOTIFICATION_URL": "https://sync.contoso.com",
            "CLIENT_STATE_SECRET": "n" * 32,
            "CLIENT_CERTIFICATE": given,
            "CLIENT_CERTIFICATE_PASSWORD": password,
        }
    )


def read(given: str, password: str = "") -> tuple[Any, str]:
    return read_certificate(settings(given, password), NOW.timestamp())


# --- what works ---

WRAPPINGS: list[Any] = [
    pytest.param(lambda: whole().replace("\n", "\r\n"), "", id="CRLF"),
    pytest.param(lambda: whole().replace("\n", "\r"), "", id="CR"),
    pytest.param(lambda: whole().replace("\n", "\\n"), "", id="written LF"),
    pytest.param(lambda: whole().replace("\n", "\\r\\n"), "", id="written CRLF"),
    pytest.param(lambda: whole().replace("\n", "\\\\n"), "", id="written LF in JSON in JSON"),
    pytest.param(lambda: whole().replace("\n", "\\\\r\\\\n"), "", id="written CRLF in JSON in JSON"),
    pytest.param(lambda: whole().replace("\n", "`r`n"), "", id="PowerShell's line break in single quotes"),
    pytest.param(lambda: whole().replace("\n", "\\r\\n\r\n"), "", id="written and real ones"),
    pytest.param(lambda: whole().replace("\n", " "), "", id="blanks, as a portal's field leaves them"),
    pytest.param(lambda: whole().replace("\n", ""), "", id="no line breaks at all"),
    pytest.param(lambda: whole().replace("\n", "\n    "), "", id="indented, as in YAML"),
    pytest.param(lambda: whole().replace("\n", "\n\n"), "", id="blank lines between"),
    pytest.param(lambda: whole().replace("\n", "\u00a0\n"), "", id="blanks of a web page"),
    pytest.param(lambda: "\ufeff" + whole(), "", id="a byte-order mark"),
    pytest.param(lambda: f'"{whole()}"', "", id="in quotes"),
    pytest.param(lambda: in_base64(whole()), "", id="a PEM in base64"),
    pytest.param(lambda: in_base64(whole().encode("utf-16")), "", id="a PEM in UTF-16 in base64"),
    pytest.param(lambda: cert_pem() + key_pem(), "", id="certificate first"),
    pytest.param(lambda: key_pem(form=OLD_FORM) + cert_pem(), "", id="an old RSA key"),
    pytest.param(lambda: key_pem(password=PASSWORD) + cert_pem(), PASSWORD, id="a locked key"),
    pytest.param(
        lambda: key_pem(password=PASSWORD, form=OLD_FORM) + cert_pem(), PASSWORD, id="an old locked key"
    ),
    pytest.param(
        lambda: (key_pem(password=PASSWORD, form=OLD_FORM) + cert_pem()).replace("\n", "\\r\\n"),
        PASSWORD,
        id="an old locked key, written CRLF",
    ),
    pytest.param(
        lambda: (key_pem(password=PASSWORD, form=OLD_FORM) + cert_pem()).replace("\n", " "),
        PASSWORD,
        id="an old locked key, blanks",
    ),
    pytest.param(lambda: key_pem() + cert_pem("root") + cert_pem(), "", id="a chain, root first"),
    pytest.param(
        lambda: cert_pem("root") + cert_pem("middle") + cert_pem() + key_pem(),
        "",
        id="leaf last, then the key",
    ),
    pytest.param(
        lambda: key_pem("root") + key_pem() + cert_pem(), "", id="another key beside the one that fits"
    ),
    pytest.param(lambda: in_base64(pfx()), "", id="PFX"),
    pytest.param(lambda: in_base64(pfx(PASSWORD)), PASSWORD, id="PFX with a password"),
    pytest.param(lambda: in_base64(pfx(chain=("root", "middle"))), "", id="PFX with a chain"),
    pytest.param(lambda: "\r\n".join(textwrap.wrap(in_base64(pfx()), 64)), "", id="PFX on lines"),
    pytest.param(lambda: "\\r\\n".join(textwrap.wrap(in_base64(pfx()), 64)), "", id="PFX on written lines"),
    pytest.param(lambda: f"'{in_base64(pfx())}'", "", id="PFX in quotes"),
    pytest.param(lambda: "data:application/x-pkcs12;base64," + in_base64(pfx()), "", id="PFX as a data URI"),
    pytest.param(lambda: in_base64(in_base64(pfx())), "", id="PFX in base64 twice"),
    pytest.param(
        lambda: f"-----BEGIN CERTIFICATE-----\n{in_base64(pfx())}\n-----END CERTIFICATE-----",
        "",
        id="PFX as certutil -encode writes it",
    ),
]


def fits(found: tuple[Any, str]) -> bool:
    found_key, found_certificate = found
    return found_certificate == cert_pem() and found_key.private_numbers() == key("app").private_numbers()


@pytest.mark.parametrize(("wrapping", "password"), WRAPPINGS)
def test_a_certificate_is_read_in_every_common_wrapping(wrapping: Callable[[], str], password: str) -> None:
    assert fits(read(wrapping(), password))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: whole().encode(), id="a PEM"),
        pytest.param(lambda: whole().replace("\n", "\r\n").encode("utf-8-sig"), id="a PEM of Notepad"),
        pytest.param(lambda: whole().encode("utf-16"), id="a PEM that PowerShell redirected"),
        pytest.param(lambda: b"friendlyName: B\xe4cker\n" + whole().encode(), id="a name in Latin-1"),
        pytest.param(pfx, id="a PFX"),
        pytest.param(lambda: in_base64(pfx()).encode(), id="a PFX in base64"),
        pytest.param(lambda: in_base64(pfx()).encode("utf-16"), id="a PFX in base64, in UTF-16"),
    ],
)
def test_a_file_may_have_any_of_these_forms(tmp_path: Path, content: Callable[[], bytes]) -> None:
    path = tmp_path / "certificate"
    path.write_bytes(content())

    assert fits(read(str(path)))


def test_of_two_certificates_of_the_key_the_one_that_is_valid_longest_is_taken() -> None:
    expired, later = cert_pem(until=NOW - YEAR / 2), cert_pem(until=NOW + 2 * YEAR)

    assert read(key_pem() + expired + later)[1] == read(key_pem() + later + expired)[1] == later


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(minutes=4)])
def test_a_certificate_that_was_just_made_is_used_although_clocks_differ(ahead: timedelta) -> None:
    fresh = cert_pem(since=NOW + ahead)

    assert read(key_pem() + fresh)[1] == fresh


# --- what does not ---

WRONG: list[Any] = [
    pytest.param(key_pem, "", "has a private key and no certificate: give", id="no certificate"),
    pytest.param(
        lambda: key_pem() + "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----",
        "",
        "no certificate, a CERTIFICATE REQUEST",
        id="a request for one",
    ),
    pytest.param(cert_pem, "", "and no private key: give", id="no key"),
    pytest.param(lambda: cert_pem() + cert_pem("root"), "", "2 certificates (thumbprint", id="only a chain"),
    pytest.param(
        lambda: in_base64(certificate("app").public_bytes(serialization.Encoding.DER)),
        "",
        "and no private key: give",
        id="a .cer in base64",
    ),
    pytest.param(
        lambda: in_base64(
            key("app").private_bytes(
                serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, lock(None)
            )
        ),
        "",
        "a private key and no certificate",
        id="a key in DER",
    ),
    pytest.param(lambda: key_pem() + cert_pem("root"), "", "has another key's certificate", id="another's"),
    pytest.param(
        lambda: key_pem() + cert_pem("root") + cert_pem("middle"),
        "",
        "another key's",
        id="a chain without it",
    ),
    pytest.param(
        lambda: key_pem("elliptic") + cert_pem("elliptic"), "", "that is not RSA: make", id="an elliptic key"
    ),
    pytest.param(
        lambda: key_pem() + cert_pem(until=NOW - timedelta(days=1)), "", "expired on 2026-05-31", id="expired"
    ),
    pytest.param(
        lambda: key_pem() + cert_pem(since=NOW + timedelta(hours=2)),
        "",
        "begins on 2026-06-01 02:00 UTC",
        id="not valid yet",
    ),
    pytest.param(
        lambda: key_pem(password=PASSWORD) + cert_pem(),
        "",
        "encrypted private key: set CLIENT_CERTIFICATE_PASSWORD",
        id="a locked key and no password",
    ),
    pytest.param(
        lambda: key_pem(password=PASSWORD, form=OLD_FORM) + cert_pem(),
        "",
        "encrypted private key: set CLIENT_CERTIFICATE_PASSWORD",
        id="an old locked key and no password",
    ),
    pytest.param(
        lambda: key_pem(password=PASSWORD) + cert_pem(),
        "wrong",
        "CLIENT_CERTIFICATE_PASSWORD does not open the private key",
        id="a wrong password",
    ),
    pytest.param(
        whole, PASSWORD, "CLIENT_CERTIFICATE_PASSWORD is set, but the private key", id="nothing to open"
    ),
    pytest.param(
        lambda: in_base64(pfx(PASSWORD)),
        "",
        "a PFX with a password: set CLIENT_CERTIFICATE_PASSWORD",
        id="PFX and no password",
    ),
    pytest.param(
        lambda: in_base64(pfx(PASSWORD)),
        "wrong",
        "CLIENT_CERTIFICATE_PASSWORD does not open the PFX",
        id="PFX and a wrong password",
    ),
    pytest.param(
        lambda: in_base64(pfx()),
        PASSWORD,
        "CLIENT_CERTIFICATE_PASSWORD is set, but the PFX",
        id="PFX, none needed",
    ),
    pytest.param(lambda: in_base64(pfx()[:900]), "", "a PFX that was cut off: 900 of", id="half a PFX"),
    pytest.param(lambda: whole()[:-60], "", "a PEM that was cut off", id="a PEM without its end"),
    pytest.param(lambda: whole()[:900], "", "a PEM that was cut off", id="half a PEM"),
    pytest.param(
        lambda: whole().replace("MII", "!!!", 1),
        "",
        "PRIVATE KEY block that cannot be read",
        id="no key inside",
    ),
    pytest.param(
        lambda: key_pem() + cert_pem().replace("MII", "AAA", 1),
        "",
        "CERTIFICATE block that cannot be read",
        id="no certificate inside",
    ),
    pytest.param(
        lambda: in_base64(b"\x00\xff" * 300),
        "",
        "600 bytes that are neither a PFX nor a PEM",
        id="another thing",
    ),
]


def leaks(problem: str, given: str, password: str) -> bool:
    """Return whether ten letters of a block of the PEM, or the password, are in a problem."""
    secret = "".join(re.sub(r"-----[A-Z ]+-----", "", given).split())
    parts = {secret[start : start + 10] for start in range(len(secret) - 9)}
    return bool(password and password in problem) or any(part in problem for part in parts)


@pytest.mark.parametrize(("wrapping", "password", "told"), WRONG)
def test_what_was_found_is_named_and_no_secret(wrapping: Callable[[], str], password: str, told: str) -> None:
    given = wrapping()
    (problem,) = certificate_problems(settings(given, password), NOW.timestamp())

    assert told in problem
    assert problem.startswith("CLIENT_CERTIFICATE")
    assert not leaks(problem, given, password)
    with pytest.raises(ConfigError) as caught:
        read(given, password)
    assert caught.value.__cause__ is None  # the library's text is not passed on


def test_another_keys_certificate_is_named_by_the_thumbprint_that_entra_shows() -> None:
    thumbprint = certificate("root").fingerprint(hashes.SHA1()).hex().upper()
    (problem,) = certificate_problems(settings(key_pem() + cert_pem("root")), NOW.timestamp())

    assert f"(thumbprint {thumbprint})" in problem


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param("A" * 40, "is a certificate's thumbprint, not the certificate", id="a thumbprint"),
        pytest.param("ab:" * 19 + "ab", "is a certificate's thumbprint", id="a thumbprint with colons"),
        pytest.param(
            "path/to/no.pem", "14 characters are taken for a path, and this file does not", id="path"
        ),
        pytest.param("/", "and this is a directory", id="a directory"),
        pytest.param("x" * 100_001, "and it is not a path", id="too long for a path"),
        pytest.param("\u2014BEGIN PRIVATE KEY\u2014", "five hyphens", id="dashes of a word processor"),
        pytest.param("V4x8Q~horse.battery", "this file does not exist", id="a client secret"),
    ],
)
def test_what_is_no_certificate_at_all_is_a_problem_of_the_settings(given: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(given)

    (problem,) = caught.value.problems
    assert told in problem
    assert problem.endswith(
        "set it to a PEM with the key and its certificate, a PFX in base64, or a path to either"
    )
    assert given == "/" or given not in problem


def test_without_a_certificate_nothing_is_wrong_with_it() -> None:
    assert certificate_problems(settings(""), NOW.timestamp()) == ()
