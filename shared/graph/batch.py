"""The requests of a Graph `$batch` for one user, and what its parts mean. Pure; `wire` sends batches.

learn.microsoft.com/graph/json-batching: parts come back in any order and are matched by id; a part whose
dependency failed has status 424.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from shared import backoff
from shared.errors import GRAPH, Denied, Refused, TryLater
from shared.graph import photo
from shared.graph.photo import BatchPart, Photo, PhotoSource
from shared.users import User

USER_FIELDS = "id,userPrincipalName,accountEnabled,userType"
PHOTOS = "photos"
"""The operation that parts of a batch belong to: the batch itself may succeed while all of them fail."""


def gather_requests(user: str, groups: Sequence[str]) -> list[dict[str, Any]]:
    """Return the requests that gather one user, each after the one before it."""
    path = f"/users/{user}"
    requests: list[dict[str, Any]] = [
        {"id": "user", "method": "GET", "url": f"{path}?$select={USER_FIELDS}"},
        {"id": "photo", "method": "GET", "url": f"{path}/photo"},
        {"id": "bytes", "method": "GET", "url": f"{path}/photo/$value"},
    ]
    if groups:
        post = {"headers": {"Content-Type": "application/json"}, "body": {"groupIds": list(groups)}}
        requests.insert(1, {"id": "groups", "method": "POST", "url": f"{path}/checkMemberGroups", **post})
    for before, request in pairwise(requests):
        request["dependsOn"] = [before["id"]]
    return requests


def read_user(part: BatchPart | None) -> User | None:
    """Return the user that a part describes, None if the directory does not know the user."""
    if part is None:
        raise TryLater(GRAPH, "no answer about the user", operation=PHOTOS)
    require_answer(part)
    if part.status == 404:
        return None
    if part.status >= 300:
        code = photo.graph_error_code(part.body)
        raise Refused(GRAPH, f"{part.status} {code}".rstrip(), status=part.status, operation=PHOTOS)
    return parse_user(part.body)


def parse_user(body: Any) -> User:
    """Return the user that a body describes; raise `TryLater` if it lacks an id or UPN."""
    if not isinstance(body, dict) or not body.get("id") or not body.get("userPrincipalName"):
        raise TryLater(GRAPH, "a user without id or UPN", operation=PHOTOS)
    return User(
        id=str(body["id"]).lower(),
        upn=str(body["userPrincipalName"]),
        enabled=body.get("accountEnabled") is not False,
        guest=str(body.get("userType")).lower() == "guest",
    )


def read_memberships(part: BatchPart | None) -> frozenset[str]:
    """Return the groups that a user belongs to, of those in the request."""
    require_answer(part)
    value = part.body.get("value") if part and isinstance(part.body, dict) else None
    if not isinstance(value, list):
        raise TryLater(GRAPH, "the memberships have no list called value", operation=PHOTOS)
    return frozenset(str(group).lower() for group in value)


def is_part(part: object) -> bool:
    """Return whether this is a part with an id and a status."""
    return isinstance(part, dict) and isinstance(part.get("id"), str) and isinstance(part.get("status"), int)


def read_part(part: Mapping[str, Any], now: float) -> BatchPart:
    """Return a part, with header names in lower case; `now` in Unix seconds."""
    given = part.get("headers")
    headers = {str(k).lower(): str(v) for k, v in given.items()} if isinstance(given, dict) else {}
    after = backoff.parse_retry_after(headers.get("retry-after"), now)
    return BatchPart(part["status"], headers, part.get("body"), after)


def read_bytes(part: BatchPart | None) -> bytes | None:
    """Return the bytes of a `$batch` part, None if it has none: they come as base64 text."""
    if part is None or part.status != 200 or not isinstance(part.body, str):
        return None
    try:
        return base64.b64decode(part.body, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def require_known(source: PhotoSource) -> Photo | photo.NoPhoto | photo.NoMailbox | photo.UserGone:
    """Return the source if Graph knows it, else raise the error that says what the caller does next."""
    match source:
        case photo.Unavailable(after):
            raise TryLater(GRAPH, "Graph cannot now", after=after, operation=PHOTOS)
        case photo.PhotoDenied(code):
            what = f"may not read users or photos {code}".rstrip()
            raise Denied(GRAPH, what, status=403, code=code, operation=PHOTOS)
        case photo.PhotoFailed(status, code):
            what = f"{status} {code}".rstrip()
            raise Refused(GRAPH, what, status=status, code=code, operation=PHOTOS)
        case _:
            return source


def require_answer(part: BatchPart | None) -> None:
    """Raise `TryLater` or `Denied` if a part reports either; any other part is an answer."""
    if part and part.status >= 400:
        source = photo.classify_photo(part)
        if isinstance(source, photo.Unavailable | photo.PhotoDenied):
            require_known(source)
