"""The `clientState` of the subscription, signed on creation and verified with each notification."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence

from itsdangerous import Signer

# Nonce and SHA-256 in base64: 76 characters, of 128 in learn.microsoft.com/graph/api/resources/subscription
_CLIENT_STATE = re.compile(r"[0-9a-f]{32}\.[A-Za-z0-9_-]{43}")


class ClientState:
    """Signs and verifies the `clientState` of a subscription.

    `keys` are the secrets, newest first: the first signs, all verify.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._signers = [_signer(key) for key in keys]
        self.key_id = hmac.new(keys[0].encode(), b"photo-sync key id", hashlib.sha256).hexdigest()[:16]
        """Identifies the key that signs without revealing it; kept with the subscription."""

    def make(self) -> str:
        """Return a new client state, `nonce.signature`."""
        return self._signers[0].sign(secrets.token_hex(16)).decode()

    def verifies(self, value: object) -> bool:
        """Return whether `value` is exactly a client state of ours, in constant time.

        Signs again and compares texts, because decoding base64 would allow several forms of one signature.
        A value of another form costs no hash: any sender can post four megabytes of them.
        """
        if not isinstance(value, str) or not _CLIENT_STATE.fullmatch(value):
            return False
        nonce = value.partition(".")[0]
        return any(hmac.compare_digest(signer.sign(nonce), value.encode()) for signer in self._signers)


def _signer(key: str) -> Signer:
    """Return a signer whose key is derived from the secret once, not for every item of a post."""
    salted = Signer(key, salt="photo-sync client state", key_derivation="hmac", digest_method=hashlib.sha256)
    return Signer(salted.derive_key(), key_derivation="none", digest_method=hashlib.sha256)
