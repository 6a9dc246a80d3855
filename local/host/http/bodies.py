"""Read the body of a request from its connection."""

from email.message import Message
from http import HTTPStatus
from io import BufferedIOBase

LONGEST_LINE = 65536


class BadRequestError(Exception):
    """A request that cannot be read; what follows on its connection cannot be either.

    Args:
        status: what to answer.
    """

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


def read_body(stream: BufferedIOBase, headers: "Message[str, str]", limit: int) -> bytes:
    """Return the body if it has a length. A chunked body is skipped, because functions never receive it.

    Args:
        stream: stands behind the headers.
        headers: of the request.
        limit: bytes.

    Raises:
        BadRequestError: the length is not valid, or exceeds *limit*.
        ConnectionError: the client went away in the middle of it.
    """
    length = headers.get("content-length")
    if "chunked" in headers.get("transfer-encoding", "").lower():
        if length is not None:
            raise BadRequestError(HTTPStatus.BAD_REQUEST)
        _skip_chunks(stream, limit)
        return b""
    if length is None:
        return b""
    if not (length.isascii() and length.isdigit()):
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    digits = length.lstrip("0") or "0"
    if len(digits) > len(str(limit)) or int(digits) > limit:  # Python reads no number of 5000 digits
        raise BadRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    size = int(digits)
    body = stream.read(size)
    if len(body) < size:
        raise ConnectionError("the body ended early")
    return body


def _skip_chunks(stream: BufferedIOBase, limit: int) -> None:
    total, size = 0, 1
    while size:
        size = _read_size(stream)
        total += size
        if total > limit:
            raise BadRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        stream.read(size)
        if size:
            stream.readline(LONGEST_LINE)
    while stream.readline(LONGEST_LINE).strip():
        pass  # trailers, up to an empty line


def _read_size(stream: BufferedIOBase) -> int:
    text = stream.readline(LONGEST_LINE).partition(b";")[0].strip()
    try:
        size = int(text, 16)
    except ValueError as error:
        raise BadRequestError(HTTPStatus.BAD_REQUEST) from error
    if size < 0:
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    return size
