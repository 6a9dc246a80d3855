"""Tests of single modules, with fakes for their arguments: see `tests.fakes`."""

from collections.abc import Callable, Iterator

import pytest

from tests.fakes.fixtures import running_tenant, tenant
from tests.fakes.scripted_server import Reply, ScriptedServer

__all__ = ["running_tenant", "tenant"]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ScriptedServer]]:
    """`serve(*replies)`: a server on loopback that sends one reply a request, and the last one repeatedly."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers: list[ScriptedServer] = []

    def start(*replies: Reply) -> ScriptedServer:
        servers.append(ScriptedServer(*replies).__enter__())
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__(None, None, None)
