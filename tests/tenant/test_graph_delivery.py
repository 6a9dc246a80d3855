"""Notifications: their recipients, shape and number, and the retries."""

import time
from datetime import datetime, timedelta

import jwt
import pytest

from local.tenant.graph.webhooks.deliveries import WebhookEndpoint, WebhookTiming
from local.tenant.graph.wire import read_time
from tests.tenant.graph_client import SOON, GraphClient, Reply, Webhook


def notified_of(graph: GraphClient, webhook: Webhook) -> list[tuple[str, str]]:
    """The change and the user of every notification, once all are delivered."""
    graph.posts()
    return sorted((item["changeType"], item["resource"].partition("/")[2]) for item in webhook.items)


def test_a_notification_has_the_reported_shape(graph, webhook) -> None:
    person, created = graph.person(), graph.subscribe(webhook, notificationUrl=f"{webhook.url}?code=a%2Fb")
    graph.service.photo_hint(person)
    graph.posts()
    (received,) = (received for received in webhook.received if received.token is None)
    assert received.target == "/api/notifications?code=a%2Fb"
    assert received.headers["Content-Type"] == "application/json; charset=utf-8"
    (item,) = received.json["value"]
    expiry = item.pop("subscriptionExpirationDateTime")
    assert expiry.endswith("-08:00")
    assert datetime.fromisoformat(expiry) == read_time(created["expirationDateTime"])
    assert received.json.keys() == {"value"}
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
        "tenantId": graph.world.tenant_id,
    }


def test_by_knob_a_notification_has_more_or_fewer_properties(graph, webhook) -> None:
    person = graph.person()
    graph.subscribe(webhook)
    for shape in ("extended", "bare"):
        graph.world.knobs.notification_shape = shape
        graph.service.photo_hint(person)
        graph.posts()
    extended, bare = webhook.items
    assert extended["resourceData"]["organizationId"] == graph.world.tenant_id
    assert isinstance(extended["resourceData"]["sequenceNumber"], int)
    assert "resourceData" not in bare
    assert bare["resource"] == f"Users/{person.id}"


@pytest.mark.parametrize(
    ("act", "arguments", "changes"),
    [
        pytest.param("rename", ["new@contoso.com"], ["updated"] * 2, id="a new UPN, twice as every edit"),
        pytest.param("move", ["eur"], ["updated"] * 2, id="a new location"),
        pytest.param("remove", [], ["deleted", *["updated"] * 2], id="a deletion, by way of the soft one"),
        pytest.param("set_photo", [None], [], id="a photo: none is promised"),
    ],
)
def test_a_change_of_a_user_notifies_as_documented(graph, webhook, act, arguments, changes) -> None:
    person = graph.person()
    graph.subscribe(webhook)
    getattr(graph.world, act)(person, *arguments)
    assert notified_of(graph, webhook) == [(change, person.id) for change in changes]


def test_by_knob_a_photo_change_notifies_for_all_users_or_for_some(graph, webhook) -> None:
    people = [graph.person(f"{n}@contoso.com") for n in range(20)]
    graph.subscribe(webhook)
    graph.world.knobs.photo_change_notifies = True
    graph.world.set_photo(people[0], graph.photo())
    assert notified_of(graph, webhook) == [("updated", people[0].id)]
    webhook.received.clear()
    graph.world.knobs.photo_change_notifies = "some"
    for _ in range(2):
        for person in people:
            graph.world.set_photo(person, graph.photo())
    users = [user for _, user in notified_of(graph, webhook)]
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
def test_a_subscription_gets_only_its_changes_and_resource(graph, webhook, changes, heard) -> None:
    graph.world.knobs.edit_notifications = 1
    ada, bob = graph.person(), graph.person("bob@contoso.com")
    graph.subscribe(
        webhook, **{name: value.format(ada=ada.id, bob=bob.id) for name, value in changes.items()}
    )
    graph.world.remove(ada)
    assert [change for change, _ in notified_of(graph, webhook)] == heard


def test_after_deletion_expiry_or_loss_no_notification_is_sent(graph, webhook) -> None:
    person = graph.person()
    graph.world.knobs.lost_refusal_seconds = 0.0
    graph.call("DELETE", f"/subscriptions/{graph.subscribe(webhook)['id']}")
    graph.service.photo_hint(person)
    graph.service.lose(graph.subscribe(webhook)["id"])
    graph.service.photo_hint(person)
    graph.subscribe(webhook, expirationDateTime=graph.in_minutes(60))
    graph.world.clock.advance(3601)
    graph.service.photo_hint(person)
    assert notified_of(graph, webhook) == []


def test_simultaneous_notifications_share_posts_in_random_order(graph, webhook) -> None:
    people = [graph.person(f"{n}@contoso.com") for n in range(45)]
    graph.subscribe(webhook)
    with graph.world.lock:
        for person in people:
            graph.service.photo_hint(person)
    posts = graph.posts()
    raised = [person.id for person in people]
    arrived = [item["resourceData"]["id"] for post in posts for item in post.items]
    assert max(len(post.items) for post in posts) == 20
    assert sorted(arrived) == sorted(raised)
    assert arrived != raised


def test_by_knob_order_is_kept_and_each_post_has_one_item(graph, webhook) -> None:
    people = [graph.person(f"{n}@contoso.com") for n in range(9)]
    graph.world.knobs.notification_order, graph.world.knobs.notifications_per_post = "raised", 1
    graph.subscribe(webhook)
    for person in people:
        graph.service.photo_hint(person)
    posts = graph.posts()
    assert [post.items[0]["resourceData"]["id"] for post in posts] == [person.id for person in people]


def test_by_knob_notifications_are_sent_twice(graph, webhook) -> None:
    person = graph.person()
    graph.subscribe(webhook)
    graph.world.knobs.notification_duplicates = 1.0
    graph.service.photo_hint(person, times=3)
    assert notified_of(graph, webhook) == [("updated", person.id)] * 6


def test_a_delayed_hint_waits_for_the_tenants_clock(graph, webhook) -> None:
    person = graph.person()
    graph.subscribe(webhook)
    graph.service.photo_hint(person, delay=600)
    graph.service.photo_hint(person)
    graph.posts_when(lambda posts: [post.outcome for post in posts] == ["delivered"])
    with pytest.raises(TimeoutError, match="1 notifications to send"):
        graph.service.idle(0.05)
    graph.world.clock.advance(601)
    assert notified_of(graph, webhook) == [("updated", person.id)] * 2


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429, 500, 503])
def test_any_other_status_is_retried_after_doubling_waits_until_it_is_2xx(graph, webhook, status) -> None:
    person = graph.person()
    graph.subscribe(webhook)
    webhook.notified = lambda _: Reply(status)
    graph.service.photo_hint(person)
    for attempt in range(1, 4):
        (post,) = graph.posts_when(lambda posts, n=attempt: [each.attempts for each in posts] == [n])
        assert (post.status, post.outcome) == (status, "retrying")
        wait = post.due - graph.world.clock.now()
        assert abs(wait - timedelta(seconds=10 * 2 ** (attempt - 1))) < timedelta(seconds=5)
        if attempt == 3:
            webhook.notified = lambda _: Reply(202)
        graph.world.clock.advance(wait.total_seconds())
    (post,) = graph.posts()
    assert (post.attempts, post.status, post.outcome) == (4, 202, "delivered")
    assert webhook.items == [webhook.items[0]] * 4


def test_after_four_hours_a_notification_is_given_up(graph, webhook) -> None:
    graph.subscribe(webhook)
    webhook.notified = lambda _: Reply(500)
    graph.service.photo_hint(graph.person())
    for attempt in range(1, 11):
        (post,) = graph.posts_when(lambda posts, n=attempt: [each.attempts for each in posts] == [n])
        assert post.outcome == "retrying"
        graph.world.clock.advance(10 * 2 ** (attempt - 1))
    (post,) = graph.posts()  # 10 s doubled ten times is 2 h 50 min; once more would pass four hours
    assert (post.attempts, post.outcome) == (11, "given up")


def test_a_post_to_an_unreachable_endpoint_is_retried(graph, webhook) -> None:
    person = graph.person()
    created = graph.subscribe(webhook)
    item = graph.service.notification(created["id"], person.id)
    graph.service.deliver([item], "http://127.0.0.1:1/api")
    (post,) = graph.posts_when(lambda posts: [each.attempts for each in posts] == [1])
    assert (post.status, post.outcome) == (None, "retrying")
    graph.clear()


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(Reply(202, held=True), id="not at all"),
        pytest.param(Reply(202, b"x", trickle=0.15), id="each half in time, the whole too late"),
    ],
)
def test_a_late_answer_does_not_count_and_the_notification_is_sent_again(webhook, late) -> None:
    with GraphClient(timing=WebhookTiming(handshake=10, first=0.2, retry=10)) as graph:
        person = graph.person()
        graph.subscribe(webhook)
        webhook.notified = lambda _: late
        graph.service.photo_hint(person)
        (post,) = graph.posts_when(lambda posts: [each.attempts for each in posts] == [1])
        assert (post.status, post.outcome) == (None, "retrying")
        webhook.released.set()
        graph.world.clock.advance(20)
        assert notified_of(graph, webhook) == [("updated", person.id)] * 2


def test_given_items_are_sent_unchanged_in_one_post(graph, webhook) -> None:
    created = graph.subscribe(webhook)
    person = graph.person()
    graph.posts()
    good = graph.service.notification(created["id"], person.id, "deleted")
    batch = [good | {"subscriptionId": "foreign"}, good | {"clientState": "wrong"}, {}, good] * 50
    webhook.received.clear()
    graph.service.deliver(batch)
    graph.posts()
    assert [received.json["value"] for received in webhook.received] == [batch]


def test_a_reset_forgets_what_is_still_to_deliver_or_in_progress(graph, webhook) -> None:
    graph.subscribe(webhook)
    webhook.notified = lambda _: Reply(500, held=True)
    graph.service.photo_hint(graph.person())
    graph.service.photo_hint(graph.person("b@contoso.com"), delay=5000)
    graph.posts_when(lambda _: any(received.token is None for received in webhook.received))
    graph.clear()
    graph.world.clock.advance(6000)
    webhook.released.set()
    assert graph.posts() == []


def life(graph: GraphClient, webhook: Webhook, **changes: str) -> str:
    """Subscribe with a lifecycle URL; return the subscription's id."""
    return graph.subscribe(webhook, lifecycleNotificationUrl=f"{webhook.url}/life", **changes)["id"]


def test_a_lifecycle_event_has_the_observed_shape(graph, webhook) -> None:
    created = life(graph, webhook)
    graph.service.reauthorize(created)
    graph.posts()
    received = webhook.received[-1]
    assert received.target == "/api/notifications/life"
    (item,) = received.json["value"]
    assert read_time(item.pop("subscriptionExpirationDateTime"))
    assert item == {
        "lifecycleEvent": "reauthorizationRequired",
        "subscriptionId": created,
        "clientState": "a secret",
        "organizationId": graph.world.tenant_id,
        "resource": "",
        "sequence": None,
        "resourceData": {"@odata.type": "", "@odata.id": "", "id": ""},
        "encryptedContent": None,
    }
    (token,) = received.json["validationTokens"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["appid"] == "0bf30f3b-4a52-48df-9a82-234910c4a086"
    assert (claims["aud"], claims["tid"]) == (graph.world.client_id, graph.world.tenant_id)


def test_by_knob_a_lifecycle_event_has_the_documented_shape(graph, webhook) -> None:
    created = life(graph, webhook)
    graph.world.knobs.lifecycle_shape = "documented"
    graph.service.reauthorize(created)
    graph.posts()
    (item,) = webhook.received[-1].json["value"]
    assert item["tenantId"] == graph.world.tenant_id
    assert len(item) == 5
    assert webhook.received[-1].json.keys() == {"value"}


def test_lifecycle_events_never_share_a_post_with_changes(graph, webhook) -> None:
    created = graph.subscribe(webhook, lifecycleNotificationUrl=webhook.url)["id"]
    graph.world.knobs.lifecycle_shape = "documented"
    with graph.world.lock:
        graph.service.reauthorize(created)
        graph.service.photo_hint(graph.person())
    kinds = [{"lifecycleEvent" in item for item in post.items} for post in graph.posts()]
    assert sorted(kinds, key=str) == [{False}, {True}]


def test_without_a_lifecycle_url_no_event_is_sent(graph, webhook) -> None:
    graph.service.reauthorize(graph.subscribe(webhook)["id"])
    assert graph.posts() == []


@pytest.mark.parametrize("answer", ["PATCH", "reauthorize", None])
def test_an_unanswered_reauthorization_stops_notifications_until_a_renewal(graph, webhook, answer) -> None:
    person = graph.person()
    created = life(graph, webhook)
    graph.service.reauthorize(created)
    graph.posts()
    webhook.received.clear()
    if answer == "PATCH":
        graph.call("PATCH", f"/subscriptions/{created}", {"expirationDateTime": graph.in_minutes(5000)})
    elif answer:
        assert graph.call("POST", f"/subscriptions/{created}/reauthorize").status_code == 204
    graph.service.photo_hint(person)
    assert len(notified_of(graph, webhook)) == 1
    graph.world.clock.advance(graph.world.knobs.reauthorize_within + 1)
    graph.service.photo_hint(person)
    assert len(notified_of(graph, webhook)) == (2 if answer else 1)
    graph.call("PATCH", f"/subscriptions/{created}", {"expirationDateTime": graph.in_minutes(5000)})
    graph.service.photo_hint(person)
    assert len(notified_of(graph, webhook)) == (3 if answer else 2)


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
    graph, webhook, first, minutes, knob, flows
) -> None:
    created = life(graph, webhook)
    graph.world.knobs.reauthorize_clash = knob
    person = graph.person()
    graph.posts()
    webhook.received.clear()

    def contact(kind: str) -> None:
        if kind == "PATCH":
            graph.call("PATCH", f"/subscriptions/{created}", {"expirationDateTime": graph.in_minutes(5000)})
        else:
            graph.call("POST", f"/subscriptions/{created}/reauthorize")

    contact(first)
    graph.world.clock.advance(minutes * 60)
    contact("reauthorize" if first == "PATCH" else "PATCH")
    graph.service.photo_hint(person)
    assert bool(notified_of(graph, webhook)) == flows
    assert [each["id"] for each in graph.service.subscriptions()] == [created]


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
def test_an_endpoint_is_rated_by_the_share_of_late_answers(seconds, state) -> None:
    endpoint = WebhookEndpoint(WebhookTiming())
    for each in seconds:
        endpoint.note(NOON, each)
    assert endpoint.state(NOON) == state
    assert endpoint.state(NOON + timedelta(minutes=9)) == state
    assert endpoint.state(NOON + timedelta(minutes=10)) == "normal"


def test_a_slow_endpoint_gets_new_notifications_ten_minutes_later(webhook) -> None:
    with GraphClient(timing=WebhookTiming(handshake=10, first=0.2, retry=10)) as graph:
        person = graph.person()
        graph.subscribe(webhook)
        graph.world.knobs.notifications_per_post = 1
        webhook.notified = lambda _: Reply(202, held=not webhook.released.is_set())
        graph.service.photo_hint(person, times=10)
        graph.posts_when(lambda posts: sum(each.attempts for each in posts) == 10)
        webhook.released.set()
        graph.service.photo_hint(person)
        late = graph.posts_when(lambda posts: len(posts) == 11)[-1]
        assert (late.attempts, late.due - late.born) == (0, timedelta(minutes=10))
        graph.world.clock.advance(601)
        assert {post.outcome for post in graph.posts()} == {"delivered"}


def test_a_dropping_endpoint_loses_new_notifications(webhook) -> None:
    with GraphClient(timing=WebhookTiming(handshake=10, first=0.2, retry=0.2)) as graph:
        graph.world.knobs.delivery_retry_base = 5 * 3600.0  # the first retry would come too late already
        webhook.notified = lambda _: Reply(202, held=True)
        for _ in range(10):
            graph.service.deliver([{}], webhook.url)
        assert {post.outcome for post in graph.posts()} == {"given up"}
        graph.subscribe(webhook)
        graph.service.deliver([{"lost": True}])
        graph.service.photo_hint(graph.person())
        before = time.monotonic()
        lost = graph.posts()[10:]
        assert time.monotonic() - before < SOON / 2  # dropped posts do not delay `idle`
        assert [(each.attempts, each.outcome) for each in lost] == [(0, "dropped")] * 2
        assert lost[0].items == [{"lost": True}]
