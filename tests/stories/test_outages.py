"""A service out for half an hour, a permission withdrawn for six: no change is lost, no messages pile up."""

import logging
from collections.abc import Callable
from typing import NoReturn

import pytest

from local.tenant.traffic.faults import Fault
from shared.errors import TryLater
from tests.fakes import bulk
from tests.fakes.external_steps import drop_connection
from tests.fakes.world import World

HALF_AN_HOUR = 1800.0
HOUR = 3600.0


def no_token() -> NoReturn:
    raise TryLater("entra", "no answer")


def of_the_tenant(**fault: object) -> Callable[[World], None]:
    return lambda world: world.fault(Fault(**fault))


def at_steps(name: str, do: Callable[[], object]) -> Callable[[World], None]:
    return lambda world: world.steps.on(name, do, times=None) and None


OUTAGES = [
    pytest.param(of_the_tenant(service="graph", status=503), id="graph is down"),
    pytest.param(of_the_tenant(service="graph", drop=True), id="graph hangs up"),
    pytest.param(of_the_tenant(service="graph", status=429, retry_after=120), id="graph throttles"),
    pytest.param(
        of_the_tenant(service="graph", part=True, path="photo", status=429, retry_after=45),
        id="graph throttles parts",
    ),
    pytest.param(of_the_tenant(service="graph", status=503, retry_after=120), id="graph is busy"),
    pytest.param(
        of_the_tenant(service="graph", part=True, path="photo", status=503), id="the photo service is down"
    ),
    pytest.param(
        of_the_tenant(service="graph", part=True, path="photo", status=503, retry_after=45),
        id="the photo service is busy",
    ),
    pytest.param(of_the_tenant(service="sharepoint-files", status=503), id="files are down"),
    pytest.param(
        of_the_tenant(service="sharepoint-files", status=429, retry_after=300), id="files are throttled"
    ),
    pytest.param(of_the_tenant(service="sharepoint-files", status=503, retry_after=300), id="files are busy"),
    pytest.param(
        of_the_tenant(service="sharepoint-files", drop=True, when="after"), id="files take and hang up"
    ),
    pytest.param(of_the_tenant(service="sharepoint-profiles", status=500), id="profiles are down"),
    pytest.param(
        of_the_tenant(service="sharepoint-profiles", status=429, retry_after=77.5),
        id="profiles are throttled",
    ),
    pytest.param(at_steps("(read|write|scan) .*", drop_connection), id="our tables are out of reach"),
    pytest.param(at_steps("write .*", drop_connection), id="our tables refuse writes"),
    pytest.param(at_steps("call .*", no_token), id="entra is out of reach"),
]


def busy_world(world: World) -> list[str]:
    """Return fifteen users, each with a change that SharePoint does not show: hints name a third of them."""
    users = [world.add() for _ in range(5)] + bulk.add_users(world, 10)
    for user in users[5:10]:
        bulk.settle(world, user, '"OTHER"')
    world.hint(*users[3:8])
    world.open_sweep()
    return users


def recover(world: World) -> None:
    world.fault()
    world.steps.clear()
    world.drain(deliveries=5000)


def assert_recovered(world: World, users: list[str]) -> None:
    """Assert that no user was lost and no messages piled up."""
    for user in users:
        row = world.row(user)
        assert (row.settled_etag, row.dirty, row.queued_at) == (world.source(user), False, 0)
    assert world.host.failures == []
    assert world.outbox.poisoned == []
    assert world.host.most_messages <= 2 * len(users)
    assert world.tenant.early_returns.recorded() == []


@pytest.mark.parametrize("deliveries", [pytest.param(0, id="from the start"), pytest.param(9, id="later")])
@pytest.mark.parametrize("begin", OUTAGES)
def test_half_an_hour_without_a_service_loses_nothing(
    world: World, begin: Callable[[World], None], deliveries: int
) -> None:
    users = busy_world(world)
    while world.host.delivered < deliveries:
        world.run(1)
    begin(world)
    world.run(HALF_AN_HOUR)
    recover(world)
    latest = world.app.status_report.status()["sweeps"]
    assert [each["state"] for each in latest] == ["finished"]
    assert latest[0]["seen"] == len(users)
    world.sweep()  # users who were checked between two states are found now
    assert_recovered(world, users)


def loud(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("resource", ["graph", "sharepoint"])
def test_a_permission_withdrawn_for_six_hours_is_logged_as_an_error_and_loses_nothing(
    world: World, resource: str, caplog: pytest.LogCaptureFixture
) -> None:
    users = busy_world(world)
    granted = world.tenant.permissions.roles(resource)
    world.tenant.permissions.consent(resource, [])
    world.run(5 * 60)
    gates = world.app.status_report.status()["gates"]
    assert any(gate["closed"] for name, gate in gates.items() if name.startswith(resource))
    assert any("denied" in each.getMessage() or "403" in each.getMessage() for each in loud(caplog))
    world.run(6 * HOUR - 5 * 60)
    refused = [line for line in world.requests(resource) if "→ 40" in line]
    knocks = 6 * 4  # one a quarter of an hour, and the calls that were under way
    assert len(refused) < knocks + 2 * len(users)

    world.tenant.permissions.consent(resource, granted)
    recover(world)
    assert_recovered(world, users)
