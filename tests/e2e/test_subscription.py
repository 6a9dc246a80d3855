"""The subscription is kept: lost, reauthorized, ended, rotated, or another deployment's."""

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from local.azurite import Azurite
from tests.e2e.pictures import jpeg
from tests.e2e.story import Json, Story, playing, quiet_stage

HOUR = 3600.0


@pytest.fixture(scope="module")
def shared_story(storage: Azurite) -> Iterator[Story]:
    with playing(quiet_stage(storage=storage)) as story:
        yield story


@pytest.fixture
def story(shared_story: Story) -> Iterator[Story]:
    """The module's story; at the end no subscription exists."""
    shared_story.reset().people.turn(
        lost_refusal_seconds=0.0
    )  # Graph refuses a new one for hours after a loss
    yield shared_story
    shared_story.people.disarm()
    shared_story.open_gates()
    assert shared_story.stage.call("DELETE", "subscription").ok
    assert shared_story.people.subscriptions() == []


def _age(story: Story, hours: float) -> None:
    """Make the last renewal this old."""
    story.write_row("photostate", "subscription", "users", renewed_at=time.time() - hours * HOUR)


def _record(story: Story) -> Json:
    return story.row("photostate", "subscription", "users")


def _asked(story: Story, method: str) -> list[str]:
    return [e["path"] for e in story.history(service="graph") if e["method"] == method]


def _fire(story: Story) -> None:
    """Fire the timer, and wait for the end of its run."""
    ended = story.log.count("Executed 'Functions.renew_subscription'")
    story.stage.fire("renew_subscription")
    story.until(lambda: story.log.count("Executed 'Functions.renew_subscription'") > ended, what="the timer")


def _is_believed(story: Story, user: str) -> bool:
    """Whether a notification leads to a sync."""
    story.people.draw_photo(user, notify="on")
    return bool(story.until(lambda: story.settled(user), user, what="the notified photo"))


def test_one_subscription_is_created_and_then_kept(story: Story) -> None:
    made = story.stage.subscribe().json()
    kept = story.stage.subscribe().json()
    _fire(story)

    (subscription,) = story.people.subscriptions()
    assert (made["did"], kept["did"]) == ("created", "kept")
    assert made["subscription"] == kept["subscription"] == subscription["id"]
    assert (subscription["resource"], subscription["changeType"]) == ("users", "updated,deleted")
    assert subscription["notificationUrl"] == f"{story.stage.url}/api/notifications"
    assert subscription["lifecycleNotificationUrl"] == f"{story.stage.url}/api/lifecycle"
    assert len(subscription["clientState"]) <= 128
    ends = datetime.fromisoformat(subscription["expirationDateTime"]).timestamp()
    assert ends - time.time() == pytest.approx((41_760 - 60) * 60, abs=60)
    assert _asked(story, "POST") == ["/v1.0/subscriptions"]
    assert _asked(story, "PATCH") == []
    sweep = story.status()["sweep"]  # users added before were not announced
    assert sweep["why"] == "the subscription was created: none of ours exists"
    assert story.waiting("photo-sweeps") == 1


def test_a_lost_subscription_is_replaced_by_the_timer_and_the_new_one_is_trusted(story: Story) -> None:
    user = story.add_synced_user()
    lost = story.subscribed()
    story.people.lose(lost["id"])

    _fire(story)

    (found,) = story.people.subscriptions()
    assert found["id"] != lost["id"]
    assert _is_believed(story, user)
    assert story.shows_its_source(user)


def test_reauthorization_is_a_renewal_but_never_within_ten_minutes_of_the_last(story: Story) -> None:
    subscription = story.subscribed()
    story.people.reauthorize(subscription["id"])
    story.until(lambda: "event=reauthorizationRequired" in story.log, what="the event is handled")
    assert _asked(story, "PATCH") == []

    _age(story, 0.2)
    story.people.reauthorize(subscription["id"])
    story.until(lambda: _asked(story, "PATCH"), what="the renewal")

    assert _asked(story, "PATCH") == [f"/v1.0/subscriptions/{subscription['id']}"]
    assert not [path for path in _asked(story, "POST") if path.endswith("reauthorize")]
    story.until(lambda: not _record(story)["lease_until"], what="the renewal is noted")


def test_an_ended_subscription_stays_ended_until_an_administrator_creates_another(story: Story) -> None:
    story.subscribed()

    ended = story.stage.call("DELETE", "subscription")
    assert (ended.status_code, ended.json()["did"]) == (200, "ended")
    _fire(story)
    assert story.people.subscriptions() == []

    assert story.stage.subscribe().json()["did"] == "created"
    assert len(story.people.subscriptions()) == 1


def test_another_deployments_subscription_is_left_alone_until_it_is_taken_over(story: Story) -> None:
    production = story.subscribed()
    with playing(quiet_stage(tenant=story.stage.tenant)) as other:
        _fire(other)
        blocked = other.stage.subscribe()
        assert (blocked.status_code, blocked.json()["did"]) == (409, "blocked")
        assert story.stage.url.removeprefix("https://") in blocked.json()["reason"]
        assert "subscription.blocked" in other.log
        assert [each["id"] for each in story.people.subscriptions()] == [production["id"]]
        assert _asked(other, "DELETE") == _asked(other, "PATCH") == []

        taken = other.stage.subscribe(take_over="true").json()
        assert taken["did"] == "created"
        assert [each["id"] for each in story.people.subscriptions()] == [taken["subscription"]]
        _fire(story)
        assert [each["id"] for each in story.people.subscriptions()] == [taken["subscription"]]
        assert other.stage.call("DELETE", "subscription").ok


def test_an_old_secret_is_trusted_during_a_rotation_which_replaces_the_subscription(story: Story) -> None:
    user = story.add_synced_user()
    before = story.subscribed()
    old, new = story.stage.tenant.settings["CLIENT_STATE_SECRET"], "n" * 40

    with story.restarted(CLIENT_STATE_SECRET=f"{new},{old}"):
        story.people.set_photo(user, jpeg("teal"), notify="on")
        story.until(lambda: story.settled(user), user, what="a photo notified under the old secret")
        assert [each["id"] for each in story.people.subscriptions()] == [before["id"]]

        _fire(story)
        (after,) = story.people.subscriptions()
        assert after["id"] != before["id"]
        assert after["clientState"] != before["clientState"]

        story.restart(CLIENT_STATE_SECRET=new)
        assert _is_believed(story, user)
    assert story.shows_its_source(user)
