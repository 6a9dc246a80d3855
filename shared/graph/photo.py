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
    """The user exists and has no photo; not `proven` if Graph says so with a code that is not known."""

    proven: bool = True


@dataclass(frozen=True, slots=True)
class NoMailbox:
    """The photo service stores nothing for this user; `reason` says why, in words."""

    reason: str


@dataclass(frozen=True, slots=True)
class UserGone:
    """The user does not exist: no more than the photo's own answer, until `with_user` has the user's, too."""


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

ANSWERS = (Photo, NoPhoto, NoMailbox, UserGone)
"""The sources that say what is stored; with any other the photo service did not answer for the user."""

# Codes collected from issues and samples of 2018 to 2025; Microsoft publishes no list.
_NO_PHOTO = {"ImageNotFound", "ErrorItemNotFound", "ErrorEntityNotFound"}
NO_USER = frozenset({"Request_ResourceNotFound", "ResourceNotFound"})
"""The codes with which Graph says that a user does not exist."""
NO_PHOTO_USER = "the photo service does not know this user"
_NO_MAILBOX = {
    "ErrorNonExistentMailbox": "no mailbox",
    "MailboxNotEnabledForRESTAPI": "no mailbox in Exchange Online",
    "MailboxNotHostedInExchangeOnline": "mailbox is on premises",
    "ErrorUserResolutionFailedUserDoesNotExist": NO_PHOTO_USER,
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
    if part.status == 404 and code in NO_USER:
        return UserGone()
    if part.status == 404 and (code in _NO_PHOTO or part.body is None):
        return NoPhoto()
    return PhotoFailed(part.status, code)


def needs_user(source: PhotoSource, *, listed: bool) -> bool:
    """Return whether an answer about a photo means something only together with one about the user.

    `listed`: a list of the directory's users names the user. That does not contradict "no such user": the
    list may be older.
    """
    unresolved = _is_unknown_404(source) or source == NoMailbox(NO_PHOTO_USER)
    return isinstance(source, UserGone) or (unresolved and not listed)


def of_existing_user(source: PhotoSource) -> PhotoSource:
    """Return what the answer about the photo of a user means if the directory knows the user."""
    if isinstance(source, UserGone):
        return NoMailbox(NO_PHOTO_USER)
    return NoPhoto(proven=False) if _is_unknown_404(source) else source


def with_user(source: PhotoSource, user: BatchPart) -> PhotoSource:
    """Return what an answer about a photo means, from the answer about its user in addition."""
    if user.status < 300:
        return of_existing_user(source)
    found = classify_photo(user)
    answers = isinstance(found, UserGone | PhotoDenied | Unavailable)
    return found if answers else PhotoFailed(user.status, graph_error_code(user.body))


def _is_unknown_404(source: PhotoSource) -> bool:
    return isinstance(source, PhotoFailed) and source.status == 404


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
