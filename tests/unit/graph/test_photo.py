"""How Graph's answers about a photo are classified: by status, then by code."""

import base64
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shared.graph.photo import (
    BatchPart,
    NoMailbox,
    NoPhoto,
    Photo,
    PhotoDenied,
    PhotoFailed,
    PhotoSource,
    Unavailable,
    UserGone,
    classify_photo,
    graph_error_code,
    is_placeholder,
    needs_user,
    of_existing_user,
    with_user,
)
from tests.unit.ledger.row_strategies import E


def wrapped(code: str) -> dict[str, Any]:
    """Return an error body as the photo service wraps its own into Graph's."""
    return {"error": {"code": "UnknownError", "message": json.dumps({"errorCode": code, "target": None})}}


def an_error(code: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": "...", "innerError": {"request-id": "..."}}}


def metadata(etag: object = E, size: str | None = "240x240") -> dict[str, Any]:
    return {"@odata.mediaContentType": "image/jpeg", "@odata.mediaEtag": etag, "id": size, "width": 240}


NO_ETAG, NO_METADATA = PhotoFailed(200, "no mediaEtag"), PhotoFailed(200, "no metadata")


@pytest.mark.parametrize(
    ("status", "body", "source"),
    [
        pytest.param(200, metadata(), Photo(E), id="a photo"),
        pytest.param(200, metadata(size="240X240"), Photo(E), id="a size in capitals"),
        pytest.param(200, metadata(size="1x1"), NoPhoto(), id="the placeholder, whatever its etag"),
        pytest.param(200, metadata(size="1X1"), NoPhoto(), id="the placeholder in capitals"),
        pytest.param(200, metadata(""), NoPhoto(), id="an empty etag"),
        pytest.param(200, metadata(size=None), Photo(E), id="no size"),
        pytest.param(200, metadata(None), NO_ETAG, id="null etag"),
        pytest.param(200, metadata(7), NO_ETAG, id="a number"),
        pytest.param(200, {}, NO_ETAG, id="an empty object"),
        pytest.param(200, None, NO_METADATA, id="no body"),
        pytest.param(200, "R0lGODlh", NO_METADATA, id="bytes where metadata were requested"),
        pytest.param(200, [metadata()], NO_METADATA, id="a list"),
        pytest.param(404, an_error("ImageNotFound"), NoPhoto(), id="ImageNotFound"),
        pytest.param(404, an_error("ErrorItemNotFound"), NoPhoto(), id="ErrorItemNotFound"),
        pytest.param(404, an_error("ErrorEntityNotFound"), NoPhoto(), id="ErrorEntityNotFound"),
        pytest.param(404, None, NoPhoto(), id="a batch part 404 without a body"),
        pytest.param(404, wrapped("ImageNotFound"), NoPhoto(), id="ImageNotFound, wrapped"),
        pytest.param(404, an_error("SomethingNew"), PhotoFailed(404, "SomethingNew"), id="an unknown 404"),
        pytest.param(404, {}, PhotoFailed(404), id="a 404 with an empty object"),
        pytest.param(404, "not found", PhotoFailed(404), id="a 404 in plain text"),
        pytest.param(400, an_error("ImageNotFound"), PhotoFailed(400, "ImageNotFound"), id="400, no photo"),
        pytest.param(404, an_error("Request_ResourceNotFound"), UserGone(), id="no such user"),
        pytest.param(404, an_error("ResourceNotFound"), UserGone(), id="no such user, the older code"),
        pytest.param(
            400, an_error("ResourceNotFound"), PhotoFailed(400, "ResourceNotFound"), id="400, no user"
        ),
        pytest.param(404, an_error("ErrorNonExistentMailbox"), NoMailbox("no mailbox"), id="no mailbox"),
        pytest.param(400, an_error("AuthenticationError"), NoMailbox("no mailbox"), id="no mailbox in 2020"),
        pytest.param(
            401, an_error("AuthenticationError"), PhotoDenied("AuthenticationError"), id="401, not 400"
        ),
        pytest.param(
            404,
            an_error("MailboxNotEnabledForRESTAPI"),
            NoMailbox("no mailbox in Exchange Online"),
            id="a mailbox that REST does not reach",
        ),
        pytest.param(
            403,
            an_error("MailboxNotHostedInExchangeOnline"),
            NoMailbox("mailbox is on premises"),
            id="on premises, and no missing permission although 403",
        ),
        pytest.param(
            404,
            wrapped("ErrorUserResolutionFailedUserDoesNotExist"),
            NoMailbox("the photo service does not know this user"),
            id="unknown to the photo service, but perhaps not to the directory",
        ),
        pytest.param(403, an_error("ErrorAccessDenied"), PhotoDenied("ErrorAccessDenied"), id="403"),
        pytest.param(401, an_error("InvalidToken"), PhotoDenied("InvalidToken"), id="401"),
        pytest.param(403, None, PhotoDenied(), id="403 without a body"),
        pytest.param(408, None, Unavailable(), id="a timeout that Graph noticed"),
        pytest.param(429, an_error("TooManyRequests"), Unavailable(), id="throttled"),
        pytest.param(429, wrapped("ImageNotFound"), Unavailable(), id="throttled, whatever the code"),
        pytest.param(500, an_error("ErrorNonExistentMailbox"), Unavailable(), id="500, whatever the code"),
        pytest.param(400, an_error("BadRequest"), PhotoFailed(400, "BadRequest"), id="400"),
        pytest.param(300, metadata(), PhotoFailed(300), id="300, whatever its code"),
        pytest.param(304, None, PhotoFailed(304), id="304, although the request had no condition"),
        pytest.param(410, None, PhotoFailed(410), id="410"),
        pytest.param(424, an_error("FailedDependency"), PhotoFailed(424, "FailedDependency"), id="424"),
    ],
)
def test_an_answer_is_judged_by_its_status_and_then_by_its_code(
    status: int, body: Any, source: PhotoSource
) -> None:
    assert classify_photo(BatchPart(status, {}, body)) == source


NOT_RESOLVED = NoMailbox("the photo service does not know this user")
UNKNOWN, UNPROVEN = PhotoFailed(404, "SomethingNew"), NoPhoto(proven=False)


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        pytest.param(UserGone(), NOT_RESOLVED, id="no such user: but they exist"),
        pytest.param(UNKNOWN, UNPROVEN, id="an unknown 404"),
        pytest.param(PhotoFailed(404), UNPROVEN, id="a 404 without a code"),
        *[
            pytest.param(same, same, id=type(same).__name__)
            for same in (
                Photo(E),
                NoPhoto(),
                NoMailbox("x"),
                Unavailable(7.0),
                PhotoDenied(),
                PhotoFailed(410),
            )
        ],
    ],
)
def test_of_a_user_who_exists_no_answer_says_that_they_do_not(source, meant) -> None:
    assert of_existing_user(source) == meant
    assert with_user(source, BatchPart(200, {}, {"id": "a"})) == meant


@pytest.mark.parametrize(
    ("status", "body", "meant"),
    [
        pytest.param(404, an_error("Request_ResourceNotFound"), UserGone(), id="gone"),
        pytest.param(404, an_error("SomethingNew"), PhotoFailed(404, "SomethingNew"), id="an unknown 404"),
        pytest.param(404, None, PhotoFailed(404), id="a 404 without a body"),
        pytest.param(429, None, Unavailable(), id="throttled"),
        pytest.param(403, an_error("X"), PhotoDenied("X"), id="denied"),
        pytest.param(
            400, an_error("ErrorNonExistentMailbox"), PhotoFailed(400, "ErrorNonExistentMailbox"), id="400"
        ),
    ],
)
@pytest.mark.parametrize("source", [UserGone(), UNKNOWN, NOT_RESOLVED], ids=["gone", "unknown", "unresolved"])
def test_the_answer_about_the_user_decides_where_that_about_the_photo_does_not(
    source, status, body, meant
) -> None:
    assert with_user(source, BatchPart(status, {}, body)) == meant


@pytest.mark.parametrize(
    ("source", "unlisted", "listed"),
    [
        (UserGone(), True, True),
        (UNKNOWN, True, False),
        (NOT_RESOLVED, True, False),
        (NoMailbox("no mailbox"), False, False),
        (NoPhoto(), False, False),
        (PhotoFailed(410), False, False),
    ],
    ids=str,
)
def test_a_user_is_asked_for_only_where_the_answer_about_the_photo_says_too_little(
    source, unlisted, listed
) -> None:
    assert (needs_user(source, listed=False), needs_user(source, listed=True)) == (unlisted, listed)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(an_error("ImageNotFound"), "ImageNotFound", id="plain"),
        pytest.param(wrapped("ImageNotFound"), "ImageNotFound", id="wrapped"),
        *[
            pytest.param({"error": {"code": "UnknownError", "message": message}}, "UnknownError", id=name)
            for name, message in (
                ("no message", ""),
                ("null", None),
                ("words", "oops"),
                ("a list", "[]"),
                ("7", '{"errorCode": 7}'),
                ("deep", "[" * 99_999),
                ("huge", "9" * 5000),
            )
        ],
        pytest.param(
            {"error": {"code": "ErrorX", "message": '{"errorCode": "ImageNotFound"}'}},
            "ErrorX",
            id="a message is unwrapped only under the generic code",
        ),
        pytest.param({"error": {"code": 404}}, "", id="a number as code"),
        pytest.param({"error": {"code": ["ImageNotFound"]}}, "", id="a list as code"),
        pytest.param({"error": "ImageNotFound"}, "", id="a text as error"),
        pytest.param({}, "", id="no error"),
        pytest.param(None, "", id="no body"),
        pytest.param("error", "", id="a text as body"),
    ],
)
def test_an_error_code_is_found_in_every_place_where_the_photo_service_puts_it(body: Any, code: str) -> None:
    assert graph_error_code(body) == code


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["error", "code"]), inner),
    max_leaves=8,
)


@given(status=st.integers(100, 599), body=JSON)
def test_temporary_errors_keep_their_wait_and_only_an_answer_with_an_etag_is_a_photo(
    status: int, body: Any
) -> None:
    source = classify_photo(BatchPart(status, {}, body, retry_after=12.5))

    assert not isinstance(source, Photo) or (source.etag and source.etag == body["@odata.mediaEtag"])
    assert (source == Unavailable(12.5)) == (status in (408, 429) or status >= 500)


# --- the placeholder's bytes ---

DOT = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def pixel(kind: str, side: int = 1) -> bytes:
    with Image.new("RGB", (side, side)) as image, io.BytesIO() as file:
        image.save(file, kind)
        return file.getvalue()


@pytest.mark.parametrize(
    "content", [DOT, pixel("GIF"), DOT.replace(b"89a", b"87a")], ids=["the smallest", "Pillow's", "of 1987"]
)
@pytest.mark.parametrize("etag", ["", '""'])
def test_a_gif_of_one_pixel_without_an_etag_is_the_placeholder(content: bytes, etag: str) -> None:
    assert is_placeholder(content, etag)


@pytest.mark.parametrize(
    ("content", "etag"),
    [
        pytest.param(DOT, E, id="the placeholder with a label"),
        pytest.param(pixel("JPEG"), E, id="a JPEG of one pixel"),
        pytest.param(pixel("JPEG"), "", id="a JPEG of one pixel without a label"),
        pytest.param(pixel("PNG"), "", id="a PNG of one pixel without a label"),
        pytest.param(pixel("GIF", 2), "", id="a larger GIF without a label"),
        pytest.param(pixel("GIF", 257), "", id="a GIF whose width begins like 1"),
        pytest.param(b"", "", id="nothing"),
        pytest.param(DOT[:9], "", id="half a head"),
    ],
)
def test_a_real_photo_is_never_taken_for_the_placeholder(content: bytes, etag: str) -> None:
    assert not is_placeholder(content, etag)
