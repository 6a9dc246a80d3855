"""Parse route templates as ASP.NET does: `users/{user}/sync`, `{source:alpha?}`, `{*path}`, `{size=small}`.

learn.microsoft.com/aspnet/core/fundamentals/routing#route-templates
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

PARAMETER = re.compile(
    r"(?P<stars>\*{0,2})(?P<name>[A-Za-z_]\w*)(?P<constraints>(?::\w+(?:\([^)]*\))?)*)"
    r"(?:(?P<optional>\?)|=(?P<default>[^{}]*))?"
)
CONSTRAINT = re.compile(r":(\w+)(?:\(([^)]*)\))?")


class RouteError(ValueError):
    """ASP.NET would refuse the template; the message says why."""


def _parses[T](read: Callable[[str], T]) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        try:
            read(value)
        except ValueError:
            return False
        return True

    return check


def _whole(value: str) -> int:
    if not re.fullmatch(r"[+-]?\d+", value):
        raise ValueError(value)
    return int(value)


def _within(bits: int) -> Callable[[str], bool]:
    return lambda value: _parses(_whole)(value) and -(2 ** (bits - 1)) <= int(value) < 2 ** (bits - 1)


# Without arguments. `datetime` is left out, because its grammar depends on the server's culture.
PLAIN: dict[str, Callable[[str], bool]] = {
    "alpha": lambda value: re.fullmatch(r"[A-Za-z]*", value) is not None,
    "bool": lambda value: value.lower() in ("true", "false"),
    "decimal": lambda value: re.fullmatch(r"[+-]?\d+(\.\d+)?", value) is not None,
    "double": _parses(float),
    "float": _parses(float),
    "guid": _parses(UUID),
    "int": _within(32),
    "long": _within(64),
    "required": bool,
}
# With whole numbers in parentheses.
NUMERIC: dict[str, Callable[..., Callable[[str], bool]]] = {
    "length": lambda low, high=None: lambda value: low <= len(value) <= (low if high is None else high),
    "max": lambda high: lambda value: _parses(_whole)(value) and int(value) <= high,
    "maxlength": lambda high: lambda value: len(value) <= high,
    "min": lambda low: lambda value: _parses(_whole)(value) and int(value) >= low,
    "minlength": lambda low: lambda value: len(value) >= low,
    "range": lambda low, high: lambda value: _parses(_whole)(value) and low <= int(value) <= high,
}


@dataclass(frozen=True)
class Route:
    """A compiled template."""

    pattern: re.Pattern[str]
    checks: dict[str, tuple[Callable[[str], bool], ...]]
    defaults: dict[str, str]

    def match(self, path: str) -> dict[str, str] | None:
        """Match a decoded path without its leading slash; return the parameters with a value, or `None`."""
        found = self.pattern.fullmatch(path)
        if not found:
            return None
        values = {name: value for name, value in found.groupdict().items() if value}
        for name, value in values.items():
            if not all(check(value) for check in self.checks[name]):
                return None
        return {**self.defaults, **values}


def compile_route(template: str) -> Route:
    """Compile a template. Literals match in any case; a trailing slash is ignored.

    Raises:
        RouteError: unbalanced braces, an unknown constraint, a parameter twice, or an optional one not at
        the end.
    """
    checks: dict[str, tuple[Callable[[str], bool], ...]] = {}
    defaults: dict[str, str] = {}
    pattern, may_end = "", False
    for number, segment in enumerate(_split(template)):
        slash = "/" if number else ""
        found = PARAMETER.fullmatch(segment[1:-1]) if segment.startswith("{") else None
        if found is None:
            if may_end:
                raise RouteError(f"'{template}': only the last parameters may be optional")
            pattern += slash + _complex_segment(segment, template, checks)
            continue
        _add_parameter(found, template, checks)
        may_end = _may_be_absent(found, may_end, template)
        if found["default"] is not None:
            defaults[found["name"]] = found["default"]
        group = f"{slash}(?P<{found['name']}>{'.*' if found['stars'] else '[^/]+'})"
        pattern += f"(?:{group})?" if may_end else group
    return Route(re.compile(pattern + "/?", re.IGNORECASE), checks, defaults)


def _may_be_absent(found: re.Match[str], may_end: bool, template: str) -> bool:
    absent = bool(found["optional"] or found["stars"] or found["default"] is not None)
    if may_end and not absent:
        raise RouteError(f"'{template}': only the last parameters may be optional")
    return absent


def _split(template: str) -> list[str]:
    """Split a template at the slashes outside braces."""
    if template.count("{") != template.count("}"):
        raise RouteError(f"'{template}': the braces do not match")
    if re.search(r"[?~]", re.sub(r"\{[^}]*\}", "", template)) or "//" in template:
        raise RouteError(f"'{template}' is not a valid route template")
    return re.findall(r"(?:\{[^}]*\}|[^/{}])+", template)


def _complex_segment(
    segment: str, template: str, checks: dict[str, tuple[Callable[[str], bool], ...]]
) -> str:
    """Compile a segment that mixes text and parameters, such as `{name}.{extension}`."""
    pattern = ""
    for part in re.findall(r"\{[^}]*\}|[^{}]+", segment):
        if not part.startswith("{"):
            pattern += re.escape(part)
            continue
        found = PARAMETER.fullmatch(part[1:-1])
        if found is None or found["stars"] or found["optional"] or found["default"] is not None:
            raise RouteError(f"'{template}': {part} is not a valid parameter")
        _add_parameter(found, template, checks)
        pattern += f"(?P<{found['name']}>[^/]+)"
    return pattern


def _add_parameter(
    found: re.Match[str], template: str, checks: dict[str, tuple[Callable[[str], bool], ...]]
) -> None:
    if found["name"] in checks:
        raise RouteError(f"'{template}': the parameter {found['name']} appears twice")
    constraints = CONSTRAINT.findall(found["constraints"])
    checks[found["name"]] = tuple(_constraint(name.lower(), args, template) for name, args in constraints)


def _constraint(name: str, args: str, template: str) -> Callable[[str], bool]:
    if name in PLAIN and not args:
        return PLAIN[name]
    if name == "regex":
        pattern = re.compile(args, re.IGNORECASE)
        return lambda value: pattern.search(value) is not None
    try:
        return NUMERIC[name](*(int(each) for each in args.split(",")))
    except (KeyError, TypeError, ValueError) as error:
        raise RouteError(f"'{template}': the constraint {name}({args}) is not supported") from error
