"""The tenant's throw-away certificates: an authority, what it signed, and the application's own.

Everything is made anew for each run and removed with `remove`. The authority's private key never leaves the
process, so the file is worthless once the tenant has stopped.
"""

import ssl
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from requests.utils import DEFAULT_CA_BUNDLE_PATH

LIFE = timedelta(days=30)
BACKDATED = timedelta(hours=1)  # a machine whose clock was just set back still trusts them
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Certificates:
    """Make the authority, the tenant's and the Functions host's server certificates, and the application's.

    `names` are the host names that the tenant answers for (wildcards allowed). With `public_roots` the bundle
    also trusts what requests trusts by itself, for requests that are passed on to the real internet.

    `ca` is the path of the authority's certificate; `bundle` is what `REQUESTS_CA_BUNDLE` should name;
    `host_certificate` the paths of certificate and key for a server on this machine; `client_pem` the
    application's private key and certificate in one text; `client` that certificate as Entra registered it.
    """

    def __init__(self, names: Iterable[str], *, public_roots: bool = False) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tenant-")  # 0700; gone with the process too
        self._authority_key = ec.generate_private_key(ec.SECP256R1())
        self._authority = _authority(self._authority_key)
        self.ca = self._write("ca.pem", _pem(self._authority))
        self.bundle = self.ca
        if public_roots:
            public = Path(DEFAULT_CA_BUNDLE_PATH).read_bytes()
            self.bundle = self._write("bundle.pem", self.ca.read_bytes() + public)
        self._server = self._issue("tenant", (*names, *LOOPBACK))
        self.host_certificate = self._issue("host", LOOPBACK)
        self.client, self.client_pem = _application()

    def server_context(self) -> ssl.SSLContext:
        """Return a TLS context whose certificate covers each of the tenant's names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._server)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def remove(self) -> None:
        """Delete every file; the certificates are worthless from now on."""
        self._folder.cleanup()

    def _issue(self, label: str, names: Iterable[str]) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._authority_key.public_key())
        certificate = (
            _draft(label, self._authority.subject, key.public_key())
            .add_extension(x509.SubjectAlternativeName([*map(_general_name, names)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(authority, critical=False)
            .sign(self._authority_key, hashes.SHA256())
        )
        return self._write(f"{label}.pem", _pem(certificate)), self._write(f"{label}.key", _private(key))

    def _write(self, name: str, content: bytes) -> Path:
        path = Path(self._folder.name, name)
        path.touch(mode=0o600)  # before it has content
        path.write_bytes(content)
        return path


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Throw-away authority of an emulated tenant")])
    # Python 3.13 verifies with VERIFY_X509_STRICT: key usage and both key identifiers are not optional.
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _draft(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )


def _application() -> tuple[x509.Certificate, str]:
    # RSA, because azure-identity's CertificateCredential takes nothing else; self-signed, as most are.
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "photo-sync")])
    certificate = _draft(name, name, key.public_key()).sign(key, hashes.SHA256())
    return certificate, (_private(key) + _pem(certificate)).decode()


def _draft(
    subject: x509.Name | str, issuer: x509.Name, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
) -> x509.CertificateBuilder:
    if isinstance(subject, str):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: CertificateIssuerPrivateKeyTypes) -> bytes:
    form, unprotected = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, unprotected)
