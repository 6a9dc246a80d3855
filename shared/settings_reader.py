"""Read settings from a mapping: every kind of value; each problem names its remedy.

Nothing here reads the environment itself. Not here: which settings exist (`settings`).
"""

import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn, Self

from shared import pem

SHORTEST_SECRET = 32  # characters
SHORTEST_CERTIFICATE = 256  # bytes; no certificate with its key is shorter


class Secret:
    """A text that prints as stars. Only `reveal` returns it.

    Not a subclass of `str`: joined, sliced or written as JSON, that would reveal the text.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "'**********'"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._text


class Reader:
    """Reads one mapping and collects every problem instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def raw(self, name: str) -> str:
        """Return a setting without surrounding spaces, "" if it is missing or an unresolved reference."""
        value = self._environ.get(name, "").strip()
        if "@Microsoft.KeyVault(" in value:
            # The platform leaves the reference unchanged if it cannot read the secret.
            remedy = "let the app's identity read the secret, or correct the reference"
            self.problems.append(f"{name} is an unresolved Key Vault reference: {remedy}")
            return ""
        return value

    def missing(self, name: str) -> bool:
        """Return whether a setting is missing or empty."""
        return not self._environ.get(name, "").strip()

    def text(
        self, name: str, parse: Callable[[str], str | None], *, needed: str = "", default: str | None = None
    ) -> str:
        """Return a setting as `parse` reads it. Without `default` it is required; `needed` is the remedy."""
        value = self.raw(name)
        if value:
            parsed = parse(value)
            if parsed is None:
                self.problems.append(f"{name} is malformed{f': set it to {needed}' if needed else ''}")
            return parsed or ""
        if default is None and self.missing(name):
            self.problems.append(f"{name} is missing: set it to {needed}")
        return default or ""

    def choice[T: str](self, name: str, values: tuple[T, ...], *, default: T) -> T:
        """Return one of `values`; upper and lower case are equal."""
        value = self.raw(name).lower()
        if not value:
            return default
        for known in values:
            if value == known.lower():
                return known
        self.problems.append(f"{name} must be one of {', '.join(values)}")
        return default

    def number(self, name: str, *, default: int, least: int, most: int) -> int:
        """Return a whole number from `least` to `most`."""
        value = self.raw(name) or str(default)
        if not (value.isascii() and value.isdecimal() and len(value) < 10 and least <= int(value) <= most):
            self.problems.append(f"{name} must be a whole number from {least} to {most}")
            return default
        return int(value)

    def duration(self, name: str, *, default: str) -> float:
        """Return the seconds of a duration that is longer than zero."""
        seconds = self.durations(name, default=default, several=False)[0]
        if not seconds:
            self.problems.append(f"{name} must be longer than nothing, as in {default}")
        return seconds

    def durations(self, name: str, *, default: str, several: bool = True) -> tuple[float, ...]:
        """Return the seconds of each duration in a comma list."""
        texts = (self.raw(name) or default).split(",")
        seconds = [parse_duration(text) for text in texts]
        if None in seconds or (not several and len(texts) > 1):
            number = "a comma list of" if several else "an"
            self.problems.append(f"{name} must be {number} ISO 8601 duration, as in {default}")
            return (parse_duration(default.partition(",")[0]) or 0.0,)
        return tuple(s for s in seconds if s is not None)

    def secret(self, name: str) -> Secret | None:
        """Return a setting as a secret, None if it is missing."""
        value = self.raw(name)
        return Secret(value) if value else None

    def secrets(self, name: str) -> tuple[Secret, ...]:
        """Return one secret, or two during a rotation, the newest first."""
        length = f"at least {SHORTEST_SECRET}"
        value = self.raw(name)
        keys = [key.strip() for key in value.split(",")]
        if self.missing(name):
            self.problems.append(f"{name} is missing: set it to {length} random characters")
        elif value and (any(len(key) < SHORTEST_SECRET for key in keys) or len(keys) > 2):
            form = f"one secret, or two as new,old, each of {length} characters"
            self.problems.append(f"{name} must be {form}")
        return tuple(Secret(key) for key in keys)

    def certificate(self, name: str) -> Secret | None:
        """Return a PEM or a base64 PFX, from the setting itself or the file that it names."""
        value = self.raw(name)
        if not value:
            return None
        if pem.is_pem(value) or len(pem.from_base64(value) or b"") > SHORTEST_CERTIFICATE:
            return Secret(value)
        try:
            data = Path(value).read_bytes()
        except (OSError, ValueError) as error:
            self.problems.append(f"{name} {_no_certificate(value, error)}: {_CERTIFICATE_FORMS}")
            return None
        if not data:
            self.problems.append(f"{name} names an empty file: {_CERTIFICATE_FORMS}")
            return None
        # A PEM may have names in any encoding between its blocks; they are not used.
        text = data.decode(errors="replace") if b"-----BEGIN" in data else ""
        return Secret(text or base64.b64encode(data).decode())


def _no_certificate(value: str, error: Exception) -> str:
    """Return what a value is that is neither PEM nor base64; `error` is met when it is read as a path."""
    if _THUMBPRINT.fullmatch(value):
        return "is a certificate's thumbprint, not the certificate"
    if "BEGIN" in value and "KEY" in value:
        return "looks like a PEM, but has no line that begins with five hyphens, as in -----BEGIN"
    taken = f"is neither a PEM nor base64, so that its {len(value)} characters are taken for a path"
    match error:
        case FileNotFoundError():
            return f"{taken}, and this file does not exist"
        case IsADirectoryError():
            return f"{taken}, and this is a directory"
        case PermissionError():
            return f"{taken}, and this file may not be read"
        case _:
            return f"{taken}, and it is not a path"


_THUMBPRINT = re.compile(r"[0-9A-Fa-f]{40}([0-9A-Fa-f]{24})?|([0-9A-Fa-f]{2}[: ]){19}[0-9A-Fa-f]{2}")
_CERTIFICATE_FORMS = "set it to a PEM with the key and its certificate, a PFX in base64, or a path to either"

_DURATION = re.compile(
    r"P(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?", re.ASCII
)


def parse_duration(text: str) -> float | None:
    """Return the seconds of an ISO 8601 duration of days and less, such as `PT2M30S`; None if invalid."""
    match = _DURATION.fullmatch(text.strip().upper())
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes, seconds = (float(group or 0) for group in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds
