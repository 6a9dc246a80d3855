"""Gates: closed for as long as a service asks, never shortened, known to every instance within a second."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.tenant.directory.world import Clock as TenantClock
from shared.attempt import Attempt
from shared.backoff import ABSURD, LONGEST, SHORTEST
from shared.errors import (
    Denied,
    GateClosed,
    OutOfTime,
    Refused,
    RoleMissing,
    ServiceError,
    Throttled,
    TryLater,
)
from shared.rest.call import Request, whole
from shared.rest.client import HttpClient
from shared.rest.gates import FILES, GRAPH, PROFILES, SERVICES, Gates, gate_of, next_closing
from tests.fakes.clock import Clock
from tests.fakes.external_steps import ExternalSteps, drop_connection, fail_precondition
from tests.fakes.scripted_server import ScriptedServer, reply
from tests.fakes.table import Table

NOW = 1_800_000_000.0
WHY = "429"


class GateSetup:
    """One table of gates, and instances that share it."""

    def __init__(self) -> None:
        self.steps = ExternalSteps()
        self.table = Table("photostate", self.steps)
        self.clock = Clock(TenantClock())
        self.gates = self.instance()

    def instance(self) -> Gates:
        return Gates(self.table, self.clock)

    def row(self, service: str = GRAPH) -> dict[str, Any]:
        return self.table.rows["gate", service][0]


@pytest.fixture
def setup() -> GateSetup:
    return GateSetup()


# --- the next row: the table ---


@pytest.mark.parametrize(
    ("columns", "after", "wait", "chosen"),
    [
        # with Retry-After
        pytest.param({}, 10.0, 10.0, 0.0, id="asked: obeyed"),
        pytest.param({}, 2.128, 2.128, 0.0, id="asked with decimals: obeyed to the last of them"),
        pytest.param({}, 3600.0, 3600.0, 0.0, id="asked for an hour: obeyed"),
        pytest.param({}, 2.5e11, LONGEST, 0.0, id="never for more than a day"),
        pytest.param(
            {"closed_for": 240.0, "closed_until": NOW}, 10.0, 10.0, 0.0, id="asked: our own is forgotten"
        ),
        # it does not
        pytest.param(
            {"closed_until": NOW - 59, "closed_for": 30.0}, None, 60.0, 60.0, id="again, soon after"
        ),
        pytest.param(
            {"closed_until": NOW - 60, "closed_for": 30.0}, None, 30.0, 30.0, id="again, but much later"
        ),
        pytest.param(
            {"closed_until": NOW - 1799, "closed_for": 900.0}, None, 900.0, 900.0, id="never longer"
        ),
        pytest.param(
            {"closed_until": NOW, "closed_for": 0.0}, None, 30.0, 30.0, id="after a wait that was asked for"
        ),
        pytest.param(
            {"closed_until": NOW + 5, "closed_for": 60.0}, None, 5.0, 60.0, id="closed already: unchanged"
        ),
    ],
)
def test_a_gate_is_closed_for_as_long_as_was_asked_or_ever_longer(
    columns: dict[str, float], after: float | None, wait: float, chosen: float
) -> None:
    assert next_closing(columns, after, NOW) == {"closed_until": NOW + wait, "closed_for": chosen}


def test_waits_without_retry_after_double_from_half_a_minute_to_fifteen_minutes() -> None:
    columns, now, waits = dict[str, float](), NOW, list[float]()
    for _ in range(8):
        columns = next_closing(columns, None, now)
        waits.append(columns["closed_until"] - now)
        now = columns["closed_until"] + 1  # it opened, and failed at once

    assert waits == [30.0, 60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0]


WAITS = st.none() | st.floats(0, 4000)


@given(st.lists(st.tuples(WAITS, st.floats(0, 2000)), max_size=20))
def test_a_wait_is_never_longer_than_what_was_asked_or_fifteen_minutes_nor_shorter(
    closings: list[tuple[float | None, float]],
) -> None:
    columns, now = dict[str, float](), NOW
    for after, passing in closings:
        standing = columns.get("closed_until", 0.0)
        columns = next_closing(columns, after, now)
        asked = SHORTEST if after is None else after
        assert columns["closed_until"] <= max(standing, now + max(asked, ABSURD))
        assert columns["closed_until"] >= (min(standing, now + asked) if after is None else now + asked)
        now += passing


# --- closing and passing ---


def test_a_gate_that_was_never_closed_is_open(setup: GateSetup) -> None:
    setup.gates.require_open(*SERVICES)

    assert setup.gates.closed_until(GRAPH) == 0.0


@pytest.mark.parametrize("asked", [1.0, 2.128, 7.0, 120.5, 900.0])
def test_no_call_passes_before_the_last_second_is_over(setup: GateSetup, asked: float) -> None:
    assert setup.gates.close(GRAPH, asked, WHY) == pytest.approx(asked)
    setup.clock.advance(asked - 0.01)
    with pytest.raises(GateClosed) as closed:
        setup.gates.require_open(GRAPH)
    assert closed.value.after == pytest.approx(0.01, abs=1e-4)
    assert closed.value.service == GRAPH

    setup.clock.advance(0.02)
    setup.gates.require_open(GRAPH)


def test_a_call_waits_for_the_last_of_its_services_and_for_no_other(setup: GateSetup) -> None:
    setup.gates.close(FILES, 60.0, WHY)
    setup.gates.close(PROFILES, 90.0, WHY)

    setup.gates.require_open(GRAPH)
    with pytest.raises(GateClosed) as closed:
        setup.gates.require_open(*SERVICES)
    assert (closed.value.service, closed.value.after) == (PROFILES, pytest.approx(90.0))


def test_a_shorter_wait_does_not_shorten_a_longer_one_and_returns_it(setup: GateSetup) -> None:
    setup.gates.close(GRAPH, 300.0, WHY)
    setup.clock.advance(100.0)

    assert setup.gates.close(GRAPH, 10.0, WHY) == pytest.approx(200.0)
    assert setup.gates.close(GRAPH, None, WHY) == pytest.approx(200.0)


@given(
    st.lists(
        st.tuples(st.sampled_from(["one", "two"]), WAITS, st.sampled_from([0.0, 0.5, 20.0, 70.0, 1000.0])),
        max_size=20,
    )
)
def test_a_gate_never_opens_earlier_after_another_closing(
    closings: list[tuple[str, float | None, float]],
) -> None:
    setup = GateSetup()
    instances = {"one": setup.gates, "two": setup.instance()}
    latest = 0.0
    for who, after, passing in closings:
        setup.clock.advance(passing)
        now = setup.clock.now()
        told = instances[who].close(GRAPH, after, WHY)
        until = setup.row()["closed_until"]
        assert until >= latest
        assert until >= now + (after or 0.0) - 1e-3
        assert told == pytest.approx(until - now, abs=1e-3)
        latest = until


def test_a_closed_gate_says_why_it_was_closed_last(setup: GateSetup) -> None:
    assert setup.gates.report() == {}
    setup.gates.close(GRAPH, 10.0, "graph: 429")
    setup.gates.close(GRAPH, 5.0, "a shorter wait, which closed nothing")
    assert setup.gates.report() == {GRAPH: {"closed": True, "for": 10, "why": "graph: 429"}}
    setup.clock.advance(11)
    assert setup.gates.report() == {GRAPH: {"closed": False, "for": 0, "why": ""}}


# --- between instances ---


def test_another_instance_sees_a_closed_gate_within_a_second(setup: GateSetup) -> None:
    other = setup.instance()
    other.require_open(GRAPH)
    setup.gates.close(GRAPH, 60.0, WHY)
    other.require_open(GRAPH)  # it looked a moment ago
    setup.clock.advance(1.0)

    with pytest.raises(GateClosed) as closed:
        other.require_open(GRAPH)
    assert closed.value.after == pytest.approx(59.0)


def test_a_gate_is_read_once_a_second_however_many_ask(setup: GateSetup) -> None:
    for _ in range(100):
        setup.gates.require_open(GRAPH)
    assert setup.steps.taken == ["read photostate"]

    setup.clock.advance(1.0)
    setup.gates.require_open(GRAPH)
    assert setup.steps.taken == ["read photostate"] * 2


def test_an_instance_that_closed_a_gate_does_not_read_it(setup: GateSetup) -> None:
    setup.gates.close(GRAPH, 60.0, WHY)
    setup.steps.taken.clear()
    with pytest.raises(GateClosed):
        setup.gates.require_open(GRAPH)
    assert setup.steps.taken == []


def test_a_slow_read_does_not_undo_a_newer_closing(setup: GateSetup) -> None:
    setup.gates.close(GRAPH, 1.0, WHY)
    setup.clock.advance(10.0)
    # The row was read before it was closed again, and its answer comes after that.
    setup.steps.on("read photostate", lambda: setup.gates.close(GRAPH, 60.0, WHY), after=True)

    with pytest.raises(GateClosed):
        setup.gates.require_open(GRAPH)


def test_a_write_whose_answer_was_lost_closes_the_gate_once(setup: GateSetup) -> None:
    setup.steps.on("write photostate", fail_precondition, after=True)

    assert setup.gates.close(GRAPH, None, WHY) == pytest.approx(30.0)
    assert setup.row()["closed_for"] == 30.0


def test_an_instance_that_cannot_write_the_gate_still_waits(setup: GateSetup) -> None:
    setup.steps.on("write photostate", fail_precondition, times=None)

    with pytest.raises(TryLater):
        setup.gates.close(GRAPH, 60.0, WHY)
    with pytest.raises(GateClosed):
        setup.gates.require_open(GRAPH)


def test_a_table_that_cannot_be_reached_is_an_outage(setup: GateSetup) -> None:
    setup.steps.on("read photostate", drop_connection, times=None)

    with pytest.raises(TryLater):
        setup.gates.require_open(GRAPH)
    with pytest.raises(TryLater):
        setup.gates.close(GRAPH, 10.0, WHY)


# --- who closes them ---


@pytest.fixture
def rest(setup: GateSetup) -> HttpClient:
    tokens: Any = SimpleNamespace(token=str, forget=str)  # a token is the name of its host
    agent = "NONISV|contoso|PhotoSync/1"
    return HttpClient(tokens, agent, setup.clock, gates=setup.gates, jitter=lambda: 0.5)


def asked(server: ScriptedServer, **facts: Any) -> Request:
    return Request(GRAPH, "thing", "GET", f"{server.url}/thing", **facts)


def fail(rest: HttpClient, call: Request, kind: type[Exception]) -> Any:
    with pytest.raises(kind) as caught:
        rest.send(call, Attempt(), whole)
    return caught.value


@pytest.mark.parametrize(
    ("answer", "closed", "after"),
    [
        pytest.param(reply(429, Retry_After="120.5"), 120.5, 120.5, id="throttled"),
        pytest.param(reply(503, Retry_After="70"), 70.0, 70.0, id="busy"),
        pytest.param(
            reply(429, Retry_After="10", RateLimit_Reset="40"), 40.0, 40.0, id="the longer of the two"
        ),
        pytest.param(reply(429, Retry_After="3600"), 3600.0, 3600.0, id="an hour"),
        pytest.param(reply(429, Retry_After="31536000"), 900.0, 900.0, id="absurd"),
        pytest.param(reply(429), 30.0, 30.0, id="throttled, without Retry-After"),
    ],
)
def test_a_service_that_speaks_for_itself_closes_its_gate(
    setup: GateSetup, rest: HttpClient, serve, answer: Any, closed: float, after: float | None
) -> None:
    server = serve(answer)
    error = fail(rest, asked(server), Throttled)
    assert error.after == (after if after is None else pytest.approx(after))
    assert setup.gates.closed_until(GRAPH) == pytest.approx(setup.clock.now() + closed)
    assert setup.gates.closed_until(FILES) == 0.0


def test_each_time_a_service_throttles_without_a_time_it_is_left_alone_twice_as_long(
    setup: GateSetup, rest: HttpClient, serve
) -> None:
    found = []
    server = serve(reply(429))
    for _ in range(4):
        fail(rest, asked(server), Throttled)
        found.append(setup.gates.closed_until(GRAPH) - setup.clock.now())
        setup.clock.advance(found[-1] + 1)
    assert found == pytest.approx([30.0, 60.0, 120.0, 240.0])


def test_a_closed_gate_costs_no_request(setup: GateSetup, rest: HttpClient, serve) -> None:
    setup.gates.close(GRAPH, 60.0, WHY)
    server = serve()
    assert fail(rest, asked(server), GateClosed).after == pytest.approx(60.0)
    assert server.requests == []
    setup.clock.advance(61)
    assert rest.send(asked(server), Attempt(), whole).status == 200


def test_a_call_is_not_repeated_through_a_gate_that_closed_meanwhile(
    setup: GateSetup, rest: HttpClient, serve
) -> None:
    def close_and_fail(connection: Any) -> None:
        setup.gates.close(GRAPH, 60.0, WHY)  # another call got this answer
        connection.sendall(reply(500))

    server = serve(close_and_fail)
    fail(rest, asked(server), GateClosed)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        *(pytest.param(reply(status), id=str(status)) for status in (307, 400, 401, 403, 404, 409, 410, 423)),
        *(pytest.param(reply(status), id=str(status)) for status in (424, 500, 502, 503, 504, 507)),
        pytest.param(reply(500, Retry_After="20"), id="500 with a time"),
        pytest.param(lambda connection: connection.close(), id="no answer"),
    ],
)
def test_a_refusal_that_may_be_one_users_closes_no_gate(
    setup: GateSetup, rest: HttpClient, serve, answer: Any
) -> None:
    assert not isinstance(fail(rest, asked(serve(answer)), ServiceError), Throttled)
    assert setup.gates.closed_until(GRAPH) == 0.0


def test_a_token_without_the_role_closes_the_gate_and_the_gate_names_the_role(
    setup: GateSetup, rest: HttpClient, serve
) -> None:
    rest.tokens = SimpleNamespace(token=lambda _: "e30.eyJyb2xlcyI6W119.x", forget=str)  # {"roles":[]}
    error = fail(rest, asked(serve(reply(403))), RoleMissing)
    assert "lacks the role User.Read.All" in str(error)
    assert setup.gates.report()[GRAPH] == {"closed": True, "for": 900, "why": str(error)}


@pytest.mark.parametrize(
    ("headers", "closed"),
    [
        pytest.param({"limit": "1250", "remaining": "124", "reset": "17"}, 17.0, id="below a tenth"),
        pytest.param({"limit": "1250", "remaining": "125", "reset": "17"}, None, id="a tenth"),
        pytest.param(
            {"limit": "1250", "remaining": "0", "reset": "9" * 400}, 900.0, id="spent, for an absurd time"
        ),
        pytest.param({"limit": "1250", "remaining": "0"}, None, id="without the time of its reset"),
        pytest.param({"remaining": "0", "reset": "17"}, None, id="no limit"),
        pytest.param({"limit": "many", "remaining": "few", "reset": "soon"}, None, id="words"),
        pytest.param({}, None, id="no headers, as most of the time"),
    ],
)
def test_a_quota_that_is_nearly_used_up_closes_the_gate_until_it_is_reset(
    setup: GateSetup, rest: HttpClient, serve, headers: dict[str, str], closed: float | None
) -> None:
    given = {f"RateLimit_{name.title()}": value for name, value in headers.items()}
    server = serve(reply(200, **given))
    assert rest.send(asked(server), Attempt(), whole).status == 200
    until = setup.gates.closed_until(GRAPH)
    assert until == (pytest.approx(setup.clock.now() + closed) if closed else 0.0)


def test_a_gate_that_cannot_be_closed_does_not_replace_the_answer(
    setup: GateSetup, rest: HttpClient, serve
) -> None:
    setup.steps.on("write photostate", drop_connection, times=None)
    server = serve(reply(429, Retry_After="50"))
    assert fail(rest, asked(server), TryLater).after == 50.0
    with ScriptedServer(
        reply(200, RateLimit_Limit="10", RateLimit_Remaining="0", RateLimit_Reset="5")
    ) as server:
        setup.clock.advance(60)
        assert rest.send(asked(server), Attempt(), whole).status == 200


# --- whose trouble a refusal is ---

ANNA, BERT = "anna", "bert"


def refusal(kind: type[ServiceError] = TryLater, operation: str = "upload", **facts: Any) -> Any:
    error = kind(FILES, "refused", operation=operation, **facts)
    error.gate = gate_of(FILES, "contoso-my.sharepoint.com")
    return error


def wait(setup: GateSetup, gate: str = "sharepoint-files@contoso-my.sharepoint.com") -> float:
    return max(setup.gates.closed_until(gate) - setup.clock.now(), 0.0)


SAME = [
    pytest.param(refusal(), refusal(), 30.0, id="no answer"),
    pytest.param(refusal(status=500), refusal(status=503), 30.0, id="an outage in two statuses"),
    pytest.param(refusal(), refusal(operation="folders"), 30.0, id="an outage in two operations"),
    pytest.param(refusal(Denied, status=403), refusal(Denied, status=401), 900.0, id="denied"),
    pytest.param(refusal(Refused, status=400), refusal(Refused, status=400), 30.0, id="refused"),
    pytest.param(refusal(after=70.0), refusal(after=70.0), 30.0, id="with a time, which is theirs"),
]


@pytest.mark.parametrize(("first", "second", "closed"), SAME)
def test_a_refusal_that_a_second_user_meets_is_the_services(
    setup: GateSetup, first: Any, second: Any, closed: float
) -> None:
    assert setup.gates.only_of(ANNA, first)
    assert setup.gates.only_of(ANNA, first)
    assert wait(setup) == 0.0
    assert not setup.instance().only_of(BERT, second)
    setup.clock.advance(1.1)
    assert wait(setup) == pytest.approx(closed - 1.1)


@pytest.mark.parametrize(("first", "second", "closed"), SAME)
def test_a_success_in_between_makes_a_refusal_each_users_own(
    setup: GateSetup, first: Any, second: Any, closed: float
) -> None:
    del closed
    setup.gates.only_of(ANNA, first)
    setup.instance().trust(first.gate, first.operation)
    assert setup.gates.only_of(BERT, second)
    assert wait(setup) == 0.0


def test_the_time_that_more_than_a_few_users_were_given_is_the_services(setup: GateSetup) -> None:
    for user in (ANNA, BERT, "carla", "dora"):
        setup.gates.only_of(user, refusal(after=70.0))
    assert wait(setup) == 70.0


def test_a_few_users_who_meet_the_same_refusal_again_close_no_gate_again(setup: GateSetup) -> None:
    for user in (ANNA, BERT):
        setup.gates.only_of(user, refusal(Denied, status=403))
    setup.clock.advance(1000)
    for user in (ANNA, BERT):
        assert setup.gates.only_of(user, refusal(Denied, status=403))
    assert wait(setup) == 0.0


def test_users_who_were_refused_while_the_service_works_for_others_say_nothing_of_it_for_a_day(
    setup: GateSetup,
) -> None:
    for user in (ANNA, BERT):
        setup.gates.only_of(user, refusal())
    setup.clock.advance(31)
    setup.instance().trust(refusal().gate, "upload")
    for user in (ANNA, BERT, ANNA):
        assert setup.instance().only_of(user, refusal(Denied, status=403))
    assert setup.gates.only_of("carla", refusal(Denied, status=403))
    assert wait(setup) == 0.0
    assert not setup.gates.only_of("dora", refusal(Denied, status=403))  # of users who were not told apart
    assert wait(setup) == 900.0
    setup.clock.advance(86_401)
    setup.gates.only_of(ANNA, refusal())
    assert not setup.gates.only_of(BERT, refusal())


def test_the_success_of_another_operation_says_nothing(setup: GateSetup) -> None:
    setup.gates.only_of(ANNA, refusal())
    setup.gates.trust(refusal().gate, "folders")
    assert not setup.gates.only_of(BERT, refusal())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (refusal(Refused, status=400), refusal(Refused, status=404)),
        (refusal(Denied, status=403), refusal(status=500)),
    ],
)
def test_two_users_with_different_refusals_are_two_troubles(
    setup: GateSetup, first: Any, second: Any
) -> None:
    setup.gates.only_of(ANNA, first)
    assert setup.gates.only_of(BERT, second)
    assert wait(setup) == 0.0


def test_another_geo_is_another_gate(setup: GateSetup) -> None:
    elsewhere = refusal()
    elsewhere.gate = gate_of(FILES, "contosoeur-my.sharepoint.com")
    setup.gates.only_of(ANNA, refusal())
    assert setup.gates.only_of(BERT, elsewhere)
    setup.gates.only_of(BERT, refusal())
    assert (wait(setup), wait(setup, elsewhere.gate)) == (30.0, 0.0)


@pytest.mark.parametrize(
    "error",
    [
        GateClosed(GRAPH, "closed"),
        OutOfTime(FILES),
        Throttled(GRAPH, "429"),
        RoleMissing(GRAPH, "no role"),
        TryLater("storage", "no answer"),
        TryLater("entra", "no answer"),
    ],
)
def test_what_no_user_causes_is_never_a_users(setup: GateSetup, error: Any) -> None:
    assert not setup.gates.only_of(ANNA, error)
    assert setup.table.rows == {}


def test_where_suspicions_cannot_be_kept_a_refusal_is_the_users_own(setup: GateSetup) -> None:
    setup.steps.on("write photostate", drop_connection, times=None)
    assert setup.gates.only_of(ANNA, refusal())
    assert setup.gates.only_of(BERT, refusal())


def test_a_success_writes_only_where_a_suspicion_stands(setup: GateSetup) -> None:
    writes: list[int] = []
    setup.steps.on("write photostate", lambda: writes.append(1), times=None)
    for _ in range(3):
        setup.gates.trust(GRAPH, "batch")
    assert writes == []
