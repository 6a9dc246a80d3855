"""A batch that fails as a whole is divided until the user who spoils it is alone; in an outage it is not."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from local.tenant.traffic.faults import Fault
from shared.jobs import SweptCheck
from tests.fakes import bulk
from tests.fakes.world import World

HOUR = 3600.0
BATCH = r"\$batch"
SPOILS = [
    pytest.param({"status": 400}, id="400"),
    pytest.param({"status": 403}, id="403"),
    pytest.param({"status": 500}, id="500"),
    pytest.param({"status": 503}, id="503 without a time"),
    pytest.param({"status": 429, "retry_after": 20}, id="429"),
    pytest.param({"drop": True}, id="no answer"),
]


def batches(world: World) -> int:
    return len([request for request in world.requests("graph") if BATCH[1:] in request])


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("spoilers", [(0,), (19,), (3, 4), (0, 10), (2, 9, 16)], ids=str)
def test_users_who_spoil_their_batch_hold_up_no_other_and_no_removal(
    new_world: Callable[..., World], spoilers: tuple[int, ...], spoil: dict[str, Any]
) -> None:
    world = new_world()
    users = bulk.add_users(world, 20)
    for user in users:
        bulk.settle(world, user, '"OTHER"')
    (removed,) = bulk.add_users(world, 1, photo=False)
    world.note(removed, missing_since=world.clock.now() - 2 * HOUR)
    spoiling = [users[each] for each in spoilers]
    world.fault(*(Fault(service="graph", path=BATCH, content=user, **spoil) for user in spoiling))
    sweep = world.open_sweep()
    world.run(3 * HOUR)
    figures = world.figures(sweep)
    assert (figures["state"], figures["failed"]) == ("finished", len(spoiling))
    assert world.row(removed).outcome == "cleared"
    for user in users:
        assert (world.row(user).settled_etag == world.source(user)) is (user not in spoiling)
    failing = world.app.status_report.status()["failed"]["newest"]
    assert {each["user"] for each in failing} >= set(spoiling)
    assert world.outbox.poisoned == []
    world.fault()
    world.sweep()
    for user in spoiling:
        assert world.row(user).settled_etag == world.source(user)


def test_one_spoiler_costs_about_ten_requests_more(new_world: Callable[..., World]) -> None:
    world = new_world()
    users = bulk.add_users(world, 20)
    world.fault(Fault(service="graph", path=BATCH, content=users[7], status=400))
    world.open_sweep()
    world.run(20)
    assert batches(world) <= 12


@pytest.mark.parametrize("down", [each for each in SPOILS if each.id != "429"])
def test_an_outage_multiplies_no_message(new_world: Callable[..., World], down: dict[str, Any]) -> None:
    world = new_world()
    bulk.add_users(world, 200)
    world.sweep()
    world.fault(Fault(service="graph", path=BATCH, **down))
    world.open_sweep()
    sizes = []
    for _ in range(40):
        world.run(60)
        sizes.append(len(world.queued(SweptCheck)))
    assert max(sizes) <= 2 * 10
    assert world.outbox.poisoned == []
    world.fault()
    world.run(2 * HOUR)
    (sweep, *_) = world.app.status_report.status()["sweeps"]
    assert (sweep["state"], sweep["failed"], sweep["unchanged"]) == ("finished", 0, 200)


def test_in_an_outage_graph_is_called_three_times_each_half_minute_at_most(
    new_world: Callable[..., World],
) -> None:
    world = new_world()
    bulk.add_users(world, 200)
    world.fault(Fault(service="graph", path=BATCH, status=500))
    times: list[float] = []
    world.steps.on(r"call graph\.microsoft\.com", lambda: times.append(world.clock.now()), times=None)
    world.open_sweep()
    world.run(HOUR)
    bursts = [after for before, after in pairwise(times) if after - before > 10]
    assert len(times) / (len(bursts) + 1) <= 8  # three of them are the retries of one call
