"""The users whose photos are kept in step: sweeps and syncs of single users must agree about them."""

from collections.abc import Callable

import pytest

from local.tenant.directory.groups import Group
from local.tenant.entra.face import DEFAULT_PERMISSIONS
from tests.fakes.world import World

HOUR = 3600.0
GROUP = "0a0a0a0a-0000-4000-8000-000000000001"
NESTED = "0a0a0a0a-0000-4000-8000-000000000002"
EXCLUDED = "0a0a0a0a-0000-4000-8000-000000000003"

type Crowd = dict[str, str]


def people(world: World) -> Crowd:
    """Add one person of each kind, all with photos; members of groups are named after their group."""
    crowd = {
        "member": world.add(),
        "guest": world.add(guest=True),
        "blocked": world.add(enabled=False),
        "grouped": world.add(),
        "nested": world.add(),
        "nested guest": world.add(guest=True),
        "excluded": world.add(),
    }
    add_group(world, Group(GROUP, "photos", (crowd["grouped"], NESTED, crowd["blocked"], crowd["excluded"])))
    add_group(world, Group(NESTED, "more photos", (crowd["nested"], crowd["nested guest"], GROUP)))
    add_group(world, Group(EXCLUDED, "no photos", (crowd["excluded"],)))
    grant(world, "User.Read.All", "GroupMember.ReadBasic.All")
    return crowd


def add_group(world: World, group: Group) -> None:
    with world.tenant.world.lock:
        world.tenant.world.groups.put(group)


def grant(world: World, *roles: str) -> None:
    world.tenant.permissions.consent("graph", roles)


def shown(world: World, crowd: Crowd) -> set[str]:
    return {name for name, user in crowd.items() if world.shown(user)}


SCOPES = [
    pytest.param({}, {"member", "grouped", "nested", "excluded"}, id="members"),
    pytest.param(
        {"SCOPE": "members+guests"},
        {"member", "guest", "grouped", "nested", "nested guest", "excluded"},
        id="members and guests",
    ),
    pytest.param(
        {"SCOPE": f"group:{GROUP}"}, {"grouped", "nested", "nested guest", "excluded"}, id="a group"
    ),
    pytest.param({"EXCLUDE_GROUP": EXCLUDED}, {"member", "grouped", "nested"}, id="all but a group"),
    pytest.param(
        {"SCOPE": f"group:{GROUP}", "EXCLUDE_GROUP": EXCLUDED},
        {"grouped", "nested", "nested guest"},
        id="a group but a group",
    ),
]


@pytest.mark.parametrize(("settings", "inside"), SCOPES)
def test_a_sweep_checks_the_users_in_scope_and_no_others(
    new_world: Callable[..., World], settings: dict[str, str], inside: set[str]
) -> None:
    world = new_world(**settings)
    crowd = people(world)
    figures = world.sweep()
    assert shown(world, crowd) == inside
    assert figures["seen"] == len(inside)
    assert world.outbox.poisoned == []


@pytest.mark.parametrize(("settings", "inside"), SCOPES)
def test_single_syncs_agree_with_the_sweep_about_who_is_in_scope(
    new_world: Callable[..., World], settings: dict[str, str], inside: set[str]
) -> None:
    world = new_world(**settings)
    crowd = people(world)
    world.hint(*crowd.values())
    world.drain()
    assert shown(world, crowd) == inside
    outcomes = {name: world.row(user).outcome for name, user in crowd.items()}
    assert outcomes == {name: "synced" if name in inside else "skipped" for name in crowd}


def test_a_user_who_joins_the_group_is_synced_by_the_next_sweep_and_keeps_the_picture_after_leaving(
    new_world: Callable[..., World],
) -> None:
    world = new_world(SCOPE=f"group:{GROUP}")
    user = people(world)["member"]
    world.hint(user)
    world.drain()
    assert world.row(user).outcome == "skipped"
    add_group(world, Group(NESTED, "more photos", (user,)))
    world.sweep()
    world.settled(user)
    before = world.source(user)
    add_group(world, Group(NESTED, "more photos", ()))
    world.remove_photo(user)
    for _ in range(3):
        world.run(6 * HOUR)
        world.sweep()
    assert world.shown(user) == before


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"SCOPE": f"group:{GROUP}"}, id="a group"),
        pytest.param({"EXCLUDE_GROUP": EXCLUDED}, id="all but a group"),
    ],
)
def test_a_sweep_without_the_permission_to_read_groups_logs_an_error_and_goes_on_when_granted(
    new_world: Callable[..., World], settings: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    world = new_world(**settings)
    crowd = people(world)
    grant(world, *DEFAULT_PERMISSIONS["graph"])
    world.hint(crowd["grouped"])
    world.open_sweep()
    world.run(5 * 60)
    assert world.app.status_report.status()["gates"]["graph"]["closed"]
    world.run(HOUR)
    assert shown(world, crowd) == {"grouped"}  # of one user, Graph tells the groups without it
    assert any("denied" in record.getMessage() and record.levelname == "ERROR" for record in caplog.records)
    grant(world, "User.Read.All", "GroupMember.ReadBasic.All")
    world.drain()
    assert len(shown(world, crowd)) > 1
    assert world.app.status_report.status()["sweeps"][0]["state"] == "finished"
    assert (world.outbox.poisoned, world.host.failures) == ([], [])
