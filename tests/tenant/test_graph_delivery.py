"""Notifications: who is told what, in which shape, how often, and what happens to those nobody takes."""

import time
from datetime import datetime, timedelta

import jwt
import pytest

from local.tenant.graph.webhooks.endpoint import Endpoint, Timing
from local.tenant.graph.wire import read_time
from tests.tenant.graph_desk import SOON, Desk, Hook, Reply


@pytest.fixture(scope="module")
def one():
    with Desk() as desk:
        yield desk


@pytest.fixture
def desk(one: Desk) -> Desk:
    return one.clear()


@pytest.fixture
def hook():
    with Hook() as hook:
        yield hook


def told(desk: Desk, hook: Hook) -> list[tuple[str, str]]:
    """The change and the user of every notification, once all are delivered."""
    desk.parcels()
    return sorted((item["changeType"], item["resource"].partition("/")[2]) for item in hook.items)


def test_a_notification_has_the_shape_pieced_together_from_reports(desk: Desk, hook: Hook) -> None:
    person, created = desk.person(), desk.subscribe(hook)
    desk.graph.photo_hint(person)
    desk.parcels()
    (posted,) = (posted for posted in hook.posted if posted.token is None)
    assert posted.target == "/api/notifications"
    assert posted.headers["Content-Type"] == "application/json; charset=utf-8"
    (item,) = posted.json["value"]
    expiry = item.pop("subscriptionExpirationDateTime")
    assert expiry.endswith("-08:00")
    assert datetime.fromisoformat(expiry) == read_time(created["expirationDateTime"])
    assert posted.json.keys() == {"value"}
    assert item == {
        "changeType": "updated",
        "clientState": "a secret",
        "resource": f"Users/{person.id}",
        "resourceData": {
            "@odata.type": "#Microsoft.Graph.User",
            "@odata.id": f"Users/{person.id}",
            "id": person.id,
        },
        "subscriptionId": created["id"],
        "tenantId": desk.world.tenant_id,
    }


def test_by_knob_a_notification_says_more_or_less(desk: Desk, hook: Hook) -> None:
    person = desk.person()
    desk.subscribe(hook)
    for shape in ("extended", "bare"):
        desk.world.knobs.notification_shape = shape
        desk.graph.photo_hint(person)
        desk.parcels()
    extended, bare = hook.items
    assert extended["resourceData"]["organizationId"] == desk.world.tenant_id
    assert isinstance(extended["resourceData"]["sequenceNumber"], int)
    assert "resourceData" not in bare
    assert bare["resource"] == f"Users/{person.id}"


def test_the_query_of_the_notification_url_is_kept(desk: Desk, hook: Hook) -> None:
    desk.subscribe(hook, notificationUrl=f"{hook.url}?code=a%2Fb")
    desk.graph.photo_hint(desk.person(), 1)
    desk.parcels()
    assert hook.posted[-1].target == "/api/notifications?code=a%2Fb"


def rename(desk: Desk, person) -> None:
    desk.world.rename(person, "new@contoso.com")


def move(desk: Desk, person) -> None:
    desk.world.move(person, "eur")


def remove(desk: Desk, person) -> None:
    desk.world.remove(person)


def change_photo(desk: Desk, person) -> None:
    desk.world.set_photo(person, desk.photo())


@pytest.mark.parametrize(
    ("happen", "changes"),
    [
        pytest.param(rename, ["updated", "updated"], id="a new UPN, twice as every edit"),
        pytest.param(move, ["updated", "updated"], id="a new location"),
        pytest.param(remove, ["deleted", "updated", "updated"], id="a deletion, by way of the soft one"),
        pytest.param(change_photo, [], id="a new photo: nobody promises any"),
    ],
)
def test_what_happens_to_a_person_is_told_as_documented(desk: Desk, hook: Hook, happen, changes) -> None:
    person = desk.person()
    desk.subscribe(hook)
    happen(desk, person)
    assert told(desk, hook) == [(change, person.id) for change in changes]


def test_a_creation_is_told_as_an_update(desk: Desk, hook: Hook) -> None:
    desk.subscribe(hook)
    desk.world.knobs.edit_notifications = 1
    person = desk.person()
    assert told(desk, hook) == [("updated", person.id)]


def test_by_knob_a_photo_change_is_told_for_all_or_for_some(desk: Desk, hook: Hook) -> None:
    people = [desk.person(f"{n}@contoso.com") for n in range(20)]
    desk.subscribe(hook)
    desk.world.knobs.photo_change_notifies = True
    change_photo(desk, people[0])
    assert told(desk, hook) == [("updated", people[0].id)]
    hook.posted.clear()
    desk.world.knobs.photo_change_notifies = "some"
    for _ in range(2):
        for person in people:
            change_photo(desk, person)
    users = [user for _, user in told(desk, hook)]
    assert 0 < len(set(users)) < 20
    assert len(users) == 2 * len(set(users))  # always the same ones


@pytest.mark.parametrize(
    ("changes", "heard"),
    [
        pytest.param({"changeType": "updated"}, ["updated"], id="updates"),
        pytest.param({"changeType": "deleted"}, ["deleted"], id="deletions"),
        pytest.param({"resource": "/Users/{ada}"}, ["deleted", "updated"], id="of this user"),
        pytest.param({"resource": "users/{bob}"}, [], id="of another user"),
        pytest.param({"resource": "users/{ada}/memberOf"}, [], id="of what lies below"),
    ],
)
def test_a_subscription_hears_what_it_asked_for(desk: Desk, hook: Hook, changes, heard) -> None:
    desk.world.knobs.edit_notifications = 1
    ada, bob = desk.person(), desk.person("bob@contoso.com")
    desk.subscribe(hook, **{name: value.format(ada=ada.id, bob=bob.id) for name, value in changes.items()})
    desk.world.remove(ada)
    assert [change for change, _ in told(desk, hook)] == heard


def test_nobody_is_told_anything_after_deletion_expiry_or_loss(desk: Desk, hook: Hook) -> None:
    person = desk.person()
    desk.world.knobs.lost_refusal_seconds = 0.0
    desk.call("DELETE", f"/subscriptions/{desk.subscribe(hook)['id']}")
    desk.graph.photo_hint(person)
    desk.graph.lose(desk.subscribe(hook)["id"])
    desk.graph.photo_hint(person)
    desk.subscribe(hook, expirationDateTime=desk.in_minutes(60))
    desk.world.clock.advance(3601)
    desk.graph.photo_hint(person)
    assert told(desk, hook) == []


def test_what_is_raised_together_travels_together_in_any_order(desk: Desk, hook: Hook) -> None:
    people = [desk.person(f"{n}@contoso.com") for n in range(45)]
    desk.subscribe(hook)
    with desk.world.lock:
        for person in people:
            desk.graph.photo_hint(person)
    parcels = desk.parcels()
    raised = [person.id for person in people]
    arrived = [item["resourceData"]["id"] for parcel in parcels for item in parcel.items]
    assert max(len(parcel.items) for parcel in parcels) == 20
    assert sorted(arrived) == sorted(raised)
    assert arrived != raised


def test_by_knob_order_is_kept_and_each_post_has_one_item(desk: Desk, hook: Hook) -> None:
    people = [desk.person(f"{n}@contoso.com") for n in range(9)]
    desk.world.knobs.notification_order, desk.world.knobs.notifications_per_post = "raised", 1
    desk.subscribe(hook)
    for person in people:
        desk.graph.photo_hint(person)
    parcels = desk.parcels()
    assert [parcel.items[0]["resourceData"]["id"] for parcel in parcels] == [person.id for person in people]


def test_by_knob_notifications_come_twice(desk: Desk, hook: Hook) -> None:
    person = desk.person()
    desk.subscribe(hook)
    desk.world.knobs.notification_duplicates = 1.0
    desk.graph.photo_hint(person, times=3)
    assert told(desk, hook) == [("updated", person.id)] * 6


def test_a_delayed_hint_waits_for_the_tenants_clock(desk: Desk, hook: Hook) -> None:
    person = desk.person()
    desk.subscribe(hook)
    desk.graph.photo_hint(person, delay=600)
    desk.graph.photo_hint(person)
    desk.parcels_when(lambda parcels: [parcel.outcome for parcel in parcels] == ["delivered"])
    with pytest.raises(TimeoutError, match="1 notifications to send"):
        desk.graph.idle(0.05)
    desk.world.clock.advance(601)
    assert told(desk, hook) == [("updated", person.id)] * 2


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_2xx_is_a_delivery(desk: Desk, hook: Hook, status: int) -> None:
    hook.notified = lambda _: Reply(status)
    desk.subscribe(hook)
    desk.graph.photo_hint(desk.person())
    assert {(parcel.status, parcel.outcome) for parcel in desk.parcels()} == {(status, "delivered")}


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429, 500, 503])
def test_anything_else_is_tried_again_after_growing_waits_until_it_is_taken(
    desk: Desk, hook: Hook, status: int
) -> None:
    person = desk.person()
    desk.subscribe(hook)
    hook.notified = lambda _: Reply(status)
    desk.graph.photo_hint(person)
    for attempt in range(1, 4):
        (parcel,) = desk.parcels_when(lambda parcels, n=attempt: [each.attempts for each in parcels] == [n])
        assert (parcel.status, parcel.outcome) == (status, "retrying")
        wait = parcel.due - desk.world.clock.now()
        assert abs(wait - timedelta(seconds=10 * 2 ** (attempt - 1))) < timedelta(seconds=5)
        if attempt == 3:
            hook.notified = lambda _: Reply(202)
        desk.world.clock.advance(wait.total_seconds())
    (parcel,) = desk.parcels()
    assert (parcel.attempts, parcel.status, parcel.outcome) == (4, 202, "delivered")
    assert hook.items == [hook.items[0]] * 4


def test_after_four_hours_a_notification_is_given_up(desk: Desk, hook: Hook) -> None:
    desk.subscribe(hook)
    hook.notified = lambda _: Reply(500)
    desk.graph.photo_hint(desk.person())
    for attempt in range(1, 11):
        (parcel,) = desk.parcels_when(lambda parcels, n=attempt: [each.attempts for each in parcels] == [n])
        assert parcel.outcome == "retrying"
        desk.world.clock.advance(10 * 2 ** (attempt - 1))
    (parcel,) = desk.parcels()  # 10 s doubled ten times is 2 h 50 min; once more would pass four hours
    assert (parcel.attempts, parcel.outcome) == (11, "given up")


def test_an_endpoint_that_is_gone_gets_its_notifications_when_it_is_back(desk: Desk, hook: Hook) -> None:
    person = desk.person()
    created = desk.subscribe(hook)
    item = desk.graph.notification(created["id"], person.id)
    desk.graph.deliver([item], "http://127.0.0.1:1/api")
    (parcel,) = desk.parcels_when(lambda parcels: [each.attempts for each in parcels] == [1])
    assert (parcel.status, parcel.outcome) == (None, "retrying")
    desk.clear()


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(Reply(202, held=True), id="not at all"),
        pytest.param(Reply(202, b"x", trickle=0.15), id="each half in time, the whole too late"),
    ],
)
def test_an_answer_that_comes_too_late_is_none_and_the_notification_comes_again(
    hook: Hook, late: Reply
) -> None:
    with Desk(timing=Timing(handshake=10, first=0.2, retry=10)) as desk:
        person = desk.person()
        desk.subscribe(hook)
        hook.notified = lambda _: late
        desk.graph.photo_hint(person)
        (parcel,) = desk.parcels_when(lambda parcels: [each.attempts for each in parcels] == [1])
        assert (parcel.status, parcel.outcome) == (None, "retrying")
        hook.released.set()
        desk.world.clock.advance(20)
        assert told(desk, hook) == [("updated", person.id)] * 2  # taken the first time, for all it knew


def test_at_most_four_posts_are_under_way_at_once(desk: Desk, hook: Hook) -> None:
    hook.notified = lambda _: Reply(202, held=True)
    with desk.world.lock:
        for _ in range(6):
            desk.graph.deliver([{}], hook.url)
    desk.parcels_when(lambda _: len(hook.posted) >= 4)
    with pytest.raises(TimeoutError, match="4 posts under way"):
        desk.graph.idle(0.01)
    hook.released.set()
    assert [parcel.outcome for parcel in desk.parcels()] == ["delivered"] * 6


def test_an_arbitrary_batch_is_one_post_as_it_stands(desk: Desk, hook: Hook) -> None:
    created = desk.subscribe(hook)
    person = desk.person()
    desk.parcels()
    good = desk.graph.notification(created["id"], person.id, "deleted")
    batch = [good | {"subscriptionId": "foreign"}, good | {"clientState": "wrong"}, {}, good] * 50
    hook.posted.clear()
    desk.graph.deliver(batch)
    desk.parcels()
    assert [posted.json["value"] for posted in hook.posted] == [batch]


def test_nothing_can_be_delivered_to_nobody(desk: Desk) -> None:
    with pytest.raises(LookupError):
        desk.graph.deliver([{}])


def test_a_reset_forgets_what_is_still_to_deliver(desk: Desk, hook: Hook) -> None:
    desk.subscribe(hook)
    desk.graph.photo_hint(desk.person(), delay=5000)
    desk.clear()
    desk.world.clock.advance(6000)
    assert desk.parcels() == []


def test_what_a_reset_overtakes_leaves_no_trace(desk: Desk, hook: Hook) -> None:
    desk.subscribe(hook)
    hook.notified = lambda _: Reply(500, held=True)
    desk.graph.photo_hint(desk.person())
    desk.parcels_when(lambda _: any(posted.token is None for posted in hook.posted))
    desk.clear()
    hook.released.set()
    assert desk.parcels() == []


def test_what_is_sent_while_stopped_is_delivered_after_the_next_start(hook: Hook) -> None:
    desk = Desk()
    person = desk.person()
    desk.subscribe(hook)
    desk.graph.photo_hint(person)
    for _ in range(2):
        with desk:
            assert told(desk, hook) == [("updated", person.id)]
    desk.graph.photo_hint(person)
    with desk:
        assert told(desk, hook) == [("updated", person.id)] * 2


def life(desk: Desk, hook: Hook, **changes: str) -> str:
    """Subscribe with a lifecycle URL; return the subscription's id."""
    return desk.subscribe(hook, lifecycleNotificationUrl=f"{hook.url}/life", **changes)["id"]


def test_a_lifecycle_event_has_the_observed_shape(desk: Desk, hook: Hook) -> None:
    created = life(desk, hook)
    desk.graph.reauthorize(created)
    desk.parcels()
    posted = hook.posted[-1]
    assert posted.target == "/api/notifications/life"
    (item,) = posted.json["value"]
    assert read_time(item.pop("subscriptionExpirationDateTime"))
    assert item == {
        "lifecycleEvent": "reauthorizationRequired",
        "subscriptionId": created,
        "clientState": "a secret",
        "organizationId": desk.world.tenant_id,
        "resource": "",
        "sequence": None,
        "resourceData": {"@odata.type": "", "@odata.id": "", "id": ""},
        "encryptedContent": None,
    }
    (token,) = posted.json["validationTokens"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["appid"] == "0bf30f3b-4a52-48df-9a82-234910c4a086"
    assert (claims["aud"], claims["tid"]) == (desk.world.client_id, desk.world.tenant_id)


def test_by_knob_a_lifecycle_event_has_the_documented_shape(desk: Desk, hook: Hook) -> None:
    created = life(desk, hook)
    desk.world.knobs.lifecycle_shape = "documented"
    desk.graph.reauthorize(created)
    desk.parcels()
    (item,) = hook.posted[-1].json["value"]
    assert item.keys() == {
        "subscriptionId",
        "subscriptionExpirationDateTime",
        "tenantId",
        "clientState",
        "lifecycleEvent",
    }
    assert hook.posted[-1].json.keys() == {"value"}


def test_lifecycle_events_never_share_a_post_with_changes(desk: Desk, hook: Hook) -> None:
    created = desk.subscribe(hook, lifecycleNotificationUrl=hook.url)["id"]
    desk.world.knobs.lifecycle_shape = "documented"
    with desk.world.lock:
        desk.graph.reauthorize(created)
        desk.graph.photo_hint(desk.person())
    kinds = [{"lifecycleEvent" in item for item in parcel.items} for parcel in desk.parcels()]
    assert sorted(kinds, key=str) == [{False}, {True}]


def test_without_a_lifecycle_url_no_event_is_sent(desk: Desk, hook: Hook) -> None:
    desk.graph.reauthorize(desk.subscribe(hook)["id"])
    assert desk.parcels() == []


@pytest.mark.parametrize("answer", ["PATCH", "reauthorize", None])
def test_an_unanswered_reauthorization_stops_the_flow_and_what_is_missed_is_lost(
    desk: Desk, hook: Hook, answer: str | None
) -> None:
    person = desk.person()
    created = life(desk, hook)
    desk.graph.reauthorize(created)
    desk.parcels()
    hook.posted.clear()
    if answer == "PATCH":
        desk.call("PATCH", f"/subscriptions/{created}", {"expirationDateTime": desk.in_minutes(5000)})
    elif answer:
        assert desk.call("POST", f"/subscriptions/{created}/reauthorize").status_code == 204
    desk.graph.photo_hint(person)
    assert len(told(desk, hook)) == 1
    desk.world.clock.advance(desk.world.knobs.reauthorize_within + 1)
    desk.graph.photo_hint(person)
    assert len(told(desk, hook)) == (2 if answer else 1)
    desk.call("PATCH", f"/subscriptions/{created}", {"expirationDateTime": desk.in_minutes(5000)})
    desk.graph.photo_hint(person)
    assert len(told(desk, hook)) == (3 if answer else 2)


@pytest.mark.parametrize(
    ("minutes", "knob", "flows"),
    [
        pytest.param(9, "mute", False, id="within ten minutes"),
        pytest.param(11, "mute", True, id="after ten minutes"),
        pytest.param(9, "harmless", True, id="by knob without harm"),
    ],
)
@pytest.mark.parametrize("first", ["PATCH", "reauthorize"])
def test_renewing_and_reauthorizing_at_once_mutes_a_subscription(
    desk: Desk, hook: Hook, first: str, minutes: float, knob: str, flows: bool
) -> None:
    created = life(desk, hook)
    desk.world.knobs.reauthorize_clash = knob
    person = desk.person()
    desk.parcels()
    hook.posted.clear()

    def contact(kind: str) -> None:
        if kind == "PATCH":
            desk.call("PATCH", f"/subscriptions/{created}", {"expirationDateTime": desk.in_minutes(5000)})
        else:
            desk.call("POST", f"/subscriptions/{created}/reauthorize")

    contact(first)
    desk.world.clock.advance(minutes * 60)
    contact("reauthorize" if first == "PATCH" else "PATCH")
    desk.graph.photo_hint(person)
    assert bool(told(desk, hook)) == flows
    assert desk.get(f"/subscriptions/{created}").status_code == 200


NOON = datetime.fromisoformat("2026-11-20T12:00:00Z")


@pytest.mark.parametrize(
    ("seconds", "state"),
    [
        pytest.param([0.1] * 18 + [3.5] * 2, "normal", id="a tenth is slow"),
        pytest.param([0.1] * 17 + [3.5] * 3, "slow", id="more than a tenth is slow"),
        pytest.param([0.1] * 16 + [10.0] * 4, "drop", id="a fifth is beyond the retry's time"),
        pytest.param([10.0] * 9, "normal", id="too few to judge"),
    ],
)
def test_an_endpoint_is_judged_by_the_share_of_late_answers(seconds: list[float], state: str) -> None:
    endpoint = Endpoint(Timing())
    for each in seconds:
        endpoint.note(NOON, each)
    assert endpoint.state(NOON) == state
    assert endpoint.state(NOON + timedelta(minutes=9)) == state
    assert endpoint.state(NOON + timedelta(minutes=10)) == "normal"


def test_answers_older_than_ten_minutes_do_not_count() -> None:
    endpoint = Endpoint(Timing())
    for _ in range(9):
        endpoint.note(NOON, 10.0)
    later = NOON + timedelta(minutes=11)
    endpoint.note(later, 10.0)
    assert endpoint.state(later) == "normal"


def test_another_late_answer_does_not_lengthen_the_ten_minutes() -> None:
    endpoint = Endpoint(Timing())
    for minute in [0] * 10 + [5]:
        endpoint.note(NOON + timedelta(minutes=minute), 10.0)
    assert endpoint.state(NOON + timedelta(minutes=9)) == "drop"
    assert endpoint.state(NOON + timedelta(minutes=10)) == "normal"


def test_after_its_ten_minutes_an_endpoint_starts_over() -> None:
    endpoint = Endpoint(Timing())
    for _ in range(10):
        endpoint.note(NOON, 10.0)
    later = NOON + timedelta(minutes=10)
    endpoint.note(later, 10.0)
    assert endpoint.state(later) == "normal"


def test_a_slow_endpoint_gets_new_notifications_ten_minutes_later(hook: Hook) -> None:
    with Desk(timing=Timing(handshake=10, first=0.2, retry=10)) as desk:
        person = desk.person()
        desk.subscribe(hook)
        desk.world.knobs.notifications_per_post = 1
        hook.notified = lambda _: Reply(202, held=not hook.released.is_set())
        desk.graph.photo_hint(person, times=10)
        desk.parcels_when(lambda parcels: sum(each.attempts for each in parcels) == 10)
        hook.released.set()
        desk.graph.photo_hint(person)
        late = desk.parcels_when(lambda parcels: len(parcels) == 11)[-1]
        assert (late.attempts, late.due - late.born) == (0, timedelta(minutes=10))
        desk.world.clock.advance(601)
        assert {parcel.outcome for parcel in desk.parcels()} == {"delivered"}


def test_a_dropping_endpoint_loses_new_notifications_for_good(hook: Hook) -> None:
    with Desk(timing=Timing(handshake=10, first=0.2, retry=0.2)) as desk:
        desk.world.knobs.delivery_retry_base = 5 * 3600.0  # the first retry would come too late already
        hook.notified = lambda _: Reply(202, held=True)
        for _ in range(10):
            desk.graph.deliver([{}], hook.url)
        assert {parcel.outcome for parcel in desk.parcels()} == {"given up"}
        desk.subscribe(hook)
        desk.graph.deliver([{"lost": True}])
        desk.graph.photo_hint(desk.person())
        before = time.monotonic()
        lost = desk.parcels()[10:]
        assert time.monotonic() - before < SOON / 2  # what is dropped keeps nobody waiting
        assert [(each.attempts, each.outcome) for each in lost] == [(0, "dropped")] * 2
        assert lost[0].items == [{"lost": True}]
