"""What messages between host and worker are made of: fields that check what they hold, as protobuf does.

The messages themselves stand in `protos`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

INT32 = range(-(2**31), 2**31)
INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Field:
    """What a field may hold, and what it reads as while nothing was put into it."""

    check: Callable[[object], object]
    default: Callable[[], object] = lambda: None


def scalar(kind: type, default: object) -> Field:
    """A field for exactly this type; empty, it reads as *default*."""

    def check(value: object) -> object:
        if type(value) is not kind:
            raise TypeError(f"bad argument type for built-in operation: {value!r} is no {kind.__name__}")
        return value

    return Field(check, lambda: default)


def whole(bounds: range) -> Field:
    """A field for an int within *bounds*; empty, 0."""

    def check(value: object) -> object:
        if not isinstance(value, int):
            raise TypeError(f"{value!r} is no int")
        if value not in bounds:
            raise ValueError(f"Value out of range: {value}")
        return int(value)

    return Field(check, lambda: 0)


def _number(value: object) -> object:
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def names(*names: str) -> Field:
    """A field for an enum: one of *names*, or its number; it reads as the number."""

    def check(value: object) -> object:
        if isinstance(value, str) and value in names:
            return names.index(value)
        if isinstance(value, int) and value in range(len(names)):
            return int(value)
        raise ValueError(f"unknown enum label {value!r}")

    return Field(check, lambda: 0)


def message(kind: "type[Message] | type[timedelta]") -> Field:
    """A field for a message; empty, it reads as an empty one."""

    def check(value: object) -> object:
        if not isinstance(value, kind):
            raise TypeError(f"{value!r} is no {kind.__name__}")
        return value

    return Field(check, kind)


def map_of(of: Field) -> Field:
    """A field for a mapping of strings to what *of* may hold."""

    def check(value: object) -> object:
        if not isinstance(value, Mapping):
            raise TypeError(f"{value!r} is no map")
        return {TEXT.check(key): of.check(item) for key, item in value.items()}

    return Field(check, dict)


def list_of(of: Field) -> Field:
    """A field for any number of what *of* may hold."""

    def check(value: object) -> object:
        if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
            raise TypeError(f"{value!r} is no list")
        return [of.check(item) for item in value]

    return Field(check, list)


TEXT = scalar(str, "")
BYTES = scalar(bytes, b"")
FLAG = scalar(bool, False)
NUMBER = Field(_number, lambda: 0.0)


class Message:
    """A message with the fields its class lists. A field given `None` counts as not given, as in protobuf."""

    FIELDS: ClassVar[Mapping[str, Field]] = {}
    ONEOF: ClassVar[str] = ""

    def __init__(self, **values: object) -> None:
        for name, value in values.items():
            if name not in self.FIELDS:
                raise ValueError(f'Protocol message {type(self).__name__} has no "{name}" field.')
            if value is not None:
                self.__dict__[name] = self.FIELDS[name].check(value)

    def __getattr__(self, name: str) -> Any:
        """Return the default of an unset field; raise AttributeError for an unknown name."""
        if name not in self.FIELDS:
            raise AttributeError(f"{type(self).__name__} has no field {name}")
        return self.FIELDS[name].default()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.__dict__.items())})"

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802 - protobuf's own name
        """Name the field that is set, in a message whose fields exclude one another."""
        if group != self.ONEOF:
            raise ValueError(f"{type(self).__name__} has no oneof {group}")
        return next(iter(self.__dict__), None)
