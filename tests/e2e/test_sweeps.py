"""Graph does not promise a notification for each new photo: sweeps find changes without one.

A photo counts as removed here once it has been missing for a second, instead of an hour.
"""

import time
from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from tests.e2e.apps import fast_app
from tests.e2e.story import SWEEPING, Json, Story, playing, quiet_stage

REMOVE_AFTER = 1.0  # seconds


@pytest.fixture(scope="module")
def shared_story(storage: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    app = fast_app(tmp_path_factory.mktemp("app"))
    with playing(
        quiet_stage(storage=storage, app=app, settings={**SWEEPING, "REMOVE_AFTER": f"PT{REMOVE_AFTER}S"})
    ) as story:
        yield story


@pytest.fixture
def story(shared_story: Story) -> Story:
    """The module's story, without its earlier users."""
    return shared_story.remove_all_users().reset()


def _counts(figures: Json) -> Json:
    """The figures of a sweep that are not zero."""
    return {name: n for name, n in figures.items() if isinstance(n, int) and not isinstance(n, bool) and n}


def _missing_for_long(story: Story, *users: str) -> None:
    """Wait until these people's photos have been missing for long enough to be removed."""
    noted = max(story.ledger(user)["missing_since"] for user in users)
    assert noted
    story.until(lambda: time.time() - noted > REMOVE_AFTER, what="the time for which a photo may be missing")


def _shows_no_picture(story: Story, user: str) -> bool:
    target = story.people.user(user)["target"]
    shown = set(target["userphoto"].values())
    return (target["files"], target["properties"]["PictureURL"], shown) == ([], "", {"placeholder"})


def _sweep_clears(story: Story, removed: str) -> None:
    """Let another sweep clear this picture, and write nothing else."""
    _missing_for_long(story, removed)
    story.people.clear_history()
    second = story.ended(story.sweep())

    found = {"unchanged": 3, "removable": 1, "empty": 1, "skipped": 1}
    assert _counts(second) == {"seen": 6, "shown": 4, **found}
    story.until(lambda: story.ledger(removed)["outcome"] == "cleared", removed)
    assert _shows_no_picture(story, removed)
    assert len(story.writes()) == 4  # the properties, and the three files
    row = story.ledger(removed)
    assert (row["settled_etag"], row["missing_since"], row["dirty"]) == ("", 0, False)


def test_without_notifications_every_change_shows_after_one_sweep_and_every_removal_after_two(
    story: Story,
) -> None:
    changed, removed, same, hidden = (story.add_synced_user() for _ in range(4))
    new, blank = story.add_user(), story.add_user(photo=False)
    guest, mailless = story.add_user(guest=True), story.add_user(mailbox=False, photo=False)
    before = story.people.shown(removed)
    story.people.draw_photo(changed)
    story.people.remove_photo(removed)
    story.people.change(hidden, enabled=False)
    story.people.draw_photo(hidden)

    story.stage.fire("start_sweep")
    sweep = story.until(lambda: story.status()["sweep"], what="the sweep")
    assert sweep["why"] == "the timer"
    first = story.ended(sweep["id"])  # this one is not started early: it begins after ten seconds

    assert story.people.subscriptions() == []
    for user in (changed, new, same):
        story.until(lambda user=user: story.settled(user), user)
        assert story.shows_its_source(user)
    found = {"changed": 2, "unchanged": 1, "missing": 1, "empty": 1, "skipped": 1}
    assert _counts(first) == {"seen": 6, "shown": 3, **found}
    assert first["state"] == "finished"
    assert story.people.shown(removed) == before
    _sweep_clears(story, removed)
    assert [story.ledger(user) for user in (guest, blank)] == [{}, {}]
    assert story.ledger(mailless)["outcome"] == "skipped"
    assert story.poisoned() == 0


def test_a_running_sweep_shows_its_progress_and_is_the_only_one(story: Story) -> None:
    story.people.add(count=45, photo="shared")
    story.settle()
    story.people.arm({"service": "graph", "path": "batch", "latency": 1.5})

    sweep = story.sweep()
    second = story.stage.call("POST", "sweeps")
    assert (second.status_code, second.json()) == (409, {"sweep": sweep, "running": True})
    going = story.until(lambda: (s := story.status()["sweep"]) and s["every_page_read"] and s, what="a page")
    assert (going["id"], going["why"], going["force"]) == (sweep, "an administrator", False)
    assert (going["pages"], going["seen"], going["users_expected"]) == (1, 45, 45)
    assert going["users_answered"] + going["unanswered"] == 45
    assert going["unanswered"] > 0
    story.people.disarm()

    figures = story.ended(sweep)
    assert _counts(figures) == {"seen": 45, "unchanged": 45, "shown": 45}
    status = story.status()
    assert status["sweep"] is None
    assert status["sweeps"][0] == figures
    assert figures["state"] == "finished"
    assert 0 <= status["now"] - figures["ended_at"] < 60


def test_an_administrator_ends_a_running_sweep_and_opens_another(story: Story) -> None:
    story.people.add(count=5, photo="shared")
    story.settle()
    sweep = story.open_sweep()

    cancelled = story.stage.call("DELETE", "sweeps")
    again = story.stage.call("DELETE", "sweeps")

    assert (cancelled.status_code, cancelled.json()) == (200, {"sweep": sweep, "running": False})
    assert (again.status_code, again.json()) == (404, {"error": "no sweep is running"})
    figures = story.ended(sweep)
    assert (figures["state"], figures["reason"]) == ("failed", "cancelled")
    assert story.ended(story.sweep())["state"] == "finished"


def test_a_forced_sweep_writes_every_photo_again(story: Story) -> None:
    users = [story.add_synced_user() for _ in range(3)]

    figures = story.ended(story.sweep(force="true"))

    assert (_counts(figures), figures["force"]) == ({"seen": 3, "changed": 3, "shown": 3}, True)
    assert [len(story.writes(user)) for user in users] == [3, 3, 3]
    assert len(story.writes()) == 4 * len(users)
    assert all(story.settled(user) for user in users)


def _braked(story: Story, lost: list[str]) -> Json:
    """Remove the photos of three of four users; return the figures of the sweep that this brakes."""
    for user in lost:
        story.people.remove_photo(user)
    assert _counts(story.ended(story.sweep())) == {"seen": 4, "missing": 3, "unchanged": 1, "shown": 4}
    _missing_for_long(story, *lost)

    braked = story.ended(story.sweep())
    assert _counts(braked) == {"seen": 4, "removable": 3, "unchanged": 1, "shown": 4}
    assert braked["state"] == "braked"
    assert "3 of 4 photos are missing at once" in braked["reason"]
    assert story.writes() == []
    assert any("ERROR" in line and "sweep.braked" in line for line in story.log.splitlines())
    return braked


def test_a_braked_sweep_removes_nothing_until_an_administrator_releases_exactly_its_list(
    story: Story,
) -> None:
    lost = [story.add_synced_user() for _ in range(3)]
    later = story.add_synced_user()
    braked = _braked(story, lost)
    sweep = braked["id"]

    story.people.remove_photo(later)  # it is not on the list
    story.send_check(later)
    story.until(lambda: story.ledger(later)["missing_since"], later)
    story.people.draw_photo(lost[0])  # it came back
    refused = story.stage.call("POST", "sweeps", params={"release_brake": "20200101T000000-0000"})
    assert refused.status_code == 400
    assert story.writes() == []
    released = story.stage.call("POST", "sweeps", params={"release_brake": sweep})
    assert (released.status_code, released.json()["sweep"]) == (202, sweep)

    cleared = lost[1:]
    story.until(lambda: all(story.ledger(user)["outcome"] == "cleared" for user in cleared), *cleared)
    story.until(lambda: story.settled(lost[0]), lost[0])
    story.until(lambda: not story.waiting("photo-backfill"), what="the list is done")
    assert all(_shows_no_picture(story, user) for user in cleared)
    assert story.shows_its_source(lost[0])
    assert story.ledger(later)["outcome"] == "synced"
    assert not _shows_no_picture(story, later)
    story.until(lambda: story.row("photostate", "sweeps", sweep)["state"] == "finished", what="its end")
    ended = story.ended(sweep)
    assert ended["reason"] == "released by a person"
    assert _counts(ended) == _counts(braked)
