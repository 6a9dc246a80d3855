"""How long to wait before a retry. Pure: the caller sleeps, and passes the jitter.

Short waits happen inside one call (`wait_here`), long ones in the queue (`wait_in_queue`).
"""

import math
import re
from calendar import timegm
from dataclasses import dataclass
from email.utils import parsedate_tz

LONGEST = 86_400.0  # seconds; a longer `Retry-After` is not believed
# Seconds waited instead of a time beyond belief: Graph has been seen to answer 31 December 9999. Also the
# longest wait that this app chooses itself.
ABSURD = 900.0
OLD, LONGEST_OLD = 20, 300.0  # a job waits at least this fraction of its age, up to so many seconds
SHORTEST = 30.0  # seconds that a message stays hidden if the service named no time

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits of retries within one call: `attempts` in all, `seconds` of waiting in all."""

    attempts: int = 3
    seconds: float = 4.0
    first: float = 0.5


def parse_retry_after(text: str | None, now: float) -> float | None:
    """Return the seconds of a `Retry-After` header, None if it is absent or neither a number nor a date.

    Graph sends integers, and decimals in older answers; a proxy may send a date (RFC 9110, 10.2.3), which is
    compared with `now`, in Unix seconds. More than a day counts as `ABSURD`.
    """
    seconds = parse_seconds(text)
    if seconds is None and (date := _unix(text)) is not None:
        seconds = max(date - now, 0.0)
    return None if seconds is None else believed(seconds)


def believed(seconds: float) -> float:
    """Return the wait that a service asks for, or `ABSURD` where that is more than a day."""
    return seconds if seconds <= LONGEST else ABSURD


def parse_seconds(text: str | None) -> float | None:
    """Return a number that a header holds, None if it is absent or not a number."""
    number = (text or "").strip()  # strips more characters than `float` does
    return float(number) if _SECONDS.fullmatch(number) else None


def _unix(text: str | None) -> float | None:
    """Return the Unix seconds of an HTTP date in any of its three forms, None if it is not a date."""
    parsed = parsedate_tz(text or "")
    if parsed is None:
        return None
    try:
        return timegm(parsed[:6]) - (parsed[9] or 0)  # without a zone it is in UTC, too
    except (ValueError, OverflowError):  # no such day
        return None


def own_wait(setbacks: int) -> float:
    """Return how many seconds work of one user waits that was refused so many times in a row, from 1."""
    return min(SHORTEST * 2.0 ** min(setbacks - 1, 10), ABSURD)


def wait_here(
    policy: Policy, *, attempt: int, spent: float, retry_after: float | None, jitter: float
) -> float | None:
    """Return the seconds to wait before attempt number `attempt` + 1, None to stop retrying in this call.

    `attempt` is the number of attempts made, from 1; `spent` the seconds waited so far; `retry_after` the
    seconds that the service asked for, waited for in full or not at all; `jitter` a random number of [0, 1).
    """
    if attempt >= policy.attempts:
        return None
    wait = retry_after if retry_after is not None else policy.first * 2 ** (attempt - 1) * (0.5 + jitter)
    return wait if spent + wait <= policy.seconds else None


def wait_in_queue(retry_after: float | None, *, age: float, jitter: float) -> int:
    """Return for how many whole seconds a deferred message stays hidden.

    What the service asked for, rounded up, a day at most; else the job's own `age` in seconds, which doubles
    the wait with every deferral, 15 minutes at most. A job waits at least a twentieth of its age, up to five
    minutes: in a long outage thousands of jobs wait in front of a gate that opens each half minute. Up to a
    tenth of jitter is added (a second at least, 90 at most), so that messages deferred together do not become
    visible together.
    """
    wait = min(max(SHORTEST, age), ABSURD) if retry_after is None else min(retry_after, LONGEST)
    wait = max(1.0, wait, min(age / OLD, LONGEST_OLD))
    return math.ceil(wait + jitter * max(1.0, min(wait, ABSURD) / 10))
