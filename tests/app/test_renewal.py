"""Our one subscription is kept alive, whatever happens to it and to the instances."""

import json
import ssl
from collections.abc import Iterator

import pytest

from local.tenant.tenant import Tenant
from local.tenant.traffic.faults import Fault
from shared.app import App
from shared.errors import Denied, Refused, ServiceError, Throttled, TryLater
from shared.jobs import Tend
from shared.subscription import plan
from shared.subscription.ownership import host_of
from shared.subscription.record import SubscriptionRecord, SubscriptionStore
from tests.fakes.external_steps import drop_connection, fail_precondition, kill
from tests.fakes.world import World
from tests.tenant.graph_client import Reply, Webhook, echo

DAY, HOUR = 24 * 3600.0, 3600.0
SECOND_SECRET = "another-secret-of-at-least-32-characters"


@pytest.fixture(scope="session")
def tls(running_tenant: Tenant) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*running_tenant.host_certificate)
    return context


@pytest.fixture
def hook(tls: ssl.SSLContext) -> Iterator[Webhook]:
    with Webhook(tls) as hook:
        yield hook


@pytest.fixture
def base(hook: Webhook) -> str:
    return hook.url.removesuffix("/api/notifications")


@pytest.fixture
def world(new_world, base: str) -> World:
    return new_world(NOTIFICATION_URL=base)


def tend(world: World, **how: object) -> str:
    return world.services.renewal.tend(**how).did


def listed(world: World) -> list[dict[str, object]]:
    return world.tenant.graph.subscriptions()


def record(world: World) -> SubscriptionRecord:
    return SubscriptionStore(world.state).read()


def sweep_wanted(world: World) -> bool:
    """Return whether a sweep was opened, or will be when the running one ends."""
    found = world.state.rows.get(("sweep", "record"))
    return bool(found and (found[0].get("id") or found[0].get("again")))


def at_rest(world: World) -> None:
    """Assert that our subscription is the only one, and that the record says so."""
    (only,) = listed(world)
    now = record(world)
    assert (now.state, now.id, now.lease_until) == ("active", only["id"], 0.0)
    assert now.key == world.services.client_state.key_id
    assert sweep_wanted(world)


# --- creation ---


def test_each_renewal_logs_how_long_the_subscription_lives(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "photosync")
    tend(world)
    world.clock.advance(3600)
    tend(world)
    tended = [text for text in caplog.messages if text.startswith("subscription.")]
    lives = [int(text.partition("after=")[2].split()[0]) for text in tended]
    assert lives == [pytest.approx(plan.LIFE, abs=5), pytest.approx(plan.LIFE - 3600, abs=5)]


def test_the_first_run_creates_a_subscription_and_wants_a_sweep(world: World, base: str) -> None:
    assert tend(world) == "created"
    (subscription,) = listed(world)
    assert subscription["resource"] == "users"
    assert subscription["changeType"] == "updated,deleted"
    assert subscription["notificationUrl"] == f"{base}/api/notifications"
    assert subscription["lifecycleNotificationUrl"] == f"{base}/api/lifecycle"
    assert len(str(subscription["clientState"])) <= 128
    assert world.services.client_state.verifies(str(subscription["clientState"]))
    assert record(world).expires == pytest.approx(world.clock.now() + plan.LIFE, abs=2)
    at_rest(world)


def test_our_own_urls_are_called_before_graph_validates_them(world: World, hook: Webhook) -> None:
    tend(world)
    agents = [posted.headers.get("User-Agent", "") for posted in hook.handshakes]
    assert len(agents) == 4
    assert all("PhotoSync" in agent for agent in agents[:2])
    assert not any("PhotoSync" in agent for agent in agents[2:])


def test_a_validation_that_fails_is_tried_three_times(world: World, hook: Webhook) -> None:
    answers = iter([Reply(500)] * 4)  # our own two calls, and Graph's first two tries
    hook.handshake = lambda posted: next(answers, None) or echo(posted)
    assert tend(world) == "created"
    at_rest(world)


def test_a_validation_that_always_fails_is_a_refusal(world: World, hook: Webhook) -> None:
    hook.handshake = lambda _: Reply(500)
    with pytest.raises(Refused) as caught:
        tend(world)
    assert caught.value.status == 400
    assert len([r for r in world.requests() if r.startswith("POST /v1.0/subscriptions")]) == 3
    assert record(world).lease_until == 0.0
    hook.handshake = echo
    assert tend(world) == "created"
    at_rest(world)


@pytest.mark.parametrize(
    ("status", "kind"), [(403, Denied), (409, Refused), (429, Throttled), (503, Throttled)]
)
def test_a_creation_that_is_refused_for_another_reason_is_tried_once(world: World, status, kind) -> None:
    world.fault(Fault(method="POST", path="/subscriptions", status=status, retry_after=60))
    with pytest.raises(ServiceError) as caught:
        tend(world)
    assert type(caught.value) is kind
    assert len([r for r in world.requests() if r.startswith("POST")]) == 1
    world.fault()
    world.clock.advance(60)  # if Graph asked for it, its gate is closed for that time
    assert tend(world) == "created"
    at_rest(world)


def test_a_creation_whose_answer_was_lost_is_adopted(world: World) -> None:
    world.fault(Fault(method="POST", path="/subscriptions", drop=True, when="after", next=1))
    with pytest.raises(TryLater):
        tend(world)
    assert not sweep_wanted(world)
    world.clock.advance(30)
    assert tend(world) == "adopted"
    at_rest(world)


@pytest.mark.parametrize("step", range(1, 8))
def test_an_instance_may_die_at_any_step(world: World, step: int) -> None:
    death = world.steps.on("(read|write|call) .*", kill, nth=step)
    assert not world.steps.survive(lambda: tend(world))
    assert death.seen == step
    assert record(world).lease_until > 0 or step <= 2
    world.clock.advance(301)
    tend(world)
    at_rest(world)


@pytest.mark.parametrize("after", [False, True], ids=["out of reach", "answer lost"])
@pytest.mark.parametrize("step", range(1, 7))
def test_the_state_may_fail_at_any_step(world: World, step: int, after: bool) -> None:
    world.steps.on("(read|write) .*", drop_connection, nth=step, after=after)
    try:
        tend(world)
    except TryLater:
        world.clock.advance(301)
        tend(world)
    world.clock.advance(301)
    tend(world)
    world.steps.clear()
    at_rest(world)


# The third write is the wish for a sweep, which has no condition.
@pytest.mark.parametrize("step", [1, 2, 4, 5], ids=["lease", "creating", "active", "end"])
def test_a_repeated_write_that_meets_itself_is_a_success(world: World, step: int) -> None:
    world.steps.on("write photostate", fail_precondition, after=True, nth=step)
    assert tend(world) == "created"
    at_rest(world)


def test_an_administrator_is_answered_before_azure_times_out(world: World) -> None:
    slow = world.steps.on("call graph.microsoft.com", lambda: world.clock.advance(150), after=True)
    with pytest.raises(TryLater, match="no time left"):
        tend(world, asked=True)
    assert listed(world) == []
    world.steps.forget(slow)
    assert tend(world, asked=True) == "created"
    at_rest(world)


# --- renewal ---


def test_a_subscription_is_renewed_every_day(world: World) -> None:
    tend(world)
    world.clock.advance(DAY + 60)
    assert tend(world) == "renewed"
    assert record(world).expires == pytest.approx(world.clock.now() + plan.LIFE, abs=2)
    assert record(world).renewed_at == world.clock.now()
    at_rest(world)


def test_the_expiry_that_graph_chose_is_recorded(world: World) -> None:
    chosen = {"id": "11111111-1111-4111-8111-111111111111", "expirationDateTime": "2027-01-01T00:00:00Z"}
    world.fault(Fault(method="POST", path="/subscriptions", status=201, body=json.dumps(chosen)))
    assert tend(world) == "created"
    assert record(world).expires == 1798761600.0


@pytest.mark.parametrize(
    ("minutes", "did"), [(5, "kept"), (11, "renewed")], ids=["too soon after the last", "ten minutes later"]
)
def test_a_reauthorization_renews_unless_a_renewal_was_just_done(world: World, minutes, did) -> None:
    tend(world)
    world.clock.advance(minutes * 60)
    assert tend(world, event="reauthorizationRequired") == did


def test_a_subscription_lost_between_list_and_renewal_is_created_again(world: World) -> None:
    tend(world)
    world.clock.advance(DAY + 60)
    world.fault(Fault(method="PATCH", status=404))
    # Graph still lists it here, so it refuses to create another; the next run finds out.
    with pytest.raises((Denied, Refused)):
        tend(world)
    world.fault()
    world.tenant.graph.lose(listed(world)[0]["id"])
    world.clock.advance(4 * HOUR)
    tend(world)
    at_rest(world)


def test_a_renewal_that_does_not_pass_validation_is_tried_again_later(world: World) -> None:
    tend(world)
    world.clock.advance(DAY + 60)
    world.fault(Fault(method="PATCH", status=400, next=1))
    with pytest.raises(TryLater):
        tend(world)
    assert tend(world) == "renewed"


def test_missed_notifications_open_a_sweep(world: World) -> None:
    tend(world)
    del world.state.rows["sweep", "record"]
    assert tend(world, event="missed") == "kept"
    assert sweep_wanted(world)


def test_a_rotated_secret_replaces_the_subscription(world: World, base: str) -> None:
    tend(world)
    before = listed(world)[0]["id"]
    old = world.tenant.settings["CLIENT_STATE_SECRET"]
    world.restart(NOTIFICATION_URL=base, CLIENT_STATE_SECRET=f"{SECOND_SECRET},{old}")
    world.clock.advance(60)
    assert tend(world) == "created"
    assert listed(world)[0]["id"] != before
    at_rest(world)


def test_a_subscription_whose_record_was_lost_with_the_storage_account_is_replaced(world: World) -> None:
    tend(world)
    before = listed(world)[0]["id"]
    world.state.rows.clear()
    assert tend(world) == "created"
    assert listed(world)[0]["id"] != before
    at_rest(world)
    assert tend(world) == "kept"


# --- the end ---


def test_an_ended_subscription_stays_ended_until_an_administrator_asks(world: World) -> None:
    tend(world)
    assert world.services.renewal.end().did == "ended"
    assert listed(world) == []
    for event in (None, "missed", "subscriptionRemoved"):
        assert tend(world, event=event) == "ended"
    assert listed(world) == []
    assert tend(world, asked=True) == "created"
    at_rest(world)


def test_ending_a_subscription_that_never_began_succeeds(world: World) -> None:
    assert world.services.renewal.end().did == "ended"
    assert record(world).state == "ended"


# --- another deployment ---


@pytest.fixture
def theirs(world: World, tls: ssl.SSLContext) -> Iterator[str]:
    """Another deployment of this application, with a subscription of its own."""
    with Webhook(tls) as hook:
        other = world.start(NOTIFICATION_URL=hook.url.removesuffix("/api/notifications"))
        other.services.renewal.tend()
        del world.state.rows["subscription", "users"]
        yield hook.url


def test_another_deployments_subscription_is_left_alone_and_reported(world: World, theirs: str) -> None:
    tended = world.services.renewal.tend()
    assert tended.did == "blocked"
    assert "127.0.0.1" in tended.reason
    assert "/api" not in tended.reason
    assert [each["notificationUrl"] for each in listed(world)] == [theirs]


@pytest.mark.usefixtures("theirs")
def test_another_deployments_subscription_is_taken_over_on_request(world: World) -> None:
    assert tend(world, asked=True, take_over=True) == "created"
    at_rest(world)


# --- another deployment on the same storage account ---


@pytest.fixture
def slot(tls: ssl.SSLContext, world: World, base: str) -> Iterator[App]:
    """Another deployment on this storage account, whose own subscription Graph could validate."""
    assert base
    with Webhook(tls) as hook:
        yield world.start(NOTIFICATION_URL=hook.url.removesuffix("/api/notifications"))


def tend_in_turn(world: World, *apps: App, hours: int = 5) -> list[str]:
    """Let the timers of deployments run for some hours; return what each run did."""
    did = []
    for _ in range(hours):
        for app in apps:
            did.append(app.services.renewal.tend().did)
            world.drain()
            world.clock.advance(HOUR / len(apps))
    return did


def problems(app: App) -> str:
    """Return what the status says of other deployments."""
    named = (each for each in app.status_report.status()["problems"] if "deployment" in each)
    return "; ".join(named)


def test_of_two_deployments_on_one_storage_account_the_second_is_blocked_and_opens_no_sweep(
    world: World, slot: App
) -> None:
    first = world.app
    did = tend_in_turn(world, first, slot)
    assert did == ["created", "blocked", *["kept", "blocked"] * 4]
    assert len(world.app.status_report.status()["sweeps"]) == 1
    at_rest(world)


def test_both_deployments_on_one_storage_account_say_so_until_one_is_away_for_a_day(
    world: World, slot: App, base: str
) -> None:
    mine, theirs = base.removeprefix("https://"), host_of(slot.services.settings.notification_url)
    tend_in_turn(world, world.app, hours=1)
    assert problems(world.app) == ""
    assert "take_over=true" in problems(slot)  # before it has run once
    tend_in_turn(world, slot, hours=1)
    assert f"the deployment at {theirs} uses this storage account, too" in problems(world.app)
    assert f"belong to the deployment at {mine}, and this is {theirs}" in problems(slot)
    tend_in_turn(world, world.app, hours=24)
    assert problems(world.app) == ""
    assert "has not renewed" not in problems(slot)
    world.clock.advance(4 * DAY)
    assert "has not renewed the subscription for 4 days" in problems(slot)


def test_a_deployment_with_a_new_url_takes_over_on_request_and_its_predecessor_stays_away(
    world: World, slot: App
) -> None:
    before, after = world.app, slot
    tend_in_turn(world, before, hours=1)
    assert tend_in_turn(world, after, hours=2) == ["blocked", "blocked"]
    assert after.services.renewal.tend(asked=True).did == "blocked"
    assert after.services.renewal.tend(asked=True, take_over=True).did == "created"
    assert [each["notificationUrl"] for each in listed(world)] == [
        after.services.renewal.wanted.notification_url
    ]
    assert problems(after) == ""
    assert tend_in_turn(world, before, after, hours=3) == ["blocked", "kept"] * 3
    assert "uses this storage account, too" in problems(after)


@pytest.mark.parametrize("step", range(1, 9))
def test_an_instance_may_die_at_any_step_of_a_take_over(world: World, slot: App, step: int) -> None:
    tend(world)
    death = world.steps.on("(read|write|call) .*", kill, nth=step)
    renewal = slot.services.renewal
    assert not world.steps.survive(lambda: renewal.tend(asked=True, take_over=True))
    assert death.seen == step
    world.clock.advance(301)
    if renewal.tend().did == "blocked":  # it had not begun
        assert renewal.tend(asked=True, take_over=True).did == "created"
    world.app = slot
    at_rest(world)


def test_an_end_leaves_another_deployments_subscription_alone(world: World, slot: App) -> None:
    tend(world)
    before = record(world)
    assert slot.services.renewal.end().did == "blocked"
    at_rest(world)
    assert record(world).renewed_at == before.renewed_at
    assert world.services.renewal.end().did == "ended"
    assert listed(world) == []


def test_an_ended_subscription_frees_the_storage_account_for_the_deployment_that_asks_next(
    world: World, slot: App
) -> None:
    tend(world)
    world.services.renewal.end()
    assert tend_in_turn(world, world.app, slot, hours=2) == ["ended"] * 4
    assert slot.services.renewal.tend(asked=True).did == "created"
    assert tend_in_turn(world, world.app, hours=1) == ["blocked"]
    assert world.services.renewal.tend(asked=True).did == "blocked"


def test_a_message_about_the_owners_subscription_that_the_other_takes_still_opens_a_sweep(
    world: World, slot: App
) -> None:
    tend(world)
    del world.state.rows["sweep", "record"]
    assert slot.services.renewal.tend(event="missed").did == "blocked"
    assert sweep_wanted(world)
    at_rest(world)


# --- an upgrade: the record of an earlier release has no owner ---


def without_owner(world: World) -> None:
    columns, version = world.state.rows["subscription", "users"]
    kept = {name: value for name, value in columns.items() if name not in ("owner", "rival", "rival_at")}
    world.state.rows["subscription", "users"] = kept, version


def test_after_an_upgrade_the_record_belongs_to_the_deployment_whose_subscription_it_is(
    world: World, slot: App
) -> None:
    tend(world)
    without_owner(world)
    assert tend_in_turn(world, slot, world.app, slot, world.app, hours=1) == ["blocked", "kept"] * 2
    assert record(world).owner == world.services.renewal.wanted.notification_url
    at_rest(world)


@pytest.mark.parametrize("lost", [False, True], ids=["", "and its subscription was lost"])
def test_after_an_upgrade_a_single_deployment_goes_on_as_before(world: World, lost: bool) -> None:
    tend(world)
    without_owner(world)
    if lost:
        world.tenant.graph.lose(listed(world)[0]["id"])
        world.clock.advance(4 * HOUR)
    assert tend(world) == ("created" if lost else "kept")
    assert record(world).owner == world.services.renewal.wanted.notification_url
    at_rest(world)
    assert problems(world.app) == ""


# --- why it failed ---


def test_the_status_keeps_why_the_last_run_failed_until_one_succeeds(world: World) -> None:
    world.fault(Fault(path="/subscriptions", status=400, next=1))
    with pytest.raises(ServiceError):
        tend(world)
    assert "400" in world.app.status_report.status()["subscription"]["trouble"]
    tend(world)
    assert world.app.status_report.status()["subscription"]["trouble"] == ""


@pytest.mark.usefixtures("theirs")
def test_another_deployments_subscription_is_a_problem_with_its_remedy(world: World) -> None:
    tend(world)
    assert "take_over=true" in problems(world.app)
    tend(world, asked=True, take_over=True)
    assert problems(world.app) == ""


# --- the lease ---


def test_only_one_instance_renews_at_a_time(world: World) -> None:
    refused: list[float | None] = []

    def second() -> None:
        with pytest.raises(TryLater) as caught:
            tend(world)
        refused.append(caught.value.after)

    world.steps.on("call graph.microsoft.com", second)
    tend(world)
    assert refused == [pytest.approx(300)]
    at_rest(world)


def test_of_two_who_read_the_same_record_one_gets_the_lease(world: World) -> None:
    world.steps.on("write photostate", lambda: tend(world))
    with pytest.raises(TryLater):
        tend(world)
    at_rest(world)


def test_a_lost_lease_stops_the_work(world: World) -> None:
    def take_over() -> None:
        world.clock.advance(301)
        tend(world)

    world.steps.on("write photostate", take_over, nth=2)
    with pytest.raises(TryLater):
        tend(world)
    at_rest(world)


# --- requested by a message ---


def announce(world: World) -> None:
    world.app.queues.send(
        Tend("subscriptionRemoved", "0f000000-0000-4000-8000-000000000001", world.clock.now())
    )


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(service="graph", status=503, retry_after=60, next=1), id="busy"),
        pytest.param(Fault(service="graph", status=403, next=1), id="denied"),
    ],
)
def test_an_event_waits_until_graph_can_answer(world: World, fault: Fault) -> None:
    world.fault(fault)
    announce(world)
    world.host.deliver_due()
    assert len(world.queued(Tend)) == 1
    assert world.hidden(Tend.queue)[0] >= 30
    world.drain()
    assert world.host.failures == []
    at_rest(world)


def test_an_event_that_is_refused_for_good_is_recorded(world: World, hook: Webhook) -> None:
    hook.handshake = lambda posted: Reply(404, posted.body)
    announce(world)
    world.drain()
    assert [key[0] for key in world.state.rows if key[0] == "poison"] == ["poison"]


def test_an_event_of_yesterday_is_left_to_the_timer(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.fault(Fault(service="graph", status=503))
    announce(world)
    world.drain()
    assert world.queued(Tend) == []
    assert "subscription.event_dropped" in caplog.text
    assert world.host.failures == []
