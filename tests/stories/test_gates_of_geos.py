"""Each geo has its own gates: what throttles one delays no user of another."""

from collections.abc import Callable

import pytest

from local.tenant.traffic.faults import Fault
from tests.fakes import bulk
from tests.fakes.world import World

HOUR = 3600.0


@pytest.mark.parametrize("service", ["sharepoint-files", "sharepoint-profiles"])
@pytest.mark.parametrize("throttled", ["eur", ""])
@pytest.mark.parametrize(
    "refusal", [{"status": 429, "retry_after": 7200}, {"status": 503, "retry_after": 7200}, {"status": 500}]
)
def test_a_geo_in_trouble_delays_no_other(
    new_world: Callable[..., World], service: str, throttled: str, refusal: dict[str, float]
) -> None:
    world = new_world()
    users = {geo: [world.add(geo=geo) for _ in range(3)] for geo in ("", "eur", "jpn")}
    for geo, some in users.items():
        for user in some:
            bulk.settle(world, user, '"OTHER"')
            world.note(user, geo=f"contoso{geo}-my.sharepoint.com")
    suffix = "my" if service == "sharepoint-files" else "admin"
    host = f"contoso{throttled}-{suffix}.sharepoint.com"
    world.fault(Fault(service=service, host=host, **refusal))
    for some in users.values():
        world.hint(*some)
    world.run(60)
    for geo, some in users.items():
        for user in some:
            shown = world.row(user).settled_etag == world.source(user)
            assert shown is (geo != throttled), geo
    assert list(world.app.status_report.status()["gates"]) == [f"{service}@{host}"]
    assert world.tenant.early_returns.recorded() == []
    world.fault()
    world.run(3 * HOUR)
    for some in users.values():
        for user in some:
            world.settled(user)


@pytest.mark.parametrize(("asked", "style"), [(3600, "integer"), (86_400, "integer"), (3600, "date")])
def test_a_service_that_asks_for_hours_is_left_alone_for_hours(
    new_world: Callable[..., World], asked: int, style: str
) -> None:
    world = new_world()
    world.tenant.world.knobs.retry_after = style
    user = world.add()
    bulk.settle(world, user, '"OTHER"')
    world.fault(Fault(service="sharepoint-files", status=429, retry_after=asked, next=1))
    world.ask(user)
    world.run(asked - 2)
    files = [request for request in world.requests("sharepoint-files") if "SThumb" in request]
    assert len(files) == 1
    assert world.tenant.early_returns.recorded() == []
    world.drain()
    world.sweep()
    world.settled(user)
