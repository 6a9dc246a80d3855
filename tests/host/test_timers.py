"""Timers: schedules, status, and timers of a running host."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from local.host.app.settings import AppSettings
from local.host.app.storage import Accounts
from local.host.process import HostProcess
from local.host.timers.schedules import ScheduleError, parse
from local.host.timers.status_table import TimerStatusTable
from local.host.timers.timers import NEVER, TimerStatus, make_initial_status, make_next_status
from tests.host.conftest import Notes

APP = Path(__file__).parent / "apps" / "timers"
NOON = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)  # a Wednesday
HOURLY = parse("0 0 * * * *")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestSchedules:
    """The grammar, as documented."""

    @pytest.mark.parametrize(
        ("text", "tick"),
        [
            pytest.param("0 */5 * * * *", "2026-03-04 12:05:00", id="every five minutes"),
            pytest.param("*/5 * * * *", "2026-03-04 12:05:00", id="five fields begin with the minute"),
            pytest.param("5 4 * * * *", "2026-03-04 12:04:05", id="six fields begin with the second"),
            pytest.param("* * * * * *", "2026-03-04 12:00:01", id="later than now, never now"),
            pytest.param("0 0 12 * * *", "2026-03-05 12:00:00", id="noon has just passed"),
            pytest.param("0 30 9 * * 1-5", "2026-03-05 09:30:00", id="weekdays"),
            pytest.param("0 30 9 * * Sun", "2026-03-08 09:30:00", id="Sunday by name"),
            pytest.param("0 30 9 * * 0", "2026-03-08 09:30:00", id="Sunday is 0"),
            pytest.param("0 30 9 * January-Feb Monday", "2027-01-04 09:30:00", id="long and short names"),
            # cron would tick on the 6th *or* on a Monday; NCRONTAB requires both.
            pytest.param("0 0 0 6 * 1", "2026-04-06 00:00:00", id="day and weekday must both match"),
            pytest.param("0 5/20 * * * *", "2026-03-04 12:05:00", id="from 5 on in steps"),
            pytest.param("0 1,2,30-40/5 13 * * *", "2026-03-04 13:01:00", id="a list"),
            pytest.param("0 0 0 29 2 *", "2028-02-29 00:00:00", id="a leap day"),
        ],
    )
    def test_the_next_tick_is_the_first_one_later_than_now(self, text, tick):
        assert parse(text).after(NOON) == at(tick)

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("", id="empty"),
            pytest.param("* * * *", id="four fields"),
            pytest.param("60 * * * * *", id="second 60"),
            pytest.param("0 0 24 * * *", id="hour 24"),
            pytest.param("0 0 0 * * 7", id="Sunday is not 7"),
            pytest.param("0 0 0 * 13 *", id="month 13"),
            pytest.param("0 */0 * * * *", id="steps of 0"),
            pytest.param("0 0 5-2 * * *", id="backwards"),
            pytest.param("@hourly", id="alias"),
            pytest.param("0 0 0 31 2 *", id="31 February"),
        ],
    )
    def test_a_schedule_that_azure_would_refuse_is_refused(self, text):
        with pytest.raises(ScheduleError):
            parse(text)

    @pytest.mark.parametrize(
        ("text", "frequent"),
        [
            pytest.param("*/10 * * * * *", True, id="every ten seconds"),
            pytest.param("0 * * * * *", False, id="every minute"),
        ],
    )
    def test_a_timer_that_ticks_more_than_once_a_minute_is_frequent(self, text, frequent):
        assert parse(text).is_frequent is frequent


class TestStatus:
    """The status of a timer."""

    def test_a_new_timer_begins_with_its_next_tick(self):
        assert make_initial_status(None, HOURLY, NOON) == TimerStatus(NEVER, at("2026-03-04 13:00"), NOON)

    def test_a_missed_tick_stays_due_unless_the_schedule_changed(self):
        status = TimerStatus(at("2026-03-04 08:00"), at("2026-03-04 09:00"), at("2026-03-04 08:00"))
        changed = parse("0 30 * * * *")

        assert make_initial_status(status, HOURLY, NOON) == status
        assert make_initial_status(status, changed, NOON) == TimerStatus(NEVER, at("2026-03-04 12:30"), NOON)

    def test_the_next_tick_of_a_changed_schedule_is_kept(self):
        status = TimerStatus(NEVER, at("2026-03-04 13:00"), at("2026-03-04 11:59"))
        changed = parse("0 30 12 * * *")

        expected = TimerStatus(NEVER, at("2026-03-04 12:30"), at("2026-03-04 11:59"))
        assert make_initial_status(status, changed, NOON) == expected

    def test_after_a_run_the_next_tick_counts_from_its_beginning(self):
        status = TimerStatus(NEVER, NOON, NEVER)

        later = make_next_status(status, HOURLY, NOON + timedelta(milliseconds=3), on_time=True)

        assert later.next == at("2026-03-04 13:00")
        assert later.last == NOON + timedelta(milliseconds=3)

    def test_a_run_that_begins_a_little_early_does_not_repeat_its_tick(self):
        early = NOON - timedelta(milliseconds=3)

        status = make_next_status(TimerStatus(NEVER, NOON, NEVER), HOURLY, early, on_time=True)
        assert status.next == at("2026-03-04 13:00")

    def test_a_run_outside_the_schedule_does_not_change_the_next_tick(self):
        status = TimerStatus(NEVER, NOON, NEVER)

        assert make_next_status(status, HOURLY, NOON - timedelta(minutes=3), on_time=False).next == NOON


@pytest.fixture
def status_table(azurite):
    accounts = Accounts(AppSettings({"AzureWebJobsStorage": azurite.connection_string}))
    yield TimerStatusTable(accounts)
    accounts.close()


@pytest.fixture(scope="module")
def timed(azurite, tmp_path_factory):
    """The notes of a host with timers, for the tests that only read."""
    notes = Notes(tmp_path_factory.mktemp("timers") / "notes")
    env = {"AzureWebJobsStorage": azurite.connection_string, "NOTES": str(notes.path), "MISSED": "0 0 1 1 *"}
    with HostProcess.start(APP, env):
        yield notes


def test_a_timer_never_overlaps_itself_and_a_late_tick_follows_at_once(timed, eventually):
    eventually(lambda: len(timed.of("begin")) >= 3)
    begins = [each["at"] for each in timed.of("begin")][:3]
    ends = [each["at"] for each in timed.of("end")][:2]
    waits = [later - earlier for later, earlier in zip(begins[1:], ends, strict=False)]
    # Each run lasts longer than a tick: the missed tick fires late, and once.
    assert all(0 <= wait < 0.7 for wait in waits), waits
    assert [each["past_due"] for each in timed.of("begin")][:3] == [False] * 3
    assert timed.of("begin")[0]["status"] == {}  # the status of such a frequent timer is not saved


def test_a_function_with_run_on_startup_runs_at_startup(timed, eventually):
    (run,) = eventually(lambda: timed.of("startup"))
    assert run["past_due"] is False


def test_a_tick_missed_while_no_host_ran_runs_late_with_past_due(start, notes, status_table, eventually):
    schedule, year = parse("0 0 0 7 7 *"), datetime.now(UTC).year
    last = schedule.after(datetime(year - 2, 1, 1, tzinfo=UTC))
    status_table.save("missed", TimerStatus(last, schedule.after(last), last))

    start(APP, {"MISSED": "0 0 0 7 7 *"})

    (run,) = eventually(lambda: notes.of("missed"))
    assert run["past_due"] is True
    assert run["status"]["Next"] == schedule.after(last).isoformat()
    eventually(lambda: status_table.load("missed").next > datetime.now(UTC))


def test_a_timer_without_a_missed_tick_does_not_run_at_startup(timed, eventually):
    eventually(lambda: timed.of("startup"))
    eventually(lambda: timed.of("begin"))

    assert timed.of("missed") == []


def test_a_call_that_exceeds_function_timeout_is_500_and_the_host_ends_with_3(start):
    own = start(APP, {"MISSED": "0 0 1 1 *"})

    assert requests.get(f"{own.url}/api/last_too_long", timeout=20).status_code == 500
    assert own.wait(10) == 3
    assert "Timeout value of 0:00:02 was exceeded by function: last_too_long" in own.log
