"""Parse timer schedules: NCRONTAB expressions and time spans, always in UTC.

NCRONTAB is cron with the seconds first: `{second} {minute} {hour} {day} {month} {day of the week}`; five
fields mean second 0. Unlike in cron, a restricted day and a restricted weekday must both match, Sunday is 0
and never 7, and `L`, `W`, `#`, `?` and `@hourly` do not exist.
learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from croniter import croniter
from croniter.croniter import CroniterBadDateError

from local.host.app.hostshape import parse_time_span

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

# name, smallest, largest, names
FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("second", 0, 59, []),
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day", 1, 31, []),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 6, DAYS),
)
FIELD_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")


class ScheduleError(ValueError):
    """The text is not a valid schedule; the message says why."""


@dataclass(frozen=True)
class Cron:
    """An NCRONTAB schedule; `expression` has six fields and only numbers."""

    expression: str

    def after(self, moment: datetime) -> datetime:
        """Return the first tick later than *moment*."""
        ticks = croniter(self.expression, moment, second_at_beginning=True, day_or=False)
        found: datetime = ticks.get_next(datetime)
        return found

    @property
    def is_frequent(self) -> bool:
        """Whether it ticks more than once a minute; Azure does not monitor such a timer."""
        if any(part != "*" for part in self.expression.split()[1:]):
            return False
        first = self.after(datetime.now(UTC))
        return self.after(first) - first < timedelta(minutes=1)


@dataclass(frozen=True)
class Interval:
    """A schedule with a fixed time between two ticks."""

    every: timedelta

    def after(self, moment: datetime) -> datetime:
        """Return the moment one interval later."""
        return moment + self.every

    @property
    def is_frequent(self) -> bool:
        """Whether it is shorter than a minute; Azure does not monitor such a timer."""
        return self.every < timedelta(minutes=1)


type Schedule = Cron | Interval


def parse(text: str) -> Schedule:
    """Parse a schedule.

    Raises:
        ScheduleError: the text is neither, or the schedule never ticks.
    """
    span = parse_time_span(text.strip())
    if span is not None:
        if not span:
            raise ScheduleError(f"'{text}' would tick without a pause")
        return Interval(span)
    fields = text.split()
    if len(fields) == len(FIELDS) - 1:
        fields = ["0", *fields]
    if len(fields) != len(FIELDS):
        raise ScheduleError(f"'{text}' has neither 5 nor 6 fields, and is not a time span like 01:00:00")
    numbers = (_read_field(text, *field) for text, field in zip(fields, FIELDS, strict=True))
    schedule = Cron(" ".join(numbers))
    try:
        schedule.after(datetime.now(UTC))
    except CroniterBadDateError as error:
        raise ScheduleError(f"'{text}' names a day that does not exist") from error
    return schedule


def _read_field(text: str, name: str, low: int, high: int, words: list[str]) -> str:
    return ",".join(_read_field_part(part, name, low, high, words) for part in text.split(","))


def _read_field_part(text: str, name: str, low: int, high: int, words: list[str]) -> str:
    found = FIELD_PART.fullmatch(text)
    if not found:
        raise ScheduleError(f"'{text}' is not a valid {name}")
    first, last, step = found.groups()
    if step is not None and int(step) == 0:
        raise ScheduleError(f"'{text}' ({name}) steps by 0")
    start, end = (_read_number(each, name, low, high, words) for each in (first, last))
    if start is not None and end is not None and start > end:
        raise ScheduleError(f"'{text}' ({name}) runs backwards")
    span = "*" if start is None else f"{start}" if end is None else f"{start}-{end}"
    if step and start is not None and end is None:
        span = f"{start}-{high}"  # in NCRONTAB, 5/15 means "from 5 on, every 15"
    return f"{span}/{step}" if step else span


def _read_number(text: str | None, name: str, low: int, high: int, words: list[str]) -> int | None:
    if text is None:
        return None
    if text.isdecimal():
        number = int(text)
    elif len(text) > 2 and text[:3].lower() in words:
        number = words.index(text[:3].lower()) + low
    else:
        raise ScheduleError(f"'{text}' is not a valid {name}")
    if not low <= number <= high:
        raise ScheduleError(f"'{text}' is not a valid {name} ({low} to {high})")
    return number
