"""The rules for a whole `$batch`: learn.microsoft.com/graph/json-batching."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from local.tenant.graph.wire import GraphRefusal, Json

PARTS_MAX = 20
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
MEMBERS = frozenset({"id", "method", "url", "headers", "body", "dependsOn"})


@dataclass(frozen=True, slots=True)
class BatchPart:
    """One request of a batch. `name` is its id as written, `id` is compared."""

    name: str
    method: str
    url: str
    body: Any
    content_type: str
    consistency: str
    after: str | None  # the id of the part it depends on

    @property
    def id(self) -> str:
        """The id in lower case: ids do not differ by case alone."""
        return self.name.lower()


def read_parts(body: Json) -> tuple[list[BatchPart], bool]:
    """Return a batch's parts in their order, and whether they are to run in that order.

    Raises:
        GraphRefusal: 400; the batch breaks a rule.
    """
    requests = body.get("requests")
    if not isinstance(requests, list) or not requests or body.keys() != {"requests"}:
        raise _invalid("The batch payload must have one property, 'requests': an array that is not empty.")
    if len(requests) > PARTS_MAX:
        message = f"Number of batch request steps exceeds the maximum value of {PARTS_MAX}."
        raise GraphRefusal(400, "MaximumValueExceeded", message)
    parts = [_read_part(request) for request in requests]
    if len({part.id for part in parts}) < len(parts):
        raise _invalid("Each request of a batch must have an id of its own, whatever its case.")
    return parts, _is_serial(parts)


def _is_serial(parts: list[BatchPart]) -> bool:
    """Return whether each part waits for the one before it.

    Refuses any dependency that is not of that kind: a batch is fully serial or fully parallel. A part can
    only wait for an earlier one (github.com/microsoftgraph/msgraph-sdk-dotnet-core/issues/891).
    """
    after = [part.after for part in parts]
    if not any(after):
        return False
    if after != [None, *(part.id for part in parts[:-1])]:
        raise _invalid("Invalid dependency: all requests of a batch, or none, depend on the one before them.")
    return True


def _read_part(request: object) -> BatchPart:
    if not isinstance(request, dict) or not request.keys() <= MEMBERS:
        raise _invalid(
            "A request of a batch has id, method, url, headers, body and dependsOn, and nothing else."
        )
    name, method, url = (request.get(key) for key in ("id", "method", "url"))
    if not isinstance(name, str) or not name:
        raise _invalid("Each request of a batch needs an id that is a string.")
    if not isinstance(method, str) or method.upper() not in METHODS:
        raise _invalid(f"The request '{name}' has no method that Graph knows.")
    headers = _read_headers(name, request)
    return BatchPart(
        name=name,
        method=method.upper(),
        url=_read_url(name, url),
        body=request.get("body"),
        content_type=headers.get("content-type", ""),
        consistency=headers.get("consistencylevel", ""),
        after=_read_dependency(name, request.get("dependsOn")),
    )


def _read_url(name: str, url: object) -> str:
    """Return a part's URL: relative, without host or version, and not another batch's."""
    if not isinstance(url, str) or not url.startswith("/") or url.startswith("//"):
        raise _invalid(f"The url of the request '{name}' must be relative and begin with '/'.")
    if urlsplit(url).path.lower().rstrip("/") == "/$batch":
        raise _invalid("A batch cannot contain a batch.")
    return url


def _read_headers(name: str, request: Json) -> dict[str, str]:
    """Return a part's headers by their lower-case names; with a body there must be its type."""
    headers = request.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise _invalid(f"The headers of the request '{name}' must be an object of strings.")
    folded = {key.lower(): value for key, value in headers.items()}
    if request.get("body") is not None and not folded.get("content-type"):
        raise _invalid(f"The request '{name}' has a body and no Content-Type header.")
    return folded


def _read_dependency(name: str, value: object) -> str | None:
    if value is None or value == []:
        return None
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], str):
        raise _invalid(f"The dependsOn of the request '{name}' must be an array of one id.")
    return value[0].lower()


def _invalid(message: str) -> GraphRefusal:
    return GraphRefusal(400, "BadRequest", message)
