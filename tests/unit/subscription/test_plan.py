"""The plan for our subscription: every rule by itself, and that the plans lead to exactly one of ours."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.graph.subscription import Subscription
from shared.subscription.plan import (
    ENDS_SOON,
    LIFE,
    REAUTHORIZE_AFTER,
    RENEW_AFTER,
    Adopt,
    Blocked,
    Create,
    Ended,
    Keep,
    Renew,
    SubscriptionPlan,
    Wanted,
    plan_subscription,
)
from shared.subscription.record import SubscriptionRecord

NOW = 1_800_000_000.0
DAY = 86_400.0
URL, LIFECYCLE = "https://sync.contoso.com/api/notifications", "https://sync.contoso.com/api/lifecycle"
ELSEWHERE = "https://test.contoso.com/api/notifications"
WANTED = Wanted(URL, LIFECYCLE, key="k2")


def a_subscription(name: str = "a", **changed: Any) -> Subscription:
    return replace(Subscription(name, "users", URL, LIFECYCLE, expires=NOW + 20 * DAY), **changed)


def a_record(**changed: Any) -> SubscriptionRecord:
    return replace(
        SubscriptionRecord("v1", "active", "a", "k2", renewed_at=NOW - 3600, expires=NOW + 20 * DAY),
        **changed,
    )


def planned(*listed: Subscription, record: SubscriptionRecord | None = None, **how: Any) -> SubscriptionPlan:
    return plan_subscription(listed, a_record() if record is None else record, WANTED, **{"now": NOW, **how})


MOVED = "its notification URL is not ours any more"
NO_LIFECYCLE = "its lifecycle URL is not ours"
UNSIGNED = "it was not signed with the newest secret"
OURS, FOREIGN = a_subscription(), a_subscription("f", notification_url=ELSEWHERE)
CREATING = a_record(state="creating", id="", renewed_at=0.0, expires=0.0)


# --- none, one, several ---


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(SubscriptionRecord(), id="the first time"),
        pytest.param(a_record(), id="lost: Graph announces no loss"),
        pytest.param(CREATING, id="a creation that never reached Graph"),
        pytest.param(a_record(key="k1"), id="lost, and the secret rotated"),
    ],
)
def test_where_none_of_ours_exists_one_is_created(record: SubscriptionRecord) -> None:
    assert planned(record=record) == SubscriptionPlan(Create("none of ours exists"))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(a_subscription("g", resource="groups"), id="on groups"),
        pytest.param(a_subscription("g", resource=f"users/{'0' * 36}"), id="on one user"),
        pytest.param(a_subscription("g", resource=""), id="on nothing"),
    ],
)
def test_a_subscription_on_another_resource_is_neither_ours_nor_a_hindrance(other: Subscription) -> None:
    assert planned(other) == SubscriptionPlan(Create("none of ours exists"))
    assert planned(other, OURS, take_over=True) == SubscriptionPlan(Keep(OURS))


@pytest.mark.parametrize("resource", ["users", "Users", "/users", "/Users/", "USERS"])
def test_graph_may_write_the_resource_as_it_likes(resource: str) -> None:
    ours = a_subscription(resource=resource)

    assert planned(ours) == SubscriptionPlan(Keep(ours))


def test_a_good_subscription_is_kept_as_it_is() -> None:
    assert planned(OURS) == SubscriptionPlan(Keep(OURS))


def test_of_several_the_youngest_stays() -> None:
    older = a_subscription("b", expires=OURS.expires - 1)
    oldest = a_subscription("c", expires=OURS.expires - 2)

    found = planned(oldest, OURS, older)

    assert found.step == Keep(OURS)
    assert sorted(found.delete) == ["b", "c"]


# --- when to renew ---


@pytest.mark.parametrize(
    ("age", "event", "renewed"),
    [
        pytest.param(0.0, None, False, id="just now"),
        pytest.param(RENEW_AFTER, None, False, id="a day ago, and no more"),
        pytest.param(RENEW_AFTER + 1, None, True, id="more than a day ago"),
        pytest.param(-3600.0, None, False, id="in the future, by a clock that is ahead"),
        pytest.param(REAUTHORIZE_AFTER - 1, "reauthorizationRequired", False, id="asked within ten minutes"),
        pytest.param(REAUTHORIZE_AFTER, "reauthorizationRequired", True, id="asked after ten minutes"),
        pytest.param(0.0, "reauthorizationRequired", False, id="asked at once"),
        pytest.param(3600.0, "missed", False, id="another event"),
        pytest.param(
            3600.0, "subscriptionRemoved", False, id="an event of its removal, although Graph lists it"
        ),
        pytest.param(RENEW_AFTER + 1, "missed", True, id="another event, a day later"),
    ],
)
def test_a_subscription_is_renewed_daily_or_when_graph_asks_but_not_twice_in_ten_minutes(
    age: float, event: Any, renewed: bool
) -> None:
    found = planned(OURS, record=a_record(renewed_at=NOW - age), event=event)

    assert found.step == (Renew(OURS) if renewed else Keep(OURS))


@pytest.mark.parametrize(
    ("left", "age", "renewed"),
    [
        pytest.param(ENDS_SOON, 3600.0, False, id="enough left for the next run"),
        pytest.param(ENDS_SOON - 1, 3600.0, True, id="less than that"),
        pytest.param(-1.0, 3600.0, True, id="over, though Graph still lists it"),
        pytest.param(45 * 60.0, 0.0, False, id="given 45 minutes just now"),
        pytest.param(45 * 60.0, REAUTHORIZE_AFTER, True, id="given 45 minutes ten minutes ago"),
    ],
)
def test_the_expiry_that_graph_returned_counts_and_not_the_one_we_asked_for(
    left: float, age: float, renewed: bool
) -> None:
    ours = a_subscription(expires=NOW + left)

    found = planned(ours, record=a_record(renewed_at=NOW - age))

    assert found.step == (Renew(ours) if renewed else Keep(ours))


def test_we_ask_for_an_hour_less_than_the_longest_life_that_graph_gives() -> None:
    assert LIFE == 41_760 * 60 - 3600


def test_daily_is_a_day_soon_is_two_runs_of_an_hourly_timer_and_graph_wants_ten_minutes() -> None:
    assert (RENEW_AFTER, ENDS_SOON, REAUTHORIZE_AFTER) == (DAY, 2 * 3600.0, 600.0)


# --- what cannot stay ---


@pytest.mark.parametrize(
    ("changed", "record", "why"),
    [
        pytest.param({"notification_url": ELSEWHERE}, {"owner": URL}, MOVED, id="it does not notify us"),
        pytest.param({"lifecycle_url": ""}, {}, NO_LIFECYCLE, id="it has no lifecycle URL"),
        pytest.param({"lifecycle_url": ELSEWHERE}, {}, NO_LIFECYCLE, id="it has another"),
        pytest.param({}, {"key": "k1"}, UNSIGNED, id="the secret was rotated"),
        pytest.param({}, {"key": ""}, UNSIGNED, id="we forgot who signed it"),
        pytest.param({}, {"id": "b"}, UNSIGNED, id="at our URL, but not our record's"),
        pytest.param({}, {"id": "", "state": ""}, UNSIGNED, id="our record was lost"),
        pytest.param({}, {"id": "", "state": "creating", "key": "k1"}, UNSIGNED, id="created, then rotated"),
        pytest.param({}, {"id": "b", "state": "creating"}, UNSIGNED, id="another was being created"),
    ],
)
def test_what_graph_does_not_let_us_change_is_deleted_and_created_again(
    changed: dict[str, Any], record: dict[str, Any], why: str
) -> None:
    found = planned(a_subscription(**changed), record=a_record(**record))

    assert found == SubscriptionPlan(Create(why), delete=("a",))


def test_what_cannot_stay_goes_with_all_the_others_of_ours() -> None:
    unknown = a_subscription("b", expires=OURS.expires + 1)

    found = planned(OURS, unknown, a_subscription("c"))

    assert found.step == Create(UNSIGNED)
    assert sorted(found.delete) == ["a", "b", "c"]


@pytest.mark.parametrize("event", [None, "reauthorizationRequired"])
def test_a_creation_whose_answer_was_lost_is_adopted_and_not_renewed_at_once(event: Any) -> None:
    assert planned(OURS, record=CREATING, event=event) == SubscriptionPlan(Adopt(OURS))


# --- ended by an administrator ---


@pytest.mark.parametrize(
    "how", [{}, {"event": "missed"}, {"event": "reauthorizationRequired"}, {"take_over": True}]
)
@pytest.mark.parametrize("listed", [(), (OURS,), (FOREIGN,)], ids=["none", "ours", "foreign"])
def test_a_subscription_that_an_administrator_ended_stays_ended(
    listed: tuple[Subscription, ...], how: dict[str, Any]
) -> None:
    assert planned(*listed, record=a_record(state="ended", id=""), **how) == SubscriptionPlan(Ended())


# --- another deployment's ---


@pytest.mark.parametrize(
    "record", [SubscriptionRecord(), a_record(), CREATING], ids=["new", "lost", "creating"]
)
def test_another_deployments_subscription_is_left_alone_and_reported(record: SubscriptionRecord) -> None:
    assert planned(FOREIGN, record=record) == SubscriptionPlan(Blocked(("test.contoso.com",)))


@pytest.mark.parametrize("listed", [(), (OURS,), (FOREIGN,), (OURS, FOREIGN)], ids=len)
@pytest.mark.parametrize("event", [None, "missed", "reauthorizationRequired"])
@pytest.mark.parametrize("state", ["active", "creating", "ended", ""])
def test_where_the_record_belongs_to_another_deployment_nothing_is_done(listed, event, state) -> None:
    record = a_record(owner=ELSEWHERE, state=state)

    found = planned(*listed, record=record, event=event)
    assert found == SubscriptionPlan(Blocked(("test.contoso.com",), ELSEWHERE), sweep=event == "missed")


def test_a_record_of_an_earlier_release_belongs_to_the_deployment_that_its_subscription_notifies() -> None:
    theirs = a_subscription("a", notification_url=ELSEWHERE)

    assert planned(theirs).step == Blocked(("test.contoso.com",), ELSEWHERE)
    assert planned(theirs, OURS, record=a_record(id="f")).step == Create(UNSIGNED)
    assert planned(OURS) == SubscriptionPlan(Keep(OURS))
    assert planned(record=a_record()) == SubscriptionPlan(Create("none of ours exists"))


@pytest.mark.parametrize("owner", [URL, URL.upper().replace("HTTPS", "https"), ""])
def test_a_deployment_knows_itself_whatever_the_case_of_its_url(owner: str) -> None:
    assert planned(OURS, record=a_record(owner=owner)) == SubscriptionPlan(Keep(OURS))


def test_an_owner_that_is_taken_over_loses_its_subscription() -> None:
    theirs = a_subscription("a", notification_url=ELSEWHERE)

    found = planned(theirs, record=a_record(owner=ELSEWHERE), take_over=True)
    assert found == SubscriptionPlan(Create(MOVED), delete=("a",))


def test_only_an_administrator_takes_it_over() -> None:
    assert planned(FOREIGN, take_over=True) == SubscriptionPlan(Create("none of ours exists"), delete=("f",))


def test_beside_ours_it_is_left_alone_too_unless_it_is_taken_over() -> None:
    assert planned(FOREIGN, OURS) == SubscriptionPlan(Keep(OURS))
    assert planned(FOREIGN, OURS, take_over=True) == SubscriptionPlan(Keep(OURS), delete=("f",))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        pytest.param("https://a.example/api/notifications?code=SECRET", "a.example", id="a key in the query"),
        pytest.param("https://a.example?code=SECRET", "a.example", id="a key right after the host"),
        pytest.param("https://a.example#SECRET", "a.example", id="a fragment"),
        pytest.param("https://user:SECRET@a.example/x", "a.example", id="a password"),
        pytest.param("https://a.example:8443/x", "a.example:8443", id="a port"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_of_a_foreign_url_only_the_host_is_reported(url: str, host: str) -> None:
    assert planned(a_subscription("f", notification_url=url)).step == Blocked((host,))


# --- what may have been missed ---


@pytest.mark.parametrize(
    ("listed", "record", "swept"),
    [
        pytest.param((OURS,), a_record(), True, id="kept"),
        pytest.param((OURS,), a_record(renewed_at=0.0), True, id="renewed"),
        pytest.param((OURS,), CREATING, True, id="adopted"),
        pytest.param((FOREIGN,), a_record(), True, id="blocked"),
        # Every creation opens a sweep of its own once it stands.
        pytest.param((), a_record(), False, id="created"),
    ],
)
def test_missed_changes_ask_for_a_sweep(
    listed: tuple[Subscription, ...], record: SubscriptionRecord, swept: bool
) -> None:
    assert planned(*listed, record=record, event="missed").sweep is swept
    assert not planned(*listed, record=record).sweep


# --- the record ---


def test_a_table_row_becomes_our_record_and_other_versions_columns_are_ignored() -> None:
    columns = {"PartitionKey": "subscription", "state": "active", "id": "a", "version": "no", "later": 1}
    nothing = {"state": "", "id": "", "key": "", "renewed_at": 0.0, "expires": 0.0, "lease_until": 0.0}

    assert SubscriptionRecord.from_columns(columns, "v7") == SubscriptionRecord("v7", "active", "a")
    assert SubscriptionRecord.from_columns(nothing, "") == SubscriptionRecord()


# --- properties ---

SUBSCRIPTIONS = st.lists(
    st.builds(
        Subscription,
        id=st.sampled_from("abcd"),
        resource=st.sampled_from(["users", "Users", "groups"]),
        notification_url=st.sampled_from([URL, ELSEWHERE]),
        lifecycle_url=st.sampled_from([LIFECYCLE, ""]),
        expires=st.sampled_from([NOW - 1, NOW + 60, NOW + DAY, NOW + 20 * DAY]),
    ),
    max_size=4,
    unique_by=lambda subscription: subscription.id,
)
RECORDS = st.builds(
    SubscriptionRecord,
    version=st.just("v1"),
    state=st.sampled_from(["", "creating", "active", "ended"]),
    id=st.sampled_from(["", "a", "b"]),
    key=st.sampled_from(["", "k1", "k2"]),
    renewed_at=st.sampled_from([0.0, NOW - 2 * DAY, NOW - 60, NOW, NOW + 60]),
    owner=st.sampled_from(["", URL, ELSEWHERE]),
)
EVENTS = st.sampled_from([None, "reauthorizationRequired", "subscriptionRemoved", "missed"])
AGO = st.floats(0, REAUTHORIZE_AFTER, exclude_max=True)
CRASHES = st.sampled_from([None, "before", "deleted", "noted", "posted"])


@dataclass
class Graph:
    """The part of Graph and our record that a plan reads, and the key that signed each subscription."""

    listed: list[Subscription] = field(default_factory=list)
    record: SubscriptionRecord = field(default_factory=SubscriptionRecord)
    granted: float = LIFE
    signed: dict[str, str] = field(default_factory=dict)

    def apply(self, found: SubscriptionPlan, key: str = "k2", *, crash: str | None = None) -> None:
        """Carry out a plan in a renewal's order until the instance dies: `crash` is its last step."""
        if crash == "before":
            return
        self.listed = [s for s in self.listed if s.id not in found.delete]
        if crash == "deleted":
            return
        match found.step:
            case Create():
                self.record = replace(self.record, state="creating", id="", key=key, owner=URL)
                if crash != "noted":
                    self._post(key, noted=crash != "posted")
            case Adopt(found_again):
                self._note(found_again)
            case Renew(due):
                renewed = replace(due, expires=NOW + self.granted)
                self.listed = [renewed if s.id == due.id else s for s in self.listed]
                self.record = replace(self.record, renewed_at=NOW)

    def _post(self, key: str, *, noted: bool) -> None:
        if any(s.resource.lower() == "users" for s in self.listed):
            return  # 409: one a resource
        created = a_subscription(f"new{len(self.signed)}", expires=NOW + self.granted)
        self.listed.append(created)
        self.signed[created.id] = key
        if noted:
            self._note(created)

    def _note(self, subscription: Subscription) -> None:
        self.record = replace(self.record, state="active", id=subscription.id, renewed_at=NOW)


@given(
    listed=SUBSCRIPTIONS,
    record=RECORDS,
    granted=st.sampled_from([45 * 60.0, DAY, LIFE]),
    event=EVENTS,
    take_over=st.booleans(),
    crash=st.sampled_from([None, "posted"]),
)
def test_three_plans_lead_to_a_stable_state_from_every_state(
    listed: list[Subscription],
    record: SubscriptionRecord,
    granted: float,
    event: Any,
    take_over: bool,
    crash: str | None,
) -> None:
    graph, steps = Graph(listed, record, granted), []
    for _ in range(4):
        found = plan_subscription(
            graph.listed, graph.record, WANTED, now=NOW, event=event, take_over=take_over
        )
        steps.append(found)
        if isinstance(found.step, Keep | Ended | Blocked) and not found.delete:
            break
        graph.apply(found, crash=crash)

    assert isinstance(steps[-1].step, Keep | Ended | Blocked), steps
    if isinstance(steps[-1].step, Keep):
        ours = [s for s in graph.listed if s.resource.lower() == "users" and s.notification_url == URL]
        assert ours == [steps[-1].step.subscription]
        assert (graph.record.id, graph.record.key) == (ours[0].id, "k2")


@given(st.lists(st.tuples(st.sampled_from(["k1", "k2"]), CRASHES), max_size=8))
def test_no_crash_and_no_rotation_makes_us_trust_a_subscription_that_another_key_signed(
    runs: list[tuple[str, str | None]],
) -> None:
    graph = Graph()
    for key, crash in runs:
        found = plan_subscription(graph.listed, graph.record, replace(WANTED, key=key), now=NOW)
        if isinstance(found.step, Keep | Adopt | Renew):
            assert graph.signed[found.step.subscription.id] == key
        graph.apply(found, key, crash=crash)
        assert len(graph.listed) <= 1


@given(listed=SUBSCRIPTIONS, record=RECORDS, event=EVENTS, take_over=st.booleans(), ago=AGO)
def test_nothing_is_deleted_twice_unlisted_or_foreign_and_nothing_renewed_twice_in_ten_minutes(
    listed: list[Subscription], record: SubscriptionRecord, event: Any, take_over: bool, ago: float
) -> None:
    found = plan_subscription(listed, record, WANTED, now=NOW, event=event, take_over=take_over)
    renewed = plan_subscription(listed, replace(record, renewed_at=NOW - ago), WANTED, now=NOW, event=event)

    deleted = [s for s in listed if s.id in found.delete]
    assert sorted(found.delete) == sorted(s.id for s in deleted)
    assert all(s.resource.lower() == "users" for s in deleted)
    assert take_over or all(s.notification_url == URL or s.id == record.id for s in deleted)
    assert take_over or record.owner != ELSEWHERE or not deleted
    if isinstance(found.step, Blocked):
        assert found.delete == ()
    if isinstance(found.step, Keep | Adopt | Renew):
        assert found.step.subscription.id not in found.delete
    assert not isinstance(renewed.step, Renew)
