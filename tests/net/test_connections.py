"""The HTTP server: what it reads and what it writes."""

import http.client
import socket
from collections.abc import Callable, Iterator

import pytest

from local.net.connections import MAX_HEAD, MAX_HEADERS
from local.net.messages import Handler, Malformed, Request, Response
from tests.net.conftest import MAX_BODY

HOST = b"Host: x\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


def echo(request: Request) -> Response:
    return Response(200, (("X-Target", request.target),), request.body or request.method.encode())


@pytest.fixture
def client(serve) -> Iterator[Callable[..., http.client.HTTPConnection]]:
    clients: list[http.client.HTTPConnection] = []

    def client(handle: Handler = echo, **options: int) -> http.client.HTTPConnection:
        host, port = serve(handle, **options).address
        clients.append(http.client.HTTPConnection(host, port, timeout=10))
        return clients[-1]

    yield client
    for each in clients:
        each.close()


def exchange(connection: socket.socket, sent: bytes) -> bytes:
    """Send bytes, end the sending half, and return everything until the server closes."""
    connection.sendall(sent)
    connection.shutdown(socket.SHUT_WR)
    return b"".join(iter(lambda: connection.recv(65536), b""))


def ask(client: http.client.HTTPConnection, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
    client.request(method, "/")
    response = client.getresponse()
    return response, response.read()


def test_one_connection_carries_many_requests(client) -> None:
    connection = client(max_body=100_000)
    connection.connect()
    first = connection.sock
    for number in range(3):
        connection.request("POST", f"/{number}", body=b"x" * 100_000)
        response = connection.getresponse()
        assert (response.status, len(response.read())) == (200, 100_000)
        assert response.headers["x-target"] == f"/{number}"
    assert connection.sock is first


@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param(b"Content-Length: 5\r\n\r\n", b"hello", id="by its length"),
        pytest.param(CHUNKED, b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", id="in chunks"),
        pytest.param(
            CHUNKED, b"5;note=x\r\nhello\r\n0\r\nTrailer: x\r\n\r\n", id="with an extension and a trailer"
        ),
    ],
)
def test_a_body_is_read_by_its_length_or_in_chunks(serve, connect, head: bytes, body: bytes) -> None:
    answer = exchange(connect(serve(echo)), POST + head + body + b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n")

    assert b"\r\n\r\nhelloHTTP/1.1 200 OK\r\nX-Target: /next\r\n" in answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"\x16\x03\x01\x02\r\n\r\n", 400, id="TLS"),
        pytest.param(b"canary /\r\n\r\n", 400, id="HTTP/0.9"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\n", 400, id="HTTP/2"),
        pytest.param(b"GET / HTTP/canary\r\n\r\n", 400, id="another protocol"),
        pytest.param(b"a b c canary\r\n\r\n", 400, id="a line of four words"),
        pytest.param(b"GET / HTTP/1.1\r\ncanary: x\r\n\r\n", 400, id="no Host"),
        pytest.param(b"GET /" + b"a" * 2 * MAX_HEAD + b" HTTP/1.1\r\n\r\n", 431, id="an endless line"),
        pytest.param(
            b"GET / HTTP/1.1\r\n" + HOST + b"canary: x\r\n" * MAX_HEADERS + b"\r\n",
            431,
            id="too many headers",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\ncanary: " + b"x" * 2 * MAX_HEAD + b"\r\n\r\n", 431, id="an endless header"
        ),
        pytest.param(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, id="a space before the colon"),
        pytest.param(b"GET / HTTP/1.1\r\ncanary\r\n\r\n", 400, id="not a header"),
        pytest.param(POST + b"Content-Length: 1\r\n" + CHUNKED + b"0\r\n\r\n", 400, id="two framings"),
        pytest.param(POST + b"Content-Length: x\r\n\r\n", 400, id="a length that is not a number"),
        pytest.param(POST + b"Content-Length: -1\r\n\r\n", 400, id="a negative length"),
        pytest.param(POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400, id="5000 digits"),
        pytest.param(POST + b"Content-Length: 1, 2\r\n\r\n", 400, id="two lengths"),
        pytest.param(POST + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1), 413, id="a body too long"),
        pytest.param(POST + CHUNKED + b"fff\r\n" + b"x" * 0xFFF, 413, id="chunks too long"),
        pytest.param(POST + CHUNKED + b"zz\r\n", 400, id="a chunk without a size"),
        pytest.param(POST + b"Content-Length: 9\r\n\r\ncanary", 400, id="a body cut short"),
        pytest.param(POST + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n", 400, id="another coding"),
    ],
)
def test_a_malformed_request_is_refused_and_the_connection_closed(serve, connect, sent, status) -> None:
    answer = exchange(connect(serve(echo)), sent)

    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:200]
    assert b"Connection: close" in answer
    assert b"canary" not in answer  # a refusal contains nothing of the request


def test_the_values_of_a_repeated_header_are_joined_by_commas(serve, connect) -> None:
    listener = serve(lambda request: Response(200, (), request.headers["x-two"].encode()))

    assert exchange(connect(listener), POST + b"X-Two: a\r\nx-two: b\r\n\r\n").endswith(b"\r\n\r\na,b")


def test_a_handler_can_refuse_a_request(serve, connect) -> None:
    def refuse(_request: Request) -> Response:
        raise Malformed(400, "because")

    answer = exchange(connect(serve(refuse)), POST + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"\r\n\r\nbecause\n")


def test_a_refused_client_that_still_sends_receives_the_refusal(serve, connect) -> None:
    answer = exchange(connect(serve(echo)), POST + b"Content-Length: 50000000\r\n\r\n" + bytes(10_000_000))

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_client_that_expects_100_continue_gets_it(serve, connect) -> None:
    connection = connect(serve(echo))
    connection.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"

    assert exchange(connection, b"hello").endswith(b"\r\n\r\nhello")


def test_a_connection_is_closed_if_the_client_asks_for_it(serve, connect) -> None:
    connection = connect(serve(echo))
    connection.sendall(POST + b"Connection: close\r\n\r\n")

    assert b"Connection: close" in b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_head_request_gets_the_length_and_no_body(client) -> None:
    response, body = ask(client(), "HEAD")

    assert (response.headers["content-length"], body) == ("4", b"")


@pytest.mark.parametrize("status", [204, 304])
def test_a_response_that_has_no_body_has_no_length(client, status: int) -> None:
    response, body = ask(client(lambda _: Response(status)))

    assert (response.status, response.headers["content-length"], body) == (status, None, b"")


def test_head_and_body_are_sent_at_once(serve, connect) -> None:
    """Otherwise delayed acknowledgements and Nagle's algorithm would delay each answer by 40 ms."""
    connection = connect(serve(echo))
    connection.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")

    assert connection.recv(65536).endswith(b"GET")


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(Response(200, (("X", "a\r\nY: b"),)), id="a line break in a header"),
        pytest.param(Response(200, (("X A", "a"),)), id="a space in a name"),
        pytest.param(Response(200, (("X", "\xfc"),)), id="a header beyond ASCII"),
        pytest.param(Response(99), id="a status below 200"),
    ],
)
def test_a_response_that_http_does_not_allow_is_500(client, response: Response) -> None:
    answer, body = ask(client(lambda _: response))

    assert (answer.status, body, answer.headers["y"]) == (500, b"", None)


def test_headers_that_the_server_writes_are_not_taken_from_the_handler(client) -> None:
    names = ("Content-Length", "Transfer-Encoding", "Connection", "Date")
    response, body = ask(client(lambda _: Response(200, tuple((name, "5") for name in names), b"x")))

    assert (response.headers["content-length"], body) == ("1", b"x")
    assert response.headers["transfer-encoding"] is response.headers["connection"] is None


def test_a_handler_that_raises_is_500_and_the_connection_continues(client) -> None:
    def fail(_request: Request) -> Response:
        raise OSError("a defect of the handler")

    connection = client(fail)
    connection.connect()
    first = connection.sock
    for _ in range(2):
        response, body = ask(connection)
        assert (response.status, body) == (500, b"")
    assert connection.sock is first


def test_a_response_can_be_cut_in_the_middle_of_its_body_or_reset(client) -> None:
    with pytest.raises(http.client.IncompleteRead) as cut:
        ask(client(lambda _: Response(200, (), b"hello!", share=0.5)))
    assert cut.value.partial == b"hel"
    with pytest.raises(ConnectionResetError):
        ask(client(lambda _: None))
