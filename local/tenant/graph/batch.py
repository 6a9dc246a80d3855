"""`POST /$batch`: up to twenty requests in one.

learn.microsoft.com/graph/json-batching. Parts that do not depend on each other run in a random order, their
answers come in another, and the world may change between two parts.
"""

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from local.tenant.directory.world import World
from local.tenant.graph.batch_parts import BatchPart, read_parts
from local.tenant.graph.router import Router
from local.tenant.graph.wire import (
    JSON,
    GraphAnswer,
    GraphCall,
    GraphRefusal,
    Json,
    NoPhoto,
    envelope,
    read_query,
)

type PartFault = Callable[[str, str], tuple[int, dict[str, str], Any] | None]

FAILED_DEPENDENCY = 424


class Batch:
    """Runs batches through the router.

    `between_parts` is called between two parts, outside the world's lock. `part_fault` may answer a part
    (method, url) in Graph's place: with status, headers and JSON body.
    """

    def __init__(self, world: World, router: Router) -> None:
        self._world = world
        self._router = router
        self.between_parts: Callable[[], None] | None = None
        self.part_fault: PartFault | None = None

    def run(self, call: GraphCall) -> tuple[GraphAnswer, list[tuple[str, str, int]]]:
        """Return the batch's answer, and each part's method, URL and status in the order they ran.

        Raises:
            GraphRefusal: 400, the batch as a whole breaks a rule; nothing was run.
        """
        call.allow()
        parts, serial = read_parts(call.json())
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
            if responses and self.between_parts:
                self.between_parts()
            if part.after is not None and responses[part.after]["status"] >= 400:
                answer = self._refused(call, _dependency_failed())
            else:
                answer = self._answer(call, part)
            responses[part.id] = {"id": part.name, **answer}
        return responses

    def _answer(self, call: GraphCall, part: BatchPart) -> Json:
        """Return a part's status, headers and body."""
        fault = self.part_fault(part.method, part.url) if self.part_fault else None
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


def _dependency_failed() -> GraphRefusal:
    return GraphRefusal(
        FAILED_DEPENDENCY, "FailedDependency", "A request that this one depends on has failed."
    )
