"""The bell that wakes this app."""

from shared.subscription.wake import WakeUp
from tests.fakes.scripted_server import reply


def test_the_bell_sends_the_handshake_and_shrugs_at_whatever_comes(serve, caplog, monkeypatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    bell, wire = WakeUp("NONISV|contoso|PhotoSync/1"), serve(reply(200), reply(500), b"")
    for _ in range(3):
        bell.ring(f"{wire.url}/api/notifications")
    assert wire.asked[0].line.startswith("POST /api/notifications?validationToken=wake")
    assert "authorization" not in wire.asked[0].headers
    assert sum("bell.unanswered" in record.message for record in caplog.records) == 2
