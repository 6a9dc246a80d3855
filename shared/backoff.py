"""How long to wait before a retry. Pure: the caller sleeps, and passes the jitter.

Short waits happen inside one call (`wait_here`), long ones in the queue (`wait_in_queue`).
"""

import math
import re
from dataclasses import dataclass

# Seconds; a longer `Retry-After` is cut to this. Graph has been seen to answer 31 December 9999.
ABSURD = 900.0
SHORTEST = 30.0  # seconds that a message stays hidden if the service named no time

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits of retries within one call: `attempts` in all, `seconds` of waiting in all."""

    attempts: int = 3
    seconds: float = 4.0
    first: float = 0.5


def parse_retry_after(text: str | None) -> float | None:
    """Return the seconds of a `Retry-After` header, None if it is absent or not a number.

    Graph sends integers, and decimals in older answers. A date is not parsed, and no service here sends one.
    A number too large for a float counts as `ABSURD`.
    """
    number = (text or "").strip()  # strips more characters than `float` does
    if not _SECONDS.fullmatch(number):
        return None
    seconds = float(number)
    return seconds if math.isfinite(seconds) else ABSURD


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

    What the service asked for, rounded up; else the job's own `age` in seconds, which doubles the wait with
    every deferral; never less than a second and never more than 15 minutes. Up to a tenth (at least a second)
    of jitter is added, so that messages deferred together do not become visible together.
    """
    wait = retry_after if retry_after is not None else max(SHORTEST, age)
    wait = max(1.0, min(wait, ABSURD))
    return math.ceil(wait + jitter * max(1.0, wait / 10))
