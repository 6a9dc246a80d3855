"""The states of a user's photo in Exchange Online, and which of them Graph's answer means. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import LONGEST_CODE
from shared.users import User


@dataclass(frozen=True, slots=True)
class Photo:
    """The user has a photo; `etag` includes the quotation marks, as Graph returns it."""

    etag: str


@dataclass(frozen=True, slots=True)
class NoPhoto:
    """The user exists and has no photo."""


@dataclass(frozen=True, slots=True)
class NoMailbox:
    """The photo service stores nothing for this user; `reason` says why, in words."""

    reason: str


@dataclass(frozen=True, slots=True)
class UserGone:
    """The directory does not know the user."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The photo service is temporarily unavailable; `after` is its `Retry-After`, in seconds."""

    after: float | None = None


@dataclass(frozen=True, slots=True)
class PhotoDenied:
    """The application may not read this photo."""

    code: str = ""


@dataclass(frozen=True, slots=True)
class PhotoFailed:
    """Any other answer."""

    status: int
    code: str = ""


type PhotoSource = Photo | NoPhoto | NoMailbox | UserGone | Unavailable | PhotoDenied | PhotoFailed

# Codes collected from issues and samples of 2018 to 2025; Microsoft publishes no list.
_NO_PHOTO = {"ImageNotFound", "ErrorItemNotFound", "ErrorEntityNotFound"}
_NO_USER = {"Request_ResourceNotFound", "ResourceNotFound"}
_NO_MAILBOX = {
    "ErrorNonExistentMailbox": "no mailbox",
    "MailboxNotEnabledForRESTAPI": "no mailbox in Exchange Online",
    "MailboxNotHostedInExchangeOnline": "mailbox is on premises",
    "ErrorUserResolutionFailedUserDoesNotExist": "the photo service does not know this user",
}
# A user without photo may answer 200 with this id: learn.microsoft.com/graph/api/profilephoto-get
_PLACEHOLDER = "1x1"
_TEMPORARY = {408, 429}  # and every 5xx


@dataclass(frozen=True, slots=True)
class BatchPart:
    """One answer inside a Graph `$batch`. Header names are lower case; `body` is decoded JSON, or None."""

    status: int
    headers: Mapping[str, str]
    body: Any = None
    retry_after: float | None = None


def classify_photo(part: BatchPart) -> PhotoSource:
    """Return what the answer to `GET /users/{id}/photo` means: by status first, then by code."""
    if part.status in _TEMPORARY or part.status >= 500:
        return Unavailable(part.retry_after)
    if part.status < 300:
        return _metadata(part.body)
    code = graph_error_code(part.body)
    if code in _NO_MAILBOX:
        return NoMailbox(_NO_MAILBOX[code])
    if part.status == 400 and code == "AuthenticationError":  # a user without mailbox, seen in 2020
        return NoMailbox("no mailbox")
    if part.status in (401, 403):
        return PhotoDenied(code)
    if part.status == 404 and code in _NO_USER:
        return UserGone()
    if part.status == 404 and (code in _NO_PHOTO or part.body is None):
        return NoPhoto()
    return PhotoFailed(part.status, code)


# The head of a GIF of one pixel; its size stands in bytes 6 to 9 (w3.org/Graphics/GIF/spec-gif89a.txt).
_DOTS = (b"GIF87a\x01\x00\x01\x00", b"GIF89a\x01\x00\x01\x00")


def is_placeholder(content: bytes, etag: str) -> bool:
    """Return whether these bytes stand for no photo: a GIF of one pixel without an ETag.

    That is how learn.microsoft.com/graph/api/profilephoto-get describes it (`image/gif`, 1 x 1, an empty
    ETag). Bytes with an ETag, or of another kind of picture, are a photo, even one of a single pixel.
    """
    return etag in ("", '""') and content.startswith(_DOTS)


def graph_error_code(body: Any) -> str:
    """Return the code of a Graph error body, "" if it has none.

    The photo service wraps its own error as JSON text inside the message of an `UnknownError`
    (github.com/microsoftgraph/msgraph-beta-sdk-dotnet/issues/388).
    """
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return ""
    code = error.get("code")
    if code == "UnknownError" and isinstance(message := error.get("message"), str):
        try:
            wrapped = json.loads(message)
        except (ValueError, RecursionError):
            wrapped = None
        if isinstance(wrapped, dict) and isinstance(wrapped.get("errorCode"), str):
            return str(wrapped["errorCode"])[:LONGEST_CODE]
    return code[:LONGEST_CODE] if isinstance(code, str) else ""


def _metadata(body: Any) -> PhotoSource:
    if not isinstance(body, dict):
        return PhotoFailed(200, "no metadata")
    etag = body.get("@odata.mediaEtag")
    if str(body.get("id", "")).lower() == _PLACEHOLDER or etag == "":
        return NoPhoto()
    return Photo(etag) if isinstance(etag, str) else PhotoFailed(200, "no mediaEtag")


@dataclass(frozen=True, slots=True)
class Gathered:
    """One user as Graph shows the user at one moment, or nearly so.

    `content_etag` is the ETag of the bytes; if it differs from the metadata's, the photo just changed.
    """

    user: User | None
    source: Photo | NoPhoto | NoMailbox | UserGone
    content: bytes = b""
    content_etag: str = ""
