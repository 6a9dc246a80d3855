"""The pace: no minute above its limit, live changes never behind a backfill, the first minute with room."""

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.tenant.directory.world import Clock as TenantClock
from shared.errors import Stale, TryLater
from shared.jobs import Lane
from shared.sharepoint.pace import (
    HORIZON,
    MINUTE,
    MINUTES_FORGOTTEN,
    SPREAD,
    UNITS_FIRST,
    UNITS_KNOWN,
    Booked,
    Full,
    Pace,
    minute_of,
    reservation_stands,
    with_reserved,
)
from tests.fakes.clock import Clock
from tests.fakes.external_steps import ExternalSteps, drop_connection, fail_precondition
from tests.fakes.schedules import Schedule, Turn, explore, play
from tests.fakes.table import Table

LAW = settings(deadline=None)  # a busy machine is no counterexample

LIMIT = 1000
SHARE = 800  # of it for a backfill
HOUR = 60 * MINUTE
LANES = st.sampled_from(["live", "backfill"])
UNITS = st.sampled_from([UNITS_KNOWN, UNITS_FIRST])


class Scene:
    """One table of minutes at the beginning of one, and instances that share it."""

    def __init__(self, limit: int = LIMIT, jitter: float = 0.0) -> None:
        self.steps = ExternalSteps()
        self.table = Table("photostate", self.steps)
        self.clock = Clock(TenantClock())
        self.clock.advance(minute_of(self.clock.now()) + MINUTE - self.clock.now())
        self.limit = limit
        self.jitter = jitter
        self.began = minute_of(self.clock.now())
        self.pace = self.instance()

    def instance(self) -> Pace:
        return Pace(self.table, self.clock, self.limit, jitter=lambda: self.jitter)

    def minutes(self) -> dict[float, tuple[float, float]]:
        """Return live and backfill units of every minute, by its number from now."""
        rows = {float(key): row for (kind, key), (row, _) in self.table.rows.items() if kind == "pace"}
        return {
            (minute - self.began) / MINUTE: (row.get("live", 0.0), row.get("backfill", 0.0))
            for minute, row in rows.items()
        }

    def slots(self, lane: Lane, units: int, times: int) -> list[float]:
        """Reserve so often and return the minutes that were given, by their number from now."""
        booked = [self.pace.reserve(lane, units) for _ in range(times)]
        return [(each.slot - self.began) / MINUTE for each in booked if isinstance(each, Booked)]


@pytest.fixture
def scene() -> Scene:
    return Scene()


# --- a minute's room ---


@pytest.mark.parametrize(
    ("columns", "lane", "units", "reserved"),
    [
        pytest.param({}, "live", 8, {"live": 8.0}, id="live: a minute that nobody knows"),
        pytest.param({}, "backfill", 8, {"backfill": 8.0}, id="backfill: likewise"),
        pytest.param({"live": 992.0}, "live", 8, {"live": 1000.0}, id="live: the last eight of all"),
        pytest.param({"live": 993.0}, "live", 8, None, id="live: one too few"),
        pytest.param(
            {"live": 192.0, "backfill": 800.0}, "live", 8, {"live": 200.0}, id="live: its own fifth"
        ),
        pytest.param({"live": 200.0, "backfill": 800.0}, "live", 8, None, id="live: its fifth is taken"),
        pytest.param({"backfill": 792.0}, "backfill", 8, {"backfill": 800.0}, id="backfill: its four fifths"),
        pytest.param(
            {"backfill": 793.0}, "backfill", 8, None, id="backfill: never more, although all is free"
        ),
        pytest.param({"live": 992.0}, "backfill", 8, {"backfill": 8.0}, id="backfill: what live left"),
        pytest.param({"live": 993.0}, "backfill", 8, None, id="backfill: live has taken all"),
        pytest.param(
            {"live": 400.0, "backfill": 592.0}, "backfill", 14, None, id="a first contact needs more"
        ),
    ],
)
def test_a_minute_has_room_for_live_changes_up_to_its_limit_and_for_a_backfill_up_to_four_fifths(
    columns: dict[str, float], lane: Lane, units: int, reserved: dict[str, float] | None
) -> None:
    assert with_reserved(columns, lane, units, LIMIT) == reserved


@pytest.mark.parametrize(
    ("limit", "share"), [(100, 80), (101, 80), (104, 83), (1000, 800), (1250, 1000), (100_000, 80_000)]
)
def test_at_least_a_fifth_is_kept_for_live_changes_whatever_the_limit(limit: int, share: int) -> None:
    assert with_reserved({"backfill": float(share - 1)}, "backfill", 1, limit) == {"backfill": float(share)}
    assert with_reserved({"backfill": float(share)}, "backfill", 1, limit) is None
    assert limit - share >= limit / 5


@LAW
@given(
    limit=st.integers(100, 5000),
    wishes=st.lists(st.tuples(LANES, st.integers(1, 40)), min_size=1, max_size=200),
)
def test_no_minute_is_ever_above_its_limit_and_live_never_starves(
    limit: int, wishes: list[tuple[Lane, int]]
) -> None:
    columns = {"live": 0.0, "backfill": 0.0}
    for lane, units in wishes:
        before = dict(columns)
        taken = with_reserved(columns, lane, units, limit)
        columns |= taken or {}
        assert columns["live"] + columns["backfill"] <= limit
        assert columns["backfill"] <= limit * 4 / 5
        assert columns[lane] == before[lane] + (units if taken else 0)
        # A live change is refused only where live changes themselves have used up their fifth.
        assert taken or lane == "backfill" or before["live"] + units > limit / 5


# --- which minute ---


def test_a_sync_that_finds_room_goes_at_once(scene: Scene) -> None:
    scene.clock.advance(42.0)

    assert scene.pace.reserve("live", 8) == Booked(scene.began, 0.0)
    assert scene.pace.reserve("backfill", 14) == Booked(scene.began, 0.0)
    assert scene.minutes() == {0: (8.0, 14.0)}


def test_a_backfill_books_one_minute_after_the_other(scene: Scene) -> None:
    slots = scene.slots("backfill", 8, 250)

    assert slots == [0] * 100 + [1] * 100 + [2] * 50
    assert scene.minutes() == {0: (0.0, 800.0), 1: (0.0, 800.0), 2: (0.0, 400.0)}


def test_a_live_change_goes_at_once_beside_a_backfill_of_any_length(scene: Scene) -> None:
    scene.slots("backfill", 8, 7000)

    assert scene.slots("live", 8, 26) == [0] * 25 + [1]
    assert isinstance(scene.pace.reserve("backfill", 8), Full)


def test_live_changes_may_take_the_whole_minute(scene: Scene) -> None:
    assert scene.slots("live", 8, 126) == [0] * 125 + [1]
    assert scene.slots("backfill", 8, 1) == [1]


def test_whoever_booked_comes_back_spread_over_his_minute(scene: Scene) -> None:
    scene.slots("backfill", 8, 100)
    scene.clock.advance(10.0)
    for jitter, after in [(0.0, 50.0), (0.5, 75.0), (0.999, 99.95)]:
        scene.jitter = jitter
        booked = scene.pace.reserve("backfill", 8)
        assert booked == Booked(scene.began + MINUTE, pytest.approx(after))
        assert minute_of(scene.clock.now() + booked.after) == booked.slot


def test_nobody_books_beyond_the_next_hour(scene: Scene) -> None:
    slots = scene.slots("backfill", 8, 6100)

    assert len(slots) == 6000
    assert (min(slots), max(slots)) == (0, HORIZON - 1)
    assert scene.pace.reserve("backfill", 8) == Full(HOUR)
    scene.jitter = 1.0
    assert scene.pace.reserve("backfill", 8) == Full(pytest.approx(HOUR * 1.1))


def test_the_hour_moves_on(scene: Scene) -> None:
    scene.slots("backfill", 8, 6000)
    scene.clock.advance(MINUTE)

    assert scene.slots("backfill", 8, 101) == [HORIZON] * 100


@pytest.mark.parametrize("lane", ["live", "backfill"])
def test_an_instance_that_knows_of_full_minutes_does_not_read_them_again(lane: Lane, scene: Scene) -> None:
    scene.slots(lane, 8, 30 * (125 if lane == "live" else 100))
    scene.steps.taken.clear()
    scene.slots(lane, 8, 1)
    assert scene.steps.taken == ["read photostate"] * 2 + ["write photostate"]

    scene.clock.advance(HOUR)
    scene.steps.taken.clear()
    scene.slots(lane, 8, 1)
    assert scene.steps.taken == ["read photostate", "write photostate"]


def test_a_new_instance_finds_the_first_minute_with_room(scene: Scene) -> None:
    scene.slots("backfill", 8, 250)

    other = scene.instance()
    assert other.reserve("backfill", 8) == Booked(scene.began + 2 * MINUTE, 2 * MINUTE)


@LAW
@given(
    wishes=st.lists(
        st.tuples(st.booleans(), LANES, UNITS, st.sampled_from([0.0, 0.0, 7.0, 61.0])), max_size=120
    )
)
def test_of_two_instances_neither_books_above_a_limit_nor_beyond_the_hour(
    wishes: list[tuple[bool, Lane, int, float]],
) -> None:
    scene = Scene(limit=100, jitter=0.99)
    instances = [scene.pace, scene.instance()]
    taken: dict[float, dict[str, float]] = defaultdict(lambda: {"live": 0.0, "backfill": 0.0})
    for second, lane, units, passing in wishes:
        scene.clock.advance(passing)
        now = scene.clock.now()
        match instances[second].reserve(lane, units):
            case Booked(slot, after):
                taken[slot][lane] += units
                assert minute_of(now) <= slot < minute_of(now) + HOUR
                assert reservation_stands(slot, now + after)
            case Full(after):
                assert after >= HOUR
    for each in taken.values():
        assert sum(each.values()) <= 100
        assert each["backfill"] <= 80
    in_rows = {
        key: (row.get("live", 0.0), row.get("backfill", 0.0))
        for (_, key), (row, _) in scene.table.rows.items()
    }
    assert in_rows == {f"{slot:.0f}": (each["live"], each["backfill"]) for slot, each in taken.items()}


@LAW
@given(before=st.integers(0, 150), units=UNITS)
def test_a_backfill_is_given_the_first_minute_with_room_and_comes_in_the_order_of_its_asking(
    before: int, units: int
) -> None:
    scene = Scene(limit=100)
    slots = scene.slots("backfill", units, before + 1)

    assert slots == sorted(slots)
    a_minute = math.floor(80 / units)
    assert slots == [float(n // a_minute) for n in range(before + 1)]


# --- at once ---


def test_no_interleaving_of_two_instances_overbooks_a_minute() -> None:
    """Every schedule of two instances that change turns up to three times, each with two wishes of a lane."""

    def run(schedule: Schedule) -> list[Turn]:
        scene = Scene(limit=100)
        scene.slots("backfill", 8, 9)  # 72 of 80: one more fits
        given: dict[str, list[Booked | Full]] = {"one": [], "two": []}

        def reserve(name: str) -> Callable[[], None]:
            pace = scene.instance()
            return lambda: given[name].extend(pace.reserve("backfill", 8) for _ in range(2))

        turns = play(scene.steps, {name: reserve(name) for name in given}, {}, schedule)
        assert scene.minutes() == {0: (0.0, 80.0), 1: (0.0, 24.0)}
        found = sorted((each.slot - scene.began) / MINUTE for some in given.values() for each in some)
        assert found == [0, 1, 1, 1]
        return turns

    assert explore(run, changes=3) > 100


def test_a_live_change_that_meets_a_backfill_loses_nothing() -> None:
    def run(schedule: Schedule) -> list[Turn]:
        scene = Scene(limit=100)
        lanes: list[Lane] = ["live", "backfill"]
        attempts: dict[str, Callable[[], object]] = {
            lane: lambda lane=lane: scene.instance().reserve(lane, 14) for lane in lanes
        }
        turns = play(scene.steps, attempts, {}, schedule)
        assert scene.minutes() == {0: (14.0, 14.0)}
        return turns

    assert explore(run, changes=4) > 10


def test_where_too_many_want_a_minute_one_comes_later(scene: Scene) -> None:
    def refuse() -> None:
        raise Stale("412")

    scene.steps.on("write photostate", refuse, times=None)
    with pytest.raises(TryLater):
        scene.pace.reserve("live", 8)


def test_a_table_out_of_reach_is_an_outage(scene: Scene) -> None:
    scene.steps.on("read photostate", drop_connection)
    with pytest.raises(TryLater):
        scene.pace.reserve("live", 8)


def test_a_write_that_meets_itself_reserves_too_much_and_never_too_little(scene: Scene) -> None:
    scene.steps.on("write photostate", fail_precondition, after=True)

    assert scene.pace.reserve("live", 8) == Booked(scene.began, 0.0)
    assert scene.minutes() == {0: (16.0, 0.0)}


# --- what was reserved ---


@pytest.mark.parametrize(
    ("slot", "counts"),
    [
        pytest.param(600.0, True, id="in its minute"),
        pytest.param(601.0, False, id="a second too early"),
        pytest.param(660.0 - MINUTE, True, id="in the minute before this"),
        pytest.param(540.0, True, id="in the minute after its own"),
        pytest.param(480.1, True, id="just before its second minute ends"),
        pytest.param(480.0, False, id="two minutes ago"),
        pytest.param(660.0, False, id="a minute to come"),
        pytest.param(0.0, False, id="none"),
    ],
)
def test_a_reservation_counts_in_its_minute_and_the_next(slot: float, counts: bool) -> None:
    assert reservation_stands(slot, 600.0) is counts


@LAW
@given(now=st.floats(1e9, 4e9), jitter=st.floats(0, 1, exclude_max=True))
def test_whoever_comes_when_he_was_told_finds_his_reservation_usable(now: float, jitter: float) -> None:
    slot = minute_of(now) + MINUTE
    on_time = now + (slot - now + jitter * SPREAD)

    assert reservation_stands(slot, math.ceil(on_time))  # queues hide for whole seconds
    assert reservation_stands(slot, on_time + MINUTE)  # a minute late
    assert not reservation_stands(slot, on_time + 2 * MINUTE)


@LAW
@given(st.floats(0, 4e9))
def test_a_minute_begins_when_it_is_a_whole_number_of_minutes(now: float) -> None:
    begins = minute_of(now)

    assert begins <= now < begins + MINUTE
    assert begins % MINUTE == 0.0


def test_a_sync_reserves_two_units_a_call() -> None:
    assert (UNITS_KNOWN, UNITS_FIRST) == (2 * 4, 2 * 7)


def test_jitter_is_chance_unless_told_otherwise(scene: Scene) -> None:
    scene.slots("backfill", 8, 100)
    paces: list[Any] = [Pace(scene.table, scene.clock, LIMIT).reserve("backfill", 8) for _ in range(20)]

    assert len({each.after for each in paces}) > 1
    assert all(MINUTE <= each.after < MINUTE + SPREAD for each in paces)


# --- forgetting ---


def test_minutes_over_for_an_hour_are_forgotten_and_later_ones_still_count(scene: Scene) -> None:
    scene.pace.reserve("live", UNITS_KNOWN)
    scene.clock.advance(HOUR)
    scene.pace.reserve("live", UNITS_KNOWN)
    scene.pace.forget()
    assert set(scene.minutes()) == {0, 60}
    scene.clock.advance(1)
    scene.pace.forget()
    assert scene.minutes() == {60: (8.0, 0.0)}


def test_after_months_minutes_are_forgotten_a_bounded_number_at_a_time_the_oldest_first(scene: Scene) -> None:
    forgotten = 3
    for minute in range(MINUTES_FORGOTTEN + forgotten):
        scene.table.rows["pace", f"{scene.began + minute * MINUTE:.0f}"] = ({"live": 8.0}, "v")
    scene.clock.advance((MINUTES_FORGOTTEN + forgotten) * MINUTE + HOUR)
    scene.pace.forget()
    assert set(scene.minutes()) == set(range(MINUTES_FORGOTTEN, MINUTES_FORGOTTEN + forgotten))
    scene.pace.forget()
    assert scene.minutes() == {}
