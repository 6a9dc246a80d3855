"""Gates in the whole app: what closes one, and which calls wait from then on."""

import pytest

from local.tenant.traffic.faults import Fault
from shared.rest.gates import GRAPH
from tests.fakes import bulk
from tests.fakes.world import World


def closed_gates(world: World) -> dict[str, float]:
    gates = world.services.syncer.gates
    return {gate: gates.closed_until(gate) for gate, facts in gates.report().items() if facts["closed"]}


@pytest.mark.parametrize(
    ("failing", "fine", "part", "closed"),
    [
        pytest.param(1, 1, {"status": 429, "retry_after": 45}, None, id="one mailbox is throttled"),
        pytest.param(2, 1, {"status": 429, "retry_after": 45}, None, id="two mailboxes among others"),
        pytest.param(2, 0, {"status": 429, "retry_after": 45}, 30.0, id="every mailbox is throttled"),
        pytest.param(1, 1, {"status": 503, "retry_after": 45}, None, id="one part is busy"),
        pytest.param(2, 0, {"status": 503}, 30.0, id="an outage in two parts"),
        pytest.param(1, 0, {"status": 503}, None, id="a busy user who is checked alone"),
        pytest.param(2, 0, {"status": 418}, 30.0, id="an odd answer in two parts"),
        pytest.param(2, 0, {"status": 403}, 900.0, id="a missing permission in two parts"),
        pytest.param(2, 1, {"status": 403}, None, id="two denied users among others"),
        pytest.param(1, 0, {"status": 403}, None, id="a denied user who is checked alone"),
    ],
)
def test_a_batch_closes_the_gate_only_if_all_of_several_parts_fail(
    world: World, failing, fine, part, closed
) -> None:
    users = [world.add() for _ in range(failing + fine)]
    world.fault(*(Fault(service="graph", part=True, path=user, **part) for user in users[:failing]))
    world.hint(*users)
    world.host.deliver_due()
    assert closed_gates(world) == ({GRAPH: world.clock.now() + closed} if closed else {})


def test_a_denial_of_one_users_bytes_closes_no_gate(world: World) -> None:
    removed, fine = bulk.add_users(world, 1, photo=False)[0], world.add()
    world.fault(
        Fault(service="graph", path=rf"^/v1.0/users/{removed}/photo", status=403, code="ErrorAccessDenied")
    )
    world.note(removed, missing_since=world.clock.now() - 7200)
    world.ask(removed, "swept", removal=True)
    world.ask(fine)
    world.run(60)
    assert closed_gates(world) == {}
    assert any("→ 403" in request for request in world.requests("graph"))
    assert world.row(removed).settled_etag == '"OTHER"'
    world.settled(fine)


def test_a_profile_that_never_works_delays_no_other_users_photo(world: World) -> None:
    broken, users = world.add(upn="broken@contoso.com"), [world.add() for _ in range(12)]
    world.fault(Fault(service="sharepoint-profiles", path="broken%40contoso.com", status=500))
    world.ask(broken)
    world.run(3600)
    for user in users:
        world.ask(user)
        world.run(600)
        world.settled(user)
        assert world.row(user).lag_ms <= 45_000
