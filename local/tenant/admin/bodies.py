"""Typed reading of JSON bodies: a dataclass names the keys, their types, and what they must obey."""

import types
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


class AdminRefusal(Exception):
    """The admin face refuses a call; the text says what it accepts."""

    def __init__(self, message: str, status: int = 400, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.details = details


def read[Kind](kind: type[Kind], body: object) -> Kind:
    """Return `body`, a JSON object, as an instance of the dataclass `kind`."""
    values = check(kind, body)
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise AdminRefusal(str(error), known=describe(kind)) from error


def check(kind: type, body: object) -> dict[str, Any]:
    """Return `body` if it is a JSON object of some of the keys of `kind`, with values of their types."""
    if not isinstance(body, dict):
        raise AdminRefusal("the body is a JSON object", known=describe(kind))
    hints = get_type_hints(kind)
    known = {field.name for field in fields(kind)}
    if unknown := sorted(body.keys() - known):
        raise AdminRefusal(f"unknown: {', '.join(unknown)}", known=describe(kind))
    wrong = [name for name, value in body.items() if not fits(value, hints[name])]
    if wrong:
        raise AdminRefusal(f"of the wrong type: {', '.join(sorted(wrong))}", known=describe(kind))
    return body


def fits(value: object, hint: Any) -> bool:
    """Whether a JSON value is of the type that a hint names."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is Literal:
        return any(value == each and type(value) is type(each) for each in arguments)
    if origin in (dict, Mapping):
        return isinstance(value, dict) and all(fits(each, arguments[1]) for each in value.values())
    if origin is list:
        return isinstance(value, list) and all(fits(each, arguments[0]) for each in value)
    if isinstance(value, bool):  # Python takes a bool for an int; here it is a mistake
        return hint in (bool, object)
    return isinstance(value, int | float) if hint is float else isinstance(value, hint)


def describe(kind: type) -> dict[str, str]:
    """Return the keys of `kind` and the types they take, in words."""
    hints = get_type_hints(kind)
    return {field.name: _word(hints[field.name]) for field in fields(kind)}


def _word(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_word(each) for each in get_args(hint))
    if get_origin(hint) is Literal:
        return " or ".join(repr(each) for each in get_args(hint))
    return "null" if hint is types.NoneType else str(getattr(hint, "__name__", hint))
