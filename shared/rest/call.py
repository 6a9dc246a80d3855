"""One call of a remote service: what is sent, and what a successful answer holds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from shared.errors import TryLater
from shared.rest.gates import gate_of


@dataclass(frozen=True, slots=True)
class Response:
    """A successful answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    service: str

    def json(self) -> Any:
        """Return the decoded body; raise `TryLater` if it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise TryLater(self.service, "the answer is not JSON", status=self.status) from error


def whole(answer: Response) -> Response:
    """Return the answer itself: what `HttpClient.send` reads where the status says everything."""
    return answer


@dataclass(frozen=True, slots=True)
class Request:
    """What to send."""

    service: str  # its name, for errors and gates
    operation: str  # what is asked of it, in one word: a success of it ends a suspicion of the service
    method: str
    url: str  # absolute, https; its host is the audience of the token
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    writes: bool = False  # the call changes data, so without an answer its outcome is unknown
    repeatable: bool = True  # sending it twice has the same effect as sending it once
    accept: tuple[int, ...] = ()  # statuses besides 2xx that are not errors

    @property
    def host(self) -> str:
        """The host that is called."""
        return str(urlsplit(self.url).hostname)

    @property
    def gate(self) -> str:
        """The gate that this call passes."""
        return gate_of(self.service, self.host)
