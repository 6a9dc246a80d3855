"""No secret is ever said: not in the log, a queue, a table or an answer, whatever goes wrong."""

import re
from collections.abc import Iterator

import pytest

from local.azurite import KEY as STORAGE_KEY
from tests.e2e.apps import brisk_app
from tests.e2e.pictures import jpeg
from tests.e2e.story import Story, playing, quiet_stage

TOKEN = re.compile(r"eyJ[\w-]{10,}")  # how every JSON Web Token begins
CHECKING = {"AzureWebJobs.check_photos.Disabled": "false"}
SHORTEST = 20  # characters of a certificate's line that make it a secret


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    settings = {"RECHECK_AFTER": "PT1S", "AzureWebJobs.check_photos.Disabled": "true"}
    app = brisk_app(tmp_path_factory.mktemp("app"), retry_after=0)
    with playing(quiet_stage(app=app, settings=settings)) as story:
        yield story


def _things_go_right_and_wrong(story: Story) -> list[str]:
    """Play a bit of everything; return what was seen on the way."""
    said = [story.stage.subscribe().text]
    user, unlucky = story.arrive(), story.arrive()
    story.people.draw_photo(user, notify="on")
    story.until(lambda: story.peek("photo-checks"), user)
    said += [*story.messages(), story.stage.log]
    story.restart(**CHECKING)
    story.until(lambda: story.settled(user), user)
    for fault in (
        {"path": "MThumb", "status": 403},
        {"path": "MThumb", "status": 400},
        {"path": "SThumb", "drop": True, "next": 1},
        {"path": "batch", "status": 429, "retry_after": 60},
        {"path": "batch", "truncate": True, "next": 1},
    ):
        story.people.arm(fault)
        said += [story.stage.sync(unlucky, force="true").text, story.stage.log]
        story.open_gates(**CHECKING)
    story.people.arm({"path": "LThumb", "status": 400})
    story.send_sync(unlucky, force=True)
    story.until(lambda: story.ledger(unlucky).get("outcome") == "failed", unlucky)
    story.people.disarm()
    story.send("photo-syncs", '{"v":1,"job":"nothing"}')
    story.until(lambda: "poison.kept" in story.log, what="poison is kept")
    story.people.set_photo(user, jpeg("navy")[:500], raw=True, notify="on")
    story.until(lambda: story.ledger(user).get("outcome") == "failed", user)
    (subscription,) = story.people.subscriptions()
    items = [{"clientState": subscription["clientState"], "resource": "Users/nobody"}]
    said.append(story.stage.call("POST", "notifications", key="", json={"value": items}).text)
    said.append(story.stage.subscribe().text)
    return [*said, *story.messages(), story.stage.log]


def test_no_secret_is_ever_said(story: Story) -> None:
    settings, stage = story.stage.tenant.settings, story.stage
    said = _things_go_right_and_wrong(story)
    said += [str(row) for table in ("photoledger", "photostate") for row in story.rows(table)]
    assert stage.host
    (subscription,) = story.people.subscriptions()
    secrets = {
        settings["CLIENT_STATE_SECRET"],
        STORAGE_KEY,
        *subscription["clientState"].split("."),
        *stage.host.keys.values(),
        *(line for line in settings["CLIENT_CERTIFICATE"].splitlines() if len(line) > SHORTEST),
    }

    text = "\n".join(said)

    assert all(word in text for word in ("photo.synced", "settled_etag", "photo.failed", "seen", "did"))
    assert TOKEN.search(stage.tenant.tokens.issue("https://graph.microsoft.com", ()))
    assert len(secrets) > 20
    assert [secret for secret in secrets if secret in text] == []
    assert TOKEN.findall(text) == []
