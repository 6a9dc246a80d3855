"""The blocks of a PEM in the wrappings in which people paste it, and what base64 wraps. Pure."""

import base64
import binascii
import re
from dataclasses import dataclass
from textwrap import wrap

_DEEPEST = 3  # layers of base64
_WRITTEN_BREAK = re.compile(r"[\\`]+r[\\`]+n|[\\`]+[rn]")  # \n, \r\n, \\n, and `n of PowerShell
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----(.*?)-----END \1-----", re.DOTALL)
_HEADERS = re.compile(r"\s*Proc-Type:\s*4,ENCRYPTED\s+DEK-Info:\s*([\w-]+,[0-9A-Fa-f]+)\s(.*)", re.DOTALL)
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=]")


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a PEM, its lines as the standard wants them."""

    label: str  # such as `CERTIFICATE`
    pem: bytes

    @property
    def der(self) -> bytes:
        """The decoded content, b"" where it is not base64 or is encrypted by headers."""
        try:
            return base64.b64decode(b"".join(self.pem.splitlines()[1:-1]), validate=True)
        except binascii.Error:
            return b""


def unwrapped(given: str) -> bytes:
    """Return the text of a PEM, or the bytes of a PFX, that stand in up to three layers of base64."""
    data = given.encode()
    for _ in range(_DEEPEST):
        text = text_of(data)
        inner = from_base64(text) if text and not is_pem(text) else None
        if inner is None:
            return text.encode() if text and is_pem(text) else data
        data = inner
    return data


def is_pem(text: str) -> bool:
    """Return whether at least one block begins."""
    return "-----BEGIN" in text


def text_of(data: bytes) -> str | None:
    """Return bytes as text, UTF-16 of Windows' tools too; None for a binary.

    Names between a PEM's blocks may be in any encoding: they are not used.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    if b"-----BEGIN" in data:
        return data.decode("utf-8", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def from_base64(text: str) -> bytes | None:
    """Return what a base64 text says, in quotes or as a `data:` URI too; None where it is not base64."""
    text = text.strip().strip("\"'")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    compact = "".join(_WRITTEN_BREAK.sub("", text).split())
    try:
        return base64.b64decode(compact, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def blocks(text: str) -> list[Block]:
    """Return the blocks of a PEM: line breaks may be real, written, blanks, or missing."""
    text = _WRITTEN_BREAK.sub("\n", text)
    return [Block(label, _rewritten(label, body)) for label, body in _BLOCK.findall(text)]


def begun(text: str) -> int:
    """Return how many blocks begin, with or without an end."""
    return text.count("-----BEGIN ")


def _rewritten(label: str, body: str) -> bytes:
    headers = ""
    if match := _HEADERS.match(body):
        algorithm, body = match.groups()
        headers = f"Proc-Type: 4,ENCRYPTED\nDEK-Info: {algorithm}\n\n"
    lines = "\n".join(wrap(_NOT_BASE64.sub("", body), 64))
    return f"-----BEGIN {label}-----\n{headers}{lines}\n-----END {label}-----\n".encode()
