"""What we ask of Microsoft Graph, and nothing else: verbs. What an answer means is decided in `photos`.

Facts: learn.microsoft.com/graph/json-batching, .../graph/api/profilephoto-get and
.../graph/api/resources/subscription.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from shared import backoff, photos
from shared.errors import Denied, Gone, Refused, TryLater
from shared.photos import Gathered, Part, Photo, Source, User
from shared.rest import Answer, Attempt, Call, Rest
from shared.subscriptions import CHANGE_TYPE, RESOURCE, Subscription

SERVICE = "graph"
_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
_USER_FIELDS = "id,userPrincipalName,accountEnabled,userType"


class Graph:
    """Microsoft Graph v1.0 at one cloud's host."""

    def __init__(self, rest: Rest, host: str) -> None:
        self._rest = rest
        self._base = f"https://{host}/v1.0"

    # --- photos and users ---

    def photos(self, users: Sequence[str], attempt: Attempt) -> dict[str, Source]:
        """Return what Graph says of each user's photo, in one `$batch`.

        Args:
            users: object ids, at most 20.
            attempt: the attempt that asks.
        """
        requests = [{"id": user, "method": "GET", "url": f"/users/{user}/photo"} for user in users]
        parts = self._batch(requests, attempt)
        return {
            user: photos.classify(parts[user]) if user in parts else photos.Unavailable() for user in users
        }

    def gather(self, user: str, attempt: Attempt) -> Gathered:
        """Return the user, his photo's metadata and its bytes, in one `$batch` that runs in this order.

        The photo may still change between the parts; `Gathered.content_etag` is the bytes' own.

        Raises:
            TryLater, Denied, Refused: Graph could not say what this user's photo is.
        """
        parts = self._batch(
            [
                {"id": "user", "method": "GET", "url": f"/users/{user}?$select={_USER_FIELDS}"},
                {"id": "photo", "method": "GET", "url": f"/users/{user}/photo", "dependsOn": ["user"]},
                {
                    "id": "bytes",
                    "method": "GET",
                    "url": f"/users/{user}/photo/$value",
                    "dependsOn": ["photo"],
                },
            ],
            attempt,
        )
        person = self._user_part(parts.get("user"))
        if person is None:
            return Gathered(None, photos.UserGone())
        source = _certain(photos.classify(parts["photo"]) if "photo" in parts else photos.Unavailable())
        if not isinstance(source, Photo):
            return Gathered(person, source)
        return self._with_content(person, source, parts.get("bytes"), attempt)

    def find_user(self, key: str, attempt: Attempt) -> User:
        """Return the user whose object id or UPN is `key`.

        Raises:
            Gone: the directory does not know him.
        """
        url = f"{self._base}/users/{quote(key, safe='')}?$select={_USER_FIELDS}"
        return _user(self._get(url, attempt).json())

    def _with_content(self, user: User, source: Photo, part: Part | None, attempt: Attempt) -> Gathered:
        _require_answer(part)
        content = _decoded(part)
        etag = part.headers.get("etag", "") if part and content is not None else ""
        if content is None:
            # A part that is missing or not base64: the bytes alone, raw.
            try:
                answer = self._get(f"{self._base}/users/{user.id}/photo/$value", attempt, accept="*/*")
            except Gone:  # removed since its metadata was read
                return Gathered(user, source)
            content, etag = answer.body, answer.headers.get("etag", "")
        if not etag:
            # Bytes without a label take the metadata's, if it is the same after them as before.
            after = _certain(photos.classify(_part_of(self._get_photo(user.id, attempt))))
            etag = source.etag if after == source else ""
        return Gathered(user, source, content, etag)

    def _get_photo(self, user: str, attempt: Attempt) -> Answer:
        url = f"{self._base}/users/{user}/photo"
        return self._rest.send(Call(SERVICE, "GET", url, headers=_JSON, accept=(404,)), attempt)

    def _user_part(self, part: Part | None) -> User | None:
        if part is None:
            raise TryLater(SERVICE, "no answer about the user")
        _require_answer(part)
        if part.status == 404:
            return None
        if part.status >= 300:
            raise Refused(
                SERVICE, f"{part.status} {photos.error_code(part.body)}".rstrip(), status=part.status
            )
        return _user(part.body)

    # --- subscriptions ---

    def subscriptions(self, attempt: Attempt) -> list[Subscription]:
        """Return every subscription that this application created, `clientState` aside, which Graph keeps."""
        pages = self._pages(f"{self._base}/subscriptions", attempt)
        return [_subscription(item) for page in pages for item in page]

    def create_subscription(
        self, notification_url: str, lifecycle_url: str, client_state: str, expires: float, attempt: Attempt
    ) -> Subscription:
        """Create our subscription and return it with the expiry that Graph chose.

        Raises:
            Refused: 400 where a URL did not pass its validation, 403 beyond a quota, 409 where one exists.
        """
        body = {
            "changeType": CHANGE_TYPE,
            "resource": RESOURCE,
            "notificationUrl": notification_url,
            "lifecycleNotificationUrl": lifecycle_url,
            "clientState": client_state,
            "expirationDateTime": _iso(expires),
            "latestSupportedTlsVersion": "v1_2",
        }
        url = f"{self._base}/subscriptions"
        return _subscription(self._write("POST", url, body, attempt, repeatable=False).json())

    def renew_subscription(self, subscription: str, expires: float, attempt: Attempt) -> Subscription:
        """Move the expiry, which also reauthorises, and return the subscription with the expiry Graph chose.

        Raises:
            Gone: the subscription is lost; create another.
        """
        url = f"{self._base}/subscriptions/{quote(subscription, safe='')}"
        return _subscription(self._write("PATCH", url, {"expirationDateTime": _iso(expires)}, attempt).json())

    def delete_subscription(self, subscription: str, attempt: Attempt) -> None:
        """Delete a subscription; one that is gone already is as good as deleted."""
        url = f"{self._base}/subscriptions/{quote(subscription, safe='')}"
        self._rest.send(Call(SERVICE, "DELETE", url, writes=True, accept=(404,)), attempt)

    # --- the wire ---

    def _get(self, url: str, attempt: Attempt, *, accept: str = "application/json") -> Answer:
        return self._rest.send(Call(SERVICE, "GET", url, headers={"Accept": accept}), attempt)

    def _write(
        self, method: str, url: str, body: object, attempt: Attempt, *, repeatable: bool = True
    ) -> Answer:
        data = json.dumps(body).encode()
        return self._rest.send(
            Call(SERVICE, method, url, headers=_JSON, body=data, writes=True, repeatable=repeatable), attempt
        )

    def _batch(self, requests: Sequence[Mapping[str, Any]], attempt: Attempt) -> dict[str, Part]:
        body = json.dumps({"requests": requests}).encode()
        call = Call(SERVICE, "POST", f"{self._base}/$batch", headers=_JSON, body=body, accept=(424,))
        # 424 as the whole batch's status has been documented where a part was throttled; its parts count.
        answer = self._rest.send(call, attempt).json()
        parts = answer.get("responses") if isinstance(answer, dict) else None
        if not isinstance(parts, list):
            raise TryLater(SERVICE, "the batch has no responses")
        return {part["id"]: _part(part) for part in parts if _is_part(part)}

    def _pages(self, url: str, attempt: Attempt) -> Iterator[list[Any]]:
        while url:
            if not url.startswith(f"{self._base}/"):  # the token goes nowhere else
                raise Refused(SERVICE, "the next page is not on Graph's host")
            page = self._get(url, attempt).json()
            if not isinstance(page, dict) or not isinstance(page.get("value"), list):
                raise TryLater(SERVICE, "the page has no list called value")
            yield page["value"]
            url = str(page.get("@odata.nextLink") or "")


def _is_part(part: object) -> bool:
    return isinstance(part, dict) and isinstance(part.get("id"), str) and isinstance(part.get("status"), int)


def _part(part: Mapping[str, Any]) -> Part:
    given = part.get("headers")
    headers = {str(k).lower(): str(v) for k, v in given.items()} if isinstance(given, dict) else {}
    after = backoff.parse_retry_after(headers.get("retry-after"))
    return Part(part["status"], headers, part.get("body"), after)


def _part_of(answer: Answer) -> Part:
    return Part(answer.status, answer.headers, answer.json() if answer.body else None)


def _decoded(part: Part | None) -> bytes | None:
    """Return the bytes of a `$batch` part, None where it has none: they come as base64 text."""
    if part is None or part.status != 200 or not isinstance(part.body, str):
        return None
    try:
        return base64.b64decode(part.body, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _certain(source: Source) -> Photo | photos.NoPhoto | photos.NoMailbox | photos.UserGone:
    """Return the source if Graph could say what it is, else raise what the caller does next."""
    match source:
        case photos.Unavailable(after):
            raise TryLater(SERVICE, "Graph cannot now", after=after)
        case photos.Denied(code):
            raise Denied(SERVICE, f"may not read users or photos {code}".rstrip(), status=403, code=code)
        case photos.Failed(status, code):
            raise Refused(SERVICE, f"{status} {code}".rstrip(), status=status, code=code)
        case _:
            return source


def _require_answer(part: Part | None) -> None:
    """Raise what the caller does next where a part says "not now" or "not you"; all else is an answer."""
    if part and part.status >= 400:
        source = photos.classify(part)
        if isinstance(source, photos.Unavailable | photos.Denied):
            _certain(source)


def _user(body: Any) -> User:
    if not isinstance(body, dict) or not body.get("id") or not body.get("userPrincipalName"):
        raise TryLater(SERVICE, "a user without id or UPN")
    return User(
        id=str(body["id"]).lower(),
        upn=str(body["userPrincipalName"]),
        enabled=body.get("accountEnabled") is not False,
        guest=str(body.get("userType")).lower() == "guest",
    )


def _subscription(body: Any) -> Subscription:
    if not isinstance(body, dict) or not body.get("id"):
        raise TryLater(SERVICE, "a subscription without id")
    return Subscription(
        id=str(body["id"]),
        resource=str(body.get("resource") or ""),
        notification_url=str(body.get("notificationUrl") or ""),
        lifecycle_url=str(body.get("lifecycleNotificationUrl") or ""),
        expires=_unix(str(body.get("expirationDateTime") or "")),
    )


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _unix(text: str) -> float:
    """Return the Unix seconds of an RFC 3339 time with any offset; Graph writes seven fractional digits."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
