"""The tenant without sockets behaves as the one with sockets: same answers, errors and history."""

import pytest
import requests

from local.tenant.tenant import Tenant
from local.tenant.traffic.faults import Fault
from tests.fakes.direct import DirectAdapter
from tests.fakes.world import World

URL = "https://graph.microsoft.com/v1.0/users/unknown%20%23/photo?$select=id"


@pytest.fixture
def sessions(tenant: Tenant) -> list[requests.Session]:
    """One session over sockets, and one without."""
    direct = requests.Session()
    direct.mount("https://", DirectAdapter(tenant))
    return [requests.Session(), direct]


def test_an_answer_is_the_same_with_and_without_sockets(
    tenant: Tenant, sessions: list[requests.Session]
) -> None:
    seen = []
    for session in sessions:
        with session, session.post(URL, json={"a": 1}, headers={"X-A": "b"}) as answer:
            code = answer.json()["error"]["code"]
            seen.append((answer.status_code, code, sorted(set(answer.headers) - {"Date", "Connection"})))
    assert seen[0] == seen[1]
    over, without = tenant.history.entries()
    assert (over["host"], over["path"]) == (without["host"], without["path"])


@pytest.mark.parametrize(
    "fault", [pytest.param({"drop": True}, id="cut"), pytest.param({"truncate": True}, id="half a body")]
)
def test_a_cut_connection_is_the_same_kind_of_error(
    tenant: Tenant, sessions: list[requests.Session], fault: dict[str, bool]
) -> None:
    tenant.faults.arm([Fault(**fault)])
    for session in sessions:
        with session, pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            session.get(URL)


def test_a_sync_has_the_same_cost_and_end(tenant: Tenant) -> None:
    costs = []
    for direct in (False, True):
        world = World(tenant, direct=direct)
        user = world.add()
        world.ask(user)
        world.drain()
        world.settled(user)
        costs.append([line.partition(" ")[0] for line in world.requests()])
        tenant.history.clear()
    assert costs[0] == costs[1]
