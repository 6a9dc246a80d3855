"""How long to wait: exactly as a service asks, and bounded where it does not ask or asks for too much."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.backoff import (
    ABSURD,
    LONGEST,
    LONGEST_OLD,
    SHORTEST,
    Policy,
    own_wait,
    parse_retry_after,
    wait_here,
    wait_in_queue,
)

NOW = 784_111_717.0  # 60 seconds before the date of the tests

JITTER = st.floats(0, 1, exclude_max=True)
SECONDS = st.floats(0, 1e12)
ASKED = st.none() | SECONDS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("10", 10.0, id="an integer"),
        pytest.param("2.128", 2.128, id="a decimal, as older Graph answers have it"),
        pytest.param("0", 0.0, id="at once"),
        pytest.param("  7 ", 7.0, id="blanks around it"),
        pytest.param("007", 7.0, id="leading zeros"),
        pytest.param("0\x1f", 0.0, id="a separator at the end, which Python's float would not strip"),
        pytest.param("3600", 3600.0, id="an hour"),
        pytest.param("86400", 86400.0, id="a day"),
        pytest.param("86401", ABSURD, id="more than a day is not believed"),
        pytest.param("9" * 400, ABSURD, id="digits beyond a float"),
        pytest.param("Sun, 06 Nov 1994 08:49:37 GMT", 60.0, id="a date"),
        pytest.param("Sunday, 06-Nov-94 08:49:37 GMT", 60.0, id="a date in its old form"),
        pytest.param("Sun Nov  6 08:49:37 1994", 60.0, id="a date as C writes it"),
        pytest.param("Sun, 06 Nov 1994 09:49:37 +0100", 60.0, id="a date in another zone"),
        pytest.param("Sun, 06 Nov 1994 08:00:00 GMT", 0.0, id="a date that is over"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", ABSURD, id="the last date that Graph answers"),
    ],
)
def test_a_retry_after_of_seconds_is_read(text: str, seconds: float) -> None:
    assert parse_retry_after(text, NOW) == seconds


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(None, id="no header"),
        pytest.param("", id="empty"),
        pytest.param("soon", id="a word"),
        pytest.param("-1", id="negative"),
        pytest.param("-0", id="minus nothing"),
        pytest.param("nan", id="not a number"),
        pytest.param("inf", id="infinity as a word"),
        pytest.param("1e3", id="an exponent"),
        pytest.param("1_000", id="an underscore, which Python's float would take"),
        pytest.param("\u0663\u0660", id="Arabic digits, which Python's float would take"),
        pytest.param("0x10", id="hexadecimal"),
        pytest.param("1,5", id="a decimal comma"),
        pytest.param("10, 20", id="two headers folded into one"),
        pytest.param("Sun, 99 Foo 1994 08:49:37 GMT", id="no date"),
        pytest.param("12/31/9999 11:59:59 PM", id="the date that Graph has been seen to answer"),
    ],
)
def test_anything_else_counts_as_no_retry_after(text: str | None) -> None:
    assert parse_retry_after(text, NOW) is None


@given(st.text())
def test_every_text_is_read_as_finite_seconds_or_none(text: str) -> None:
    seconds = parse_retry_after(text, NOW)

    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)


@pytest.mark.parametrize(
    ("attempt", "spent", "retry_after", "jitter", "wait"),
    [
        pytest.param(1, 0.0, None, 0.0, 0.25, id="the shortest first wait"),
        pytest.param(1, 0.0, None, 0.5, 0.5, id="the middle one"),
        pytest.param(2, 0.0, None, 0.5, 1.0, id="the second doubles"),
        pytest.param(3, 0.0, None, 0.5, 2.0, id="and the third"),
        pytest.param(1, 0.0, 3.0, 0.99, 3.0, id="obeyed to the second, without jitter"),
        pytest.param(1, 0.0, 0.0, 0.99, 0.0, id="at once is at once"),
        pytest.param(1, 0.0, 4.0, 0.99, 4.0, id="exactly what may be spent"),
        pytest.param(1, 0.0, 4.01, 0.99, None, id="more than may be spent: not even begun"),
        pytest.param(2, 3.0, 2.0, 0.99, None, id="more than is left"),
        pytest.param(4, 0.0, None, 0.99, None, id="the last attempt has no successor"),
        pytest.param(4, 0.0, 0.0, 0.99, None, id="not even at once"),
        pytest.param(5, 0.0, None, 0.99, None, id="nor has one beyond the last"),
    ],
)
def test_a_call_waits_for_longer_each_time_and_only_while_attempts_and_seconds_are_left(
    attempt: int, spent: float, retry_after: float | None, jitter: float, wait: float | None
) -> None:
    policy = Policy(attempts=4, seconds=4.0, first=0.5)

    assert wait_here(policy, attempt=attempt, spent=spent, retry_after=retry_after, jitter=jitter) == wait


@given(retry_after=ASKED, jitters=st.lists(JITTER, min_size=20, max_size=20))
def test_one_call_never_spends_more_than_its_policy(retry_after: float | None, jitters: list[float]) -> None:
    policy, spent, attempt = Policy(), 0.0, 1
    while True:
        wait = wait_here(
            policy, attempt=attempt, spent=spent, retry_after=retry_after, jitter=jitters[attempt]
        )
        if wait is None:
            break
        spent, attempt = spent + wait, attempt + 1

    assert attempt <= policy.attempts
    assert spent <= policy.seconds


@pytest.mark.parametrize(
    ("retry_after", "age", "jitter", "wait"),
    [
        pytest.param(10.0, 0.0, 0.0, 10, id="what was asked for"),
        pytest.param(2.128, 0.0, 0.0, 3, id="rounded up"),
        pytest.param(0.0, 0.0, 0.0, 1, id="at once is a second in a queue"),
        pytest.param(900.0, 0.0, 0.0, 900, id="a quarter of an hour is believed"),
        pytest.param(86_400.0, 0.0, 0.0, 86_400, id="a day is obeyed"),
        pytest.param(2.5e11, 0.0, 0.0, 86_400, id="no message is hidden for longer"),
        pytest.param(None, 0.0, 0.0, 30, id="no Retry-After: half a minute"),
        pytest.param(None, -60.0, 0.0, 30, id="a job from a clock that is ahead"),
        pytest.param(None, 31.0, 0.0, 31, id="no Retry-After again: as long as the job is old"),
        pytest.param(None, 400.0, 0.0, 400, id="and so it doubles"),
        pytest.param(None, 80_000.0, 0.0, 900, id="up to a quarter of an hour"),
        pytest.param(100.0, 0.0, 0.99, 110, id="with a tenth of jitter on top"),
        pytest.param(1.0, 0.0, 0.99, 2, id="or a second, where a tenth would be nothing"),
        pytest.param(3600.0, 0.0, 0.5, 3645, id="or a minute and a half, on top of long ones"),
        pytest.param(10.0, 1000.0, 0.0, 50, id="an old job at least a twentieth of its age"),
        pytest.param(10.0, 80_000.0, 0.0, 300, id="or five minutes"),
    ],
)
def test_a_deferred_message_is_hidden_for_whole_seconds(
    retry_after: float | None, age: float, jitter: float, wait: int
) -> None:
    assert wait_in_queue(retry_after, age=age, jitter=jitter) == wait


@given(retry_after=ASKED, age=st.floats(-1e9, 1e12), jitter=JITTER)
def test_every_wait_is_whole_seconds_and_not_below_retry_after_up_to_a_day(
    retry_after: float | None, age: float, jitter: float
) -> None:
    wait = wait_in_queue(retry_after, age=age, jitter=jitter)

    assert isinstance(wait, int)
    longest = ABSURD if retry_after is None else max(LONGEST_OLD, min(retry_after, LONGEST))
    assert max(1, min(retry_after or 0, LONGEST)) <= wait <= longest + ABSURD / 10 + 1


@given(JITTER)
def test_a_job_that_is_deferred_for_a_day_comes_back_about_a_hundred_times(jitter: float) -> None:
    age, returns = 0.0, 0
    while age < 24 * 3600:
        age += wait_in_queue(None, age=age, jitter=jitter)
        returns += 1

    assert 24 * 3600 / (ABSURD * 1.1) <= returns <= 24 * 3600 / ABSURD + math.log2(ABSURD / SHORTEST) + 2


def test_work_that_is_refused_again_and_again_waits_twice_as_long_each_time_up_to_a_quarter_of_an_hour() -> (
    None
):
    assert [own_wait(setbacks) for setbacks in (1, 2, 3, 5, 6, 100)] == [30, 60, 120, 480, 900, 900]
