"""The calls to Microsoft Graph. Not here: what an answer means (`photo`, `batch`), how it travels (`wire`).

Facts: learn.microsoft.com/graph/json-batching, .../graph/api/profilephoto-get and
.../graph/api/resources/subscription.
"""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from shared.attempt import Attempt
from shared.errors import GRAPH, Denied, Expired, Refused, RoleMissing, TryLater
from shared.graph import batch, photo
from shared.graph.batch import PHOTOS, USER_FIELDS
from shared.graph.photo import BatchPart, Gathered, Photo, PhotoSource
from shared.graph.subscription import (
    CHANGE_TYPE,
    RESOURCE,
    Subscription,
    iso_time,
    read_subscription,
)
from shared.graph.wire import ABSENT, GraphConnection
from shared.rest.call import Response
from shared.rest.client import HttpClient
from shared.users import Scope, User, object_id


class Graph:
    """Microsoft Graph v1.0 at the host of one cloud."""

    def __init__(self, rest: HttpClient, host: str) -> None:
        self._base = f"https://{host}/v1.0"
        self._wire = GraphConnection(rest, self._base)

    # --- photos and users ---

    def photos(
        self, users: Sequence[str], attempt: Attempt, *, listed: bool = False, repeatable: bool = True
    ) -> dict[str, PhotoSource]:
        """Return the state of each user's photo, by object id, from one `$batch`; at most 20 users.

        A 404 about the photo of a user who may not exist takes a second `$batch`, about those users
        themselves. `listed`: a page of the directory names all of them. `repeatable`: where it fails as a
        whole it is sent again at once.

        Raises `RoleMissing` where no user is answered and the token lacks the role.
        """
        requests = [{"id": user, "method": "GET", "url": f"/users/{user}/photo"} for user in users]
        parts = self._wire.batch(requests, attempt, repeatable=repeatable)
        found = {user: _source_in(parts.get(user)) for user in users}
        if any(isinstance(source, photo.ANSWERS) for source in found.values()):
            self._wire.answered()
        elif denied := [each for each in found.values() if isinstance(each, photo.PhotoDenied)]:
            self._require_role(denied[0])
        doubtful = [user for user in users if photo.needs_user(found[user], listed=listed)]
        about = self._about(doubtful, attempt) if doubtful else {}
        known = {user: photo.of_existing_user(found[user]) for user in users if listed}
        return found | known | {user: photo.with_user(found[user], about[user]) for user in doubtful}

    def _about(self, users: Sequence[str], attempt: Attempt) -> dict[str, BatchPart]:
        """Return the answer about each user; where there is none, only these users are asked for again."""
        requests = [{"id": user, "method": "GET", "url": f"/users/{user}?$select=id"} for user in users]
        try:
            parts = self._wire.batch(requests, attempt)
        except TryLater as error:
            return dict.fromkeys(users, BatchPart(503, {}, retry_after=error.after))
        except Refused as error:
            return dict.fromkeys(users, BatchPart(error.status or 400, {}))
        return {user: parts.get(user, BatchPart(503, {})) for user in users}

    def gather(self, user: str, attempt: Attempt, *, groups: Sequence[str] = ()) -> Gathered:
        """Return the user, the photo's metadata and its bytes, from one `$batch` that runs in this order.

        The photo may still change between the parts; `Gathered.content_etag` belongs to the bytes. `groups`
        are those of which the user's membership matters, at most 20; all ids are object ids.

        Raises `TryLater`, `Denied`, `Refused` where Graph did not return the state of the photo.
        """
        try:
            gathered = self._gathered(user, attempt, groups)
        except Denied as error:
            raise self._wire.denied(error) from error
        self._wire.answered()
        return gathered

    def _gathered(self, user: str, attempt: Attempt, groups: Sequence[str]) -> Gathered:
        parts = self._wire.batch(batch.gather_requests(user, groups), attempt)
        person = batch.read_user(parts.get("user"))
        if person is None:
            return Gathered(None, photo.UserGone())
        if groups:
            person = replace(person, groups=batch.read_memberships(parts.get("groups")))
        # The same answer contains the user, so that no answer about the photo says that they do not exist.
        source = batch.require_known(photo.of_existing_user(_source_in(parts.get("photo"))))
        if not isinstance(source, Photo):
            return Gathered(person, source)
        return self._with_content(person, source, parts.get("bytes"), attempt)

    def has_no_photo(self, user: str, attempt: Attempt) -> bool:
        """Return whether the bytes are gone, too: a separate request before a picture is removed."""
        answer = self._wire.photo_of(user, attempt, content=True)
        if answer.status == HTTPStatus.OK:  # a placeholder may stand for no photo
            return photo.is_placeholder(answer.body, answer.headers.get("etag", ""))
        missing = answer.status == HTTPStatus.NOT_FOUND
        return missing and _source_in(_part_of(answer)) == photo.NoPhoto(proven=True)

    def list_users(self, scope: Scope, address: str, attempt: Attempt) -> tuple[list[str], str]:
        """Return the object ids on one page of the users in scope, those of the excluded group among them.

        With them comes the next page's URL, "" after the last. `address` is that of this page as Graph gave
        it, "" for the first.

        Raises `Expired` where Graph no longer knows the URL.
        """
        page, following = self._page(address, self._first_page(scope), attempt)
        users = (_listed(item, any_type=scope.guests or bool(scope.group)) for item in page)
        return [user for user in users if user], following

    def list_members(self, group: str, address: str, attempt: Attempt) -> tuple[list[str], str]:
        """Return the object ids on one page of a group's users, including those of nested groups.

        The rest is as in `list_users`.
        """
        page, following = self._page(address, self._members(group, "id"), attempt)
        members = (object_id(item.get("id")) for item in page if isinstance(item, dict))
        return [member for member in members if member], following

    def _page(self, address: str, first: str, attempt: Attempt) -> tuple[list[Any], str]:
        try:
            return self._wire.page(address or first, attempt)
        except Refused as error:
            if address and error.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.GONE):
                raise Expired(GRAPH, "the page is forgotten", request_id=error.request_id) from error
            raise

    def _first_page(self, scope: Scope) -> str:
        if scope.group:
            return self._members(scope.group, "id,accountEnabled,userType")
        # userType is not filtered by Graph: old accounts have none.
        query = "$select=id,accountEnabled,userType&$filter=accountEnabled%20eq%20true&$top=999"
        return f"{self._base}/users?{query}"

    def _members(self, group: str, fields: str) -> str:
        # A cast to users is an "advanced query": learn.microsoft.com/graph/aad-advanced-queries
        cast = f"groups/{group}/transitiveMembers/microsoft.graph.user"
        return f"{self._base}/{cast}?$select={fields}&$count=true&$top=999"

    def find_user(self, key: str, attempt: Attempt) -> User:
        """Return the user whose object id or UPN is `key`.

        Raises `Gone` where the directory does not know the user.
        """
        url = f"{self._base}/users/{quote(key, safe='')}?$select={USER_FIELDS}"
        return self._wire.get("user", url, attempt, batch.parse_user)

    def _require_role(self, denied: photo.PhotoDenied) -> None:
        """Raise `RoleMissing` where the token's roles explain a denial."""
        try:
            batch.require_known(denied)
        except Denied as error:
            explained = self._wire.denied(error)
            if isinstance(explained, RoleMissing):
                raise explained from error

    def _with_content(self, user: User, source: Photo, part: BatchPart | None, attempt: Attempt) -> Gathered:
        batch.require_answer(part)
        content = batch.read_bytes(part)
        etag = part.headers.get("etag", "") if part and content is not None else ""
        if content is None:
            # The part is missing or not base64: request the raw bytes alone.
            answer = self._wire.photo_of(user.id, attempt, content=True)
            if answer.status in ABSENT:  # removed since its metadata was read
                return Gathered(user, source)
            content, etag = answer.body, answer.headers.get("etag", "")
        if not etag:
            # Bytes without an ETag take that of the metadata, if it is unchanged after them.
            after = _source_in(_part_of(self._wire.photo_of(user.id, attempt)))
            unchanged = batch.require_known(photo.of_existing_user(after)) == source
            etag = source.etag if unchanged else ""
        return Gathered(user, source, content, etag)

    # --- subscriptions ---

    def subscriptions(self, attempt: Attempt) -> list[Subscription]:
        """Return every subscription of this application, without `clientState`, which Graph never returns."""
        return [read_subscription(item) for item in self._wire.items(f"{self._base}/subscriptions", attempt)]

    def create_subscription(
        self, notification_url: str, lifecycle_url: str, client_state: str, expires: float, attempt: Attempt
    ) -> Subscription:
        """Create the subscription and return it with the expiry that Graph chose.

        Raises:
            Refused: 400 if a URL fails its validation, 403 beyond a quota, 409 if one exists.
        """
        body = {
            "changeType": CHANGE_TYPE,
            "resource": RESOURCE,
            "notificationUrl": notification_url,
            "lifecycleNotificationUrl": lifecycle_url,
            "clientState": client_state,
            "expirationDateTime": iso_time(expires),
            "latestSupportedTlsVersion": "v1_2",
        }
        url = f"{self._base}/subscriptions"
        return self._wire.write("POST", url, body, attempt, read_subscription, repeatable=False)

    def renew_subscription(self, subscription: str, expires: float, attempt: Attempt) -> Subscription:
        """Move the expiry, which also reauthorises, and return the subscription with the expiry Graph chose.

        Raises `Gone` where the subscription is lost; create another.
        """
        url = f"{self._base}/subscriptions/{quote(subscription, safe='')}"
        body = {"expirationDateTime": iso_time(expires)}
        return self._wire.write("PATCH", url, body, attempt, read_subscription)

    def delete_subscription(self, subscription: str, attempt: Attempt) -> None:
        """Delete a subscription; succeed if it does not exist."""
        url = f"{self._base}/subscriptions/{quote(subscription, safe='')}"
        self._wire.delete(url, attempt)


def _listed(item: Any, *, any_type: bool) -> str | None:
    """Return the object id of a listed user, None for one out of scope."""
    if not isinstance(item, dict) or item.get("accountEnabled") is False:
        return None
    guest = str(item.get("userType")).lower() == "guest"
    return object_id(item.get("id")) if any_type or not guest else None


def _part_of(answer: Response) -> BatchPart:
    try:
        return BatchPart(answer.status, answer.headers, answer.json() if answer.body else None)
    except TryLater as error:
        error.operation = PHOTOS
        raise


def _source_in(part: BatchPart | None) -> PhotoSource:
    return photo.classify_photo(part) if part else photo.Unavailable()
