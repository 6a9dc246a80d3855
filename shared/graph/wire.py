"""Send requests to Microsoft Graph: alone, page by page, and in batches whose parts may close the gate."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from shared.attempt import Attempt
from shared.errors import GRAPH, Endless, Refused, TryLater
from shared.graph import photo
from shared.graph.batch import is_part, read_part
from shared.graph.photo import BatchPart
from shared.rest.client import HttpClient, Request, Response

ABSENT = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
LONGEST_ADDRESS = 16_000  # characters of a next page, which a row must hold
FAILING_PARTS = 5  # parts; so many broken profiles seldom meet in one batch
_JSON = {"Content-Type": "application/json", "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class GraphConnection:
    """Sends requests to the Graph of one cloud; `base` is the start of its URLs."""

    rest: HttpClient
    base: str

    def get(self, url: str, attempt: Attempt) -> Response:
        """Return the answer to a GET."""
        # ConsistencyLevel: required by advanced queries, on every page; ignored by all others.
        headers = {"Accept": "application/json", "ConsistencyLevel": "eventual"}
        return self.rest.send(Request(GRAPH, "GET", url, headers=headers), attempt)

    def write(
        self, method: str, url: str, body: object, attempt: Attempt, *, repeatable: bool = True
    ) -> Response:
        """Return the answer to a write. `repeatable`: sending it twice has the same effect as once."""
        data = json.dumps(body).encode()
        # denied_alone: 403 is a quota of subscriptions
        call = Request(GRAPH, method, url, _JSON, data, writes=True, repeatable=repeatable, denied_alone=True)
        return self.rest.send(call, attempt)

    def batch(self, requests: Sequence[Mapping[str, Any]], attempt: Attempt) -> dict[str, BatchPart]:
        """Return the parts of a `$batch` by id, without those that Graph left out."""
        body = json.dumps({"requests": requests}).encode()
        # 424 is documented as the status of a whole batch with a throttled part; the parts decide.
        call = Request(GRAPH, "POST", f"{self.base}/$batch", _JSON, body, accept=(424,))
        answer = self.rest.send(call, attempt).json()
        parts = answer.get("responses") if isinstance(answer, dict) else None
        if not isinstance(parts, list):
            raise TryLater(GRAPH, "the batch has no responses")
        found = {part["id"]: read_part(part) for part in parts if is_part(part)}
        self._close_gate_for(list(found.values()))
        return found

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
        page = self.get(url, attempt).json()
        if not isinstance(page, dict) or not isinstance(page.get("value"), list):
            raise TryLater(GRAPH, "the page has no list called value")
        following = str(page.get("@odata.nextLink") or "")
        if len(following) > LONGEST_ADDRESS:
            raise Refused(GRAPH, "the next page's address is too long to be kept")
        return page["value"], following

    def photo_of(self, user: str, attempt: Attempt, *, content: bool = False) -> Response:
        """Request one user's photo alone: 404 is an answer, and a denial concerns no other user."""
        url = f"{self.base}/users/{user}/photo{'/$value' if content else ''}"
        headers = {"Accept": "*/*" if content else "application/json"}
        return self.rest.send(Request(GRAPH, "GET", url, headers, accept=ABSENT, denied_alone=True), attempt)

    def delete(self, url: str, attempt: Attempt) -> None:
        """Delete a resource; succeed if it does not exist."""
        self.rest.send(Request(GRAPH, "DELETE", url, writes=True, accept=(404,)), attempt)

    def _close_gate_for(self, parts: Sequence[BatchPart]) -> None:
        """Close Graph's gate if a part is throttled, or if all parts fail or are denied.

        Parts are throttled one by one, in their own headers (learn.microsoft.com/graph/throttling). A part
        that is only busy, however long it asks to wait, may concern the server of one mailbox: only its user
        waits. A few parts that all fail may be the same broken profiles repeatedly, which must not stop all
        users; the next full batch notices an outage. If every part is denied, a permission is missing.
        """
        throttled = [part.retry_after for part in parts if part.status == HTTPStatus.TOO_MANY_REQUESTS]
        if throttled:
            longest = max((after for after in throttled if after is not None), default=None)
            self.rest.close_gate(GRAPH, longest, "parts of a batch are throttled")
            return
        kinds = {type(photo.classify_photo(part)) for part in parts}
        if len(parts) >= FAILING_PARTS and kinds == {photo.Unavailable}:
            self.rest.close_gate(GRAPH, None, "every part of a batch failed")
        elif len(parts) > 1 and kinds == {photo.PhotoDenied}:
            self.rest.close_denied(GRAPH, self.base, "every part of a batch is denied")
