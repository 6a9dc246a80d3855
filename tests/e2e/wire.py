"""Requests that no library would send, written to the connection byte by byte."""

import http.client
import socket
import ssl
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.fakes.near_misses import CANARY

TIMEOUT = 20.0  # seconds


@dataclass(frozen=True)
class RawRequest:
    """A request. `cut`: it is shorter than it announces, so the host need not answer."""

    target: str
    head: bytes
    body: bytes
    cut: bool = False

    @property
    def asks_for_an_echo(self) -> bool:
        """Whether it carries a `validationToken`."""
        return "alidationToken" in self.target


@dataclass(frozen=True)
class Exchange:
    """The answer to a request."""

    status: int
    media_type: str
    sniff: str
    head: str
    body: bytes


def exchange(url: str, authority: str, request: RawRequest) -> Exchange | None:
    """Send a request on a connection of its own; None if the host hung up without an answer."""
    where = urlsplit(url)
    address = (where.hostname or "", where.port or 0)
    with (
        socket.create_connection(address, timeout=TIMEOUT) as plain,
        _trust(authority).wrap_socket(plain, server_hostname=where.hostname) as wire,
    ):
        try:
            wire.sendall(request.head + request.body)
            if request.cut:
                socket.socket.shutdown(wire, socket.SHUT_WR)
            answer = http.client.HTTPResponse(wire)
            answer.begin()
            body = answer.read()
        except (OSError, http.client.BadStatusLine):
            return None
        head = f"{answer.reason}\n{answer.headers}"
        kind, sniff = answer.headers.get_content_type(), answer.headers.get("X-Content-Type-Options", "")
        return Exchange(answer.status, kind, sniff, head, body)


@cache
def _trust(authority: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority)


METHODS = ["POST"] * 6 + [
    "GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "post", CANARY, "P\x00ST", "\xff",
    "POST\t",
]  # fmt: skip
PATHS = ["/api/notifications"] * 6 + ["/api/lifecycle"] * 6 + [
    "/API/Notifications", "/api/notifications/", "/api//notifications", "/api/%6eotifications",
    "//api/lifecycle", "/api/notifications%2f", "/api/notifications%00", "/api/notifications%ff",
    "/api/notifications%", "*", f"/api/notifications/{CANARY}", f"/api/notifications;{CANARY}",
    f"/api/notifications#{CANARY}", "/", f"/api/{CANARY}/../notifications",
    f"http://{CANARY}.example/api/notifications", f"/api/users/{CANARY}/sync",
    f"/admin/functions/notifications?{CANARY}", f"/api/notifications/{CANARY}\x00\xff",
    "/api/notifications\\",
]  # fmt: skip
QUERIES = [""] * 8 + [
    f"?validationToken={CANARY}", f"?validationToken={CANARY}%", f"?validationToken={CANARY}%zz%c3%28%ff",
    f"?validationToken={CANARY}%ed%a0%80", f"?validationToken={CANARY}%00",
    f"?validationToken={CANARY}\xff\x00", f"?validationToken={CANARY}&validationToken=%3Cb%3E",
    f"?validationToken=&validationToken={CANARY}", f"?validationToken[]={CANARY}",
    f"?validationtoken={CANARY}", f"?validationToken%00={CANARY}", f"?validationToken={CANARY}#{CANARY}",
    f"?a;validationToken={CANARY}", "?validationToken", "?&&=&=&", "?%",
    f"?validationToken={'%0A' * 9000}{CANARY}", "?" + "&".join(f"{CANARY}{n}" for n in range(2000)),
    f"?code={CANARY}", f"?%76alidationToken={CANARY}", f"?validationToken={CANARY}%252e%252e",
]  # fmt: skip
VERSIONS = ["HTTP/1.1"] * 12 + [
    "HTTP/1.0", "HTTP/1.9", "HTTP/0.9", f"HTTP/{CANARY}", CANARY, "HTTP/1.1 x", "",
]  # fmt: skip
HEADERS = [
    f"Host: {CANARY}", f"Host: {CANARY}/\xff\x00", "Content-Type: application/json",
    f"Content-Type: {CANARY}", "Content-Type: multipart/form-data",
    f"Content-Type: multipart/form-data; boundary={CANARY}",
    f"Content-Type: application/x-www-form-urlencoded; charset={CANARY}", "Content-Encoding: gzip",
    f"X-HTTP-Method-Override: {CANARY}", f"x-functions-key: {CANARY}", f"X-Forwarded-Host: {CANARY}",
    f"traceparent: {CANARY}", "traceparent: 00-0-0-00", f"X-MS-CLIENT-PRINCIPAL: {CANARY}",
    f"Cookie: {CANARY}", f"Authorization: Bearer {CANARY}", f"{CANARY}", f": {CANARY}",
    f"{CANARY}: a\r\n {CANARY}", f"{CANARY} : a", f"{CANARY}: \x00\x01\xff", f"{CANARY}\x00\xff: a",
    "Expect: 100-continue", f"Expect: {CANARY}", "Connection: close", "Connection: upgrade\r\nUpgrade: h2c",
    f"X-Long: {CANARY}{'x' * 70_000}", "\r\n".join(f"X-{CANARY}-{n}: a" for n in range(120)),
    f"Range: bytes={CANARY}", "Accept: */*;q=9",
]  # fmt: skip
LENGTHS = [
    "-1", "+2", "0x2", "2_0", "1e1", "2,2", "", " ", CANARY, "\xb2", "9" * 30, "9" * 5000, "999999999999",
    "0",
]  # fmt: skip


@st.composite
def raw_requests(draw: DrawFn, body: bytes) -> RawRequest:
    """Draw a request with this body, odd in its line, a header or its framing, or in several of them."""
    target = draw(st.sampled_from(PATHS)) + draw(st.sampled_from(QUERIES))
    line = f"{draw(st.sampled_from(METHODS))} {target} {draw(st.sampled_from(VERSIONS))}".rstrip()
    lines = [line, *draw(st.lists(st.sampled_from(HEADERS), max_size=2))]
    framing, sent, cut = draw(framings(body))
    return RawRequest(target, "\r\n".join([*lines, *framing, "", ""]).encode("latin-1"), sent, cut)


@st.composite
def framings(draw: DrawFn, body: bytes) -> tuple[list[str], bytes, bool]:
    """Draw a framing of a body: the headers, the bytes, and whether some bytes are kept back."""
    right = [f"Content-Length: {len(body)}"]
    kind = draw(
        st.sampled_from(["right", "right", "right", "none", "wrong", "short", "cut", "chunks", "both"])
    )
    match kind:
        case "wrong":
            return [f"Content-Length: {draw(st.sampled_from(LENGTHS))}"], body, True
        case "short":
            return [f"Content-Length: {draw(st.integers(0, len(body)))}"], body, False
        case "cut":
            return right, body[: draw(st.integers(0, len(body) - 1))], True
        case "chunks":
            return ["Transfer-Encoding: chunked"], draw(chunks(body)), True
        case "both":
            more = draw(st.sampled_from([*right, "Transfer-Encoding: gzip", "Transfer-Encoding: chunked, x"]))
            return [*right, more], body, True
        case "none":
            return [], body, False
    return right, body, False


@st.composite
def chunks(draw: DrawFn, body: bytes) -> bytes:
    """Draw a chunked spelling of a body, right or wrong."""
    size = draw(
        st.sampled_from(["%x", "%X", "0%x", f"%x;{CANARY}", f"{CANARY}%x", "-%x", "+%x", "%x0", "f" * 5000])
    )
    end = draw(st.sampled_from([b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"", b"0\r\n", b"\r\n"]))
    head = (size % len(body) if "%" in size else size).encode()
    return head + b"\r\n" + body + draw(st.sampled_from([b"\r\n", b"\n", b""])) + end
