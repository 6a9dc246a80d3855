"""Errors, named for what the caller does next.

SyncError             never raised itself
├─ PutOff             never raised itself: the work waits, `after` seconds where that is known
│  ├─ ConfigError     an operator must act; triggers refuse with the whole list
│  ├─ Denied          (a ServiceError) refused with 401 or 403: an operator must act
│  │  └─ RoleMissing  the token lacks the role: it is refused for every user
│  └─ TryLater        (a ServiceError) temporary
│     ├─ Throttled    the service asked all callers to wait
│     ├─ Locked       another program holds this one object for a while; the service itself is well
│     └─ NotSent      never raised itself; no request was sent
│        ├─ GateClosed   the service asked this or another instance to wait
│        └─ OutOfTime    the attempt must end
├─ Stale              a stored row changed since it was read; read again and decide again
├─ NotOurs            a queue message or request that this app never made; not retried
└─ ServiceError       never raised itself; an error of a service, with its details
   └─ Refused         this call is wrong; repeating it changes nothing
      ├─ Gone         the requested object does not exist (any more); often a normal outcome
      │  └─ Moved     SharePoint redirects: the object is not at this address any more
      ├─ Endless      a list comes back to a page that was read; it is not read on
      └─ Expired      a page of a list is no longer available; start the list again

`sync.claims` and `sharepoint.pace` add two kinds of PutOff: another attempt's claim, and a full minute.
Only the modules that call a service create a `ServiceError`, from its answer.
"""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

DENIED_AFTER = 900.0
"""Seconds before a denied service is called again: people grant permissions, waiting does not."""

GRAPH, FILES, PROFILES = "graph", "sharepoint-files", "sharepoint-profiles"
ENTRA, STORAGE = "entra", "storage"
"""The services, as errors, gates and logs name them."""

LONGEST_WHAT, LONGEST_CODE = 1000, 200
"""Characters of an error's text and of a service's code or id: they are noted in rows, which have bounds."""

Hindrance = Literal["", "busy", "throttled", "paced", "denied", "refused", "configuration"]
"""What is in the way of work that waits."""


class SyncError(Exception):
    """Base of all errors that this app raises on purpose."""


class PutOff(SyncError):
    """The work waits."""

    after: float | None = None  # seconds, None where no service said
    hindrance: ClassVar[Hindrance] = "throttled"  # what is in the way
    needs_operator: ClassVar[bool] = False  # waiting alone does not help


class ConfigError(PutOff):
    """The app is not configured; `problems` lists all problems, each with its remedy, none with a secret."""

    after: float | None = DENIED_AFTER
    hindrance = "configuration"
    needs_operator = True

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class Stale(SyncError):
    """A conditional write found a version of the row other than the one that was read."""


class NotOurs(SyncError):
    """The message is malformed. The text names the fault and repeats nothing of its content."""


class ServiceError(SyncError):
    """A remote service answered with an error, or did not answer.

    `service` is one of the names above, `what` one sentence for the log, without anything secret. `status` is
    None where no answer came, `code` the service's own error code, `request_id` the service's id of the
    request, for a support case. `gate` names the gate of what was called and `operation` what was asked of
    it, both "" where no remote service with a gate is concerned.
    """

    gate: str = ""

    def __init__(
        self,
        service: str,
        what: str,
        *,
        status: int | None = None,
        code: str = "",
        request_id: str = "",
        operation: str = "",
    ) -> None:
        super().__init__(f"{service}: {what[:LONGEST_WHAT]}")
        self.service = service
        self.what = what
        self.status = status
        self.code = code[:LONGEST_CODE]
        self.request_id = request_id[:LONGEST_CODE]
        self.operation = operation


class TryLater(PutOff, ServiceError):
    """The service cannot now. `after`: seconds it asked us to stay away, None where it did not say."""

    def __init__(self, service: str, what: str, *, after: float | None = None, **facts: Any) -> None:
        super().__init__(service, what, **facts)
        self.after = after


class Throttled(TryLater):
    """The service speaks for itself: all callers are to wait."""


class NotSent(TryLater):
    """No request was sent, so this says nothing about the service or a user."""


class GateClosed(NotSent):
    """The service's gate is closed for `after` more seconds."""


class OutOfTime(NotSent):
    """The attempt has no time left for a call."""

    def __init__(self, service: str) -> None:
        super().__init__(service, "this attempt has no time left")


class Locked(TryLater):
    """Another program holds the object; it says nothing about other objects."""


class Denied(PutOff, ServiceError):
    """The service refuses this call of the application (401 or 403)."""

    after: float | None = DENIED_AFTER
    hindrance = "denied"
    needs_operator = True


class RoleMissing(Denied):
    """The token lacks the role that the call needs, so every call of its kind is refused."""


class Refused(ServiceError):
    """The service refuses this call (any other 4xx, or a CSOM error)."""


class Gone(Refused):
    """The user, photo, folder, profile or subscription does not exist."""


class Moved(Gone):
    """SharePoint redirects. A redirect is never followed, because no token may follow it.

    `host` is the host that the answer names, lower case, "" for none. Any server could have written it.
    """

    def __init__(self, service: str, what: str, *, host: str = "", **facts: Any) -> None:
        super().__init__(service, what, **facts)
        self.host = host


class Endless(Refused):
    """A list of Graph does not come to an end: its next page is one that was read already."""


class Expired(Refused):
    """Graph no longer knows the position in a list that a page's URL stands for."""
