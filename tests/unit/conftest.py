"""Each module by itself, with doubles of what it is handed: see `tests.fakes`."""

from collections.abc import Callable, Iterator

import pytest

from tests.fakes.fixtures import running_tenant, tenant
from tests.fakes.scripted_server import Reply, ScriptedServer

__all__ = ["running_tenant", "tenant"]


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedServer]]:
    """Start servers on loopback that give these replies, one a request, the last one for ever."""
    wires: list[ScriptedServer] = []

    def start(*replies: Reply) -> ScriptedServer:
        wires.append(ScriptedServer(*replies).__enter__())
        return wires[-1]

    yield start
    for wire in wires:
        wire.__exit__(None, None, None)
