"""SharePoint's OData URLs: `web/GetFolderByServerRelativePath(decodedUrl='/a b')/Files?$select=Name`.

Paths arrive decoded once, as from a web server, so a percent-encoded quote is a quote; a quote inside a
literal is doubled. An argument may be an alias (`@v`) with its literal in the query.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from local.tenant.sharepoint.errors import SharePointRefusal, bad_query

ODataValue = str | bool | int

_STRING = r"'(?:[^']|'')*+'"
_SEGMENT = re.compile(rf"([A-Za-z_$][\w.]*)(?:\(((?:{_STRING}|[^'()])*+)\))?(?:/|$)")
_ARGUMENT = re.compile(rf"\s*(?:([A-Za-z_]\w*)\s*=\s*)?({_STRING}|@\w+|true|false|-?\d+)\s*(?:,(?=.)|$)")


@dataclass(frozen=True, slots=True)
class PathSegment:
    """One step of a path. `name` is lower-case (SharePoint ignores its case); so are the arguments' names."""

    name: str
    spelled: str
    arguments: Mapping[str, ODataValue]

    def text(self, name: str) -> str:
        """Return a string argument."""
        value = self.arguments.get(name.lower())
        if not isinstance(value, str):
            raise bad_query(f"The parameter {name} does not exist in method {self.spelled}.")
        return value

    def flag(self, name: str) -> bool:
        """Return a Boolean argument; a missing one is False."""
        value = self.arguments.get(name.lower(), False)
        if not isinstance(value, bool):
            text = f"Cannot convert the value of parameter {name} to the expected type 'Edm.Boolean'."
            raise bad_query(text)
        return value


def parse_path(path: str, query: Mapping[str, str]) -> list[PathSegment]:
    """Return the steps of a decoded path below `/_api/`, aliases replaced from `query`."""
    segments: list[PathSegment] = []
    at = 0
    text = path.rstrip("/")
    while at < len(text) or not segments:
        step = _SEGMENT.match(text, at)
        if step is None:
            raise bad_query(f'The expression "{path}" is not valid.')
        name, arguments = step.group(1), step.group(2)
        segments.append(PathSegment(name.lower(), name, _parse_arguments(arguments or "", query)))
        at = step.end()
    return segments


def _parse_arguments(text: str, query: Mapping[str, str]) -> dict[str, ODataValue]:
    arguments: dict[str, ODataValue] = {}
    at = 0
    while at < len(text):
        found = _ARGUMENT.match(text, at)
        if found is None:
            raise bad_query(f'The expression "{text}" is not valid.')
        name, value = found.groups()
        arguments[(name or str(len(arguments))).lower()] = _parse_literal(value, query)
        at = found.end()
    return arguments


def _parse_literal(text: str, query: Mapping[str, str]) -> ODataValue:
    if text.startswith("@"):
        aliased = query.get(text)
        if aliased is None or not re.fullmatch(_STRING, aliased):
            raise bad_query(f'The parameter alias "{text}" needs a quoted value in the query.')
        text = aliased
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    return text == "true" if text in {"true", "false"} else int(text)


def selected(query: Mapping[str, str], names: Iterable[str]) -> list[str] | None:
    """Return the properties in `$select` in the type's own spelling and order, None for all."""
    # SharePoint has other options, the emulated tenant does not, and it must not ignore a `$filter`.
    unknown = [option for option in query if option.startswith("$") and option.lower() != "$select"]
    if unknown:
        raise bad_query(f"The emulated tenant does not know the query option {unknown[0]}.")
    wanted = query.get("$select")
    if wanted is None or wanted.strip() == "*":
        return None
    asked = {name.strip().lower(): name.strip() for name in wanted.split(",")}
    chosen = [name for name in names if asked.pop(name.lower(), None) is not None]
    if asked:
        missing = next(iter(asked.values()))
        text = f"The field or property '{missing}' does not exist."
        raise SharePointRefusal(400, -1, "Microsoft.SharePoint.SPException", text)
    return chosen
