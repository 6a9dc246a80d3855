"""The host's server: TLS, and clients that do not use it."""

import http.client
import socket
import ssl
from collections.abc import Iterator

import pytest

from local.host.http.server import Server
from local.net.connections import HANDSHAKE
from local.net.messages import Response
from local.tenant.net.certificates import Certificates


@pytest.fixture
def server(certificates: Certificates) -> Iterator[Server]:
    server = Server(tls=certificates.host_certificate)
    server.start(lambda request: Response(200, (), request.scheme.encode()))
    yield server
    server.stop()
    assert server.join(10)


def test_a_client_without_tls_or_without_a_word_does_not_disturb_others(server, certificates) -> None:
    trust = ssl.create_default_context(cafile=certificates.ca)
    client = http.client.HTTPSConnection("localhost", server.address[1], timeout=5, context=trust)
    with socket.create_connection(server.address) as plain, socket.create_connection(server.address):
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        for _ in range(2):
            client.request("GET", "/")
            assert client.getresponse().read() == b"https"
    client.close()


def test_a_stop_does_not_wait_for_an_unfinished_handshake(server) -> None:
    with socket.create_connection(server.address):
        server.stop()
        assert server.join(HANDSHAKE / 2)
