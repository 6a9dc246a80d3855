"""A tenant is renamed: its old hosts redirect, and SHAREPOINT_HOST follows sooner or later."""

from typing import Any

import pytest

from local.tenant.directory.domain import SITE_KINDS, SiteKind
from local.tenant.traffic.faults import Fault
from shared.sharepoint.pace import MINUTE, UNITS_FIRST
from tests.fakes.world import World

OLD, NEW = "contoso.sharepoint.com", "fabrikam.sharepoint.com"
OLD_MY, NEW_MY = "contoso-my.sharepoint.com", "fabrikam-my.sharepoint.com"
SET_IT = f"if the tenant was renamed, set SHAREPOINT_HOST to {NEW}"
STATUSES = [301, 302, 307, 308]
DAY = 24 * 3600.0


@pytest.fixture
def users(world: World) -> list[str]:
    """Users whose photos SharePoint showed before the rename; all but the last have a new photo."""
    users = [world.add() for _ in range(4)]
    for user in users:
        world.ask(user)
    world.drain()
    for user in users[:-1]:
        world.change_photo(user)
    return users


def rename(world: World, *sites: SiteKind, profiles: bool = True, status: Any = 302, host: str = "") -> None:
    """Rename contoso to fabrikam; only the hosts of `sites` redirect yet, all of them if none are named."""
    world.tenant.world.knobs.renamed_status = status
    world.tenant.sharepoint.rename("fabrikam", sites or SITE_KINDS, profiles=profiles)
    if host:
        world.restart(SHAREPOINT_HOST=host)


def healthy(world: World) -> None:
    """Assert that nothing is broken: no poison, no failed user, no closed gate."""
    shown = world.app.status_report.status()
    assert (world.outbox.poisoned, world.host.failures, shown["poison"]) == ([], [], [])
    assert shown["failed"]["users"] == 0
    assert [name for name, gate in shown["gates"].items() if gate["closed"]] == []


def outcomes(world: World, users: list[str]) -> set[tuple[str, str]]:
    return {(world.row(user).outcome, world.row(user).reason) for user in users}


def problems(world: World) -> list[str]:
    found: list[str] = world.app.status_report.status()["problems"]
    return found


def pictures(world: World, users: list[str]) -> set[str]:
    """Return the hosts in the users' PictureURL."""
    return {world.properties(user)["PictureURL"].split("/")[2] for user in users}


# --- before SHAREPOINT_HOST follows ---


@pytest.mark.parametrize("status", STATUSES)
def test_until_the_setting_follows_each_user_waits_and_the_reason_says_what_to_set(
    world: World, users: list[str], status: int
) -> None:
    rename(world, status=status)
    arrived = world.add()
    for _ in range(3):
        assert world.sweep()["state"] == "finished"
    waiting = [*users[:-1], arrived]
    reason = f"SharePoint redirects to fabrikam-admin.sharepoint.com: {SET_IT}"
    assert outcomes(world, waiting) == {("deferred", reason)}
    assert [said for said in problems(world) if said.startswith(reason)] != []
    healthy(world)
    world.restart(SHAREPOINT_HOST=NEW)
    world.sweep()
    for user in [*users, arrived]:
        world.settled(user)
    healthy(world)
    world.run(DAY)
    assert problems(world) == []


def test_no_call_and_no_token_goes_to_the_host_that_a_redirect_names(world: World, users: list[str]) -> None:
    rename(world)
    world.steps.taken.clear()
    world.sweep()
    assert world.row(users[0]).outcome == "deferred"
    assert {step for step in world.steps.taken if "fabrikam" in step} == set()


def test_while_the_setting_is_old_but_answers_the_profile_leads_to_the_new_hosts(
    world: World, users: list[str]
) -> None:
    rename(world, "my", "root")  # the admin host is the last
    arrived = world.add()
    world.sweep()
    for user in [*users, arrived]:
        world.settled(user)
    assert {world.row(user).geo for user in [*users[:-1], arrived]} == {NEW_MY}
    healthy(world)


# --- after SHAREPOINT_HOST followed ---


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("asked", ["by a sweep", "by notifications", "by an administrator"])
def test_known_and_new_users_are_synced_at_the_new_hosts(
    world: World, users: list[str], status: int, asked: str
) -> None:
    arrived = world.add()
    changed = [*users[:-1], arrived]
    rename(world, status=status, host=NEW)
    world.steps.taken.clear()
    if asked == "by a sweep":
        world.sweep()
    elif asked == "by notifications":
        world.hint(*changed)
    else:
        for user in changed:
            world.ask(user, "asked", force=True)
    world.drain()
    for user in [*users, arrived]:
        world.settled(user)
    assert {world.row(user).geo for user in changed} == {NEW_MY}
    assert pictures(world, changed) == {f"{NEW_MY}:443"}
    assert {step for step in world.steps.taken if "contoso" in step} == set()
    healthy(world)


def test_a_forced_sweep_writes_every_address_under_the_new_name(world: World, users: list[str]) -> None:
    rename(world, host=NEW)
    world.sweep()
    assert pictures(world, users[-1:]) == {f"{OLD_MY}:443"}  # it did not change; readers are redirected
    world.sweep(force=True)
    assert pictures(world, users) == {f"{NEW_MY}:443"}
    assert {world.row(user).home for user in users} == {NEW}


def test_a_known_user_is_reserved_for_as_the_first_contact_that_the_rename_makes_of_them(
    world: World, users: list[str]
) -> None:
    rename(world, host=NEW)
    world.run(MINUTE)
    before = taken(world)
    world.ask(users[0])
    world.drain()
    assert taken(world) - before == UNITS_FIRST


def taken(world: World) -> float:
    rows = [row for (kind, _), (row, _) in world.state.rows.items() if kind == "pace"]
    return sum(row.get("live", 0.0) + row.get("backfill", 0.0) for row in rows)


# --- halfway ---


def test_profiles_that_still_name_a_host_which_redirects_wait(world: World, users: list[str]) -> None:
    arrived = world.add()
    rename(world, profiles=False, host=NEW)
    world.sweep()
    reason = f"SharePoint redirects to {NEW_MY}, which its profiles do not name yet"
    assert outcomes(world, [*users[:-1], arrived]) == {("deferred", reason)}
    healthy(world)
    rename(world)
    world.sweep()
    for user in [*users, arrived]:
        world.settled(user)


def test_a_target_learnt_halfway_is_looked_for_again_when_its_host_redirects_too(
    world: World, users: list[str]
) -> None:
    rename(world, "root", profiles=False, host=NEW)
    world.sweep()
    assert {(world.row(user).home, world.row(user).geo) for user in users[:-1]} == {(NEW, OLD_MY)}
    rename(world)
    for user in users:
        world.change_photo(user)
    world.sweep()
    for user in users:
        world.settled(user)
        assert (world.row(user).home, world.row(user).geo) == (NEW, NEW_MY)
    healthy(world)


@pytest.mark.parametrize("nth", range(1, 8))
@pytest.mark.parametrize("first", ["my", "admin"])
def test_a_rename_in_the_middle_of_a_sync_loses_nothing(world: World, first: SiteKind, nth: int) -> None:
    user = world.add()
    host = f"contoso-{first}.sharepoint.com"
    world.steps.on(f"call {host}", lambda: rename(world), nth=nth)
    world.ask(user)
    world.drain()
    rename(world, host=NEW)
    world.sweep()
    world.settled(user)
    healthy(world)


def test_a_rename_in_the_middle_of_a_sweep_loses_nothing(world: World, users: list[str]) -> None:
    world.steps.on("call contoso-admin.sharepoint.com", lambda: rename(world), nth=2)
    world.sweep()
    world.restart(SHAREPOINT_HOST=NEW)
    world.sweep()
    for user in users:
        world.settled(user)
    healthy(world)


def test_a_removal_waits_for_the_setting_and_clears_the_picture_then(world: World, users: list[str]) -> None:
    gone = users[0]
    world.remove_photo(gone)
    world.sweep()
    world.run(2 * 3600.0)
    rename(world)
    world.sweep()
    assert world.row(gone).outcome == "deferred"
    assert world.shown(gone)
    world.restart(SHAREPOINT_HOST=NEW)
    world.sweep()
    assert (world.row(gone).outcome, world.shown(gone)) == ("cleared", "")
    healthy(world)


# --- other redirects ---


@pytest.mark.parametrize(
    ("location", "said"),
    [
        pytest.param("https://evil.example/x", "elsewhere", id="a host of no tenant"),
        pytest.param("https://fabrikam-my.sharepoint.com.evil.example/", "elsewhere", id="looks like it"),
        pytest.param("https://fabrikam-my.sharepoint.us/", "elsewhere", id="another cloud"),
        pytest.param("https://secret@evil.example:444/?token=secret", "elsewhere", id="with a secret"),
        pytest.param("/_layouts/15/AccessDenied.aspx?secret", "elsewhere", id="no host"),
        pytest.param("", "elsewhere", id="empty"),
        pytest.param(f"https://{NEW}/secret", f"to {NEW}", id="a SharePoint host"),
        pytest.param(f"https://{OLD_MY}/secret", f"to {OLD_MY}", id="the tenant itself"),
    ],
)
def test_of_a_redirects_address_only_a_sharepoint_host_is_repeated(
    world: World, users: list[str], caplog: pytest.LogCaptureFixture, location: str, said: str
) -> None:
    arrived = world.add()
    world.fault(Fault(service="sharepoint", status=302, headers={"Location": location}))
    world.ask(users[0])
    world.ask(arrived)
    world.drain()
    for user in (users[0], arrived):
        assert world.row(user).outcome == "deferred"
        assert world.row(user).reason.startswith(f"SharePoint redirects {said}")
    for word in ("evil", "secret", "AccessDenied"):
        assert word not in caplog.text + str(world.ledger.rows)
    world.fault()
    world.sweep()
    for user in users:
        world.settled(user)
    healthy(world)


@pytest.mark.parametrize("path", ["GetPropertiesFor", "/Folders", "AddUsingPath", "ProcessQuery"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
def test_whichever_call_redirects_one_user_they_alone_wait(
    world: World, users: list[str], path: str, known: bool
) -> None:
    user = users[0] if known else world.add()
    world.fault(Fault(path=path, status=308, headers={"Location": f"https://{NEW}/"}, next=3))
    for each in (user, *users[1:-1]):
        world.ask(each)
        world.drain()
    world.fault()
    world.sweep()
    for each in (user, *users):
        world.settled(each)
    healthy(world)


def test_force_finds_a_user_whose_old_host_is_gone(
    world: World,
) -> None:
    user = world.add(geo="eur")
    world.ask(user)
    world.drain()
    world.note(user, geo="gone-my.sharepoint.com")
    world.change_photo(user)
    world.ask(user, "asked", force=True)
    world.drain()
    world.settled(user)
    assert world.row(user).geo == "contosoeur-my.sharepoint.com"
