"""Function keys: who may call what.

learn.microsoft.com/azure/azure-functions/function-keys-how-to
"""

import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

KEY_BYTES = 40


@dataclass(frozen=True)
class Keys:
    """The keys of one run.

    Args:
        master: opens everything, the admin face and disabled functions too.
        default: the host key; opens every function whose level is `function`.
        functions: a key of its own for each function, by the function's name.
    """

    master: str
    default: str
    functions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def draw(cls, functions: Iterable[str], given: Mapping[str, str] | None = None) -> "Keys":
        """Draw random keys; *given* ones (`master`, `default`, or a function's name) are kept."""
        given = given or {}

        def key(name: str) -> str:
            return given.get(name) or secrets.token_urlsafe(KEY_BYTES)

        return cls(key("master"), key("default"), {name: key(name) for name in functions})

    def is_master(self, presented: str) -> bool:
        """Say whether *presented* is the master key, in constant time."""
        return _same(presented, self.master)

    def opens(self, presented: str, function: str, level: str) -> bool:
        """Say whether *presented* ("" is none) is enough for a function of this level, in constant time."""
        master = _same(presented, self.master)
        default = _same(presented, self.default)
        own = _same(presented, self.functions.get(function, ""))
        if level == "anonymous":
            return True
        return master if level == "admin" else master or default or own


def _same(presented: str, key: str) -> bool:
    return bool(key) and hmac.compare_digest(presented.encode(), key.encode())
