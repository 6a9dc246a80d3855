"""Parse timer schedules: NCRONTAB expressions, always in UTC.

NCRONTAB is cron with the seconds first: `{second} {minute} {hour} {day} {month} {day of the week}`; five
fields mean second 0. Unlike in cron, a restricted day and a restricted weekday must both match, Sunday is 0
and never 7, and `L`, `W`, `#`, `?` and `@hourly` do not exist. Azure accepts time spans in App Service plans
only, so they are refused here.
learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from croniter import croniter
from croniter.croniter import CroniterBadDateError

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
class Schedule:
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


def parse(text: str) -> Schedule:
    """Parse a schedule.

    Raises:
        ScheduleError: the text is not a schedule, or the schedule never ticks.
    """
    fields = text.split()
    if len(fields) == len(FIELDS) - 1:
        fields = ["0", *fields]
    if len(fields) != len(FIELDS):
        raise ScheduleError(f"'{text}' has neither 5 nor 6 fields")
    parts = (
        ",".join(_read_part(part, *field) for part in text.split(","))
        for text, field in zip(fields, FIELDS, strict=True)
    )
    schedule = Schedule(" ".join(parts))
    try:
        schedule.after(datetime.now(UTC))
    except CroniterBadDateError as error:
        raise ScheduleError(f"'{text}' names a day that does not exist") from error
    return schedule


def _read_part(text: str, name: str, low: int, high: int, words: list[str]) -> str:
    """Return a part of a field, such as `1-5` or `*/2`, with numbers instead of names."""
    found = FIELD_PART.fullmatch(text)
    if not found:
        raise ScheduleError(f"'{text}' is not a valid {name}")
    *ends, step = found.groups()
    numbers = [_read_number(each, low, words) for each in ends if each]
    if (
        numbers != sorted(numbers)
        or not all(low <= each <= high for each in numbers)
        or (step and not int(step))
    ):
        raise ScheduleError(f"'{text}' is not a valid {name} ({low} to {high})")
    if step and len(numbers) == 1:
        numbers.append(high)  # in NCRONTAB, 5/15 means "from 5 on, every 15"
    span = "-".join(map(str, numbers)) or "*"
    return f"{span}/{step}" if step else span


def _read_number(text: str, low: int, words: list[str]) -> int:
    """Return the number of a name, long or short, or of digits; -1 for any other text."""
    if text[:3].lower() in words:
        return words.index(text[:3].lower()) + low
    return int(text) if text.isdecimal() else -1
