"""A photo service that reports all photos as missing, and an administrator's control over removals."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from local.tenant.directory.world import Photo
from shared.jobs import Backfill
from tests.fakes import bulk
from tests.fakes.world import World

HOUR = 3600.0

# Every answer of Graph for a missing photo.
ANSWERS = [
    pytest.param({"no_photo_code": "ImageNotFound", "batch_no_photo": "error"}, id="ImageNotFound"),
    pytest.param({"no_photo_code": "ErrorItemNotFound", "batch_no_photo": "error"}, id="ErrorItemNotFound"),
    pytest.param(
        {"no_photo_code": "ErrorEntityNotFound", "batch_no_photo": "error"}, id="ErrorEntityNotFound"
    ),
    pytest.param({"batch_no_photo": "null"}, id="404 without a body"),
    pytest.param({"no_photo": "1x1"}, id="a placeholder"),
]


@contextmanager
def forgetting(world: World, **knobs: str) -> Iterator[None]:
    """Let the photo service know no photo meanwhile."""
    for name, value in knobs.items():
        setattr(world.tenant.world.knobs, name, value)
    kept: dict[str, Photo | None] = {}
    for person in world.tenant.world.living():
        kept[person.id], person.photo = person.photo, None
    yield
    for user, photo in kept.items():
        world.person(user).photo = photo


def live_through_a_day(world: World, users: list[str], *, few: int, many: int) -> list[str]:
    """Sweep every six hours; return how the sweeps ended.

    Each hour hints name other users: `few` before the first sweep, so that it finds only those missing for
    long enough, and `many` later.
    """
    ends = []
    for number, hinted in enumerate((few, many, many, many)):
        for hour in range(6):
            first = (6 * number + hour) * hinted % len(users)
            world.hint(*users[first : first + hinted])
            world.run(HOUR)
        sweep = world.open_sweep()
        world.run(HOUR / 2)
        ends.append(world.figures(sweep)["state"])
    return ends


@pytest.mark.parametrize("knobs", ANSWERS)
def test_a_day_without_photos_clears_no_photo_of_fifteen_users(world: World, knobs: dict[str, str]) -> None:
    users = bulk.add_users(world, 15)
    with forgetting(world, **knobs):
        assert live_through_a_day(world, users, few=1, many=15) == ["braked"] * 4
    assert world.requests("sharepoint") == []
    figures = world.sweep()
    assert (figures["state"], figures["unchanged"]) == ("finished", 15)
    for user in users:
        row = world.row(user)
        assert (row.settled_etag, row.missing_since) == (world.source(user), 0)


def test_a_day_without_photos_clears_no_photo_of_fifteen_thousand_users(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    users = bulk.add_users(world, 15_000)
    with forgetting(world), caplog.at_level(logging.ERROR):
        ends = live_through_a_day(world, users, few=3, many=100)
    assert ends == ["braked"] * 4
    assert world.requests("sharepoint") == []
    assert world.outbox.messages == []
    newest = world.app.status_report.status()["sweeps"][0]
    assert "15000 of 15000 photos are missing at once" in newest["reason"]
    assert sum("sweep.braked" in record.getMessage() for record in caplog.records) == 4


# --- what an administrator does ---


def test_a_brake_is_released_while_the_next_sweep_runs(world: World) -> None:
    users = [world.add() for _ in range(12)]
    world.sweep()
    for user in users[:8]:
        world.remove_photo(user)
    world.sweep()
    world.run(6 * HOUR)
    sweep = world.sweep()
    assert sweep["state"] == "braked"
    running = world.open_sweep()
    world.services.removals.release(sweep["id"])
    world.drain()
    assert {world.row(user).outcome for user in users[:8]} == {"cleared"}
    assert world.figures(running)["seen"] == 12


def test_keep_leaves_the_picture_and_no_longer_counts_it(new_world: Callable[..., World]) -> None:
    world = new_world(ON_PHOTO_REMOVED="keep")
    users = [world.add() for _ in range(4)]
    world.sweep()
    shown = world.shown(users[0])
    world.remove_photo(users[0])
    for _ in range(2):
        world.sweep()
        world.run(6 * HOUR)
    row = world.row(users[0])
    assert (row.outcome, row.settled_etag, world.shown(users[0])) == ("kept", "", shown)
    figures = world.sweep()
    assert (figures["empty"], figures["missing"], figures["shown"]) == (1, 0, 3)
    assert world.queued(Backfill) == []
