"""Instances die, storage fails: in the end SharePoint shows the right photo.

A claim is valid for 7 seconds here instead of 7 minutes, and a message comes back after 2 instead of 600.
Short-lived states are held until the test has seen them, or recognized by the times that they left behind.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from local.azurite import Azurite
from tests.e2e.apps import fast_app
from tests.e2e.pictures import alike, jpeg
from tests.e2e.story import Story, playing, quiet_stage

CLAIM = 7.0  # seconds; a call times out after a fourteenth of it, which a busy machine must not exceed
LEASE = 2  # seconds
LANE = "AzureWebJobs.sync_photo.Disabled"
AT_WORK = 0.01  # seconds between two polls of a host that a test must meet in the middle of its work
SETTINGS = {"CLAIM_FOR": f"PT{CLAIM:.0f}S"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fast_app(tmp_path_factory.mktemp("app"), retry_after=0)


@pytest.fixture(scope="module")
def shared_story(tmp_path_factory: pytest.TempPathFactory, app: Path) -> Iterator[Story]:
    with (
        Azurite(location=tmp_path_factory.mktemp("storage")) as storage,
        playing(quiet_stage(storage=storage, settings=SETTINGS, message_lease=LEASE, app=app)) as story,
    ):
        yield story


def _at_work(story: Story, name: str) -> None:
    """Wait until an upload of this name is being answered."""
    arrived = story.stage.tenant.history.entries  # not over HTTP: this must be quick
    story.until(lambda: any(name in each["path"] for each in arrived()), every=AT_WORK, what=name)


def _current(story: Story, user: str) -> bool:
    """Whether the newest photo was settled, for good or not."""
    return bool(story.ledger(user)["settled_etag"] == story.people.user(user)["source"]["etag"])


def _arrive_late(story: Story, path: str, content: bytes) -> None:
    """Let an upload that a dead host sent long ago take effect now."""
    tenant, host = story.stage.tenant, "contoso-my.sharepoint.com"
    token = tenant.tokens.issue(f"https://{host}", ("Sites.FullControl.All",), appidacr="2")
    with requests.Session() as web:
        web.trust_env = False
        web.proxies, web.verify = {"https": tenant.proxy_url}, str(tenant.ca)
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json;odata=nometadata"}
        assert web.post(f"https://{host}{path}", content, headers=headers, timeout=10).ok


def _die_during_an_upload(story: Story, user: str) -> str:
    """Kill the host while SharePoint answers an upload for this user; return the upload's path."""
    story.people.arm({"service": "sharepoint", "path": "LThumb", "latency": 30, "drop": True})
    story.send_sync(user)
    _at_work(story, "LThumb")
    sent = story.writes()[-1]["path"]
    assert story.stage.host
    story.stage.host.kill()
    story.people.disarm()
    return str(sent)


def test_a_host_killed_during_a_sync_leaves_no_wrong_photo(story: Story) -> None:
    user = story.add_synced_user()
    story.people.set_photo(user, old := jpeg("darkred", (300, 300)))
    sent = _die_during_an_upload(story, user)
    row = story.ledger(user)
    assert row["dirty"]
    assert row["claim_until"]  # no instance ended it

    story.people.set_photo(user, jpeg("darkgreen"))
    story.stage.start_host(**{LANE: "true"})
    story.until(lambda: story.take("photo-syncs"), what="the dead host's message comes back")
    story.until(lambda: time.time() > row["claim_until"], what="the end of its claim")
    began = time.time()
    assert story.stage.sync(user).json()["outcome"] == "synced"
    assert story.shows_its_source(user)

    # What the dead host sent may still arrive, and now it does ...
    _arrive_late(story, sent, old)
    row = story.ledger(user)
    assert row["dirty"]
    assert row["unsure_until"] >= began + CLAIM
    assert alike(story.people.shown(user), old)
    # ... and so the next check has everything written again, once nothing more can arrive.
    story.restart()
    story.until(lambda: time.time() > row["unsure_until"], what="the end of the doubt")
    story.send_check(user)
    story.until(lambda: story.settled(user), user)
    assert story.shows_its_source(user)
    story.until(lambda: not story.waiting("photo-syncs"), user)
    assert story.poisoned() == 0


def test_a_host_frozen_during_a_sync_writes_nothing_when_it_thaws(story: Story, app: Path) -> None:
    user = story.add_synced_user()
    story.people.set_photo(user, jpeg("darkred"))
    story.people.arm({"service": "sharepoint", "latency": 0.2, "next": 4})
    story.send_sync(user)
    _at_work(story, "SThumb")
    assert story.stage.host
    os.kill(story.stage.host.pid, signal.SIGSTOP)
    story.people.disarm()
    try:
        story.people.set_photo(user, jpeg("darkgreen"))
        tenant, storage = story.stage.tenant, story.stage.storage
        with quiet_stage(tenant=tenant, storage=storage, settings=SETTINGS, message_lease=LEASE, app=app):
            story.until(lambda: _current(story, user), user)
        story.people.clear_history()
        story.empty("photo-syncs")  # a write now can only be that of the thawed host
    finally:
        os.kill(story.stage.host.pid, signal.SIGCONT)

    story.until(lambda: "photo.deferred" in story.log, user, what="the thawed host gives up")
    story.until(lambda: "Executed 'Functions.sync_photo'" in story.log, user, what="it queues the job again")
    assert story.writes() == []
    assert story.shows_its_source(user)
    assert story.ledger(user)["outcome"] == "synced"
    assert story.ledger(user)["dirty"]  # until nothing more of the frozen host can arrive


def test_a_failure_of_storage_loses_neither_a_sync_nor_a_notification(story: Story) -> None:
    user, notified = story.add_synced_user(), story.add_synced_user()
    story.subscribed()
    story.people.turn(delivery_retry_base=0.3)
    deliveries = story.stage.tenant.graph.deliveries
    story.people.draw_photo(user)
    story.people.arm({"service": "sharepoint", "latency": 0.2})
    story.send_sync(user)
    _at_work(story, "SThumb")

    story.stage.storage.stop()
    story.until(lambda: "'Functions.sync_photo' (Failed" in story.log, what="the sync fails")
    story.people.draw_photo(notified, notify="on")
    story.until(lambda: deliveries() and deliveries()[-1].attempts, what="Graph posts")
    outcome = deliveries()[-1].outcome
    story.people.disarm()
    story.stage.storage.start()

    assert outcome == "retrying"
    row = story.ledger(user)
    assert (row["dirty"], _current(story, user)) == (True, False)
    for each in (user, notified):
        story.until(lambda each=each: _current(story, each), each)
        assert story.shows_its_source(each)
    assert deliveries()[-1].outcome == "delivered"
    assert story.poisoned() == 0
