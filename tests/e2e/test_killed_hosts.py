"""The host dies at any moment, repeatedly, while people change their photos: nothing is lost.

A claim is valid for six seconds here instead of 7 minutes, and a message comes back after 2 instead of 600.
Each kill counts as a failed delivery of all messages at work, so a message is poison only after one delivery
more than the number of kills. The app itself must not fail: every repeated delivery must be due to a kill.
"""

import hashlib
import random
import re
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from local.azurite import Azurite
from tests.e2e.apps import fast_app
from tests.e2e.pictures import jpeg
from tests.e2e.story import Json, Story, playing, quiet_stage

SEED = 20270115
CLAIM, LEASE = 6, 2  # seconds
USERS, KILLS, CHANGING = 100, 20, 3
USERS_IN_A_CHECK = 20
LONGEST_WORK = 25  # requests that a host may live for
REST = 90.0  # seconds; after the last kill, claims expire, and on a busy machine a gate may be closed
ENTRY = re.compile(r"^(?=\d\d:\d\d:\d\d\.\d{3} )", re.MULTILINE)  # where one of the host's log begins
OUTAGE = "TryLater: storage: "
PICTURE = re.compile(r"([0-9a-f-]{36})_[SML]Thumb")

pytestmark = pytest.mark.timeout(300)  # a slow run on a busy machine is not a counterexample


@pytest.fixture(scope="module")
def shared_story(storage: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    app = fast_app(tmp_path_factory.mktemp("app"), retry_after=0, deliveries=KILLS + 1)
    settings = {"CLAIM_FOR": f"PT{CLAIM}S"}
    stage = quiet_stage(storage=storage, settings=settings, message_lease=LEASE, app=app)
    with playing(stage) as story:
        story.subscribed()
        yield story


def _change(story: Story, users: list[str], chance: random.Random) -> None:
    """Give these people photos of a random colour, and let Graph notify of it."""
    for user in users:
        red, green, blue = (chance.randrange(256) for _ in range(3))
        story.people.set_photo(user, jpeg(f"rgb({red},{green},{blue})", (64, 64)), notify="on")


def _work(story: Story, requests: int) -> None:
    """Wait until the host has sent this many more requests."""
    history = story.stage.tenant.history
    enough = history.last + requests
    # On a busy machine a call may time out, which closes a gate for half a minute.
    story.until(lambda: history.last >= enough, seconds=REST, what=f"the work of {requests} requests")


def _is_done(story: Story) -> bool:
    """Whether no notification or sync is left, and no write can arrive any more whose effect is unsure."""
    deliveries = story.stage.tenant.graph.deliveries()
    if story.waiting("photo-syncs") or any(each.outcome != "delivered" for each in deliveries):
        return False
    return all(row.get("unsure_until", 0.0) < time.time() for row in story.rows("photoledger"))


def _at_rest(story: Story, users: list[str]) -> bool:
    """Whether nothing is left to do, and the rows say so."""
    rows = {row["RowKey"]: row for row in story.rows("photoledger")}
    return _is_done(story) and all(_is_settled(story, user, rows.get(user, {})) for user in users)


def _is_settled(story: Story, user: str, row: Json) -> bool:
    """Whether a row says that SharePoint shows the newest photo, with its bytes, and has no other mark."""
    photo = story.stage.tenant.world.people[user].photo
    assert photo
    newest = (photo.etag, hashlib.sha256(photo.data).hexdigest())
    settled = (row.get("settled_etag"), row.get("settled_sha256")) == newest
    return settled and not row["dirty"] and not row["claim_until"] and not row.get("unsure_until")


def _failures(log: str) -> list[str]:
    """The functions' own errors; a queue that does not answer on a busy machine is an outage."""
    return [entry for entry in ENTRY.split(log) if " (Failed, " in entry and OUTAGE not in entry]


def _nothing_is_lost_or_left_over(story: Story, users: list[str]) -> None:
    story.until(lambda: _is_done(story), seconds=REST, every=0.3, what="the end of all syncs")
    for first in range(0, USERS, USERS_IN_A_CHECK):  # instead of the app's own, a minute after each doubt
        story.send_check(*users[first : first + USERS_IN_A_CHECK])
    story.until(lambda: _at_rest(story, users), seconds=REST, every=0.3, what="rest")
    assert [user for user in users if not story.shows_its_source(user)] == []
    rows = {row["RowKey"]: row for row in story.rows("photoledger")}
    assert {rows[user]["outcome"] for user in users} <= {"synced", "unchanged"}
    assert story.poisoned() == 0
    assert _failures(story.log) == []
    assert story.status()["failed"]["users"] == 0
    uploaded = _last_uploads(story)
    assert uploaded.keys() == set(users)
    late = [user for user in users if uploaded[user] > rows[user]["settled_at"]]
    assert late == []  # no picture was written after its last settle


def _last_uploads(story: Story) -> dict[str, float]:
    """When the last upload of each user's picture arrived, Unix seconds."""
    uploads = ((PICTURE.search(each["path"]), each["at"]) for each in story.writes())
    return {name[1]: datetime.fromisoformat(at).timestamp() for name, at in uploads if name}


def test_a_host_killed_twenty_times_loses_no_photo_and_leaves_nothing_behind(story: Story) -> None:
    chance = random.Random(SEED)
    story.people.turn(delivery_retry_base=0.1)  # Graph repeats unanswered notifications soon
    users = story.people.add(count=USERS)
    failures: list[str] = []
    _change(story, users, chance)

    for _ in range(KILLS):
        _work(story, chance.randint(1, LONGEST_WORK))
        _change(story, chance.sample(users, CHANGING), chance)
        assert story.stage.host
        story.stage.host.kill()
        failures += _failures(story.log)
        story.stage.start_host()

    _nothing_is_lost_or_left_over(story, users)
    assert failures == []
