"""Read the fields of a message strictly: a field of any other form raises `NotOurs`. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from shared.errors import NotOurs

_SWEEP = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{4}")
_LETTERS = re.compile(r"[A-Za-z]{1,20}")
_PART = re.compile(r"[0-9]{5}-[0-9]{3}")


def field[T](job: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return a field of this type; raise `NotOurs` if it is missing or of another type."""
    value = job.get(name)
    if not isinstance(value, kind):
        raise NotOurs(f"the job's {name} is missing or of a wrong type")
    return value


def number(job: Mapping[str, Any], name: str) -> float:
    """Return a field that is a time in Unix seconds, or a number of seconds."""
    value = job.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise NotOurs(f"the job's {name} is missing or not a time")
    return float(value)


def sweep_id(value: object) -> str:
    """Return a sweep's id; raise `NotOurs` if it is not valid."""
    if not isinstance(value, str) or not _SWEEP.fullmatch(value):
        raise NotOurs("the job names no sweep")
    return value


def part(job: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the sweep and the key of the part that a check belongs to, None if it belongs to none."""
    found = job.get("part")
    if found is None:
        return None
    if not isinstance(found, list) or len(found) != 2 or not isinstance(found[1], str):
        raise NotOurs("the job's part is no sweep and key")
    if not _PART.fullmatch(found[1]):
        raise NotOurs("the job's part has no such key")
    return sweep_id(found[0]), found[1]


def letters(job: Mapping[str, Any], users: int) -> str:
    """Return one letter for each of `users`, "" if the job has none."""
    found = job.get("letters", "")  # jobs of an earlier release have none
    if found == "":
        return ""
    if not isinstance(found, str) or not _LETTERS.fullmatch(found) or len(found) != users:
        raise NotOurs("the job's letters are not one for each user")
    return found
