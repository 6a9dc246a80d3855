"""Gates in the whole app: what closes one, and which calls wait from then on."""

from collections.abc import Callable
from typing import Any

import pytest

from local.tenant.traffic.faults import Fault
from shared.rest.client import Request
from shared.rest.gates import GRAPH
from tests.fakes import bulk
from tests.fakes.scripted_server import ScriptedServer
from tests.fakes.world import World

MINUTE = 60.0


def asked(wire: ScriptedServer, **facts: Any) -> Request:
    return Request(GRAPH, "GET", f"{wire.url}/thing", **facts)


# --- one bad user ---


def closed_gates(world: World) -> dict[str, float]:
    rows = {key: row for (kind, key), (row, _) in world.state.rows.items() if kind == "gate"}
    return {service: row["closed_until"] for service, row in rows.items()}


def test_two_denied_users_among_others_close_no_gate_however_often_they_are_checked(
    new_world: Callable[..., World],
) -> None:
    world = new_world(RECHECK_AFTER="PT1M")
    denied, fine = [world.add(), world.add()], [world.add() for _ in range(3)]
    world.fault(
        *(
            Fault(service="graph", part=True, path=user, status=403, code="ErrorAccessDenied")
            for user in denied
        )
    )
    world.hint(*denied, *fine)
    world.run(3 * 3600)
    assert closed_gates(world) == {}
    for user in fine:
        world.settled(user)
    world.fault()
    world.run(1000)
    for user in denied:
        world.settled(user)


def failing(users: list[str], status: int) -> list[Fault]:
    return [Fault(service="graph", part=True, path=user, status=status) for user in users]


def test_a_few_broken_profiles_at_the_same_time_close_no_gate(world: World) -> None:
    broken, fine = [world.add() for _ in range(4)], world.add()
    world.fault(*failing(broken, 503))
    world.hint(*broken)
    world.run(3600)
    assert closed_gates(world) == {}
    world.hint(fine)
    world.run(60)
    world.settled(fine)


@pytest.mark.parametrize(("asked", "closed"), [(45, 45.0), pytest.param(None, 30.0, id="without a time")])
def test_one_throttled_part_closes_the_gate_for_all_users(
    world: World, asked: float | None, closed: float
) -> None:
    busy, fine = world.add(), world.add()
    world.fault(Fault(service="graph", part=True, path=busy, status=429, retry_after=asked))
    world.hint(busy, fine)
    world.host.deliver_due()
    assert closed_gates(world) == {GRAPH: world.clock.now() + closed}


def test_one_busy_part_delays_only_its_own_user(world: World) -> None:
    busy, fine = world.add(), world.add()
    world.fault(Fault(service="graph", part=True, path=busy, status=503, retry_after=45))
    world.hint(busy, fine)
    world.host.deliver_due()
    assert closed_gates(world) == {}
    (again,) = [m for m in world.outbox.messages if busy in m.body and '"notified"' in m.body]
    assert again.visible_at - world.clock.now() >= 45


@pytest.mark.parametrize(
    ("count", "status", "closed"),
    [
        pytest.param(5, 503, 30.0, id="an outage in five parts"),
        pytest.param(2, 403, 900.0, id="a missing permission in two parts"),
    ],
)
def test_parts_that_all_fail_close_the_gate(world: World, count: int, status: int, closed: float) -> None:
    users = [world.add() for _ in range(count)]
    world.fault(*failing(users, status))
    world.hint(*users)
    world.host.deliver_due()
    assert closed_gates(world) == {GRAPH: world.clock.now() + closed}


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
        world.run(10 * MINUTE)
        world.settled(user)
        assert world.row(user).lag_ms <= 45_000
