"""The request that wakes this app."""

from shared.subscription.wake import ring
from tests.fakes.scripted_server import reply


def test_the_wake_up_sends_the_handshake_and_ignores_the_response(serve, caplog) -> None:
    server = serve(reply(200), reply(500), b"")
    for _ in range(3):
        ring("NONISV|contoso|PhotoSync/1", f"{server.url}/api/notifications")
    assert server.requests[0].line.startswith("POST /api/notifications?validationToken=wake")
    assert "authorization" not in server.requests[0].headers
    assert sum("bell.unanswered" in record.message for record in caplog.records) == 2
