"""Match route templates as ASP.NET does: `users/{user}/sync`, `{source:alpha?}`, `{*path}`.

Only the last segment may be optional or a catch-all, and few constraints are supported. Other templates are
refused: learn.microsoft.com/aspnet/core/fundamentals/routing#route-templates
"""

import re
from dataclasses import dataclass

PARAMETER = re.compile(
    r"\{(?P<stars>\*{0,2})(?P<name>[A-Za-z_]\w*)(?::(?P<constraint>\w+))?(?P<optional>\?)?\}"
)
LITERAL = re.compile(r"[^{}?~]+")
CONSTRAINTS = {"alpha": "[A-Za-z]+", "int": r"[+-]?\d{1,9}"}


class RouteError(ValueError):
    """The template is not valid, or not supported here; the message says why."""


@dataclass(frozen=True)
class Route:
    """A compiled template."""

    pattern: re.Pattern[str]

    def match(self, path: str) -> dict[str, str] | None:
        """Match a decoded path without its leading slash; return the parameters with a value, or `None`."""
        found = self.pattern.fullmatch(path)
        return {name: value for name, value in found.groupdict().items() if value} if found else None


def compile_route(template: str) -> Route:
    """Compile a template. Literals match in any case; a trailing slash is ignored.

    Raises:
        RouteError: the template is not valid or not supported.
    """
    segments = template.split("/") if template else []
    names: set[str] = set()
    pattern = ""
    for number, segment in enumerate(segments):
        slash = "/" if number else ""
        if LITERAL.fullmatch(segment):
            pattern += slash + re.escape(segment)
            continue
        found = PARAMETER.fullmatch(segment)
        if not found:
            raise RouteError(f"'{template}': '{segment}' is not a valid segment, or not supported")
        if found["name"] in names:
            raise RouteError(f"'{template}': the parameter {found['name']} appears twice")
        names.add(found["name"])
        group = f"{slash}(?P<{found['name']}>{_value(found, template)})"
        is_last = number == len(segments) - 1
        may_be_absent = bool(found["optional"] or found["stars"])
        if may_be_absent and not is_last:
            raise RouteError(f"'{template}': only the last segment may be optional")
        pattern += f"(?:{group})?" if may_be_absent else group
    return Route(re.compile(pattern + "/?", re.IGNORECASE))


def _value(found: re.Match[str], template: str) -> str:
    """Return the pattern of a parameter's value."""
    constraint = found["constraint"]
    if constraint is None:
        return ".*" if found["stars"] else "[^/]+"
    if constraint.lower() not in CONSTRAINTS:
        raise RouteError(f"'{template}': the constraint {constraint} is not supported")
    return CONSTRAINTS[constraint.lower()]
