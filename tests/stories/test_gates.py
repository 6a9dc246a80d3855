"""A service that asks for a pause is not called during it, by any job of any kind."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from local.tenant.traffic.faults import Fault
from shared.rest.gates import FILES, PROFILES
from tests.fakes import bulk
from tests.fakes.world import World

GRAPH_HOST = r"graph\.microsoft\.com"
FILES_HOST = r"contoso-my\.sharepoint\.com"
PROFILES_HOST = r"contoso-admin\.sharepoint\.com"
HOUR = 3600.0


def everything_at_once(world: World) -> list[str]:
    """Let hints, requested syncs and a sweep all be under way; return the users."""
    users = [world.add() for _ in range(6)] + bulk.add_users(world, 10)
    for user in users[6:]:
        bulk.settle(world, user, '"OTHER"')
    world.hint(*users[3:9])
    for user in users[:2]:
        world.ask(user, "asked")
    world.open_sweep()
    return users


def calls(world: World, host: str) -> list[float]:
    """Return a list to which the time of every further call to `host` is appended."""
    times: list[float] = []
    world.steps.on(f"call {host}", lambda: times.append(world.clock.now()), times=None)
    return times


@pytest.mark.parametrize("asked", [pytest.param(7, id="7 s"), pytest.param(120.5, id="120.5 s"), 600])
@pytest.mark.parametrize(
    ("host", "fault"),
    [
        pytest.param(GRAPH_HOST, {"service": "graph", "status": 429}, id="graph is throttled"),
        pytest.param(GRAPH_HOST, {"service": "graph", "status": 503}, id="graph is busy"),
        pytest.param(FILES_HOST, {"service": "sharepoint-files", "status": 429}, id="files are throttled"),
        pytest.param(FILES_HOST, {"service": "sharepoint-files", "status": 503}, id="files are busy"),
        pytest.param(
            PROFILES_HOST, {"service": "sharepoint-profiles", "status": 429}, id="profiles are throttled"
        ),
        pytest.param(
            PROFILES_HOST, {"service": "sharepoint-profiles", "status": 503}, id="profiles are busy"
        ),
    ],
)
def test_no_call_is_made_before_retry_after_is_over(
    world: World, host: str, fault: dict[str, object], asked: float
) -> None:
    world.tenant.world.knobs.retry_after = "decimal"
    users = everything_at_once(world)
    world.run(1)
    world.fault(Fault(**fault, retry_after=asked, next=1))
    times = calls(world, host)
    world.drain(deliveries=5000)
    before, after = next((a, b) for a, b in pairwise(times) if b > a)
    assert after - before >= asked
    for user in users:
        assert world.row(user).settled_etag == world.source(user)
    assert world.tenant.early_returns.recorded() == []


def test_a_service_without_retry_after_is_called_less_and_less_often(world: World) -> None:
    everything_at_once(world)
    world.fault(Fault(service="graph", status=429))
    times = calls(world, GRAPH_HOST)
    world.run(2 * HOUR)
    waits = [later - earlier for earlier, later in pairwise(times) if later - earlier > 10]
    least = [30, 60, 120, 240, 480, *[900] * 7]
    assert all(wait >= wanted for wait, wanted in zip(waits, least, strict=False)), waits
    assert 10 <= len(waits) <= len(least)
    world.fault()
    world.drain(deliveries=5000)


@pytest.mark.parametrize("asked", [pytest.param(120.5, id="120.5 s"), 600, pytest.param(7200, id="2 h")])
def test_a_throttled_mailbox_is_left_alone_by_every_job_and_delays_no_other_user(
    world: World, asked: float
) -> None:
    world.tenant.world.knobs.retry_after = "decimal"
    users = everything_at_once(world)
    world.fault(Fault(service="graph", part=True, path=users[4], status=429, retry_after=asked, next=1))
    world.run(1)
    for _ in range(10):  # other hints must not ask too early
        world.hint(users[4])
        world.ask(users[4], "asked")
        world.run(asked / 11)
    assert [user for user in users if not world.row(user).settled_etag] == [users[4]]
    world.drain(deliveries=5000)
    for user in users:
        assert world.row(user).settled_etag == world.source(user)
    assert world.tenant.early_returns.recorded() == []


def throttle_mailboxes(world: World, **waits: float) -> None:
    """Let Graph ask for a pause for these users' mailboxes, once each."""
    part = {"service": "graph", "part": True, "status": 429, "next": 1}
    world.fault(*(Fault(path=f"{user}/photo", retry_after=after, **part) for user, after in waits.items()))


def test_a_mailbox_that_is_throttled_for_hours_delays_no_other_mailbox(
    world: World,
) -> None:
    short, long, other = everything_at_once(world)[:3]
    world.drain(deliveries=5000)
    for user in (short, long, other):
        world.change_photo(user)
    throttle_mailboxes(world, **{short: 40, long: 20 * HOUR})
    world.hint(short, long, other)
    world.run(90.0)
    world.settled(short)
    world.settled(other)
    world.run(21 * HOUR)
    world.settled(long)
    assert world.tenant.early_returns.recorded() == []


@pytest.mark.parametrize("how", ["checked", "synced"])
def test_two_throttled_mailboxes_hold_up_others_for_half_a_minute_at_most(world: World, how: str) -> None:
    first, second, other = everything_at_once(world)[:3]
    world.drain(deliveries=5000)
    for user in (first, second, other):
        world.change_photo(user)
    throttle_mailboxes(world, **{first: 2 * HOUR, second: HOUR})
    if how == "checked":
        world.hint(first, second)
    else:
        world.ask(first)
        world.ask(second)
    world.run(1.0)
    world.hint(first, second)  # other hints must not ask too early
    world.hint(other)
    world.run(60.0)
    world.settled(other)
    world.drain(deliveries=5000)
    world.settled(first)
    world.settled(second)
    assert world.tenant.early_returns.recorded() == []


@pytest.mark.parametrize("service", [FILES, PROFILES])
def test_a_service_that_denies_all_users_is_not_called_for_a_quarter_of_an_hour(
    world: World, service: str
) -> None:
    users = everything_at_once(world)
    host = FILES_HOST if service == FILES else PROFILES_HOST
    world.fault(Fault(service=service, method="POST", status=403, next=2))
    times = calls(world, host)
    world.run(60)
    (gate,) = world.app.status_report.status()["gates"].values()
    assert gate["closed"]
    assert "403" in gate["why"]
    world.drain(deliveries=5000)
    assert max(after - before for before, after in pairwise(times)) >= 900
    (gate,) = world.app.status_report.status()["gates"].values()
    assert gate["why"] == ""
    for user in users:
        assert world.row(user).settled_etag == world.source(user)


@pytest.mark.parametrize(
    ("odd", "failed"),
    [
        pytest.param({"status": 500}, 1, id="500"),
        pytest.param({"status": 403, "code": "ErrorAccessDenied"}, 1, id="denied"),
        pytest.param({"status": 404, "code": "NeverHeardOf"}, 0, id="an unknown 404: no photo"),
        pytest.param({"status": 418}, 1, id="418"),
        pytest.param({"status": 200, "body": "[]"}, 1, id="no metadata"),
    ],
)
def test_one_user_with_invalid_answers_closes_no_gate(
    new_world: Callable[..., World], odd: dict[str, object], failed: int
) -> None:
    world = new_world()
    (removed,) = bulk.add_users(world, 1, photo=False)
    world.note(removed, missing_since=world.clock.now() - 2 * HOUR)
    users = everything_at_once(world)
    world.fault(Fault(service="graph", part=True, path=users[4], **odd))
    closed: list[str] = []
    world.steps.on("write photostate", lambda: closed.extend(gates_closed(world)), times=None, after=True)
    world.run(2 * HOUR)
    assert closed == []
    for user in users[:4] + users[5:]:
        assert world.row(user).settled_etag == world.source(user)
    (sweep,) = world.app.status_report.status()["sweeps"]  # which waited for this user, but not for ever
    assert (sweep["state"], sweep["failed"], sweep["seen"]) == ("finished", failed, 1 + len(users))
    assert world.row(removed).outcome == "cleared"
    world.fault()
    world.drain(deliveries=5000)
    world.sweep()
    assert world.row(users[4]).settled_etag == world.source(users[4])


def gates_closed(world: World) -> list[str]:
    now = world.clock.now()
    return [
        key
        for (kind, key), (columns, _) in world.state.rows.items()
        if kind == "gate" and columns.get("closed_until", 0.0) > now
    ]
