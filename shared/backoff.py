"""How long to wait before asking again. Pure: the caller sleeps, and brings its own randomness.

Short waits happen inside one call (`wait_here`), long ones in the queue (`wait_in_queue`).
"""

import math
import re
from dataclasses import dataclass

ABSURD = 900.0
"""Seconds; a longer `Retry-After` is not believed. Graph has been seen to answer 31 December 9999."""

SHORTEST = 30.0
"""Seconds a message stays away where the service did not say how long."""


_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Policy:
    """What one call may spend on repeating itself: `attempts` in all, `seconds` of waiting in all."""

    attempts: int = 3
    seconds: float = 4.0
    first: float = 0.5


def parse_retry_after(text: str | None) -> float | None:
    """Return the seconds of a `Retry-After` header, None where it is absent or not a number.

    Graph sends integers, and decimals in older answers. A date is not understood, and nobody sends one.
    A number too large for a float is as absurd as any other.
    """
    number = (text or "").strip()  # of more than `float` strips
    if not _SECONDS.fullmatch(number):
        return None
    seconds = float(number)
    return seconds if math.isfinite(seconds) else ABSURD


def wait_here(
    policy: Policy, *, attempt: int, spent: float, retry_after: float | None, jitter: float
) -> float | None:
    """Return how many seconds to wait before attempt number `attempt` + 1, or None to give up here.

    Args:
        policy: what the call may spend.
        attempt: how many attempts were made, from 1.
        spent: seconds waited so far.
        retry_after: what the service asked for; obeyed to the second, or not waited for at all.
        jitter: a random number of [0, 1).
    """
    if attempt >= policy.attempts:
        return None
    wait = retry_after if retry_after is not None else policy.first * 2 ** (attempt - 1) * (0.5 + jitter)
    return wait if spent + wait <= policy.seconds else None


def wait_in_queue(retry_after: float | None, *, age: float, jitter: float) -> int:
    """Return for how many whole seconds a deferred message stays hidden.

    What the service asked for, rounded up; else the job's own `age` in seconds, which doubles the wait with
    every deferral; never less than a second and never more than 15 minutes. Up to a tenth (at least a second)
    of jitter comes on top, so that messages deferred together do not come back together.
    """
    wait = retry_after if retry_after is not None else max(SHORTEST, age)
    wait = max(1.0, min(wait, ABSURD))
    return math.ceil(wait + jitter * max(1.0, wait / 10))
