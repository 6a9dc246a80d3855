"""The proxy, the HTTP server behind it, and how the tenant stops."""

import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Iterator

import pytest
import requests
from werkzeug.wrappers import Request, Response

from local.net import messages
from local.net.connections import Connection
from local.net.listener import Listener
from local.tenant.admin.client import TenantClient
from local.tenant.directory.world import World
from local.tenant.dispatch import Dispatch
from local.tenant.net import wire
from local.tenant.tenant import Tenant
from local.tenant.traffic.early_returns import EarlyReturns
from local.tenant.traffic.faults import Faults
from local.tenant.traffic.history import History
from local.tenant.traffic.quota import Quota
from local.tenant.traffic.throttle import Throttle
from tests.tenant.graph_client import wait_for

GRAPH = "graph.microsoft.com"
CONNECT = f"CONNECT {GRAPH}:443 HTTP/1.1\r\nHost: {GRAPH}:443\r\n\r\n"
TUNNELLED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture
def connection(tenant: Tenant) -> Iterator[http.client.HTTPSConnection]:
    """One connection to Graph through the proxy, that a test can watch."""
    context = ssl.create_default_context(cafile=tenant.ca)
    connection = http.client.HTTPSConnection(*tenant.proxy_address, context=context, timeout=10)
    connection.set_tunnel(GRAPH, 443)
    yield connection
    connection.close()


def ask(address: tuple[str, int], sent: bytes) -> bytes:
    """Send bytes, end the sending half, and return everything that comes back."""
    with socket.create_connection(address, timeout=10) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


class TestProxy:
    @pytest.mark.parametrize("host", [GRAPH, "login.microsoftonline.com", "contoso-my.sharepoint.com"])
    def test_each_microsoft_host_answers_under_its_own_name(self, session, admin, host) -> None:
        assert session.get(f"https://{host}/nothing-here", timeout=10).status_code in (401, 404)
        assert [entry["host"] for entry in admin.history()] == [host]

    def test_a_geo_is_emulated_from_its_first_user_on(self, session, admin) -> None:
        with pytest.raises(requests.exceptions.ProxyError):
            session.get("https://contosoeur-my.sharepoint.com/", timeout=10)
        admin.add(geo="eur")
        assert session.get("https://contosoeur-my.sharepoint.com/_api/x", timeout=10).status_code == 401

    @pytest.mark.parametrize(
        "target",
        [
            pytest.param("example.com:443", id="a foreign host"),
            pytest.param("graph.microsoft.com:80", id="another port"),
            pytest.param("127.0.0.1:22", id="this machine"),
            pytest.param("nonsense", id="no port"),
        ],
    )
    def test_a_host_that_the_tenant_does_not_emulate_is_refused_and_recorded(
        self, tenant, admin, target
    ) -> None:
        answer = ask(tenant.proxy_address, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert f"does not emulate {target}".encode() in answer
        (entry,) = admin.history()
        assert (entry["method"], entry["host"], entry["status"]) == ("CONNECT", target, 502)

    def test_a_plain_http_request_to_the_proxy_is_refused(self, tenant) -> None:
        answer = ask(tenant.proxy_address, b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 405 ")
        assert b"HTTPS_PROXY" in answer

    def test_a_request_for_another_host_on_a_connection_is_misdirected(self, connection) -> None:
        connection.request("GET", "/", headers={"Host": "example.com"})
        assert connection.getresponse().status == 421

    def test_requests_with_bodies_are_not_held_back_by_delayed_acknowledgements(self, call) -> None:
        # requests leaves Nagle's algorithm on towards a proxy: without an acknowledgement at once, each of
        # these would wait for 40 ms, all of them for 4 s.
        began = time.monotonic()
        for _ in range(100):
            call("POST", f"https://{GRAPH}/v1.0/$batch", json={"requests": []})
        assert time.monotonic() - began < 2.0

    def test_clients_that_disconnect_early_delay_no_other_client(self, tenant, session) -> None:
        for sent in (b"", b"CONN", CONNECT.encode()):
            with socket.create_connection(tenant.proxy_address, timeout=10) as sock:
                sock.sendall(sent)
        assert session.get(f"https://{GRAPH}/v1.0/users", timeout=10).status_code == 401

    def test_a_client_that_does_not_trust_the_authority_is_logged_with_the_remedy(
        self, tenant, caplog
    ) -> None:
        with requests.Session() as stranger:
            stranger.trust_env = False
            stranger.proxies = {"https": tenant.proxy_url}
            with pytest.raises(requests.exceptions.SSLError):
                stranger.get(f"https://{GRAPH}/", timeout=10)
        wait_for(lambda: "".join(caplog.messages), lambda logged: "REQUESTS_CA_BUNDLE" in logged)


class TestPassThrough:
    @pytest.fixture
    def open_tenant(self) -> Iterator[Tenant]:
        with Tenant(pass_through=True) as tenant:
            yield tenant

    def test_a_host_that_the_tenant_does_not_emulate_is_passed_through(self, open_tenant) -> None:
        def echo(connection: Connection) -> None:
            connection.converse(lambda request: messages.Response(200, (), request.body), "http")

        listener = Listener(echo)
        listener.start()
        target = "{}:{}".format(*listener.address)
        connect = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()
        sent = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
        with socket.create_connection(open_tenant.proxy_address, timeout=10) as sock:
            sock.sendall(connect)
            assert sock.recv(len(TUNNELLED)) == TUNNELLED
            sock.sendall(sent)
            answer = b"".join(iter(lambda: sock.recv(65536), b""))
        listener.stop()
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(b"\r\n\r\nhello")

    def test_a_host_that_cannot_be_reached_is_a_bad_gateway(self, open_tenant) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        answer = ask(
            open_tenant.proxy_address, f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert b"cannot reach" in answer


class TestDispatch:
    def test_a_defect_of_the_tenant_is_answered_500(self, caplog) -> None:
        class Broken:
            def respond(self, request: Request) -> Response:
                raise KeyError(request.path)

        history, world, early = History(), World(), EarlyReturns(time.monotonic)
        throttle, faults = Throttle(world, Quota(world), early), Faults(world, time.sleep)
        dispatch = Dispatch(lambda _: ("graph", Broken()), history, faults, early, throttle)
        environ = wire.make_environ(wire.Head("GET", "/x", "HTTP/1.1", {"host": GRAPH}), b"", "https", 443)
        response = dispatch.respond(Request(environ))
        assert (response.status_code, "defect" in response.get_data(as_text=True)) == (500, True)
        assert [entry["status"] for entry in history.entries()] == [500]
        assert "KeyError" in caplog.text


class TestStop:
    def test_the_tenant_listens_on_this_machine_only(self, tenant) -> None:
        assert {tenant.proxy_address[0], tenant.admin_address[0]} == {"127.0.0.1"}

    def test_idle_connections_and_unfinished_handshakes_do_not_delay_a_stop(self) -> None:
        with contextlib.ExitStack() as stack:
            tenant = stack.enter_context(Tenant())
            silent = stack.enter_context(socket.create_connection(tenant.proxy_address, timeout=10))
            shaking = stack.enter_context(socket.create_connection(tenant.proxy_address, timeout=10))
            shaking.sendall(CONNECT.encode())
            assert shaking.recv(100) == TUNNELLED
            with TenantClient(tenant.admin_url) as idle:
                idle.settings()
                began = time.monotonic()
                tenant.stop()
                assert time.monotonic() - began < 2.0
            assert silent.recv(1) == b""
            assert not tenant.ca.exists()

    def test_a_delayed_answer_does_not_delay_a_stop(self) -> None:
        with Tenant() as tenant, TenantClient(tenant.admin_url) as admin:
            admin.arm({"latency": 300})
            waiting = socket.create_connection(tenant.proxy_address, timeout=10)
            waiting.sendall(CONNECT.encode())
            assert waiting.recv(100) == TUNNELLED
            context = ssl.create_default_context(cafile=tenant.ca)
            with context.wrap_socket(waiting, server_hostname=GRAPH) as secure:
                secure.sendall(f"GET /v1.0/users HTTP/1.1\r\nHost: {GRAPH}\r\n\r\n".encode())
                wait_for(admin.history, bool)
                began = time.monotonic()
                tenant.stop()
                assert time.monotonic() - began < 2.0
