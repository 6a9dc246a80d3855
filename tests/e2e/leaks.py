"""Search texts for secrets, in every form in which a secret may occur."""

import base64
import html
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote

PIECE = 10  # characters that identify a secret: no other text has that many in common with it
PLAIN = 4  # different characters up to which a piece is only padding


class Secrets:
    """Secrets by their kinds; finds the parts of them in a text."""

    def __init__(self, **kinds: Iterable[str | bytes]) -> None:
        self._kinds = {
            piece: kind for kind, values in kinds.items() for value in values for piece in _pieces(value)
        }

    def found_in(self, text: str) -> dict[str, str]:
        """Return the kinds of which the text contains ten characters or more, and their places."""
        kinds = self._kinds
        found = (at for at in range(len(text) - PIECE + 1) if text[at : at + PIECE] in kinds)
        return {kinds[text[at : at + PIECE]]: text[max(at - 150, 0) : at + 50] for at in found}


def forms(secret: str | bytes) -> set[str]:
    """Return a secret as it is, in the forms of Python, JSON, HTML and URLs, and inside any base64."""
    data = secret.encode() if isinstance(secret, str) else secret
    text = data.decode("latin-1")
    shown = {text, repr(data)[2:-1], json.dumps(text)[1:-1], html.escape(text), quote(data, safe="")}
    for skipped in range(3):  # the text before it decides where its first three bytes begin
        whole = data[skipped : skipped + (len(data) - skipped) // 3 * 3]
        for encoded in (base64.b64encode(whole), base64.urlsafe_b64encode(whole)):
            shown |= {encoded.decode(), quote(encoded, safe="")}
    return shown


def _pieces(secret: str | bytes) -> Iterator[str]:
    for form in forms(secret):
        for start in range(len(form) - PIECE + 1):
            if len(set(piece := form[start : start + PIECE])) > PLAIN:
                yield piece
