"""The throw-away authority and what it signs."""

import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from local.tenant.net.certificates import Certificates

NAMES = ("graph.microsoft.com", "*.sharepoint.com")


@pytest.fixture
def certificates() -> Iterator[Certificates]:
    certificates = Certificates(NAMES)
    yield certificates
    certificates.remove()


def shake_hands(server: ssl.SSLContext, ca: Path, name: str) -> None:
    """Let a strict client, which trusts only `ca`, meet `server` as `name`; raises what the client would."""
    trusting = ssl.create_default_context(cafile=ca)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server, server_hostname=name)
    serving = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, serving, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue


@pytest.mark.parametrize(
    "name", ["graph.microsoft.com", "contoso-my.sharepoint.com", "localhost", "127.0.0.1"]
)
def test_a_strict_client_accepts_the_tenants_names(certificates, name) -> None:
    assert ssl.create_default_context().verify_flags & ssl.VERIFY_X509_STRICT
    shake_hands(certificates.server_context(), certificates.ca, name)


def test_only_their_owner_can_read_the_files(certificates) -> None:
    folder = certificates.ca.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir()}
    assert set(modes.values()) == {"0o600"}, modes


def test_the_authoritys_key_is_in_no_file(certificates) -> None:
    keys = [path.name for path in certificates.ca.parent.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert sorted(keys) == ["host.key", "tenant.key"]


def test_the_bundle_is_the_authority_alone_unless_requests_are_passed_on(certificates) -> None:
    assert certificates.bundle == certificates.ca
    passing = Certificates(NAMES, public_roots=True)
    try:
        bundle = passing.bundle.read_bytes()
        assert bundle.startswith(passing.ca.read_bytes())
        assert bundle.endswith(Path(DEFAULT_CA_BUNDLE_PATH).read_bytes())
    finally:
        passing.remove()
