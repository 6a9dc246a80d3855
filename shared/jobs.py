"""The messages in the queues: what they carry, how they are written, and how strictly they are read. Pure.

A body is `{"v": 1, "job": {...}}`, always nested: a top-level property called `id` or `dequeueCount` would
overwrite the trigger's own metadata in Azure's worker
(github.com/Azure/azure-functions-python-library/issues/49).
Times are Unix seconds.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self, cast, get_args

from shared import job_fields
from shared.errors import NotOurs
from shared.users import object_id, object_ids_in

MESSAGE_VERSION = 1
USERS_A_CHECK = 20  # the most requests one Graph $batch takes: learn.microsoft.com/graph/json-batching
LONGEST_LIFE = 24 * 3600.0  # seconds; an older job is not deferred again, the next sweep finds its user

Why = Literal["notified", "rechecked", "swept"]
Cause = Literal["notified", "rechecked", "swept", "asked", "repaired"]
Lane = Literal["live", "backfill"]
LifecycleEvent = Literal["reauthorizationRequired", "subscriptionRemoved", "missed"]


@dataclass(frozen=True, slots=True)
class Check:
    """Compare the photo ETags of up to 20 users with the ledger.

    Attributes:
        users: object ids, lower case, without duplicates.
        why: what caused the check.
        seen: when the hint arrived.
        born: when the job was first queued.
        tries: how often a user of it failed for a reason that concerns this user alone.
        force: sync whatever the ledger says.
        part: the sweep and its part that wait for the answers, None for a check without a sweep.
        letters: what was found, a letter for each user, where only the part must still be told; else "".
    """

    queue: ClassVar[str] = "photo-checks"
    users: tuple[str, ...]
    why: Why
    seen: float
    born: float
    tries: int = 0
    force: bool = False
    part: tuple[str, str] | None = None
    letters: str = ""

    @classmethod
    def read(cls, job: Mapping[str, Any]) -> Self:
        """Return the job that a message carries; `NotOurs` where it is not valid."""
        users = job_fields.field(job, "users", list)
        ids = [object_id(user) for user in users]
        if not 1 <= len(ids) <= USERS_A_CHECK or None in ids:
            raise NotOurs(f"a check names 1 to {USERS_A_CHECK} object ids")
        unique = tuple(dict.fromkeys(i for i in ids if i))
        part, letters = job_fields.part(job), job_fields.letters(job, len(unique))
        if letters and not part:
            raise NotOurs("the job has letters and nobody to tell them")
        return cls(unique, _why(job), **_common(job), part=part, letters=letters)


@dataclass(frozen=True, slots=True)
class SweptCheck(Check):
    """A check that a sweep asks for, in a queue apart from live checks."""

    queue: ClassVar[str] = "photo-sweep-checks"


@dataclass(frozen=True, slots=True)
class Sync:
    """Make SharePoint show one user's photo.

    Attributes:
        user: object id.
        cause: what made it necessary; only people read it.
        seen, born, tries, force: as in `Check`.
        removal: a sweep found that the user has no photo: their picture may be removed.
        slot: the beginning of the minute in which its SharePoint calls are reserved, 0 if none are.
    """

    queue: ClassVar[str] = "photo-syncs"
    lane: ClassVar[Lane] = "live"
    user: str
    cause: Cause
    seen: float
    born: float
    tries: int = 0
    force: bool = False
    removal: bool = False
    slot: float = 0.0

    @classmethod
    def read(cls, job: Mapping[str, Any]) -> Self:
        """Return the job that a message carries; `NotOurs` where it is not valid."""
        user, cause = object_id(job_fields.field(job, "user", str)), job_fields.field(job, "cause", str)
        if user is None:
            raise NotOurs("a sync names one object id")
        if cause not in get_args(Cause):
            raise NotOurs("the job's cause is unknown")
        removal = job_fields.field(job, "removal", bool) if "removal" in job else False
        slot = job_fields.number(job, "slot") if "slot" in job else 0.0
        return cls(user, cast(Cause, cause), **_common(job), removal=removal, slot=slot)


@dataclass(frozen=True, slots=True)
class Backfill(Sync):
    """A sync that a sweep asks for: in its own lane, so that it and live syncs do not delay each other."""

    queue: ClassVar[str] = "photo-backfill"
    lane: ClassVar[Lane] = "backfill"


@dataclass(frozen=True, slots=True)
class SweepPage:
    """Do the next step of a sweep.

    Attributes:
        sweep: the sweep's id.
        page: which page this message was sent for.
        born: when the message was first sent.
    """

    queue: ClassVar[str] = "photo-sweeps"
    sweep: str
    page: int
    born: float

    @classmethod
    def read(cls, job: Mapping[str, Any]) -> Self:
        """Return the job that a message carries; `NotOurs` where it is not valid."""
        page = job.get("page")
        if isinstance(page, bool) or not isinstance(page, int) or page < 0:
            raise NotOurs("a sweep's page has a number")
        return cls(job_fields.sweep_id(job.get("sweep")), page, job_fields.number(job, "born"))


@dataclass(frozen=True, slots=True)
class Tend:
    """Look after the Graph subscription because a lifecycle event arrived for it.

    Attributes:
        event: what Graph announced.
        subscription: the subscription's id.
        born: when the event arrived.
    """

    queue: ClassVar[str] = "photo-subscription"
    event: LifecycleEvent
    subscription: str
    born: float

    @classmethod
    def read(cls, job: Mapping[str, Any]) -> Self:
        """Return the job that a message carries; `NotOurs` where it is not valid."""
        event = job_fields.field(job, "event", str)
        subscription = object_id(job_fields.field(job, "subscription", str))
        if event not in get_args(LifecycleEvent) or subscription is None:
            raise NotOurs("a subscription job names a lifecycle event and a subscription id")
        return cls(event, subscription, job_fields.number(job, "born"))  # type: ignore[arg-type]  # narrowed by get_args


type Job = Check | Sync | SweepPage | Tend

QUEUES: Mapping[str, type[Check | Sync | SweepPage | Tend]] = {
    kind.queue: kind for kind in (Check, SweptCheck, Sync, Backfill, SweepPage, Tend)
}
_NAMES: Mapping[Any, set[str]] = {
    kind: {each.name for each in dataclasses.fields(kind)} for kind in QUEUES.values()
}


def write(job: Job) -> str:
    """Return the message body of a job, before base64."""
    return json.dumps({"v": MESSAGE_VERSION, "job": asdict(job)}, separators=(",", ":"))


def read[J: Check | Sync | SweepPage | Tend](kind: type[J], body: bytes | str) -> J:
    """Return the job of a message body.

    Raises:
        NotOurs: the body is not JSON of this version, or a field is missing, unknown or of a wrong type.
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
    unknown = set(message["job"]) - _NAMES[kind]
    if unknown:
        raise NotOurs(f"the job has {len(unknown)} unknown field(s)")
    return cast(J, kind.read(message["job"]))  # the type checker loses the kind on the way


def users_named(body: bytes) -> tuple[str, ...]:
    """Return the object ids that an unreadable message names, as many as a check's at most."""
    return object_ids_in(body.decode("utf-8", "replace"))[:USERS_A_CHECK]


def pack(users: Iterable[str], *, why: Why, now: float) -> list[Check]:
    """Return the checks of `users`, without duplicates, 20 to a job."""
    unique = list(dict.fromkeys(users))
    return [
        Check(tuple(unique[start : start + USERS_A_CHECK]), why, seen=now, born=now)
        for start in range(0, len(unique), USERS_A_CHECK)
    ]


def _why(job: Mapping[str, Any]) -> Why:
    why = job_fields.field(job, "why", str)
    if why not in get_args(Why):
        raise NotOurs("the job's why is unknown")
    return why  # type: ignore[return-value]  # narrowed by get_args


def _common(job: Mapping[str, Any]) -> dict[str, Any]:
    tries = job.get("tries")
    if isinstance(tries, bool) or not isinstance(tries, int) or not 0 <= tries <= 100:
        raise NotOurs("the job's tries is missing or not a count")
    return {
        "seen": job_fields.number(job, "seen"),
        "born": job_fields.number(job, "born"),
        "tries": tries,
        "force": job_fields.field(job, "force", bool),
    }
