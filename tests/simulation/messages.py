"""Requests to Microsoft, their answers, and how it handles one of them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

GRAPH = "graph.microsoft.com"


@dataclass(frozen=True)
class Request:
    """A request."""

    method: str
    url: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return str(urlsplit(self.url).hostname)

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.url).path)

    @property
    def what(self) -> str:
        """For the trace."""
        if "/Files/Add" in self.url:
            return f"upload {self.path.rpartition('_')[2][:1]}"
        if "ProcessQuery" in self.url:
            return "set properties"
        if "GetFileBy" in self.url:
            return f"delete {self.path.rpartition('_')[2][:1]}"
        return f"{self.method} {self.path.rpartition('/')[2][:40]}"

    @property
    def writes(self) -> bool:
        """Whether it changes something in SharePoint."""
        return self.host != GRAPH and self.method == "POST"


@dataclass(frozen=True)
class Response:
    """An answer."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """The body as bytes."""
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Handling:
    """How Microsoft handles one request.

    Attributes:
        age: returns the age, in seconds, of the replica that answers the next part.
        part: returns the response that replaces that of a part of a batch, None to keep its own.
        properties: the number of properties that a query sets before it fails; None: it does not fail.
        on_change: is called with the kind of each change that took effect, the profile's owner or the file's
            name, and the value.
        circles: whether each page of a list names itself as the next one.
    """

    age: Callable[[], float]
    part: Callable[[], Response | None]
    properties: int | None
    on_change: Callable[[str, str, Any], object]
    circles: bool = False
