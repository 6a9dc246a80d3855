"""The `$filter` that the emulated directory understands: `property eq literal`, joined by `and`.

learn.microsoft.com/graph/aad-advanced-queries: other operators on users partly need
`ConsistencyLevel: eventual` and `$count`; they are refused here.
"""

import re
from dataclasses import dataclass

from local.tenant.graph.wire import GraphRefusal, Json

_CLAUSE = r"(\w+)\s+eq\s+('(?:[^']|'')*'|true|false)"
_FILTER = re.compile(rf"\s*{_CLAUSE}(?:\s+and\s+{_CLAUSE})*\s*")

_TYPES: dict[str, type[bool] | type[str]] = {
    "accountEnabled": bool,
    "displayName": str,
    "id": str,
    "mail": str,
    "userPrincipalName": str,
    "userType": str,
}


@dataclass(frozen=True, slots=True)
class UserFilter:
    """The properties that every user shown has. Text is compared in any case, as in the directory."""

    clauses: dict[str, bool | str]

    @property
    def properties(self) -> frozenset[str]:
        """The names of the properties that decide."""
        return frozenset(self.clauses)

    def passes(self, properties: Json) -> bool:
        """Return whether these properties satisfy every clause."""
        return all(_fold(properties[name]) == _fold(value) for name, value in self.clauses.items())


def read_filter(text: str) -> UserFilter:
    """Return the filter in `text`.

    Raises:
        GraphRefusal: it is not a conjunction of `eq`, or names an unknown property, or one twice.
    """
    if not _FILTER.fullmatch(text):
        raise GraphRefusal(
            400, "Request_UnsupportedQuery", f"Unsupported or invalid query filter clause: {text}"
        )
    clauses: dict[str, bool | str] = {}
    for name, literal in re.findall(_CLAUSE, text):
        value = literal[1:-1].replace("''", "'") if literal.startswith("'") else literal == "true"
        if _TYPES.get(name) is not type(value) or name in clauses:
            raise GraphRefusal(
                400,
                "Request_UnsupportedQuery",
                "Unsupported or invalid query filter clause specified for property "
                f"'{name}' of resource 'User'.",
            )
        clauses[name] = value
    return UserFilter(clauses)


def _fold(value: object) -> object:
    return value.casefold() if isinstance(value, str) else value
