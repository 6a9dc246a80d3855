"""Send requests to Microsoft Graph: alone, page by page, and in batches."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from shared.attempt import Attempt
from shared.errors import GRAPH, Denied, Endless, Refused, TryLater
from shared.graph.batch import PHOTOS, is_part, read_part
from shared.graph.photo import BatchPart
from shared.rest.call import Request, Response, whole
from shared.rest.client import HttpClient

ABSENT = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
LONGEST_ADDRESS = 16_000  # characters of a next page, which a row must hold
_JSON = {"Content-Type": "application/json", "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class GraphConnection:
    """Sends requests to the Graph of one cloud; `base` is the start of its URLs."""

    rest: HttpClient
    base: str

    def get[T](self, operation: str, url: str, attempt: Attempt, read: Callable[[Any], T]) -> T:
        """Return what `read` makes of the JSON that answers a GET."""
        # ConsistencyLevel: required by advanced queries, on every page; ignored by all others.
        headers = {"Accept": "application/json", "ConsistencyLevel": "eventual"}
        call = Request(GRAPH, operation, "GET", url, headers=headers)
        return self.rest.send(call, attempt, lambda answer: read(answer.json()))

    def write[T](
        self,
        method: str,
        url: str,
        body: object,
        attempt: Attempt,
        read: Callable[[Any], T],
        *,
        repeatable: bool = True,
    ) -> T:
        """Return what `read` makes of the JSON that answers a write of a subscription.

        `repeatable`: sending it twice has the same effect as once.
        """
        data, writes = json.dumps(body).encode(), True
        call = Request(GRAPH, "subscription", method, url, _JSON, data, writes=writes, repeatable=repeatable)
        return self.rest.send(call, attempt, lambda answer: read(answer.json()))

    def batch(
        self, requests: Sequence[Mapping[str, Any]], attempt: Attempt, *, repeatable: bool = True
    ) -> dict[str, BatchPart]:
        """Return the parts of a `$batch` by id, without those that Graph left out.

        Ids do not differ by case alone, and Graph may return them in another case.
        """
        parts = self.rest.send(self._batch(requests, repeatable), attempt, self._parts)
        ids = {str(request["id"]).lower(): str(request["id"]) for request in requests}
        return {ids[key]: part for key, part in parts.items() if key in ids}

    def denied(self, error: Denied) -> Denied:
        """Return the denial of a part of a batch with what the token's roles say about it."""
        return self.rest.denied(self._batch([], repeatable=True), error)

    def answered(self) -> None:
        """Note that a part of a batch, or a photo alone, was answered."""
        self.rest.trust(GRAPH, PHOTOS)

    def items(self, url: str, attempt: Attempt) -> Iterator[Any]:
        """Yield the items of every page, from this URL on.

        Raises `Endless` where a page's successor is one that was read already.
        """
        read: set[str] = set()
        while url:
            if url in read:
                raise Endless(GRAPH, "a list comes back to a page that was read")
            read.add(url)
            page, url = self.page(url, attempt)
            yield from page

    def page(self, url: str, attempt: Attempt) -> tuple[list[Any], str]:
        """Return the items of a page, and the next page's URL, "" after the last."""
        if not url.startswith(f"{self.base}/"):  # the token is sent nowhere else
            raise Refused(GRAPH, "the next page is not on Graph's host")
        return self.get("list", url, attempt, _page)

    def photo_of(self, user: str, attempt: Attempt, *, content: bool = False) -> Response:
        """Request one user's photo alone: 404 is an answer."""
        url = f"{self.base}/users/{user}/photo{'/$value' if content else ''}"
        headers = {"Accept": "*/*" if content else "application/json"}
        return self.rest.send(Request(GRAPH, PHOTOS, "GET", url, headers, accept=ABSENT), attempt, whole)

    def delete(self, url: str, attempt: Attempt) -> None:
        """Delete a subscription; succeed if it does not exist."""
        call = Request(GRAPH, "subscription", "DELETE", url, writes=True, accept=(404,))
        self.rest.send(call, attempt, whole)

    def _batch(self, requests: Sequence[Mapping[str, Any]], repeatable: bool) -> Request:
        body, url = json.dumps({"requests": requests}).encode(), f"{self.base}/$batch"
        # 424 is documented as the status of a whole batch with a throttled part; the parts decide.
        return Request(GRAPH, "batch", "POST", url, _JSON, body, repeatable=repeatable, accept=(424,))

    def _parts(self, answer: Response) -> dict[str, BatchPart]:
        body = answer.json()
        parts = body.get("responses") if isinstance(body, dict) else None
        if not isinstance(parts, list):
            raise TryLater(GRAPH, "the batch has no responses")
        now = self.rest.clock.now()
        return {part["id"].lower(): read_part(part, now) for part in parts if is_part(part)}


def _page(body: Any) -> tuple[list[Any], str]:
    if not isinstance(body, dict) or not isinstance(body.get("value"), list):
        raise TryLater(GRAPH, "the page has no list called value")
    following = str(body.get("@odata.nextLink") or "")
    if len(following) > LONGEST_ADDRESS:
        raise Refused(GRAPH, "the next page's address is too long to be kept")
    return body["value"], following
