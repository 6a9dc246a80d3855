"""Notifications: their recipients, shape and number, and the retries."""

import time
from datetime import datetime, timedelta

import jwt
import pytest

from local.tenant.graph.webhooks.endpoint import WebhookEndpoint, WebhookTiming
from local.tenant.graph.wire import read_time
from tests.tenant.graph_client import SOON, GraphClient, Reply, Webhook


@pytest.fixture(scope="module")
def shared_client():
    with GraphClient() as client:
        yield client


@pytest.fixture
def client(shared_client: GraphClient) -> GraphClient:
    return shared_client.clear()


@pytest.fixture
def webhook():
    with Webhook() as webhook:
        yield webhook


def notified_of(client: GraphClient, webhook: Webhook) -> list[tuple[str, str]]:
    """The change and the user of every notification, once all are delivered."""
    client.posts()
    return sorted((item["changeType"], item["resource"].partition("/")[2]) for item in webhook.items)


def test_a_notification_has_the_reported_shape(client: GraphClient, webhook: Webhook) -> None:
    person, created = client.person(), client.subscribe(webhook)
    client.graph.photo_hint(person)
    client.posts()
    (received,) = (received for received in webhook.received if received.token is None)
    assert received.target == "/api/notifications"
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
        "tenantId": client.world.tenant_id,
    }


def test_by_knob_a_notification_has_more_or_fewer_properties(client: GraphClient, webhook: Webhook) -> None:
    person = client.person()
    client.subscribe(webhook)
    for shape in ("extended", "bare"):
        client.world.knobs.notification_shape = shape
        client.graph.photo_hint(person)
        client.posts()
    extended, bare = webhook.items
    assert extended["resourceData"]["organizationId"] == client.world.tenant_id
    assert isinstance(extended["resourceData"]["sequenceNumber"], int)
    assert "resourceData" not in bare
    assert bare["resource"] == f"Users/{person.id}"


def test_the_query_of_the_notification_url_is_kept(client: GraphClient, webhook: Webhook) -> None:
    client.subscribe(webhook, notificationUrl=f"{webhook.url}?code=a%2Fb")
    client.graph.photo_hint(client.person(), 1)
    client.posts()
    assert webhook.received[-1].target == "/api/notifications?code=a%2Fb"


def rename(client: GraphClient, person) -> None:
    client.world.rename(person, "new@contoso.com")


def move(client: GraphClient, person) -> None:
    client.world.move(person, "eur")


def remove(client: GraphClient, person) -> None:
    client.world.remove(person)


def change_photo(client: GraphClient, person) -> None:
    client.world.set_photo(person, client.photo())


@pytest.mark.parametrize(
    ("happen", "changes"),
    [
        pytest.param(rename, ["updated", "updated"], id="a new UPN, twice as every edit"),
        pytest.param(move, ["updated", "updated"], id="a new location"),
        pytest.param(remove, ["deleted", "updated", "updated"], id="a deletion, by way of the soft one"),
        pytest.param(change_photo, [], id="a new photo: none is promised"),
    ],
)
def test_a_change_of_a_user_notifies_as_documented(
    client: GraphClient, webhook: Webhook, happen, changes
) -> None:
    person = client.person()
    client.subscribe(webhook)
    happen(client, person)
    assert notified_of(client, webhook) == [(change, person.id) for change in changes]


def test_a_creation_notifies_as_an_update(client: GraphClient, webhook: Webhook) -> None:
    client.subscribe(webhook)
    client.world.knobs.edit_notifications = 1
    person = client.person()
    assert notified_of(client, webhook) == [("updated", person.id)]


def test_by_knob_a_photo_change_notifies_for_all_users_or_for_some(
    client: GraphClient, webhook: Webhook
) -> None:
    people = [client.person(f"{n}@contoso.com") for n in range(20)]
    client.subscribe(webhook)
    client.world.knobs.photo_change_notifies = True
    change_photo(client, people[0])
    assert notified_of(client, webhook) == [("updated", people[0].id)]
    webhook.received.clear()
    client.world.knobs.photo_change_notifies = "some"
    for _ in range(2):
        for person in people:
            change_photo(client, person)
    users = [user for _, user in notified_of(client, webhook)]
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
def test_a_subscription_gets_only_its_changes_and_resource(
    client: GraphClient, webhook: Webhook, changes, heard
) -> None:
    client.world.knobs.edit_notifications = 1
    ada, bob = client.person(), client.person("bob@contoso.com")
    client.subscribe(
        webhook, **{name: value.format(ada=ada.id, bob=bob.id) for name, value in changes.items()}
    )
    client.world.remove(ada)
    assert [change for change, _ in notified_of(client, webhook)] == heard


def test_after_deletion_expiry_or_loss_no_notification_is_sent(client: GraphClient, webhook: Webhook) -> None:
    person = client.person()
    client.world.knobs.lost_refusal_seconds = 0.0
    client.call("DELETE", f"/subscriptions/{client.subscribe(webhook)['id']}")
    client.graph.photo_hint(person)
    client.graph.lose(client.subscribe(webhook)["id"])
    client.graph.photo_hint(person)
    client.subscribe(webhook, expirationDateTime=client.in_minutes(60))
    client.world.clock.advance(3601)
    client.graph.photo_hint(person)
    assert notified_of(client, webhook) == []


def test_simultaneous_notifications_share_posts_in_random_order(
    client: GraphClient, webhook: Webhook
) -> None:
    people = [client.person(f"{n}@contoso.com") for n in range(45)]
    client.subscribe(webhook)
    with client.world.lock:
        for person in people:
            client.graph.photo_hint(person)
    posts = client.posts()
    raised = [person.id for person in people]
    arrived = [item["resourceData"]["id"] for post in posts for item in post.items]
    assert max(len(post.items) for post in posts) == 20
    assert sorted(arrived) == sorted(raised)
    assert arrived != raised


def test_by_knob_order_is_kept_and_each_post_has_one_item(client: GraphClient, webhook: Webhook) -> None:
    people = [client.person(f"{n}@contoso.com") for n in range(9)]
    client.world.knobs.notification_order, client.world.knobs.notifications_per_post = "raised", 1
    client.subscribe(webhook)
    for person in people:
        client.graph.photo_hint(person)
    posts = client.posts()
    assert [post.items[0]["resourceData"]["id"] for post in posts] == [person.id for person in people]


def test_by_knob_notifications_are_sent_twice(client: GraphClient, webhook: Webhook) -> None:
    person = client.person()
    client.subscribe(webhook)
    client.world.knobs.notification_duplicates = 1.0
    client.graph.photo_hint(person, times=3)
    assert notified_of(client, webhook) == [("updated", person.id)] * 6


def test_a_delayed_hint_waits_for_the_tenants_clock(client: GraphClient, webhook: Webhook) -> None:
    person = client.person()
    client.subscribe(webhook)
    client.graph.photo_hint(person, delay=600)
    client.graph.photo_hint(person)
    client.posts_when(lambda posts: [post.outcome for post in posts] == ["delivered"])
    with pytest.raises(TimeoutError, match="1 notifications to send"):
        client.graph.idle(0.05)
    client.world.clock.advance(601)
    assert notified_of(client, webhook) == [("updated", person.id)] * 2


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_2xx_is_a_delivery(client: GraphClient, webhook: Webhook, status: int) -> None:
    webhook.notified = lambda _: Reply(status)
    client.subscribe(webhook)
    client.graph.photo_hint(client.person())
    assert {(post.status, post.outcome) for post in client.posts()} == {(status, "delivered")}


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429, 500, 503])
def test_any_other_status_is_retried_after_doubling_waits_until_it_is_2xx(
    client: GraphClient, webhook: Webhook, status: int
) -> None:
    person = client.person()
    client.subscribe(webhook)
    webhook.notified = lambda _: Reply(status)
    client.graph.photo_hint(person)
    for attempt in range(1, 4):
        (post,) = client.posts_when(lambda posts, n=attempt: [each.attempts for each in posts] == [n])
        assert (post.status, post.outcome) == (status, "retrying")
        wait = post.due - client.world.clock.now()
        assert abs(wait - timedelta(seconds=10 * 2 ** (attempt - 1))) < timedelta(seconds=5)
        if attempt == 3:
            webhook.notified = lambda _: Reply(202)
        client.world.clock.advance(wait.total_seconds())
    (post,) = client.posts()
    assert (post.attempts, post.status, post.outcome) == (4, 202, "delivered")
    assert webhook.items == [webhook.items[0]] * 4


def test_after_four_hours_a_notification_is_given_up(client: GraphClient, webhook: Webhook) -> None:
    client.subscribe(webhook)
    webhook.notified = lambda _: Reply(500)
    client.graph.photo_hint(client.person())
    for attempt in range(1, 11):
        (post,) = client.posts_when(lambda posts, n=attempt: [each.attempts for each in posts] == [n])
        assert post.outcome == "retrying"
        client.world.clock.advance(10 * 2 ** (attempt - 1))
    (post,) = client.posts()  # 10 s doubled ten times is 2 h 50 min; once more would pass four hours
    assert (post.attempts, post.outcome) == (11, "given up")


def test_a_post_to_an_unreachable_endpoint_is_retried(client: GraphClient, webhook: Webhook) -> None:
    person = client.person()
    created = client.subscribe(webhook)
    item = client.graph.notification(created["id"], person.id)
    client.graph.deliver([item], "http://127.0.0.1:1/api")
    (post,) = client.posts_when(lambda posts: [each.attempts for each in posts] == [1])
    assert (post.status, post.outcome) == (None, "retrying")
    client.clear()


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(Reply(202, held=True), id="not at all"),
        pytest.param(Reply(202, b"x", trickle=0.15), id="each half in time, the whole too late"),
    ],
)
def test_a_late_answer_does_not_count_and_the_notification_is_sent_again(
    webhook: Webhook, late: Reply
) -> None:
    with GraphClient(timing=WebhookTiming(handshake=10, first=0.2, retry=10)) as client:
        person = client.person()
        client.subscribe(webhook)
        webhook.notified = lambda _: late
        client.graph.photo_hint(person)
        (post,) = client.posts_when(lambda posts: [each.attempts for each in posts] == [1])
        assert (post.status, post.outcome) == (None, "retrying")
        webhook.released.set()
        client.world.clock.advance(20)
        assert (
            notified_of(client, webhook) == [("updated", person.id)] * 2
        )  # taken the first time, for all it knew


def test_at_most_four_posts_are_under_way_at_once(client: GraphClient, webhook: Webhook) -> None:
    webhook.notified = lambda _: Reply(202, held=True)
    with client.world.lock:
        for _ in range(6):
            client.graph.deliver([{}], webhook.url)
    client.posts_when(lambda _: len(webhook.received) >= 4)
    with pytest.raises(TimeoutError, match="4 posts under way"):
        client.graph.idle(0.01)
    webhook.released.set()
    assert [post.outcome for post in client.posts()] == ["delivered"] * 6


def test_given_items_are_sent_unchanged_in_one_post(client: GraphClient, webhook: Webhook) -> None:
    created = client.subscribe(webhook)
    person = client.person()
    client.posts()
    good = client.graph.notification(created["id"], person.id, "deleted")
    batch = [good | {"subscriptionId": "foreign"}, good | {"clientState": "wrong"}, {}, good] * 50
    webhook.received.clear()
    client.graph.deliver(batch)
    client.posts()
    assert [received.json["value"] for received in webhook.received] == [batch]


def test_items_without_a_subscription_cannot_be_delivered(client: GraphClient) -> None:
    with pytest.raises(LookupError):
        client.graph.deliver([{}])


def test_a_reset_forgets_what_is_still_to_deliver(client: GraphClient, webhook: Webhook) -> None:
    client.subscribe(webhook)
    client.graph.photo_hint(client.person(), delay=5000)
    client.clear()
    client.world.clock.advance(6000)
    assert client.posts() == []


def test_a_post_in_progress_during_a_reset_is_not_logged(client: GraphClient, webhook: Webhook) -> None:
    client.subscribe(webhook)
    webhook.notified = lambda _: Reply(500, held=True)
    client.graph.photo_hint(client.person())
    client.posts_when(lambda _: any(received.token is None for received in webhook.received))
    client.clear()
    webhook.released.set()
    assert client.posts() == []


def test_notifications_of_a_stopped_tenant_are_delivered_after_the_next_start(webhook: Webhook) -> None:
    client = GraphClient()
    person = client.person()
    client.subscribe(webhook)
    client.graph.photo_hint(person)
    for _ in range(2):
        with client:
            assert notified_of(client, webhook) == [("updated", person.id)]
    client.graph.photo_hint(person)
    with client:
        assert notified_of(client, webhook) == [("updated", person.id)] * 2


def life(client: GraphClient, webhook: Webhook, **changes: str) -> str:
    """Subscribe with a lifecycle URL; return the subscription's id."""
    return client.subscribe(webhook, lifecycleNotificationUrl=f"{webhook.url}/life", **changes)["id"]


def test_a_lifecycle_event_has_the_observed_shape(client: GraphClient, webhook: Webhook) -> None:
    created = life(client, webhook)
    client.graph.reauthorize(created)
    client.posts()
    received = webhook.received[-1]
    assert received.target == "/api/notifications/life"
    (item,) = received.json["value"]
    assert read_time(item.pop("subscriptionExpirationDateTime"))
    assert item == {
        "lifecycleEvent": "reauthorizationRequired",
        "subscriptionId": created,
        "clientState": "a secret",
        "organizationId": client.world.tenant_id,
        "resource": "",
        "sequence": None,
        "resourceData": {"@odata.type": "", "@odata.id": "", "id": ""},
        "encryptedContent": None,
    }
    (token,) = received.json["validationTokens"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["appid"] == "0bf30f3b-4a52-48df-9a82-234910c4a086"
    assert (claims["aud"], claims["tid"]) == (client.world.client_id, client.world.tenant_id)


def test_by_knob_a_lifecycle_event_has_the_documented_shape(client: GraphClient, webhook: Webhook) -> None:
    created = life(client, webhook)
    client.world.knobs.lifecycle_shape = "documented"
    client.graph.reauthorize(created)
    client.posts()
    (item,) = webhook.received[-1].json["value"]
    assert item.keys() == {
        "subscriptionId",
        "subscriptionExpirationDateTime",
        "tenantId",
        "clientState",
        "lifecycleEvent",
    }
    assert webhook.received[-1].json.keys() == {"value"}


def test_lifecycle_events_never_share_a_post_with_changes(client: GraphClient, webhook: Webhook) -> None:
    created = client.subscribe(webhook, lifecycleNotificationUrl=webhook.url)["id"]
    client.world.knobs.lifecycle_shape = "documented"
    with client.world.lock:
        client.graph.reauthorize(created)
        client.graph.photo_hint(client.person())
    kinds = [{"lifecycleEvent" in item for item in post.items} for post in client.posts()]
    assert sorted(kinds, key=str) == [{False}, {True}]


def test_without_a_lifecycle_url_no_event_is_sent(client: GraphClient, webhook: Webhook) -> None:
    client.graph.reauthorize(client.subscribe(webhook)["id"])
    assert client.posts() == []


@pytest.mark.parametrize("answer", ["PATCH", "reauthorize", None])
def test_an_unanswered_reauthorization_stops_notifications_until_a_renewal(
    client: GraphClient, webhook: Webhook, answer: str | None
) -> None:
    person = client.person()
    created = life(client, webhook)
    client.graph.reauthorize(created)
    client.posts()
    webhook.received.clear()
    if answer == "PATCH":
        client.call("PATCH", f"/subscriptions/{created}", {"expirationDateTime": client.in_minutes(5000)})
    elif answer:
        assert client.call("POST", f"/subscriptions/{created}/reauthorize").status_code == 204
    client.graph.photo_hint(person)
    assert len(notified_of(client, webhook)) == 1
    client.world.clock.advance(client.world.knobs.reauthorize_within + 1)
    client.graph.photo_hint(person)
    assert len(notified_of(client, webhook)) == (2 if answer else 1)
    client.call("PATCH", f"/subscriptions/{created}", {"expirationDateTime": client.in_minutes(5000)})
    client.graph.photo_hint(person)
    assert len(notified_of(client, webhook)) == (3 if answer else 2)


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
    client: GraphClient, webhook: Webhook, first: str, minutes: float, knob: str, flows: bool
) -> None:
    created = life(client, webhook)
    client.world.knobs.reauthorize_clash = knob
    person = client.person()
    client.posts()
    webhook.received.clear()

    def contact(kind: str) -> None:
        if kind == "PATCH":
            client.call("PATCH", f"/subscriptions/{created}", {"expirationDateTime": client.in_minutes(5000)})
        else:
            client.call("POST", f"/subscriptions/{created}/reauthorize")

    contact(first)
    client.world.clock.advance(minutes * 60)
    contact("reauthorize" if first == "PATCH" else "PATCH")
    client.graph.photo_hint(person)
    assert bool(notified_of(client, webhook)) == flows
    assert client.get(f"/subscriptions/{created}").status_code == 200


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
def test_an_endpoint_is_rated_by_the_share_of_late_answers(seconds: list[float], state: str) -> None:
    endpoint = WebhookEndpoint(WebhookTiming())
    for each in seconds:
        endpoint.note(NOON, each)
    assert endpoint.state(NOON) == state
    assert endpoint.state(NOON + timedelta(minutes=9)) == state
    assert endpoint.state(NOON + timedelta(minutes=10)) == "normal"


def test_answers_older_than_ten_minutes_do_not_count() -> None:
    endpoint = WebhookEndpoint(WebhookTiming())
    for _ in range(9):
        endpoint.note(NOON, 10.0)
    later = NOON + timedelta(minutes=11)
    endpoint.note(later, 10.0)
    assert endpoint.state(later) == "normal"


def test_another_late_answer_does_not_lengthen_the_ten_minutes() -> None:
    endpoint = WebhookEndpoint(WebhookTiming())
    for minute in [0] * 10 + [5]:
        endpoint.note(NOON + timedelta(minutes=minute), 10.0)
    assert endpoint.state(NOON + timedelta(minutes=9)) == "drop"
    assert endpoint.state(NOON + timedelta(minutes=10)) == "normal"


def test_after_its_ten_minutes_an_endpoint_starts_over() -> None:
    endpoint = WebhookEndpoint(WebhookTiming())
    for _ in range(10):
        endpoint.note(NOON, 10.0)
    later = NOON + timedelta(minutes=10)
    endpoint.note(later, 10.0)
    assert endpoint.state(later) == "normal"


def test_a_slow_endpoint_gets_new_notifications_ten_minutes_later(webhook: Webhook) -> None:
    with GraphClient(timing=WebhookTiming(handshake=10, first=0.2, retry=10)) as client:
        person = client.person()
        client.subscribe(webhook)
        client.world.knobs.notifications_per_post = 1
        webhook.notified = lambda _: Reply(202, held=not webhook.released.is_set())
        client.graph.photo_hint(person, times=10)
        client.posts_when(lambda posts: sum(each.attempts for each in posts) == 10)
        webhook.released.set()
        client.graph.photo_hint(person)
        late = client.posts_when(lambda posts: len(posts) == 11)[-1]
        assert (late.attempts, late.due - late.born) == (0, timedelta(minutes=10))
        client.world.clock.advance(601)
        assert {post.outcome for post in client.posts()} == {"delivered"}


def test_a_dropping_endpoint_loses_new_notifications(webhook: Webhook) -> None:
    with GraphClient(timing=WebhookTiming(handshake=10, first=0.2, retry=0.2)) as client:
        client.world.knobs.delivery_retry_base = 5 * 3600.0  # the first retry would come too late already
        webhook.notified = lambda _: Reply(202, held=True)
        for _ in range(10):
            client.graph.deliver([{}], webhook.url)
        assert {post.outcome for post in client.posts()} == {"given up"}
        client.subscribe(webhook)
        client.graph.deliver([{"lost": True}])
        client.graph.photo_hint(client.person())
        before = time.monotonic()
        lost = client.posts()[10:]
        assert time.monotonic() - before < SOON / 2  # dropped posts do not delay `idle`
        assert [(each.attempts, each.outcome) for each in lost] == [(0, "dropped")] * 2
        assert lost[0].items == [{"lost": True}]
