"""The pace: no minute exceeds its limit, and live changes never wait for a backfill."""

import math
import threading
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.tenant.directory.world import Clock as TenantClock
from shared.jobs import Lane
from shared.sharepoint.pace import (
    HORIZON,
    MINUTE,
    SPREAD,
    UNITS_FIRST,
    UNITS_KNOWN,
    Booked,
    Pace,
    Reserved,
    minute_of,
    reservation_stands,
    with_reserved,
)
from tests.fakes.clock import Clock
from tests.fakes.external_steps import ExternalSteps, fail_precondition
from tests.fakes.table import Table

LIMIT = 1000
SHARE = 800  # of it for a backfill
HOUR = 60 * MINUTE
LANES = st.sampled_from(["live", "backfill"])
UNITS = st.sampled_from([UNITS_KNOWN, UNITS_FIRST])


class PaceSetup:
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
        return [(each.slot - self.began) / MINUTE for each in booked if each.slot]


@pytest.fixture
def setup() -> PaceSetup:
    return PaceSetup()


# --- a minute's room ---


@pytest.mark.parametrize(
    ("columns", "lane", "units", "reserved"),
    [
        pytest.param({}, "live", 8, {"live": 8.0}, id="live: an unknown minute"),
        pytest.param({}, "backfill", 8, {"backfill": 8.0}, id="backfill: an unknown minute"),
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


@given(
    limit=st.integers(100, 5000),
    requests=st.lists(st.tuples(LANES, st.integers(1, 40)), min_size=1, max_size=200),
)
def test_no_minute_is_ever_above_its_limit_and_live_never_starves(
    limit: int, requests: list[tuple[Lane, int]]
) -> None:
    columns = {"live": 0.0, "backfill": 0.0}
    for lane, units in requests:
        before = dict(columns)
        taken = with_reserved(columns, lane, units, limit)
        columns |= taken or {}
        assert columns["live"] + columns["backfill"] <= limit
        assert columns["backfill"] <= limit * 4 / 5
        assert columns[lane] == before[lane] + (units if taken else 0)
        # A live change is refused only where live changes themselves have used up their fifth.
        assert taken or lane == "backfill" or before["live"] + units > limit / 5


# --- which minute ---


def test_a_sync_that_finds_room_goes_at_once(setup: PaceSetup) -> None:
    setup.clock.advance(42.0)

    assert setup.pace.reserve("live", 8) == Booked(setup.began, 0.0)
    assert setup.pace.reserve("backfill", 14) == Booked(setup.began, 0.0)
    assert setup.minutes() == {0: (8.0, 14.0)}


def test_a_live_change_goes_at_once_beside_a_backfill_of_any_length(setup: PaceSetup) -> None:
    setup.slots("backfill", 8, 7000)

    assert setup.slots("live", 8, 26) == [0] * 25 + [1]
    assert not setup.pace.reserve("backfill", 8).slot


def test_a_booked_sync_starts_at_a_random_time_within_its_minute(setup: PaceSetup) -> None:
    setup.slots("backfill", 8, 100)
    setup.clock.advance(10.0)
    for jitter, after in [(0.0, 50.0), (0.5, 75.0), (0.999, 99.95)]:
        setup.jitter = jitter
        booked = setup.pace.reserve("backfill", 8)
        assert booked == Booked(setup.began + MINUTE, pytest.approx(after))
        assert minute_of(setup.clock.now() + booked.after) == booked.slot


def test_no_minute_beyond_the_next_hour_is_booked(setup: PaceSetup) -> None:
    slots = setup.slots("backfill", 8, 6100)

    assert len(slots) == 6000
    assert (min(slots), max(slots)) == (0, HORIZON - 1)
    assert setup.pace.reserve("backfill", 8) == Booked(0.0, HOUR)
    setup.jitter = 1.0
    assert setup.pace.reserve("backfill", 8) == Booked(0.0, pytest.approx(HOUR * 1.1))


def test_the_hour_moves_on(setup: PaceSetup) -> None:
    setup.slots("backfill", 8, 6000)
    setup.clock.advance(MINUTE)

    assert setup.slots("backfill", 8, 101) == [HORIZON] * 100


@pytest.mark.parametrize("lane", ["live", "backfill"])
def test_an_instance_that_knows_of_full_minutes_does_not_read_them_again(
    lane: Lane, setup: PaceSetup
) -> None:
    setup.slots(lane, 8, 30 * (125 if lane == "live" else 100))
    setup.steps.taken.clear()
    setup.slots(lane, 8, 1)
    assert setup.steps.taken == ["read photostate"] * 2 + ["write photostate"]

    setup.clock.advance(HOUR)
    setup.steps.taken.clear()
    setup.slots(lane, 8, 1)
    assert setup.steps.taken == ["read photostate", "write photostate"]


@given(
    requests=st.lists(
        st.tuples(st.booleans(), LANES, UNITS, st.sampled_from([0.0, 0.0, 7.0, 61.0])), max_size=120
    )
)
def test_of_two_instances_neither_books_above_a_limit_nor_beyond_the_hour(
    requests: list[tuple[bool, Lane, int, float]],
) -> None:
    setup = PaceSetup(limit=100, jitter=0.99)
    instances = [setup.pace, setup.instance()]
    taken: dict[float, dict[str, float]] = defaultdict(lambda: {"live": 0.0, "backfill": 0.0})
    for second, lane, units, passing in requests:
        setup.clock.advance(passing)
        now = setup.clock.now()
        booked = instances[second].reserve(lane, units)
        if booked.slot:
            taken[booked.slot][lane] += units
            assert minute_of(now) <= booked.slot < minute_of(now) + HOUR
            assert reservation_stands(booked.slot, now + booked.after)
        else:
            assert booked.after >= HOUR
    for each in taken.values():
        assert sum(each.values()) <= 100
        assert each["backfill"] <= 80
    minutes = {(slot - setup.began) / MINUTE: (it["live"], it["backfill"]) for slot, it in taken.items()}
    assert setup.minutes() == minutes


@given(before=st.integers(0, 150), units=UNITS)
def test_a_backfill_gets_the_first_minute_with_room_in_the_order_of_its_requests(
    before: int, units: int
) -> None:
    setup = PaceSetup(limit=100)
    slots = setup.slots("backfill", units, before)
    setup.pace = setup.instance()  # a new one finds it too
    slots += setup.slots("backfill", units, 1)

    assert slots == [float(n // (80 // units)) for n in range(before + 1)]


# --- at once ---


def test_a_write_whose_answer_was_lost_reserves_too_much_and_never_too_little(setup: PaceSetup) -> None:
    setup.steps.on("write photostate", fail_precondition, after=True)

    assert setup.pace.reserve("live", 8) == Booked(setup.began, 0.0)
    assert setup.minutes() == {0: (16.0, 0.0)}


# --- what is given back ---


def test_units_that_were_not_used_are_used_by_the_next_sync_without_a_write(setup: PaceSetup) -> None:
    booked = setup.pace.reserve("backfill", 8)
    for _ in range(500):
        setup.pace.give_back(Reserved("backfill", booked.slot, 8), used=0)
        booked = setup.pace.reserve("backfill", 8)
        assert booked == Booked(setup.began, 0.0)
    assert setup.minutes() == {0: (0.0, 8.0)}
    assert setup.steps.taken == ["read photostate", "write photostate"]


@pytest.mark.parametrize(
    ("units", "used", "next_takes"),
    [
        pytest.param(8, 0, 0, id="all"),
        pytest.param(14, 4, 0, id="enough"),
        pytest.param(14, 8, 8, id="too little for the next"),
        pytest.param(8, 8, 8, id="none"),
        pytest.param(8, 20, 8, id="more was used than reserved"),
    ],
)
def test_only_what_was_not_used_is_given_back(
    setup: PaceSetup, units: int, used: int, next_takes: int
) -> None:
    booked = setup.pace.reserve("live", units)
    setup.pace.give_back(Reserved("live", booked.slot, units), used)
    setup.pace.reserve("live", 8)
    assert setup.minutes() == {0: (float(units + next_takes), 0.0)}


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param("the minute is over before they are given back", id="too late"),
        pytest.param("the minute is over before they are used", id="unused"),
        pytest.param("another lane wants them", id="another lane"),
        pytest.param("the instance stopped", id="a crash"),
    ],
)
def test_what_cannot_be_used_any_more_is_lost_and_never_given_twice(setup: PaceSetup, lost: str) -> None:
    reserved = Reserved("live", setup.pace.reserve("live", 8).slot, 8)
    if lost == "the minute is over before they are given back":
        setup.clock.advance(MINUTE)
    setup.pace.give_back(reserved, 0)
    if lost == "the minute is over before they are used":
        setup.clock.advance(MINUTE)
    if lost == "the instance stopped":
        setup.pace = setup.instance()
    before = sum(map(sum, setup.minutes().values()))
    setup.pace.reserve("backfill" if lost == "another lane wants them" else "live", 8)
    assert sum(map(sum, setup.minutes().values())) == before + 8


@given(
    steps=st.lists(
        st.tuples(
            st.booleans(), LANES, UNITS, st.integers(0, 9), st.sampled_from([0.0, 0.0, 0.0, 7.0, 61.0])
        ),
        max_size=200,
    )
)
def test_whatever_is_given_back_no_minute_is_used_above_its_limit(
    steps: list[tuple[bool, Lane, int, int, float]],
) -> None:
    setup = PaceSetup(limit=100)
    instances = [setup.pace, setup.instance()]
    used: dict[float, dict[str, int]] = defaultdict(lambda: {"live": 0, "backfill": 0})
    for second, lane, units, calls, passing in steps:
        setup.clock.advance(passing)
        booked = instances[second].reserve(lane, units)
        if booked.slot and not booked.after:
            spent = min(2 * calls, units)
            used[booked.slot][lane] += spent
            instances[second].give_back(Reserved(lane, booked.slot, units), spent)
        elif booked.slot:
            used[booked.slot][lane] += units
    for each in used.values():
        assert sum(each.values()) <= 100
        assert each["backfill"] <= 80


def test_threads_that_give_back_and_reserve_at_once_lose_and_invent_nothing(setup: PaceSetup) -> None:
    slot = setup.pace.reserve("live", 80).slot
    setup.pace.give_back(Reserved("live", slot, 80), 0)

    def work() -> None:
        for _ in range(300):
            booked = setup.pace.reserve("live", 8)
            setup.pace.give_back(Reserved("live", booked.slot, 8), 0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert setup.minutes() == {0: (80.0, 0.0)}
    assert setup.slots("live", 80, 1) == [0.0]
    assert setup.minutes() == {0: (80.0, 0.0)}


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


@given(now=st.floats(1e9, 4e9), jitter=st.floats(0, 1, exclude_max=True))
def test_a_sync_that_starts_when_it_was_told_can_use_its_reservation(now: float, jitter: float) -> None:
    slot = minute_of(now) + MINUTE
    assert slot - MINUTE <= now < slot
    assert slot % MINUTE == 0.0
    on_time = now + (slot - now + jitter * SPREAD)

    assert reservation_stands(slot, math.ceil(on_time))  # queues hide for whole seconds
    assert reservation_stands(slot, on_time + MINUTE)  # a minute late
    assert not reservation_stands(slot, on_time + 2 * MINUTE)


def test_a_sync_reserves_two_units_a_call() -> None:
    assert (UNITS_KNOWN, UNITS_FIRST) == (2 * 4, 2 * 7)


def test_jitter_is_random_by_default(setup: PaceSetup) -> None:
    setup.slots("backfill", 8, 100)
    paces: list[Any] = [Pace(setup.table, setup.clock, LIMIT).reserve("backfill", 8) for _ in range(20)]

    assert len({each.after for each in paces}) > 1
    assert all(MINUTE <= each.after < MINUTE + SPREAD for each in paces)


# --- forgetting ---


def test_minutes_that_ended_an_hour_ago_are_deleted_and_later_ones_still_count(setup: PaceSetup) -> None:
    setup.pace.reserve("live", UNITS_KNOWN)
    setup.clock.advance(HOUR)
    setup.pace.reserve("live", UNITS_KNOWN)
    setup.pace.forget(100)
    assert set(setup.minutes()) == {0, 60}
    setup.clock.advance(1)
    setup.pace.forget(100)
    assert setup.minutes() == {60: (8.0, 0.0)}


def test_after_months_a_bounded_number_of_minutes_is_deleted_at_a_time_the_oldest_first(
    setup: PaceSetup,
) -> None:
    most, more = 500, 3
    for minute in range(most + more):
        setup.table.rows["pace", f"{setup.began + minute * MINUTE:.0f}"] = ({"live": 8.0}, "v")
    setup.clock.advance((most + more) * MINUTE + HOUR)
    assert setup.pace.forget(most)
    assert set(setup.minutes()) == set(range(most, most + more))
    assert not setup.pace.forget(most)
    assert setup.minutes() == {}
