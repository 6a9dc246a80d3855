"""How the fields of a message are read, each strictly: a value of any other form raises `NotOurs`. Pure."""

import re
from collections.abc import Callable
from typing import Any

from shared.errors import NotOurs
from shared.users import object_id

_SWEEP = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{4}")
_LETTERS = re.compile(r"[A-Za-z]{0,20}")
_PART = re.compile(r"[0-9]{5}-[0-9]{3}")


def one_of(values: tuple[str, ...]) -> Callable[[object], str]:
    """Return what reads one of these words."""
    return lambda value: str(_checked(value, str, lambda text: text in values, "unknown"))


def identity(value: object) -> str:
    """Return an object id, lower case."""
    return str(_checked(object_id(value), str, bool, "not an object id"))


def identities(value: object, most: int) -> tuple[str, ...]:
    """Return object ids, at least one and at most so many, lower case, without duplicates."""
    ids = _checked(value, list, lambda found: 1 <= len(found) <= most, f"not 1 to {most} object ids")
    return tuple(dict.fromkeys(map(identity, ids)))


def time(value: object) -> float:
    """Return Unix seconds, or a number of seconds."""
    return float(_checked(value, int | float, lambda number: 0 <= number < 1e11, "not a time"))


def count(value: object, most: int) -> int:
    """Return a whole number from 0 to `most`."""
    return int(_checked(value, int, lambda number: 0 <= number <= most, "not a count"))


def flag(value: object) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise NotOurs("is not true or false")
    return value


def sweep(value: object) -> str:
    """Return a sweep's id."""
    return str(_checked(value, str, _SWEEP.fullmatch, "not a sweep's id"))


def part(value: object) -> tuple[str, str] | None:
    """Return the sweep and the key of the part that a check belongs to, None if it belongs to none."""
    if value is None:
        return None
    found = _checked(value, list, lambda pair: len(pair) == 2, "not a sweep and a key")
    return sweep(found[0]), _checked(found[1], str, _PART.fullmatch, "not a sweep and a key")


def letters(value: object) -> str:
    """Return the letters that a sweep is told, "" for none."""
    return str(_checked(value, str, _LETTERS.fullmatch, "not letters"))


def _checked(value: Any, kind: Any, valid: Callable[[Any], object], otherwise: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool) or not valid(value):
        raise NotOurs(f"is {otherwise}")
    return value
