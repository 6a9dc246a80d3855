"""The timers' schedules, which only the host would check, and only in its own log."""

import pytest

from local.host.timers.schedules import ScheduleError, parse
from shared.schedules import schedule_findings

GOOD = {"SWEEP_SCHEDULE": "0 41 */6 * * *", "RENEWAL_SCHEDULE": "0 17 * * * *"}


def findings(**changed: str) -> tuple[list[str], list[str]]:
    return schedule_findings({**GOOD, **changed})


@pytest.mark.parametrize(
    "text",
    [
        "0 41 */6 * * *",
        "41 */6 * * *",
        "0 0 0,12 * * *",
        "0 0 8-18/2 * * Mon-Fri",
        "0 30 3 1-7 JAN,jul sun",
        "  0  0  4  *  *  *  ",
        "0 5/20 7 * * 0,6",
        "0 0 0 * January-March Sunday",
        "0 0 0 29 2 *",
        "0 0 0 31 1,2 *",
    ],
)
def test_a_schedule_that_the_host_takes_is_right(text: str) -> None:
    parse(text)
    assert findings(SWEEP_SCHEDULE=text) == ([], [])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "is missing, so that its timer does not run", id="nothing"),
        pytest.param("06:00:00", "is a time span", id="a time span"),
        pytest.param("1.06:00", "is a time span", id="days and hours"),
        pytest.param("0 */6 * *", "has 4 field(s)", id="four fields"),
        pytest.param("0 0 */6 * * * 2026", "has 7 field(s)", id="a year"),
        pytest.param("@hourly", "has 1 field(s)", id="a word of cron"),
        pytest.param("PT6H", "has 1 field(s)", id="a duration"),
        pytest.param("0 0 24 * * *", "an hour that is not from 0 to 23", id="an hour too late"),
        pytest.param("0 60 * * * *", "a minute that is not from 0 to 59", id="a minute too late"),
        pytest.param("0 0 0 * * 7", "a weekday that is not from 0 to 6", id="Sunday as cron has it"),
        pytest.param("0 0 0 0 * *", "a day that is not from 1 to 31", id="day zero"),
        pytest.param("0 0 0 * Brumaire *", "a month that is not from 1 to 12", id="no month"),
        pytest.param("0 0 0 ? * *", "a day that is not a number", id="a question mark"),
        pytest.param("0 0 0 L * *", "a day that is not from 1 to 31", id="the last day"),
        pytest.param("0 0 0 * * 1#2", "a weekday that is not a number", id="the second Monday"),
        pytest.param("0 0 18-8 * * *", "an hour with an empty range", id="over midnight"),
        pytest.param("0 */0 * * * *", "a minute with an empty range", id="no step"),
        pytest.param("0 0 0 30 2 *", "names a day that its months do not have", id="February 30"),
        pytest.param("0 0 0 31 4,6,9,11 *", "names a day", id="the 31st of short months"),
    ],
)
@pytest.mark.parametrize("name", GOOD)
def test_what_is_wrong_with_a_schedule_is_named_with_what_to_write(name: str, text: str, told: str) -> None:
    with pytest.raises(ScheduleError):
        parse(text)
    ((problem,), warnings) = findings(**{name: text})

    assert told in problem
    assert problem.startswith(f"{name} ")
    assert problem.endswith(f"such as {GOOD[name]}")
    assert warnings == []


def test_an_absent_schedule_is_missing() -> None:
    problems, warnings = schedule_findings({})
    assert [problem.split()[:3] for problem in problems] == [[name, "is", "missing,"] for name in GOOD]
    assert warnings == []


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        pytest.param(
            "SWEEP_SCHEDULE", "* 0 */6 * * *", "fires 240 times a day", id="each second of a minute"
        ),
        pytest.param(
            "SWEEP_SCHEDULE", "0 */5 * * * *", "fires 288 times a day", id="a sweep every 5 minutes"
        ),
        pytest.param("SWEEP_SCHEDULE", "* * * * * *", "fires 86400 times a day", id="always"),
        pytest.param("RENEWAL_SCHEDULE", "* 17 * * * *", "fires 1440 times a day", id="renewals in a row"),
        pytest.param("RENEWAL_SCHEDULE", "0 0 0 * * 1", "does not fire each day", id="a weekly renewal"),
        pytest.param("RENEWAL_SCHEDULE", "0 0 0 1 * *", "does not fire each day", id="a monthly one"),
        pytest.param("RENEWAL_SCHEDULE", "0 0 * * 6-8 *", "does not fire each day", id="a summer's"),
    ],
)
def test_a_schedule_that_is_right_but_odd_is_a_warning(name: str, text: str, told: str) -> None:
    parse(text)
    problems, (warning,) = findings(**{name: text})

    assert problems == []
    assert told in warning
    assert warning.startswith(f"{name} ")


@pytest.mark.parametrize("text", ["0 0 * * * *", "0 30 2 * * *", "0 0 0 * * 1"])
def test_sweeps_may_be_rare_or_hourly(text: str) -> None:
    assert findings(SWEEP_SCHEDULE=text) == ([], [])
