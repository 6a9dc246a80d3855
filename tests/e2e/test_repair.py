"""All poison is shown to administrators, and the next sweep heals it once its cause is gone.

Here, retries come at once.
"""

import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from local.azurite import Azurite
from tests.e2e.apps import fast_app
from tests.e2e.stored import KINDS
from tests.e2e.story import SWEEPING, Json, Story, playing, quiet_stage

GAVE_UP = "gave up after repeated failures"
NO_SWEEP = "20270115T140000-2c3d"
BROKEN = {"wait_until": "soon"}
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


class Users:
    """Users with a photo that SharePoint does not show, by their poison; the photo of `right` is shown."""

    def __init__(self, story: Story) -> None:
        self.checked, self.swept = (_add_changed(story) for _ in range(2))
        self.synced, self.filled, self.foreign = (_add_changed(story) for _ in range(3))
        self.right = story.add_synced_user()
        self.broken = (self.checked, self.swept, self.synced, self.filled)
        self.healed = (*self.broken, self.foreign)


def _add_changed(story: Story) -> str:
    user = story.add_synced_user()
    story.people.draw_photo(user)
    return user


def _poison_every_queue(story: Story, users: Users) -> str:
    """Let messages of every queue give up, and a sweep; return the sweep."""
    # Rows have a form that the app does not write, and another release of it left a message of its own.
    for user in users.broken:
        story.write_row("photoledger", user[:2], user, **BROKEN)
    story.write_row("photoledger", users.foreign[:2], users.foreign, queued_at=time.time())
    # Graph refuses the list of users and the subscription.
    story.people.arm(
        {"service": "graph", "method": "GET", "path": "/users\\?", "status": 400},
        {"service": "graph", "method": "POST", "path": "/subscriptions$", "status": 400},
    )
    sweep = story.sweep()
    story.send_check(users.checked, users.right)
    _send(story, "photo-sweep-checks", users=[users.swept], part=[NO_SWEEP, "00000-000"])
    _send(story, "photo-syncs", user=users.synced)
    _send(story, "photo-backfill", user=users.filled)
    _send(story, "photo-backfill", version=2, user=users.foreign)
    event = {"event": "missed", "subscription": users.synced, "born": time.time()}
    story.send("photo-subscription", {"v": 1, "job": event})
    story.until(
        lambda: len(_kept(story)) == 2 and _gave_up(story) == {*users.broken, users.right},
        seconds=PATIENCE,
        what="all messages give up",
    )
    return sweep


def _status_shows_all_poison(story: Story, users: Users, began: float) -> None:
    failing = _failing(story)
    assert failing.keys() == {users.right, *users.healed}
    assert {(user, each["reason"]) for user, each in failing.items()} == {
        (row["RowKey"], row["reason"]) for row in story.rows("photoledger") if row.get("outcome") == "failed"
    }
    assert {failing[user]["reason"] for user in (*users.broken, users.right)} == {GAVE_UP}
    assert failing[users.foreign]["reason"].startswith("a message that names this user is not to be read")
    assert began < story.status()["failed"]["since"] <= min(each["at"] for each in failing.values())
    kept = _kept(story)
    assert [queue for queue, _ in kept] == ["photo-backfill", "photo-subscription"]
    assert kept[1][1] == GAVE_UP


def test_poison_of_every_queue_shows_in_the_status_and_the_next_sweep_heals_it(story: Story) -> None:
    began, users = time.time(), Users(story)
    sweep = _poison_every_queue(story, users)
    _status_shows_all_poison(story, users, began)
    assert story.ended(sweep)["state"] == "failed"
    kept = _kept(story)

    story.people.disarm()
    for user in users.broken:
        story.write_row("photoledger", user[:2], user, wait_until=0.0)
    figures = story.ended(story.sweep())

    assert figures["state"] == "finished"
    assert [user for user in users.healed if not (story.settled(user) and story.shows_its_source(user))] == []
    assert {story.ledger(user)["outcome"] for user in users.healed} == {"synced"}
    row = story.ledger(users.right)
    assert (row["outcome"], row["reason"]) == ("unchanged", "SharePoint has this photo")
    assert story.writes(users.right) == []
    assert story.status()["failed"] == {"users": 0, "more": False, "since": None, "newest": []}
    assert story.poisoned() == 0
    story.stage.fire("renew_subscription")
    story.until(story.people.subscriptions, what="the subscription that the event did not create")
    assert _kept(story) == kept  # for an administrator to read, for thirty days


def _foreign(user: str) -> dict[str, list[str]]:
    """Messages that this app does not write, by queue."""
    common = '"why":"notified","seen":1,"born":1,"tries":0'
    sync = common.replace("why", "cause")
    return {
        "photo-checks": [
            "hello",
            "[]",
            '{"v":2,"job":{}}',
            f'{{"v":1,"job":{{"users":["../{user[3:]}"],{common},"force":false}}}}',
        ],
        "photo-syncs": [
            f'{{"v":1,"job":{{"user":"{user}",{sync},"force":false,"extra":1}}}}',
            f'{{"v":1,"id":"MINE","job":{{"user":"{user}",{sync},"force":false}}}}',
        ],
        "photo-subscription": ['{"v":1,"job":{"event":"applause","subscription":"x","born":1}}'],
        "photo-sweeps": ['{"v":1,"job":{"sweep":"20260101T000000-0000","page":-1,"born":1}}'],
        "photo-sweep-checks": [
            f'{{"v":1,"job":{{"users":["{user}"],{common},"force":false,"part":["x","00000-000"]}}}}'
        ],
        "photo-backfill": [f'{{"v":1,"job":{{"user":"{user}",{sync},"force":false,"slot":"now"}}}}'],
    }


def _kept_bodies(story: Story) -> dict[tuple[str, str], str]:
    """The reason of each kept message, by queue and body."""
    rows = [row for row in story.rows("photostate") if row["PartitionKey"] == "poison"]
    return {(row["queue"], row["body"]): row["why"] for row in rows}


def test_foreign_messages_are_kept_unchanged_with_the_reason(story: Story) -> None:
    user = str(uuid4())
    sent = {(queue, body) for queue, bodies in _foreign(user).items() for body in bodies}
    for queue, body in sent:
        story.send(queue, body)

    story.until(lambda: len(_kept_bodies(story)) >= len(sent), what="all of it is recorded")

    assert _kept_bodies(story).keys() == sent
    assert all(_kept_bodies(story).values())
    story.until(lambda: story.poisoned() == 0, what="the poison queues are empty again")
    assert [queue for queue in KINDS if story.waiting(queue)] == []
    assert story.ledger(user) == {}
    assert story.history() == []
