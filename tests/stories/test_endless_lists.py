"""Lists of Graph come back to a page that was read: their sweeps fail, and the next one is complete."""

from collections.abc import Callable

import pytest

from local.tenant.directory.groups import Group
from tests.fakes import bulk
from tests.fakes.world import World

HOUR = 3600.0
THREE_PAGES = 2010  # users; a page has 999
GROUP = "0a0a0a0a-0000-4000-8000-000000000003"


@pytest.mark.parametrize("knob", ["same", "first"])
@pytest.mark.parametrize("setting", ["", "SCOPE", "EXCLUDE_GROUP"])
def test_a_list_without_an_end_costs_few_requests_and_ends_by_itself(
    new_world: Callable[..., World], knob: str, setting: str
) -> None:
    settings = {"SCOPE": f"group:{GROUP}"} if setting == "SCOPE" else {setting: GROUP} if setting else {}
    world = new_world(direct=True, **settings)
    world.tenant.permissions.consent("graph", ["User.Read.All", "GroupMember.ReadBasic.All"])
    users = bulk.add_users(world, THREE_PAGES, photo=False, settled=False)
    with world.tenant.world.lock:
        world.tenant.world.groups.put(Group(GROUP, "everyone", users))
    world.tenant.world.knobs.next_page = knob

    failed = world.sweep()

    assert failed["state"] == "failed"
    assert "users comes back from page" in failed["reason"]
    lists = [each for each in world.requests("graph") if "/$batch" not in each]
    assert len(lists) <= 4
    world.tenant.world.knobs.next_page = "next"
    world.run(6 * HOUR)
    figures = world.sweep()
    assert (figures["state"], figures["seen"]) == (
        "finished",
        0 if setting == "EXCLUDE_GROUP" else THREE_PAGES,
    )
