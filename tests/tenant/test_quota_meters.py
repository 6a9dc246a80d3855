"""Windows of a quota: when they begin, what counts, how long to wait, what is owed."""

import pytest

from local.tenant.traffic.quota import Meter, MeterReading


def charge(
    meter: Meter, now: float, amount: int = 1, limit: int | None = 10, *, aligned: bool = False
) -> MeterReading:
    return meter.charge(amount, limit, now, aligned=aligned)


def test_calls_within_the_limit_pass_and_the_next_waits_for_the_rest_of_the_window() -> None:
    meter = Meter(60.0)
    assert [charge(meter, 100.0 + n).wait for n in range(10)] == [0.0] * 10
    refused = charge(meter, 110.0)
    assert (refused.wait, refused.reset, refused.used) == (50.0, 50.0, 11)


def test_after_the_wait_the_call_passes_and_a_moment_before_it_does_not() -> None:
    for early, passes in ((0.0, True), (0.001, False)):
        meter = Meter(60.0)
        charge(meter, 100.0, 10)
        told = charge(meter, 130.0).wait
        assert (charge(meter, 130.0 + told - early).wait == 0.0) is passes


def test_a_call_that_costs_more_than_is_left_is_refused_and_still_counts() -> None:
    meter = Meter(60.0)
    charge(meter, 0.0, 8)
    assert charge(meter, 1.0, 4).wait == 59.0
    assert charge(meter, 2.0, 1).used == 13
    (window,) = meter.windows
    assert (window.calls, window.throttled) == (3, 2)


@pytest.mark.parametrize(
    ("knocks", "later", "owed"),
    [
        pytest.param(0, 60.0, 0, id="who heeds the refusal owes nothing"),
        pytest.param(1, 60.0, 1, id="a call after it is owed"),
        pytest.param(25, 120.0, 15, id="each window that passes pays off a limit's worth"),
        pytest.param(25, 240.0, 0, id="until nothing is left"),
    ],
)
def test_what_was_used_above_the_limit_is_owed_by_the_next_window(knocks, later, owed) -> None:
    meter = Meter(60.0)
    for now in (0.0, 1.0):  # all of the limit, and the call that is refused first
        charge(meter, now, 10)
    for _ in range(knocks):
        charge(meter, 3.0)
    assert charge(meter, later).used == owed + 1


def test_a_debt_of_whole_windows_is_a_wait_for_all_of_them() -> None:
    meter = Meter(60.0)
    charge(meter, 0.0, 11)
    for _ in range(35):
        refused = charge(meter, 10.0)
    assert (refused.reset, refused.wait) == (50.0, 170.0)
    assert charge(meter, 179.9).wait > 0.0
    assert charge(meter, 180.0).wait == 0.0


def test_calls_within_two_seconds_of_the_first_refusal_count_and_are_not_owed() -> None:
    meter = Meter(60.0)
    waits = [charge(meter, now, 5).wait for now in (0.0, 1.0, 30.0, 30.5, 31.9)]
    assert waits == [0.0, 0.0, 30.0, 29.5, 28.1]
    assert meter.windows[-1].used == 25
    assert charge(meter, 60.0, 5).used == 5


def test_a_window_begins_with_the_first_call_after_the_last_one_ended() -> None:
    meter = Meter(60.0)
    for now in (7.0, 66.0, 75.0, 134.9, 500.0):
        charge(meter, now)
    assert [(window.began, window.calls) for window in meter.windows] == [(7.0, 2), (75.0, 2), (500.0, 1)]


def test_a_window_that_owes_begins_where_the_last_one_ended() -> None:
    meter = Meter(60.0)
    for now in (7.0, 8.0, 20.0, 80.0):
        charge(meter, now, 9)
    assert [(window.began, window.owed) for window in meter.windows] == [(7.0, 0), (67.0, 8)]


def test_windows_can_lie_at_multiples_of_the_period() -> None:
    meter = Meter(60.0)
    for now in (59.0, 60.0, 119.0, 125.0):
        charge(meter, now, aligned=True)
    assert [(window.began, window.calls) for window in meter.windows] == [(0.0, 1), (60.0, 2), (120.0, 1)]


def test_a_moment_at_the_end_of_a_window_is_in_the_next_despite_rounding() -> None:
    meter = Meter(60.0)
    began = 4.1  # 64.1 - 4.1 is a little less than 60 to a computer
    charge(meter, began, 10)
    assert charge(meter, began + 60.0).used == 1
    assert meter.windows[-1].began == began + 60.0
