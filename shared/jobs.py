"""The messages in the queues: what they carry, how they are written, and how strictly they are read. Pure.

A body is `{"v": 1, "job": {...}}`, always nested: a top-level property called `id` or `dequeueCount` would
overwrite the trigger's own metadata in Azure's worker
(github.com/Azure/azure-functions-python-library/issues/49).
Times are Unix seconds.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from itertools import batched
from typing import Any, ClassVar, Literal, get_args

from shared import job_fields
from shared.errors import NotOurs

MESSAGE_VERSION = 1
USERS_A_CHECK = 20  # the most requests one Graph $batch takes: learn.microsoft.com/graph/json-batching
MOST_SETBACKS = 100  # that are counted; more change nothing
LONGEST_LIFE = 24 * 3600.0  # seconds; an older job is not deferred again, the next sweep finds its user

Why = Literal["notified", "rechecked", "swept"]
Cause = Literal["notified", "rechecked", "swept", "asked", "repaired"]
Lane = Literal["live", "backfill"]
LifecycleEvent = Literal["reauthorizationRequired", "subscriptionRemoved", "missed"]


@dataclass(frozen=True, slots=True)
class Check:
    """Compare the photo ETags of up to 20 users with the ledger."""

    queue: ClassVar[str] = "photo-checks"
    users: tuple[str, ...]  # object ids, lower case, without duplicates
    why: Why  # what caused the check
    seen: float  # when the hint arrived
    born: float  # when the job was first queued
    tries: int = 0  # how often it came back because of an answer about one of its users, or a refusal
    force: bool = False  # sync whatever the ledger says
    part: tuple[str, str] | None = None  # the sweep and its part that wait for the answers, if any do
    letters: str = ""  # what was found, a letter a user, where only the part must still be told; else ""

    @property
    def listed(self) -> bool:
        """Whether a page of a sweep named the users: the directory knew them a moment ago."""
        return self.part is not None

    def __post_init__(self) -> None:
        """Raise `NotOurs` where the letters are not those of the users, or no part waits for them."""
        if self.letters and (not self.part or len(self.letters) != len(self.users)):
            raise NotOurs("the job's letters are not one for each user of a part")


@dataclass(frozen=True, slots=True)
class SweptCheck(Check):
    """A check that a sweep asks for, in a queue apart from live checks."""

    queue: ClassVar[str] = "photo-sweep-checks"


@dataclass(frozen=True, slots=True)
class Sync:
    """Make SharePoint show one user's photo; `seen`, `born`, `tries` and `force` are as in `Check`."""

    queue: ClassVar[str] = "photo-syncs"
    lane: ClassVar[Lane] = "live"
    user: str  # object id
    cause: Cause  # what made it necessary; only people read it
    seen: float
    born: float
    tries: int = 0
    force: bool = False
    removal: bool = False  # a sweep found that the user has no photo: their picture may be removed
    setbacks: int = 0  # how many of its calls were refused in a row, by any service
    slot: float = 0.0  # beginning of the minute in which its SharePoint calls are reserved, 0 if none are


@dataclass(frozen=True, slots=True)
class Backfill(Sync):
    """A sync that a sweep asks for: in its own lane, so that it and live syncs do not delay each other."""

    queue: ClassVar[str] = "photo-backfill"
    lane: ClassVar[Lane] = "backfill"


@dataclass(frozen=True, slots=True)
class SweepPage:
    """Do the next step of a sweep."""

    queue: ClassVar[str] = "photo-sweeps"
    sweep: str  # the sweep's id
    page: int  # which page this message was sent for
    born: float  # when the message was first sent


@dataclass(frozen=True, slots=True)
class Tend:
    """Look after the Graph subscription because a lifecycle event arrived for it."""

    queue: ClassVar[str] = "photo-subscription"
    event: LifecycleEvent  # what Graph announced
    subscription: str  # the subscription's id
    born: float  # when the event arrived


type Job = Check | Sync | SweepPage | Tend

QUEUES: Mapping[str, type[Check | Sync | SweepPage | Tend]] = {
    kind.queue: kind for kind in (Check, SweptCheck, Sync, Backfill, SweepPage, Tend)
}
_READERS: Mapping[str, Callable[[object], Any]] = {
    "users": partial(job_fields.identities, most=USERS_A_CHECK),
    "user": job_fields.identity,
    "why": job_fields.one_of(get_args(Why)),
    "cause": job_fields.one_of(get_args(Cause)),
    "seen": job_fields.time,
    "born": job_fields.time,
    "tries": partial(job_fields.count, most=MOST_SETBACKS),
    "setbacks": partial(job_fields.count, most=MOST_SETBACKS),
    "force": job_fields.flag,
    "removal": job_fields.flag,
    "slot": job_fields.time,
    "part": job_fields.part,
    "letters": job_fields.letters,
    "sweep": job_fields.sweep,
    "page": partial(job_fields.count, most=99_999),
    "event": job_fields.one_of(get_args(LifecycleEvent)),
    "subscription": job_fields.identity,
}
_OPTIONAL = {"part", "letters", "removal", "setbacks", "slot"}


def write(job: Job) -> str:
    """Return the message body of a job, before base64."""
    return json.dumps({"v": MESSAGE_VERSION, "job": asdict(job)}, separators=(",", ":"))


def read[J: Check | Sync | SweepPage | Tend](kind: type[J], body: bytes | str) -> J:
    """Return the job of a message body.

    Raises `NotOurs` where it is not JSON of this version, or a field is missing, unknown or of a wrong type.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotOurs("the message is not JSON") from error
    if (
        not isinstance(message, dict)
        or message.keys() != {"v", "job"}
        or type(message["v"]) is not int  # true and 1.0 equal 1
        or message["v"] != MESSAGE_VERSION
        or not isinstance(message["job"], dict)
    ):
        raise NotOurs(f'the message is not {{"v": {MESSAGE_VERSION}, "job": {{...}}}}')
    job, names = message["job"], {each.name for each in dataclasses.fields(kind)}
    if unknown := job.keys() - names:
        raise NotOurs(f"the job has {len(unknown)} unknown field(s)")
    if missing := sorted(names - job.keys() - _OPTIONAL):
        raise NotOurs(f"the job's {missing[0]} is missing")
    return kind(**{name: _read_field(name, value) for name, value in job.items()})


def _read_field(name: str, value: object) -> Any:
    try:
        return _READERS[name](value)
    except NotOurs as error:
        raise NotOurs(f"the job's {name} {error}") from None


def pack(users: Iterable[str], *, why: Why, now: float) -> list[Check]:
    """Return the checks of `users`, without duplicates, 20 to a job."""
    checked = batched(dict.fromkeys(users), USERS_A_CHECK, strict=False)
    return [Check(some, why, seen=now, born=now) for some in checked]
