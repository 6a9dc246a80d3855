"""`POST /$batch`: up to twenty requests in one.

learn.microsoft.com/graph/json-batching. Parts that do not depend on each other run in a random order, their
answers come in another, and the world may change between two parts.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from local.tenant.directory.world import World
from local.tenant.graph.operations import Router
from local.tenant.graph.wire import (
    JSON,
    GraphAnswer,
    GraphCall,
    GraphRefusal,
    Json,
    NoPhoto,
    bad_request,
    envelope,
    read_query,
)

type PartFault = Callable[[str, str], tuple[int, dict[str, str], Any] | None]

PARTS_MAX = 20
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
MEMBERS = ("id", "method", "url", "headers", "body", "dependsOn")


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


@dataclass(slots=True, eq=False)
class BatchHooks:
    """`between_parts` is called between two parts, outside the world's lock.

    `part_fault` may answer a part (method, url) in Graph's place: with status, headers and JSON body.
    """

    between_parts: Callable[[], None] | None = None
    part_fault: PartFault | None = None


class Batch:
    """Runs batches through the router."""

    def __init__(self, world: World, router: Router, hooks: BatchHooks) -> None:
        self._world = world
        self._router = router
        self._hooks = hooks

    def run(self, call: GraphCall) -> tuple[GraphAnswer, list[tuple[str, str, int]]]:
        """Return the batch's answer, and each part's method, URL and status in the order they ran.

        If the batch as a whole breaks a rule, nothing is run.
        """
        call.allow()
        parts, serial = _read_parts(call.json())
        if not serial:
            with self._world.lock:
                self._world.random.shuffle(parts)
        responses = self._run(call, parts)
        played = [(part.method, part.url, responses[part.id]["status"]) for part in parts]
        shuffled = list(responses.values())
        with self._world.lock:
            self._world.random.shuffle(shuffled)
        return GraphAnswer(self._status(shuffled), {"responses": shuffled}), played

    def _status(self, responses: list[Json]) -> int:
        """Return 200 even if every part failed; by knob 424 for throttled parts, as an older page says."""
        throttled = any(response["status"] == 429 for response in responses)
        return self._world.knobs.batch_throttled_outer if throttled else 200

    def _run(self, call: GraphCall, parts: list[BatchPart]) -> dict[str, Json]:
        responses: dict[str, Json] = {}
        for part in parts:
            if responses and self._hooks.between_parts:
                self._hooks.between_parts()
            if part.after is not None and responses[part.after]["status"] >= 400:
                text = "A request that this one depends on has failed."
                answer = self._refused(call, GraphRefusal(424, "FailedDependency", text))
            else:
                answer = self._answer(call, part)
            name = part.name.upper() if self._world.knobs.batch_ids == "upper" else part.name
            responses[part.id] = {"id": name, **answer}
        return responses

    def _answer(self, call: GraphCall, part: BatchPart) -> Json:
        """Return a part's status, headers and body."""
        fault = self._hooks.part_fault(part.method, part.url) if self._hooks.part_fault else None
        if fault:
            status, headers, body = fault
            return {"status": status, "headers": headers, "body": body}
        try:
            return _written(self._router.answer(_call(call, part)))
        except NoPhoto as refusal:
            # Without any body: github.com/microsoftgraph/microsoft-graph-docs/issues/1524
            answer = self._refused(call, refusal)
            return answer if self._world.knobs.batch_no_photo == "error" else answer | {"body": None}
        except GraphRefusal as refusal:
            return self._refused(call, refusal)

    def _refused(self, call: GraphCall, refusal: GraphRefusal) -> Json:
        body = envelope(refusal, self._world.clock.now(), call.trace)
        return _written(GraphAnswer(refusal.status, body, refusal.headers))


def _call(call: GraphCall, part: BatchPart) -> GraphCall:
    """Return the request that a part stands for. The path ends at an unencoded `#`."""
    url = urlsplit(part.url)
    return GraphCall(
        method=part.method,
        path=unquote(url.path),
        query=read_query(url.query),
        body=b"" if part.body is None else json.dumps(part.body).encode(),
        content_type=part.content_type,
        consistency=part.consistency,
        claims=call.claims,
        trace=call.trace,
    )


def _written(answer: GraphAnswer) -> Json:
    """Return an answer as a part of the response: an image is a base64 string, with its own headers."""
    if isinstance(answer.body, bytes):
        image = base64.b64encode(answer.body).decode("ascii")
        return {"status": answer.status, "headers": answer.headers, "body": image}
    headers = {"Cache-Control": "no-cache"} | ({"Content-Type": JSON} if answer.body is not None else {})
    return {"status": answer.status, "headers": headers | answer.headers, "body": answer.body}


def _read_parts(body: Json) -> tuple[list[BatchPart], bool]:
    """Return a batch's parts in their order, and whether they are to run in that order."""
    requests = body.get("requests")
    if not isinstance(requests, list) or not requests or body.keys() != {"requests"}:
        raise bad_request("The batch payload must have one property, 'requests': an array that is not empty.")
    if len(requests) > PARTS_MAX:
        message = f"Number of batch request steps exceeds the maximum value of {PARTS_MAX}."
        raise GraphRefusal(400, "MaximumValueExceeded", message)
    parts = [_read_part(request) for request in requests]
    if len({part.id for part in parts}) < len(parts):
        raise bad_request("Each request of a batch must have an id of its own, whatever its case.")
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
        raise bad_request("Invalid dependency: all requests, or none, depend on the one before them.")
    return True


def _read_part(request: object) -> BatchPart:
    if not isinstance(request, dict) or not request.keys() <= set(MEMBERS):
        raise bad_request(f"A request of a batch has {', '.join(MEMBERS)}, and nothing else.")
    name, method, url = (request.get(key) for key in ("id", "method", "url"))
    if not isinstance(name, str) or not name:
        raise bad_request("Each request of a batch needs an id that is a string.")
    if not isinstance(method, str) or method.upper() not in METHODS:
        raise bad_request(f"The request '{name}' has no method that Graph knows.")
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
        raise bad_request(f"The url of the request '{name}' must be relative and begin with '/'.")
    if urlsplit(url).path.lower().rstrip("/") == "/$batch":
        raise bad_request("A batch cannot contain a batch.")
    return url


def _read_headers(name: str, request: Json) -> dict[str, str]:
    """Return a part's headers by their lower-case names; with a body there must be its type."""
    headers = request.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise bad_request(f"The headers of the request '{name}' must be an object of strings.")
    folded = {key.lower(): value for key, value in headers.items()}
    if request.get("body") is not None and not folded.get("content-type"):
        raise bad_request(f"The request '{name}' has a body and no Content-Type header.")
    return folded


def _read_dependency(name: str, value: object) -> str | None:
    if value is None or value == []:
        return None
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], str):
        raise bad_request(f"The dependsOn of the request '{name}' must be an array of one id.")
    return value[0].lower()
