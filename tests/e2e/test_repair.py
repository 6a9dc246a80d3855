"""All poison is shown to administrators, and the next sweep heals it once its cause is gone."""

import time
from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from tests.e2e.apps import fast_app
from tests.e2e.story import SWEEPING, Json, Story, playing, quiet_stage

GAVE_UP = "gave up after repeated failures"
NO_SWEEP = "20270115T140000-2c3d"
PATIENCE = 50.0  # seconds; on a busy machine a message may be deferred for half a minute


@pytest.fixture(scope="module")
def shared_story(storage: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    app = fast_app(tmp_path_factory.mktemp("app"), retry_after=0)
    with playing(quiet_stage(storage=storage, app=app, settings=SWEEPING)) as story:
        yield story


def _send(story: Story, queue: str, version: int = 1, **job: object) -> None:
    now = time.time()
    common = {
        "why" if "users" in job else "cause": "swept",
        "seen": now,
        "born": now,
        "tries": 0,
        "force": False,
    }
    story.send(queue, {"v": version, "job": {**common, **job}})


def _failing(story: Story) -> dict[str, Json]:
    """The failing users, as administrators see them."""
    return {each["user"]: each for each in story.status()["failed"]["newest"]}


def _gave_up(story: Story) -> set[str]:
    return {user for user, each in _failing(story).items() if each["reason"].startswith(GAVE_UP)}


def _kept(story: Story) -> list[tuple[str, str]]:
    return sorted((each["queue"], each["why"]) for each in story.status()["poison"])


def test_poison_of_every_queue_shows_in_the_status_and_the_next_sweep_heals_it(story: Story) -> None:
    began = time.time()
    checked, right, swept, synced, filled, broken, foreign = (story.add_synced_user() for _ in range(7))
    for user in (checked, swept, synced, filled, broken, foreign):
        story.people.draw_photo(user)

    # Graph refuses the batches of checks ...
    story.people.arm({"service": "graph", "path": "batch", "status": 400})
    story.send_check(checked, right)
    _send(story, "photo-sweep-checks", users=[swept], part=[NO_SWEEP, "00000-000"])
    early = {checked, right, swept}
    story.until(lambda: _gave_up(story) == early, seconds=PATIENCE, what="the checks give up")
    # ... then SharePoint some pictures, and Graph the list of users and the subscription; a row has a form
    # that the app does not write; and another release of this app left a message of its own.
    story.people.arm(
        *({"service": "sharepoint", "path": f"{user}_M", "status": 400} for user in (synced, filled)),
        {"service": "graph", "method": "GET", "path": "/users\\?", "status": 400},
        {"service": "graph", "method": "POST", "path": "/subscriptions$", "status": 400},
    )
    story.write_row("photoledger", broken[:2], broken, claim_until="soon")
    story.write_row("photoledger", foreign[:2], foreign, queued_at=time.time())
    sweep = story.sweep()
    for queue, user in (("photo-syncs", synced), ("photo-backfill", filled), ("photo-syncs", broken)):
        _send(story, queue, user=user)
    _send(story, "photo-backfill", version=2, user=foreign)
    event = {"event": "missed", "subscription": synced, "born": time.time()}
    story.send("photo-subscription", {"v": 1, "job": event})
    story.until(
        lambda: len(_kept(story)) == 3 and _gave_up(story) == {synced, filled, broken} | early,
        seconds=PATIENCE,
        what="all messages give up",
    )

    failing = _failing(story)
    assert failing.keys() == {checked, right, swept, synced, filled, broken, foreign}
    assert {(user, each["reason"]) for user, each in failing.items()} == {
        (row["RowKey"], row["reason"]) for row in story.rows("photoledger") if row.get("outcome") == "failed"
    }
    assert {failing[user]["reason"] for user in (checked, right, swept, broken)} == {GAVE_UP}
    assert failing[synced]["reason"].startswith(f"{GAVE_UP}: sharepoint-files: 400")
    assert failing[filled]["reason"] == failing[synced]["reason"]
    assert failing[foreign]["reason"].startswith("a message that names this user is not to be read")
    assert began < story.status()["failed"]["since"] <= min(each["at"] for each in failing.values())
    kept = _kept(story)
    assert [queue for queue, _ in kept] == ["photo-backfill", "photo-subscription", "photo-sweeps"]
    assert [why for _, why in kept[1:]] == [GAVE_UP, GAVE_UP]
    assert story.ended(sweep)["state"] == "failed"

    story.people.disarm()
    story.write_row("photoledger", broken[:2], broken, claim_until=0.0)
    figures = story.ended(story.sweep())

    assert figures["state"] == "finished"
    healed = (checked, swept, synced, filled, broken, foreign)
    assert [user for user in healed if not (story.settled(user) and story.shows_its_source(user))] == []
    assert {story.ledger(user)["outcome"] for user in healed} == {"synced"}
    assert (story.ledger(right)["outcome"], story.ledger(right)["reason"]) == (
        "unchanged",
        "SharePoint has this photo",
    )
    assert story.writes(right) == []
    assert story.status()["failed"] == {"users": 0, "more": False, "since": None, "newest": []}
    assert story.poisoned() == 0
    story.stage.fire("renew_subscription")
    story.until(story.people.subscriptions, what="the subscription that the event did not create")
    assert _kept(story) == kept  # for an administrator to read, for thirty days
