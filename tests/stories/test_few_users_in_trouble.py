"""Two users in trouble at once, of the same kind and at the same time: the service works for all others."""

import statistics
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.tenant.traffic.faults import Fault
from shared.jobs import SweptCheck
from tests.fakes import bulk
from tests.fakes.world import World

HOUR = 3600.0
QUARTER = 900.0
GROUP = "11111111-2222-3333-4444-555555555555"


def settled(world: World, count: int) -> list[str]:
    """Add users for which SharePoint shows an earlier photo."""
    users = [world.add() for _ in range(count)]
    for user in users:
        bulk.settle(world, user, '"OTHER"')
    return users


def lags(world: World, users: list[str], every: float) -> list[float]:
    """Let one user after another change their photo; return how long each change took, in seconds."""
    for user in users:
        world.change_photo(user)
        world.hint(user)
        world.run(every)
    world.run(HOUR)
    return [world.row(user).lag_ms / 1000 for user in users]


def part(user: str, **answer: Any) -> Iterator[Fault]:
    yield Fault(part=True, path=rf"{user}/photo$", **answer)


def bytes_alone(user: str, **answer: Any) -> Iterator[Fault]:
    yield Fault(part=True, path=rf"{user}/photo/\$value", status=200, body="no base64")
    yield Fault(service="graph", path=rf"{user}/photo/\$value", **answer)


def upload(user: str, **answer: Any) -> Iterator[Fault]:
    yield Fault(service="sharepoint-files", path=f"{user}_SThumb", **answer)


def groups(user: str, **answer: Any) -> Iterator[Fault]:
    yield Fault(part=True, path=f"{user}/checkMemberGroups", **answer)


def user_part(user: str, **answer: Any) -> Iterator[Fault]:
    yield Fault(part=True, path=rf"{user}\?", **answer)


@pytest.mark.parametrize("call", [part, bytes_alone, upload, groups])
def test_two_denied_users_hold_up_the_others_for_a_quarter_of_an_hour_at_most_and_once(
    new_world: Callable[..., World], call: Callable[..., Iterator[Fault]]
) -> None:
    world = new_world(RECHECK_AFTER="PT20M", EXCLUDE_GROUP=GROUP)
    denied, others = settled(world, 2), settled(world, 12)
    world.fault(*(fault for user in denied for fault in call(user, status=403)))
    for user in denied:
        world.hint(user)
    first, *later = lags(world, others, every=2400)
    assert first <= QUARTER + 90
    assert max(later) <= 10, later
    assert {world.row(user).outcome for user in denied} == {"failed"}


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        pytest.param(groups, {"status": 400}, id="memberships"),
        pytest.param(groups, {"status": 404}, id="an unknown group"),
        pytest.param(user_part, {"status": 200, "body": "x"}, id="no user in the answer about a user"),
        pytest.param(bytes_alone, {"status": 500}, id="bytes"),
        pytest.param(bytes_alone, {"drop": True}, id="no bytes"),
    ],
)
def test_two_users_with_odd_answers_close_no_gate_for_which_graph_answers_others(
    new_world: Callable[..., World], call: Callable[..., Iterator[Fault]], answer: dict[str, Any]
) -> None:
    world = new_world(RECHECK_AFTER="PT20M", EXCLUDE_GROUP=GROUP)
    odd, others = settled(world, 2), settled(world, 30)
    world.fault(*(fault for user in odd for fault in call(user, **answer)))
    for user in odd:
        world.hint(user)
    assert statistics.mean(lags(world, others, every=10)) <= 10


def test_two_mailboxes_that_are_throttled_for_an_hour_close_no_gate_for_an_hour(
    new_world: Callable[..., World],
) -> None:
    world = new_world(RECHECK_AFTER="PT20M")
    throttled, others = settled(world, 2), settled(world, 12)
    world.fault(*(fault for user in throttled for fault in part(user, status=429, retry_after=3600)))
    world.hint(*throttled)
    world.run(5)
    assert max(lags(world, others, every=10)) <= 60
    assert world.tenant.early_returns.recorded() == []


def test_a_removal_that_two_users_are_denied_closes_no_gate_for_a_tenant_that_is_answered(
    new_world: Callable[..., World],
) -> None:
    world = new_world()
    bulk.add_users(world, 60)
    removed = bulk.add_users(world, 3, photo=False)
    for user in removed:
        world.note(user, missing_since=world.clock.now() - 2 * HOUR)
    world.fault(*(Fault(service="graph", path=rf"{user}/photo/\$value", status=403) for user in removed[:2]))
    world.open_sweep()
    world.run(600)
    assert [world.row(user).outcome for user in removed] == ["failed", "failed", "cleared"]


def test_parts_that_are_throttled_with_and_without_a_time_split_no_check_more_than_once(
    new_world: Callable[..., World],
) -> None:
    world = new_world()
    bulk.add_users(world, 200)
    world.sweep()
    world.fault(
        Fault(part=True, path="photo$", status=429, retry_after=60, rate=0.45),
        Fault(part=True, path="photo$", status=503, rate=0.8),
    )
    world.open_sweep()
    sizes = []
    for _ in range(60):
        world.run(60)
        sizes.append(len(world.queued(SweptCheck)))
    assert max(sizes) <= 2 * 10
