"""Function keys: which key allows which calls.

learn.microsoft.com/azure/azure-functions/function-keys-how-to
"""

import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

KEY_BYTES = 40


@dataclass(frozen=True)
class FunctionKeys:
    """The keys of one run.

    Args:
        master: allows every call, to the admin API and to disabled functions too.
        default: the host key; allows calls to every function whose level is `function`.
        functions: the own key of each function, by the function's name.
    """

    master: str
    default: str
    functions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def generate(cls, functions: Iterable[str], given: Mapping[str, str] | None = None) -> "FunctionKeys":
        """Generate random keys, except for *given* ones (`master`, `default`, or a function's name)."""
        given = given or {}

        def key(name: str) -> str:
            return given.get(name) or secrets.token_urlsafe(KEY_BYTES)

        return cls(key("master"), key("default"), {name: key(name) for name in functions})

    def is_master(self, presented: str) -> bool:
        """Return whether *presented* is the master key, in constant time."""
        return _same(presented, self.master)

    def allows(self, presented: str, function: str, level: str) -> bool:
        """Return whether *presented* (or "") allows a call of a function of this level, in constant time."""
        master = _same(presented, self.master)
        default = _same(presented, self.default)
        own = _same(presented, self.functions.get(function, ""))
        if level == "anonymous":
            return True
        return master if level == "admin" else master or default or own


def _same(presented: str, key: str) -> bool:
    return bool(key) and hmac.compare_digest(presented.encode(), key.encode())
