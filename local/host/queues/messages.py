"""Encode and decode queue messages, and make their trigger metadata."""

import base64
import binascii
import json
from collections.abc import Mapping

from azure.storage.queue import QueueMessage

from local.host.worker import protos


class EncodingError(ValueError):
    """The text of a message is not in the encoding that host.json says."""


def encode(body: str | bytes, encoding: str) -> str:
    """Return the text for the queue; *encoding* is `base64` or `none`."""
    raw = body.encode() if isinstance(body, str) else body
    return base64.b64encode(raw).decode("ascii") if encoding == "base64" else raw.decode()


def decode(text: str, encoding: str) -> str:
    """Return the body of a message.

    Raises:
        EncodingError: the text is not base64, or its bytes are not UTF-8.
    """
    if encoding == "none":
        return text
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise EncodingError(str(error)) from error


def describe(message: QueueMessage, body: str) -> dict[str, protos.TypedData]:
    """Return the trigger metadata of a message.

    The top-level properties of a JSON body overwrite it, in any case, except for lists. This is a bug of the
    real host, open since 2020 (github.com/Azure/azure-functions-python-library/issues/49), and reproduced.
    """
    known = {
        "QueueTrigger": protos.TypedData(string=body),
        "DequeueCount": protos.TypedData(json=str(message.dequeue_count or 0)),
        "Id": protos.TypedData(string=message.id),
        "PopReceipt": protos.TypedData(string=message.pop_receipt or ""),
    }
    times = {
        "ExpirationTime": message.expires_on,
        "InsertionTime": message.inserted_on,
        "NextVisibleTime": message.next_visible_on,
    }
    known |= {name: protos.TypedData(json=json.dumps(at.isoformat())) for name, at in times.items() if at}
    spelling = {name.lower(): name for name in known}
    for name, value in _properties(body).items():
        data = _property(value)
        if data is not None:
            known[spelling.setdefault(name.lower(), name)] = data
    return known


def _properties(body: str) -> Mapping[str, object]:
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _property(value: object) -> protos.TypedData | None:
    match value:
        case None | list():
            return None
        case dict():
            return protos.TypedData(json=json.dumps(value))
        case str():
            return protos.TypedData(string=value)
        case bool():
            return protos.TypedData(string=str(value))
        case _:
            return protos.TypedData(string=json.dumps(value))
