"""The `clientState` of our subscriptions, signed when one is created and verified with each notification."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence

from itsdangerous import Signer

# Nonce and SHA-256 in base64: 76 characters, of 128 in learn.microsoft.com/graph/api/resources/subscription
_CLIENT_STATE = re.compile(r"[0-9a-f]{32}\.[A-Za-z0-9_-]{43}")


class ClientState:
    """Signs and verifies the `clientState` of our subscriptions.

    Args:
        keys: the secrets, newest first: the first signs, all verify.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._signers = [_signer(key) for key in keys]
        self.key_id = hmac.new(keys[0].encode(), b"photo-sync key id", hashlib.sha256).hexdigest()[:16]
        """Names the key that signs, and says nothing about it; kept with the subscription."""

    def make(self) -> str:
        """Return a new client state, `nonce.signature`."""
        return self._signers[0].sign(secrets.token_hex(16)).decode()

    def verifies(self, value: object) -> bool:
        """Return whether we made `value`, to the letter and in constant time.

        Signs anew and compares texts, because decoding base64 would let one signature be written in several
        ways. What does not even look like ours costs no hash: anybody can post four megabytes of it.
        """
        if not isinstance(value, str) or not _CLIENT_STATE.fullmatch(value):
            return False
        nonce = value.partition(".")[0]
        return any(hmac.compare_digest(signer.sign(nonce), value.encode()) for signer in self._signers)


def _signer(key: str) -> Signer:
    """Return what signs with a key, derived from the secret once and not for every item of a post."""
    salted = Signer(key, salt="photo-sync client state", key_derivation="hmac", digest_method=hashlib.sha256)
    return Signer(salted.derive_key(), key_derivation="none", digest_method=hashlib.sha256)
