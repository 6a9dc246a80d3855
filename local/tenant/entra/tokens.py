"""Access tokens of the tenant: issued by Entra's face, checked by Graph's and SharePoint's.

A token is a JWT signed with a key that lives as long as the process. The claims are those that have an
effect: `aud`, `tid`, `appid`, `roles`, `appidacr` ("0" a public client, "1" a secret, "2" a certificate or
managed identity), `exp`, and in the token of a person `wids`: their role in the directory, by name.

Tokens follow the machine's clock, not the tenant's: the application that caches them has no other clock. A
tenant moved a month ahead would refuse every token and every assertion.
"""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from local.tenant.directory.world import World

LIFETIME = 3599  # seconds; Entra's `expires_in` for a client credential
KEY_ID = "emulated"
REMEMBERED = 1000  # tokens issued, and tokens verified; a run has few

# learn.microsoft.com/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in
AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"

BadTokenReason = Literal["missing", "malformed", "signature", "expired", "audience"]


class BadToken(Exception):
    """The Authorization header does not carry a token that this audience accepts."""

    def __init__(self, reason: BadTokenReason) -> None:
        super().__init__(reason)
        self.reason: BadTokenReason = reason


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified token. `audience` is a plain origin such as `https://graph.microsoft.com`.

    `administrator` is the role of the person who signed in, "" in an application's own token.
    """

    audience: str
    application: str
    roles: frozenset[str]
    appidacr: Literal["0", "1", "2"]
    administrator: str = ""


class Tokens:
    """The tenant's token signer and verifier. `issued` are the newest tokens, for tests to look for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._verified: dict[str, dict[str, Any]] = {}
        self.issued: deque[str] = deque(maxlen=REMEMBERED)

    def issue(
        self,
        audience: str,
        roles: Iterable[str],
        *,
        appidacr: Literal["1", "2"] = "2",
        lifetime: int = LIFETIME,
    ) -> str:
        """Return a bearer token for `audience`, valid for `lifetime` seconds (negative: already expired)."""
        claims: dict[str, Any] = {
            "appid": self._world.client_id,
            "oid": self._world.service_principal_id,
            "appidacr": appidacr,
            "idtyp": "app",
        }
        if wanted := sorted(roles):  # Entra leaves the claim out where no role was consented to
            claims["roles"] = wanted
        return self._sign(audience, claims, lifetime)

    def issue_for_person(self, audience: str, role: str, *, lifetime: int = LIFETIME) -> str:
        """Return the token that Azure CLI gets for a person with this role in the directory."""
        scopes = "Application.ReadWrite.All AppRoleAssignment.ReadWrite.All Directory.AccessAsUser.All"
        claims = {"appid": AZURE_CLI, "appidacr": "0", "idtyp": "user", "scp": scopes, "wids": [role]}
        return self._sign(audience, claims, lifetime)

    def check(self, authorization: str | None, audience: str) -> Claims:
        """Return the claims of an `Authorization` header.

        Raises:
            BadToken: with the reason; the checks have the order of a real service.
        """
        if not authorization:
            raise BadToken("missing")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise BadToken("malformed")
        claims = self._verified.get(token) or self._verify(token)
        if claims["exp"] <= time.time():
            raise BadToken("expired")
        if claims["aud"].rstrip("/").lower() != audience.rstrip("/").lower():
            raise BadToken("audience")
        roles, (person,) = frozenset(claims.get("roles", ())), claims.get("wids", [""])
        return Claims(claims["aud"], claims["appid"], roles, claims["appidacr"], person)

    def _sign(self, audience: str, about: dict[str, Any], lifetime: int) -> str:
        now = int(time.time())
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self._world.tenant_id}/",
            "tid": self._world.tenant_id,
            **about,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "ver": "1.0",
        }
        token = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": KEY_ID})
        self.issued.append(token)
        return token

    def _verify(self, token: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
            )
        except jwt.InvalidSignatureError as error:
            raise BadToken("signature") from error
        except jwt.InvalidTokenError as error:
            raise BadToken("malformed") from error
        if len(self._verified) < REMEMBERED:
            self._verified[token] = claims
        return claims
