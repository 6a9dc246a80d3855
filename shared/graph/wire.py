"""How requests travel to Microsoft Graph: one by one, page by page, and in batches whose parts are minded."""

import json
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from shared.attempt import Attempt
from shared.errors import Refused, TryLater
from shared.graph import photo
from shared.graph.batch import SERVICE, is_part, read_part
from shared.graph.photo import BatchPart
from shared.rest.client import HttpClient, Request, Response

ABSENT = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
FAILING_PARTS = 5  # parts; as many broken profiles are seldom asked for together
_JSON = {"Content-Type": "application/json", "Accept": "application/json"}


class GraphConnection:
    """Sends calls to one cloud's Graph; `base` is where its addresses begin."""

    def __init__(self, rest: HttpClient, base: str) -> None:
        self._rest = rest
        self._base = base

    def get(self, url: str, attempt: Attempt) -> Response:
        """Return what Graph answers to a GET."""
        # ConsistencyLevel: asked for by advanced queries, on every page; ignored by all others.
        headers = {"Accept": "application/json", "ConsistencyLevel": "eventual"}
        return self._rest.send(Request(SERVICE, "GET", url, headers=headers), attempt)

    def write(
        self, method: str, url: str, body: object, attempt: Attempt, *, repeatable: bool = True
    ) -> Response:
        """Return what Graph answers to a write. `repeatable`: twice is the same as once."""
        call = Request(
            SERVICE,
            method,
            url,
            headers=_JSON,
            body=json.dumps(body).encode(),
            writes=True,
            repeatable=repeatable,
            denied_alone=True,  # 403 is a quota of subscriptions
        )
        return self._rest.send(call, attempt)

    def batch(self, requests: Sequence[Mapping[str, Any]], attempt: Attempt) -> dict[str, BatchPart]:
        """Return the parts of a `$batch` by their ids; one that Graph left out is missing."""
        body = json.dumps({"requests": requests}).encode()
        call = Request(SERVICE, "POST", f"{self._base}/$batch", headers=_JSON, body=body, accept=(424,))
        # 424 as the whole batch's status has been documented where a part was throttled; its parts count.
        answer = self._rest.send(call, attempt).json()
        parts = answer.get("responses") if isinstance(answer, dict) else None
        if not isinstance(parts, list):
            raise TryLater(SERVICE, "the batch has no responses")
        found = {part["id"]: read_part(part) for part in parts if is_part(part)}
        self._mind(list(found.values()))
        return found

    def pages(self, url: str, attempt: Attempt) -> Iterator[list[Any]]:
        """Yield the items of every page, from this address on."""
        while url:
            page, url = self.page(url, attempt)
            yield page

    def page(self, url: str, attempt: Attempt) -> tuple[list[Any], str]:
        """Return the items of a page, and the next page's address, "" after the last."""
        if not url.startswith(f"{self._base}/"):  # the token goes nowhere else
            raise Refused(SERVICE, "the next page is not on Graph's host")
        page = self.get(url, attempt).json()
        if not isinstance(page, dict) or not isinstance(page.get("value"), list):
            raise TryLater(SERVICE, "the page has no list called value")
        return page["value"], str(page.get("@odata.nextLink") or "")

    def of_one(self, url: str, attempt: Attempt, *, accept: str = "application/json") -> Response:
        """Ask for one user's photo alone: "none" is an answer, and a denial speaks of no other user."""
        call = Request(SERVICE, "GET", url, headers={"Accept": accept}, accept=ABSENT, denied_alone=True)
        return self._rest.send(call, attempt)

    def delete(self, url: str, attempt: Attempt) -> None:
        """Delete what is there; what is gone already is as good as deleted."""
        self._rest.send(Request(SERVICE, "DELETE", url, writes=True, accept=(404,)), attempt)

    def _mind(self, parts: Sequence[BatchPart]) -> None:
        """Close Graph's gate where its parts say so: one that is throttled, or all of them in one voice.

        Parts are throttled one by one, in their own headers (learn.microsoft.com/graph/throttling). One that
        is only busy, for however long it says, may be the server of one mailbox: its own user waits for it.
        A few that all fail may be the same broken profiles again and again, which must not stop everybody; an
        outage is noticed by the next full batch. One that denies them all is a missing permission.
        """
        throttled = [part.retry_after for part in parts if part.status == HTTPStatus.TOO_MANY_REQUESTS]
        if throttled:
            longest = max((after for after in throttled if after is not None), default=None)
            self._rest.close_gate(SERVICE, longest, "parts of a batch are throttled")
            return
        kinds = {type(photo.classify_photo(part)) for part in parts}
        if len(parts) >= FAILING_PARTS and kinds == {photo.Unavailable}:
            self._rest.close_gate(SERVICE, None, "every part of a batch failed")
        elif len(parts) > 1 and kinds == {photo.PhotoDenied}:
            self._rest.close_denied(SERVICE, self._base, "every part of a batch is denied")
