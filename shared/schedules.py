"""The timers' schedules, as the host reads them: NCRONTAB, the seconds first, in UTC. Pure.

The host refuses a wrong one in its own log alone, so that only the timer's function is missing.
learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions
"""

import re
from collections.abc import Mapping
from itertools import product

SWEEPS, RENEWALS = "SWEEP_SCHEDULE", "RENEWAL_SCHEDULE"
_SAMPLES = {SWEEPS: "0 41 */6 * * *", RENEWALS: "0 17 * * * *"}
_MOST_A_DAY = {SWEEPS: 24, RENEWALS: 288}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 6, _DAYS),
)
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART = re.compile(r"(?:\*|(\w{1,9})(?:-(\w{1,9}))?)(?:/(\d{1,2}))?", re.ASCII)


def schedule_findings(environ: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the problems and the warnings of both schedules."""
    problems, warnings = [], []
    for name in _SAMPLES:
        remedy = f"set it to six fields (second minute hour day month weekday), such as {_SAMPLES[name]}"
        try:
            found = _read(environ.get(name, "").strip())
        except ValueError as error:
            problems.append(f"{name} {error}: {remedy}")
            continue
        if odd := _odd(name, found):
            warnings.append(f"{name} {odd}: {remedy}")
    return problems, warnings


def _read(text: str) -> list[set[int]]:
    """Return the values of each of the six fields; raise `ValueError` that says what is wrong."""
    if not text:
        raise ValueError("is missing, so that its timer does not run")
    if re.fullmatch(r"[\d.]*\d\d?:\d\d(:\d\d)?", text):
        raise ValueError("is a time span, which this plan does not accept")
    fields = text.split()
    if len(fields) not in (5, 6):
        raise ValueError(f"has {len(fields)} field(s)")
    if len(fields) == 5:
        fields.insert(0, "0")  # as the host reads five: cron's own form
    found = [_values(field, *form) for field, form in zip(fields, _FIELDS, strict=True)]
    if not any(day <= _LONGEST_MONTHS[month - 1] for day, month in product(found[3], found[4])):
        raise ValueError("names a day that its months do not have")
    return found


def _values(field: str, name: str, least: int, most: int, words: tuple[str, ...]) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"has {_a(name)} that is not a number, a range, * or a step")
        first, last, step = match.groups()
        low = least if first is None else _number(first, name, least, most, words)
        single = first is not None and last is None and step is None
        high = low if single else most if last is None else _number(last, name, least, most, words)
        if high < low or step == "0" * len(step or "x"):
            raise ValueError(f"has {_a(name)} with an empty range")
        found |= set(range(low, high + 1, int(step or 1)))
    return found


def _number(text: str, name: str, least: int, most: int, words: tuple[str, ...]) -> int:
    if (short := text[:3].lower()) in words:  # the host takes long names, too
        return words.index(short) + least
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ValueError(f"has {_a(name)} that is not from {least} to {most}")
    return int(text)


def _a(name: str) -> str:
    return f"an {name}" if name == "hour" else f"a {name}"


def _odd(name: str, found: list[set[int]]) -> str:
    """Return what is allowed in a schedule and probably unintended, "" if nothing is."""
    seconds, minutes, hours, days, months, weekdays = found
    times = len(seconds) * len(minutes) * len(hours)
    if times > _MOST_A_DAY[name]:
        return f"fires {times} times a day"
    if name == RENEWALS and (len(days) < 31 or len(months) < 12 or len(weekdays) < 7):
        return "does not fire each day, and a subscription lives for less than three"
    return ""
