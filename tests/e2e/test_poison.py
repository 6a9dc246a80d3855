"""Messages that cannot be handled are recorded and delay no others. Here, retries come at once."""

import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from local.azurite import Azurite
from tests.e2e.apps import fast_app
from tests.e2e.story import KINDS, SWEEPING, Story, playing, quiet_stage

GAVE_UP = "gave up after repeated failures"


@pytest.fixture(scope="module")
def shared_story(storage: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    app = fast_app(tmp_path_factory.mktemp("app"), retry_after=0)
    with playing(quiet_stage(storage=storage, app=app, settings=SWEEPING)) as story:
        yield story


def _kept(story: Story) -> dict[tuple[str, str], str]:
    """The kept poison that names no user: queue, body and reason."""
    rows = [row for row in story.rows("photostate") if row["PartitionKey"] == "poison"]
    return {(row["queue"], row["body"]): row["why"] for row in rows}


def test_foreign_messages_are_kept_unchanged_with_the_reason(story: Story) -> None:
    common = '"why":"notified","seen":1,"born":1,"tries":0'
    sync = common.replace("why", "cause")
    user = str(uuid4())
    strange = {
        "photo-checks": [
            "hello",
            "[]",
            '{"v":2,"job":{}}',
            f'{{"v":1,"job":{{"users":[],{common},"force":false}}}}',
            f'{{"v":1,"job":{{"users":["../{user[3:]}"],{common},"force":false}}}}',
        ],
        "photo-syncs": [
            f'{{"v":1,"job":{{"user":"{user}",{sync},"force":"no"}}}}',
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
    sent = {(queue, body) for queue, bodies in strange.items() for body in bodies}
    for queue, body in sent:
        story.send(queue, body)

    story.until(lambda: len(_kept(story)) >= len(sent), what="all of it is recorded")

    assert set(_kept(story)) == sent
    assert all(_kept(story).values())
    story.until(lambda: story.poisoned() == 0, what="the poison queues are empty again")
    assert [queue for queue in KINDS if story.waiting(queue)] == []
    assert story.ledger(user) == {}
    assert story.history() == []


def test_a_sync_that_sharepoint_refuses_for_good_fails_and_the_next_one_heals_it(story: Story) -> None:
    user = story.add_synced_user()
    story.people.draw_photo(user)
    story.people.arm({"service": "sharepoint", "path": "MThumb", "status": 400})

    story.send_sync(user)
    story.until(lambda: story.ledger(user)["reason"].startswith(GAVE_UP), user)

    row = story.ledger(user)
    assert row["reason"].startswith(f"{GAVE_UP}: sharepoint-files: 400")
    assert (row["outcome"], row["dirty"], row["claim_until"]) == ("failed", True, 0)
    refused = [each for each in story.writes(user) if "MThumb" in each["path"]]
    assert [each["status"] for each in refused] == [400] * 5
    story.until(lambda: story.poisoned() == 0, user)

    story.people.disarm()
    story.send_sync(user)
    story.until(lambda: story.settled(user), user)
    assert story.shows_its_source(user)


def test_a_user_with_an_invalid_answer_from_graph_fails_alone(story: Story) -> None:
    odd, changed = story.add_synced_user(), story.add_synced_user()
    for user in (odd, changed):
        story.people.draw_photo(user)
    story.people.arm({"part": True, "path": f"{odd}/photo", "status": 418, "code": "Teapot"})

    story.send_check(odd, changed, tries=5)
    story.until(lambda: story.settled(changed) and story.ledger(odd).get("outcome") == "failed", odd, changed)

    assert story.ledger(odd)["reason"] == "Graph answered 418 Teapot"
    assert story.shows_its_source(changed)
    assert story.writes(odd) == []
    assert story.poisoned() == 0


def test_a_sweep_for_which_graph_lists_no_users_fails_and_does_not_block_the_next(story: Story) -> None:
    story.people.arm({"service": "graph", "method": "GET", "path": "/users", "status": 400})

    sweep = story.sweep()
    figures = story.ended(sweep)

    assert (figures["state"], figures["reason"]) == ("failed", "a page failed for good")
    assert [why for (_, body), why in _kept(story).items() if sweep in body] == [GAVE_UP]
    assert ("photo-sweeps", GAVE_UP) in [(each["queue"], each["why"]) for each in story.status()["poison"]]
    story.people.disarm()
    assert story.ended(story.sweep())["state"] == "finished"


def test_a_lifecycle_event_that_cannot_be_handled_is_kept(story: Story) -> None:
    story.people.arm({"service": "graph", "method": "POST", "path": "/subscriptions$", "status": 400})
    subscription = str(uuid4())
    event = {"event": "reauthorizationRequired", "subscription": subscription, "born": time.time()}

    story.send("photo-subscription", {"v": 1, "job": event})
    kept = story.until(
        lambda: [why for (_, body), why in _kept(story).items() if subscription in body],
        what="the event is recorded",
    )

    assert kept == [GAVE_UP]
    assert story.people.subscriptions() == []
