"""Sign plain requests to a queue, which need a fraction of the CPU time of the library's requests."""

from datetime import UTC, datetime, timedelta

from azure.storage.queue import AccountSasPermissions, QueueClient, ResourceTypes, generate_account_sas

SIGNED_FOR = timedelta(minutes=15)
SIGN_AGAIN = timedelta(minutes=5)  # before the signature expires


class SignedUrl:
    """The URL of a queue's messages with a signature that is renewed in time.

    Args:
        client: the queue's client; its key signs.
        permissions: what the signature allows.
        query: goes before the signature.
    """

    def __init__(self, client: QueueClient, permissions: AccountSasPermissions, query: str = "") -> None:
        self._client = client
        self._permissions = permissions
        self._base = f"{client.url}/messages?{query}"
        self._url = ""
        self._expires = datetime.fromtimestamp(0, UTC)

    def get(self) -> str | None:
        """Return the URL, or `None` if the account is used with an identity and has no key."""
        key = getattr(self._client.credential, "account_key", None)
        now = datetime.now(UTC)
        if key is not None and now > self._expires - SIGN_AGAIN:
            account = self._client.account_name or ""
            expires = now + SIGNED_FOR
            signature = generate_account_sas(
                account, key, ResourceTypes(object=True), self._permissions, expires
            )
            self._url, self._expires = self._base + signature, expires
        return self._url or None
