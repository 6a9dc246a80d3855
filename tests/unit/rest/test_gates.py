"""Gates: closed for as long as a service asks, never moved back, known to every instance within a second."""

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.tenant.directory.world import Clock as TenantClock
from shared.attempt import Attempt
from shared.backoff import ABSURD, SHORTEST
from shared.errors import Denied, GateClosed, Stale, TryLater
from shared.rest.client import HttpClient, Request
from shared.rest.gates import FILES, GRAPH, PROFILES, SERVICES, Gates, next_closing
from tests.fakes.clock import Clock
from tests.fakes.external_steps import ExternalSteps, drop_connection, fail_precondition
from tests.fakes.scripted_server import ScriptedServer, reply
from tests.fakes.table import Table

LAW = settings(deadline=None)  # a busy machine is no counterexample


NOW = 1_800_000_000.0


WHY = "429"


class Scene:
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
def scene() -> Scene:
    return Scene()


# --- what a row says next: the table ---


@pytest.mark.parametrize(
    ("columns", "after", "wait", "chosen"),
    [
        # the service says how long
        pytest.param({}, 10.0, 10.0, 0.0, id="asked: obeyed"),
        pytest.param({}, 2.128, 2.128, 0.0, id="asked with decimals: obeyed to the last of them"),
        pytest.param({}, 0.0, 0.0, 0.0, id="asked for nothing"),
        pytest.param({}, ABSURD, 900.0, 0.0, id="asked for fifteen minutes"),
        pytest.param({}, ABSURD + 1, 900.0, 0.0, id="asked for more: not believed"),
        pytest.param({}, 2.5e11, 900.0, 0.0, id="asked for the year 9999"),
        pytest.param(
            {"closed_for": 240.0, "closed_until": NOW}, 10.0, 10.0, 0.0, id="asked: our own is forgotten"
        ),
        # it does not
        pytest.param({}, None, SHORTEST, 30.0, id="for the first time: half a minute"),
        pytest.param({"closed_until": NOW, "closed_for": 30.0}, None, 60.0, 60.0, id="again: twice as long"),
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
            {"closed_until": NOW, "closed_for": 480.0}, None, 900.0, 900.0, id="the last doubling is cut"
        ),
        pytest.param(
            {"closed_until": NOW, "closed_for": 0.0}, None, 30.0, 30.0, id="after a wait that was asked for"
        ),
        pytest.param(
            {"closed_until": NOW + 5, "closed_for": 60.0}, None, 5.0, 60.0, id="closed already: as it stands"
        ),
    ],
)
def test_a_gate_is_closed_for_as_long_as_was_asked_or_ever_longer(
    columns: dict[str, float], after: float | None, wait: float, chosen: float
) -> None:
    assert next_closing(columns, after, NOW) == {"closed_until": NOW + wait, "closed_for": chosen}


def test_waits_that_nobody_asked_for_double_from_half_a_minute_to_fifteen() -> None:
    columns, now, waits = dict[str, float](), NOW, list[float]()
    for _ in range(8):
        columns = next_closing(columns, None, now)
        waits.append(columns["closed_until"] - now)
        now = columns["closed_until"] + 1  # it opened, and failed at once

    assert waits == [30.0, 60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0]


WAITS = st.none() | st.floats(0, 4000)


@LAW
@given(st.lists(st.tuples(WAITS, st.floats(0, 2000)), max_size=20))
def test_a_wait_is_never_longer_than_fifteen_minutes_nor_shorter_than_what_was_asked(
    tellings: list[tuple[float | None, float]],
) -> None:
    columns, now = dict[str, float](), NOW
    for after, passing in tellings:
        standing = columns.get("closed_until", 0.0)
        columns = next_closing(columns, after, now)
        asked = SHORTEST if after is None else min(after, ABSURD)
        assert columns["closed_until"] <= max(standing, now + ABSURD)
        assert columns["closed_until"] >= (min(standing, now + asked) if after is None else now + asked)
        now += passing


# --- closing and passing ---


def test_a_gate_nobody_closed_is_open(scene: Scene) -> None:
    scene.gates.require_open(*SERVICES)

    assert scene.gates.closed_until(GRAPH) == 0.0


@pytest.mark.parametrize("asked", [1.0, 2.128, 7.0, 120.5, 900.0])
def test_nobody_passes_before_the_last_second_is_over(scene: Scene, asked: float) -> None:
    assert scene.gates.close(GRAPH, asked, WHY) == pytest.approx(asked)
    scene.clock.advance(asked - 0.01)
    with pytest.raises(GateClosed) as closed:
        scene.gates.require_open(GRAPH)
    assert closed.value.after == pytest.approx(0.01, abs=1e-4)
    assert closed.value.service == GRAPH

    scene.clock.advance(0.02)
    scene.gates.require_open(GRAPH)


def test_a_closed_gate_is_no_other_services(scene: Scene) -> None:
    scene.gates.close(FILES, 60.0, WHY)

    scene.gates.require_open(GRAPH, PROFILES)
    with pytest.raises(GateClosed):
        scene.gates.require_open(GRAPH, FILES)


def test_who_needs_several_services_waits_for_the_last_of_them(scene: Scene) -> None:
    scene.gates.close(FILES, 60.0, WHY)
    scene.gates.close(PROFILES, 90.0, WHY)
    scene.gates.close(GRAPH, 30.0, WHY)

    with pytest.raises(GateClosed) as closed:
        scene.gates.require_open(*SERVICES)
    assert (closed.value.service, closed.value.after) == (PROFILES, pytest.approx(90.0))


def test_a_shorter_wait_leaves_a_longer_one_alone_and_is_told_of_it(scene: Scene) -> None:
    scene.gates.close(GRAPH, 300.0, WHY)
    scene.clock.advance(100.0)

    assert scene.gates.close(GRAPH, 10.0, WHY) == pytest.approx(200.0)
    assert scene.gates.close(GRAPH, None, WHY) == pytest.approx(200.0)


@LAW
@given(
    st.lists(
        st.tuples(st.sampled_from(["one", "two"]), WAITS, st.sampled_from([0.0, 0.5, 20.0, 70.0, 1000.0])),
        max_size=20,
    )
)
def test_a_gate_never_moves_back_whoever_closes_it(tellings: list[tuple[str, float | None, float]]) -> None:
    scene = Scene()
    instances = {"one": scene.gates, "two": scene.instance()}
    latest = 0.0
    for who, after, passing in tellings:
        scene.clock.advance(passing)
        now = scene.clock.now()
        told = instances[who].close(GRAPH, after, WHY)
        until = scene.row()["closed_until"]
        assert until >= latest
        assert until >= now + (0.0 if after is None else min(after, ABSURD)) - 1e-3
        assert told == pytest.approx(until - now, abs=1e-3)
        latest = until


def test_a_closed_gate_says_why_it_was_closed_last(scene: Scene) -> None:
    assert scene.gates.why_closed(GRAPH) == ""
    scene.gates.close(GRAPH, 10.0, "graph: 429")
    scene.gates.close(GRAPH, 5.0, "a shorter wait, which closed nothing")
    assert scene.gates.why_closed(GRAPH) == "graph: 429"


# --- between instances ---


def test_another_instance_knows_within_a_second(scene: Scene) -> None:
    other = scene.instance()
    other.require_open(GRAPH)
    scene.gates.close(GRAPH, 60.0, WHY)
    other.require_open(GRAPH)  # it looked a moment ago
    scene.clock.advance(1.0)

    with pytest.raises(GateClosed) as closed:
        other.require_open(GRAPH)
    assert closed.value.after == pytest.approx(59.0)


def test_a_gate_is_read_once_a_second_however_many_ask(scene: Scene) -> None:
    for _ in range(100):
        scene.gates.require_open(GRAPH)
    assert scene.steps.taken == ["read photostate"]

    scene.clock.advance(1.0)
    scene.gates.require_open(GRAPH)
    assert scene.steps.taken == ["read photostate"] * 2


def test_whoever_closed_a_gate_need_not_look_at_it(scene: Scene) -> None:
    scene.gates.close(GRAPH, 60.0, WHY)
    scene.steps.taken.clear()
    with pytest.raises(GateClosed):
        scene.gates.require_open(GRAPH)
    assert scene.steps.taken == []


def test_a_slow_look_does_not_undo_what_was_learnt_meanwhile(scene: Scene) -> None:
    scene.gates.close(GRAPH, 1.0, WHY)
    scene.clock.advance(10.0)
    # The row was read before it was closed again, and its answer comes after that.
    scene.steps.on("read photostate", lambda: scene.gates.close(GRAPH, 60.0, WHY), after=True)

    with pytest.raises(GateClosed):
        scene.gates.require_open(GRAPH)


@pytest.mark.parametrize(("theirs", "wait"), [(10.0, 60.0), (100.0, 100.0)], ids=["shorter", "longer"])
def test_two_who_close_a_gate_at_once_leave_it_closed_for_the_longer(
    scene: Scene, theirs: float, wait: float
) -> None:
    other = scene.instance()
    scene.steps.on("write photostate", lambda: other.close(GRAPH, theirs, WHY))

    assert scene.gates.close(GRAPH, 60.0, WHY) == pytest.approx(wait)
    assert scene.row()["closed_until"] == pytest.approx(scene.clock.now() + wait)


def test_a_write_that_meets_itself_closes_the_gate_once(scene: Scene) -> None:
    scene.steps.on("write photostate", fail_precondition, after=True)

    assert scene.gates.close(GRAPH, None, WHY) == pytest.approx(30.0)
    assert scene.row()["closed_for"] == 30.0


def test_who_never_gets_to_write_stays_away_all_the_same(scene: Scene) -> None:
    def refuse() -> None:
        raise Stale("412")

    scene.steps.on("write photostate", refuse, times=None)

    assert scene.gates.close(GRAPH, 60.0, WHY) == pytest.approx(60.0)
    with pytest.raises(GateClosed):
        scene.gates.require_open(GRAPH)


def test_many_threads_close_a_gate_for_the_longest_that_any_was_told(scene: Scene) -> None:
    threads = [
        threading.Thread(target=scene.gates.close, args=(GRAPH, float(after), WHY)) for after in range(1, 17)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert scene.gates.closed_until(GRAPH) == pytest.approx(scene.clock.now() + 16.0)
    assert scene.row()["closed_until"] == pytest.approx(scene.clock.now() + 16.0)


def test_a_table_out_of_reach_is_an_outage(scene: Scene) -> None:
    scene.steps.on("read photostate", drop_connection, times=None)

    with pytest.raises(TryLater):
        scene.gates.require_open(GRAPH)
    with pytest.raises(TryLater):
        scene.gates.close(GRAPH, 10.0, WHY)


# --- who closes them ---


class Tokens:
    def token(self, host: str) -> str:
        del host
        return "a-token"

    def forget(self, host: str) -> None:
        """Nothing is kept."""


@pytest.fixture
def rest(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> HttpClient:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return HttpClient(
        Tokens(), "NONISV|contoso|PhotoSync/1", scene.clock, gates=scene.gates, jitter=lambda: 0.5
    )


def asked(wire: ScriptedServer, **facts: Any) -> Request:
    return Request(GRAPH, "GET", f"{wire.url}/thing", **facts)


def fail(rest: HttpClient, call: Request, kind: type[Exception]) -> Any:
    with pytest.raises(kind) as caught:
        rest.send(call, Attempt())
    return caught.value


@pytest.mark.parametrize(
    ("answer", "closed", "after"),
    [
        pytest.param(reply(429, Retry_After="120.5"), 120.5, 120.5, id="throttled"),
        pytest.param(reply(503, Retry_After="70"), 70.0, 70.0, id="busy"),
        pytest.param(
            reply(429, Retry_After="10", RateLimit_Reset="40"), 40.0, 40.0, id="the longer of the two"
        ),
        pytest.param(reply(429, Retry_After="31536000"), 900.0, 900.0, id="absurd"),
        pytest.param(reply(500, Retry_After="20"), 20.0, 20.0, id="an error that says how long"),
        # It does not say: half a minute, and the job by its age where one user may be to blame.
        pytest.param(reply(429), 30.0, 30.0, id="throttled, and no word"),
        pytest.param(reply(503), 30.0, 30.0, id="busy, and no word"),
        pytest.param(reply(500), 30.0, None, id="an error, and no word"),
        pytest.param(reply(504), 30.0, None, id="a gateway, and no word"),
        pytest.param(lambda connection: connection.close(), 30.0, None, id="no answer"),
    ],
)
def test_a_call_that_fails_for_good_closes_its_gate(
    scene: Scene, rest: HttpClient, answer: Any, closed: float, after: float | None
) -> None:
    with ScriptedServer(answer) as wire:
        error = fail(rest, asked(wire), TryLater)
    assert error.after == (after if after is None else pytest.approx(after))
    assert scene.gates.closed_until(GRAPH) == pytest.approx(scene.clock.now() + closed)
    assert scene.gates.closed_until(FILES) == 0.0


@pytest.mark.parametrize(
    ("status", "waits"),
    [
        pytest.param(503, [30.0, 60.0, 120.0, 240.0], id="503: the service as a whole"),
        pytest.param(429, [30.0, 60.0, 120.0, 240.0], id="429"),
        pytest.param(
            500, [30.0, 30.0, 30.0, 30.0], id="500: perhaps one user alone, who comes back and back"
        ),
    ],
)
def test_only_what_speaks_of_the_whole_service_is_left_alone_for_ever_longer(
    scene: Scene, rest: HttpClient, status: int, waits: list[float]
) -> None:
    found = []
    with ScriptedServer(reply(status)) as wire:
        for _ in waits:
            fail(rest, asked(wire), TryLater)
            found.append(scene.gates.closed_until(GRAPH) - scene.clock.now())
            scene.clock.advance(found[-1] + 1)
    assert found == pytest.approx(waits)


def test_a_closed_gate_costs_no_request(scene: Scene, rest: HttpClient) -> None:
    scene.gates.close(GRAPH, 60.0, WHY)
    with ScriptedServer() as wire:
        assert fail(rest, asked(wire), GateClosed).after == pytest.approx(60.0)
        assert wire.asked == []
        scene.clock.advance(61)
        assert rest.send(asked(wire), Attempt()).status == 200


def test_a_call_is_not_repeated_through_a_gate_that_closed_meanwhile(scene: Scene, rest: HttpClient) -> None:
    def close_and_fail(connection: Any) -> None:
        scene.gates.close(GRAPH, 60.0, WHY)  # another call was told so
        connection.sendall(reply(500))

    with ScriptedServer(close_and_fail) as wire:
        fail(rest, asked(wire), GateClosed)
        assert len(wire.asked) == 1


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("alone", "closed"), [(False, 900.0), (True, None)], ids=["of the app", "of this call"]
)
def test_a_denial_closes_the_gate_for_a_quarter_of_an_hour_unless_it_speaks_of_one_call_alone(
    scene: Scene, rest: HttpClient, status: int, alone: bool, closed: float | None
) -> None:
    with ScriptedServer(reply(status)) as wire:
        fail(rest, asked(wire, denied_alone=alone), Denied)
    until = scene.gates.closed_until(GRAPH)
    assert until == (pytest.approx(scene.clock.now() + closed) if closed else 0.0)


def test_one_rejected_token_closes_no_gate(scene: Scene, rest: HttpClient) -> None:
    with ScriptedServer(reply(401), reply(200)) as wire:
        assert rest.send(asked(wire), Attempt()).status == 200
    assert scene.gates.closed_until(GRAPH) == 0.0


@pytest.mark.parametrize("status", [400, 404, 409, 410, 412, 424])
def test_a_refusal_closes_no_gate(scene: Scene, rest: HttpClient, status: int) -> None:
    with ScriptedServer(reply(status)) as wire:
        fail(rest, asked(wire), Exception)
    assert scene.gates.closed_until(GRAPH) == 0.0


@pytest.mark.parametrize(
    ("headers", "closed"),
    [
        pytest.param({"limit": "1250", "remaining": "124", "reset": "17"}, 17.0, id="below a tenth"),
        pytest.param({"limit": "1250", "remaining": "125", "reset": "17"}, None, id="a tenth"),
        pytest.param(
            {"limit": "1250", "remaining": "0", "reset": "3600"}, 900.0, id="spent, for an absurd time"
        ),
        pytest.param({"limit": "1250", "remaining": "0"}, None, id="no word of when it begins anew"),
        pytest.param({"remaining": "0", "reset": "17"}, None, id="no limit"),
        pytest.param({"limit": "many", "remaining": "few", "reset": "soon"}, None, id="words"),
        pytest.param({}, None, id="no headers, as most of the time"),
    ],
)
def test_a_quota_that_is_nearly_spent_closes_the_gate_until_it_begins_anew(
    scene: Scene, rest: HttpClient, headers: dict[str, str], closed: float | None
) -> None:
    given = {f"RateLimit_{name.title()}": value for name, value in headers.items()}
    with ScriptedServer(reply(200, **given)) as wire:
        assert rest.send(asked(wire), Attempt()).status == 200
    until = scene.gates.closed_until(GRAPH)
    assert until == (pytest.approx(scene.clock.now() + closed) if closed else 0.0)


def test_a_gate_that_cannot_be_closed_loses_nobody_the_answer(scene: Scene, rest: HttpClient) -> None:
    scene.steps.on("write photostate", drop_connection, times=None)
    with ScriptedServer(reply(429, Retry_After="50")) as wire:
        assert fail(rest, asked(wire), TryLater).after == 50.0
    with ScriptedServer(
        reply(200, RateLimit_Limit="10", RateLimit_Remaining="0", RateLimit_Reset="5")
    ) as wire:
        scene.clock.advance(60)
        assert rest.send(asked(wire), Attempt()).status == 200
