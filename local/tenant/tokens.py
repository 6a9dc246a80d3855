"""Access tokens of the tenant: issued by Entra's face, checked by Graph's and SharePoint's.

A token is a JWT signed with a key that lives as long as the process. The claims are those the contracts
name: `aud`, `tid`, `appid`, `roles`, `appidacr` ("1" a secret, "2" a certificate or managed identity), `exp`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from local.tenant.world import World

LIFETIME = 3599  # seconds; Entra's `expires_in` for a client credential

Reason = Literal["missing", "malformed", "signature", "expired", "audience"]


class BadToken(Exception):
    """The Authorization header does not carry a token that this audience accepts."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Claims:
    """What a checked token says. `audience` is a plain origin such as `https://graph.microsoft.com`."""

    audience: str
    application: str
    roles: frozenset[str]
    appidacr: Literal["1", "2"]


class Tokens:
    """The tenant's token signer and verifier, on the tenant's clock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def issue(
        self, audience: str, roles: Iterable[str], *, appidacr: Literal["1", "2"] = "2", lifetime: int = LIFETIME
    ) -> str:
        """Return a bearer token for `audience`, valid for `lifetime` seconds of the tenant's clock."""
        now = int(self._world.clock.now().timestamp())
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self._world.tenant_id}/",
            "tid": self._world.tenant_id,
            "appid": self._world.client_id,
            "appidacr": appidacr,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "ver": "1.0",
        }
        if wanted := sorted(roles):  # Entra leaves the claim out where no role was consented to
            claims["roles"] = wanted
        return jwt.encode(claims, self._key, algorithm="RS256")

    def check(self, authorization: str | None, audience: str) -> Claims:
        """Return the claims of an `Authorization` header.

        Raises:
            BadToken: with the reason, in the order in which a real service notices.
        """
        if not authorization:
            raise BadToken("missing")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise BadToken("malformed")
        try:
            claims = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
            )
        except jwt.InvalidSignatureError as error:
            raise BadToken("signature") from error
        except jwt.InvalidTokenError as error:
            raise BadToken("malformed") from error
        if claims["exp"] <= self._world.clock.now().timestamp():
            raise BadToken("expired")
        if claims["aud"].rstrip("/").lower() != audience.rstrip("/").lower():
            raise BadToken("audience")
        return Claims(claims["aud"], claims["appid"], frozenset(claims.get("roles", ())), claims["appidacr"])
