"""A file or profile that another program has locked: its user waits, the others do not, and it heals."""

import json
from collections.abc import Callable

import pytest

from local.tenant.traffic.faults import Fault
from tests.fakes.world import World

SHARED_LOCK = "-2147018894, Microsoft.SharePoint.SPFileLockException"
CHECKED_OUT = "-2130575306, Microsoft.SharePoint.SPFileCheckOutException"
HOUR = 3600.0


def locked(path: str, status: int = 423, code: str = SHARED_LOCK) -> Fault:
    body = json.dumps({"odata.error": {"code": code, "message": {"lang": "de-DE", "value": "Gesperrt."}}})
    return Fault(path=path, status=status, body=body)


def locked_query(number: int, kind: str) -> Fault:
    error = {"ErrorMessage": "Gesperrt.", "ErrorCode": number, "ErrorTypeName": kind, "ErrorValue": None}
    body = json.dumps([{"SchemaVersion": "15.0.0.0", "ErrorInfo": error}])
    return Fault(path="ProcessQuery", status=200, body=body)


def waits(world: World) -> list[str]:
    """Return the services whose gate was ever closed."""
    gates = [(name, row) for (kind, name), (row, _) in world.state.rows.items() if kind == "gate"]
    return [name for name, row in gates if row.get("closed_until")]


def only_named(world: World, user: str) -> None:
    """Assert that a lock has no consequence but that its user is named as long as it lasts."""
    assert (world.outbox.poisoned, world.host.failures, waits(world)) == ([], [], [])
    named = world.app.status_report.status()["failed"]["users"]
    assert named == (world.row(user).outcome == "failed")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda: locked("AddUsingPath"), id="an upload"),
        pytest.param(lambda: locked("_LThumb"), id="the last upload"),
        pytest.param(lambda: locked("AddUsingPath", 409, CHECKED_OUT), id="checked out, a conflict"),
        pytest.param(lambda: locked("AddUsingPath", 500, CHECKED_OUT), id="checked out, a server error"),
        pytest.param(lambda: Fault(path="AddUsingPath", status=423, body="<html>"), id="in HTML"),
        pytest.param(lambda: locked("ProcessQuery"), id="a query"),
        pytest.param(
            lambda: locked_query(-2147018894, "Microsoft.SharePoint.SPFileLockException"),
            id="a query that answers 200",
        ),
        pytest.param(lambda: locked_query(-2130575306, "irgendeine"), id="by number, not by name"),
    ],
)
@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
def test_a_lock_is_waited_for_until_it_ends(world: World, fault: Callable[[], Fault], known: bool) -> None:
    user, others = world.add(), [world.add() for _ in range(5)]
    if known:
        world.ask(user)
        world.drain()
        world.change_photo(user)
    world.fault(fault())
    world.ask(user)
    world.run(3 * HOUR)
    assert len(world.queued()) == 1
    only_named(world, user)
    world.fault()
    for other in others:
        world.ask(other)
    world.run(1.0)
    for other in others:
        world.settled(other)
    world.run(HOUR)
    world.settled(user)
    only_named(world, user)


@pytest.mark.parametrize("path", ["GetPropertiesFor", "/Folders"])
def test_a_lock_on_what_is_read_of_a_new_user_is_waited_for(world: World, path: str) -> None:
    user = world.add()
    world.fault(locked(path))
    world.ask(user)
    world.run(3 * HOUR)
    assert len(world.queued()) == 1
    world.fault()
    world.run(HOUR)
    world.settled(user)
    only_named(world, user)


def test_a_lock_on_a_file_that_is_to_be_deleted_is_waited_for(world: World) -> None:
    user = world.add()
    world.ask(user)
    world.drain()
    world.remove_photo(user)
    world.sweep()
    world.run(2 * HOUR)
    world.fault(locked("GetFileByServerRelativePath"))
    world.open_sweep()
    world.run(3 * HOUR)
    assert world.row(user).outcome != "cleared"
    only_named(world, user)
    world.fault()
    world.run(HOUR)
    assert (world.row(user).outcome, world.shown(user)) == ("cleared", "")
    assert world.tenant.sharepoint.describe(user)["files"] == []


def test_a_lock_that_outlasts_a_day_is_left_to_the_next_sweep(world: World) -> None:
    user = world.add()
    world.fault(locked("AddUsingPath"))
    world.ask(user)
    world.run(30 * HOUR)
    assert world.row(user).reason.startswith("gave up after a day: sharepoint-files: 423")
    assert world.queued() == []
    only_named(world, user)
    world.fault()
    world.sweep()
    world.settled(user)


def test_retry_after_of_a_lock_is_obeyed_for_its_user_alone(world: World) -> None:
    user, other = world.add(), world.add()
    world.fault(Fault(path=f"{user}_SThumb", status=423, retry_after=600))
    world.ask(user)
    world.ask(other)
    world.run(1.0)
    world.settled(other)
    assert 599 <= world.hidden()[0] <= 660
    world.fault()
    world.run(700.0)
    world.settled(user)
    only_named(world, user)


def test_several_locked_files_delay_other_users_by_minutes_at_most(world: World) -> None:
    users, other = [world.add() for _ in range(3)], world.add()
    world.fault(Fault(path=f"({'|'.join(users)})_SThumb", status=423, retry_after=3600))
    for user in users:
        world.ask(user)
    world.ask(other)
    world.run(120.0)
    world.settled(other)
    world.fault()
    world.run(2 * HOUR)
    for user in users:
        world.settled(user)
