"""The HTTP server: what it reads, what it writes, and how it stops."""

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from local.host.http.server import Request, Response, Server


def echo(request: Request) -> Response:
    return Response(200, (("X-Target", request.target),), request.body or request.method.encode())


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def serve(app: Callable[[Request], Response] = echo, **options: object) -> Server:
        servers.append(Server(**options))
        servers[-1].start(app)
        return servers[-1]

    yield serve
    for each in servers:
        each.stop()
        assert each.join(10)


@pytest.fixture
def connect() -> Iterator[Callable[[Server], socket.socket]]:
    sockets: list[socket.socket] = []

    def connect(server: Server) -> socket.socket:
        sockets.append(socket.create_connection(server.server_address, timeout=5))
        return sockets[-1]

    yield connect
    for each in sockets:
        each.close()


def exchange(connection: socket.socket, request: bytes) -> bytes:
    """Send a request and read until the server closes."""
    connection.sendall(request)
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_one_connection_carries_many_requests(serve):
    server = serve()
    client = http.client.HTTPConnection(server.host, timeout=5)
    client.connect()
    first = client.sock
    for number in range(3):
        client.request("POST", f"/{number}", body=b"x" * 100_000)
        answer = client.getresponse()
        assert (answer.status, len(answer.read()), answer.headers["x-target"]) == (200, 100_000, f"/{number}")
    assert client.sock is first
    client.close()


def test_the_server_uses_the_given_certificate(serve, certificate):
    server = serve(tls=certificate)
    trust = ssl.create_default_context(cafile=str(certificate[0]))
    client = http.client.HTTPSConnection("localhost", server.server_address[1], timeout=5, context=trust)
    for _ in range(2):
        client.request("GET", "/")
        assert client.getresponse().read() == b"GET"
    client.close()
    assert server.url == f"https://127.0.0.1:{server.server_address[1]}"


def test_clients_without_tls_do_not_disturb_other_clients(serve, connect, certificate):
    server = serve(tls=certificate)
    connect(server).sendall(b"GET / HTTP/1.1\r\n\r\n")
    silent = connect(server)

    trust = ssl.create_default_context(cafile=str(certificate[0]))
    client = http.client.HTTPSConnection("localhost", server.server_address[1], timeout=5, context=trust)
    client.request("GET", "/")
    assert client.getresponse().read() == b"GET"
    client.close()
    silent.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(
            b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, id="a length that is not a number"
        ),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, id="a negative length"),
        pytest.param(
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            id="two framings",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, id="a chunk without a size"
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n", 413, id="chunks beyond the limit"
        ),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", 413, id="a body beyond the limit"),
        pytest.param(
            b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
            413,
            id="a length of 5000 digits",
        ),
        pytest.param(b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414, id="an address without end"),
        pytest.param(b"GET / HTTP/9\r\n\r\n", 400, id="another protocol"),
    ],
)
def test_a_malformed_request_is_refused_and_the_connection_closed(serve, connect, request_, status):
    answer = exchange(connect(serve(body_limit=1000)), request_)

    assert f" {status} ".encode() in answer.partition(b"\r\n")[0]


def test_a_length_may_begin_with_zeros(serve, connect):
    request = b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: " + b"0" * 5000 + b"3\r\n\r\nabc"

    assert exchange(connect(serve()), request).endswith(b"\r\n\r\nabc")


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(b"GET / HTTP/canary\r\n\r\n", id="a protocol"),
        pytest.param(b"canary /\r\n\r\n", id="a method of HTTP/0.9"),
        pytest.param(b"a b c canary\r\n\r\n", id="a line of four words"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"canary: x\r\n" * 200 + b"\r\n", id="too many headers"),
        pytest.param(b"GET / HTTP/1.1\r\ncanary: " + b"x" * 70_000 + b"\r\n\r\n", id="a header without end"),
    ],
)
def test_a_refusal_contains_nothing_of_the_request(serve, connect, request_):
    answer = exchange(connect(serve()), request_)

    assert answer.startswith(b"HTTP/1.1 4")
    assert b"canary" not in answer


def test_the_trailers_of_a_chunked_body_are_skipped(serve, connect):
    chunked = b"POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nTrailer: t\r\n\r\n"
    answer = exchange(connect(serve()), chunked + b"GET /2 HTTP/1.1\r\nConnection: close\r\n\r\n")

    assert [line for line in answer.split(b"\r\n") if line.startswith(b"X-Target")] == [
        b"X-Target: /1",
        b"X-Target: /2",
    ]


@pytest.mark.parametrize("status", [204, 304])
def test_a_response_that_has_no_body_has_no_length(serve, status):
    server = serve(lambda _: Response(status))
    client = http.client.HTTPConnection(server.host, timeout=5)
    client.request("GET", "/")
    answer = client.getresponse()

    assert (answer.status, answer.headers["content-length"], answer.read()) == (status, None, b"")
    client.close()


def test_a_handler_that_raises_is_500_and_the_connection_continues(serve):
    def fail(_request: Request) -> Response:
        raise RuntimeError("a defect of the host")

    client = http.client.HTTPConnection(serve(fail).host, timeout=5)
    for _ in range(2):
        client.request("GET", "/")
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (500, b"")
    client.close()


def test_a_stop_closes_idle_connections_and_waits_for_an_answer_under_way(serve, connect):
    begun, may_end = threading.Event(), threading.Event()

    def slow(request: Request) -> Response:
        begun.set()
        assert may_end.wait(10)
        return echo(request)

    server = serve(slow)
    idle, busy = connect(server), connect(server)
    busy.sendall(b"GET /busy HTTP/1.1\r\n\r\n")
    assert begun.wait(10)

    server.stop()
    assert idle.recv(1) == b""
    assert not server.join(0)
    may_end.set()
    answer = b"".join(iter(lambda: busy.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close" in answer
    assert server.join(10)
    with pytest.raises(ConnectionRefusedError):
        connect(server)


def test_a_server_that_was_never_started_can_be_stopped():
    server = Server()
    server.stop()

    assert server.join(0)


def test_head_and_body_are_sent_at_once(serve, connect):
    """Otherwise delayed acknowledgements and Nagle's algorithm would delay each answer by 40 ms."""
    connection = connect(serve())
    connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
    head = connection.recv(65536)

    assert head.endswith(b"GET")  # head and body in one piece
