"""Sync one user now, on request of an administrator.

The job is queued first, hidden for longer than a function may run: if this instance stops in between, the
work is still done. When the outcome is final the message is deleted; where the job must come back, the job
as it goes on takes the message's place.
"""

import re
from dataclasses import dataclass, replace

from shared import logs
from shared.attempt import LONGEST_REQUEST, Attempt
from shared.clock import Clock
from shared.errors import GRAPH, Gone, NotOurs, ServiceError, Stale
from shared.graph.client import Graph
from shared.graph.photo import NO_USER
from shared.jobs import Sync
from shared.ledger.ledger import Ledger
from shared.ledger.row import USER_UNKNOWN, Row, RowColumns
from shared.storage.queues import Queues
from shared.sync.result import Result
from shared.sync.syncer import Syncer
from shared.users import object_id

HIDDEN_FOR = 360.0  # seconds; a minute longer than functionTimeout
NAME_UNKNOWN = (
    "the directory does not know this user principal name; "
    "what the ledger knows of a deleted user is found by object id alone"
)
LONGEST_UPN = 1024  # characters; Entra allows 113, guests' are longer
_UPN = re.compile(r"[^\s@/\\?%<>\"]+@[^\s@/\\?%<>\"]+")


@dataclass(frozen=True, slots=True)
class UserSyncRequest:
    """The request of an administrator: the user's object id or UPN, and options."""

    user: str
    force: bool = False
    dry_run: bool = False
    remove: bool = False


@dataclass(frozen=True, slots=True)
class UserSync:
    """Syncs users on request. One long-lived object, shared by all threads."""

    graph: Graph
    ledger: Ledger
    queues: Queues
    syncer: Syncer
    clock: Clock
    dry_run: bool  # nothing may be written into the ledger

    def sync_user(self, asked: UserSyncRequest) -> Result:
        """Sync one user at once; if that must wait, a queued job continues.

        Raises:
            NotOurs: the user is neither an object id nor a UPN.
            Gone: neither the directory nor the ledger knows the user.
            TryLater, Denied, Refused, ConfigError: Graph or storage is unavailable, or refuses.
        """
        is_upn = len(asked.user) <= LONGEST_UPN and asked.user.isprintable() and _UPN.fullmatch(asked.user)
        if not (is_upn or object_id(asked.user)):
            raise NotOurs("the user is neither an object id nor a user principal name")
        attempt = Attempt.begin(self.clock, LONGEST_REQUEST)
        try:
            user = self.graph.find_user(asked.user, attempt)
        except Gone as error:
            return self._unknown(asked, error, attempt)
        now = self.clock.now()
        job = Sync(user.id, "asked", seen=now, born=now, force=asked.force)
        if asked.dry_run or asked.remove:
            # Not queued: an administrator looked and requested the removal, only for now.
            result = self.syncer.attempt(job, dry_run=asked.dry_run, remove=asked.remove, ends=attempt.ends)
        else:
            result = self._sync_queued(job, attempt.ends)
        return replace(result, requests=result.requests + attempt.requests)

    def _unknown(self, asked: UserSyncRequest, error: Gone, attempt: Attempt) -> Result:
        """Note that a user of the ledger is gone, and return so; raise `Gone` for any other."""
        user = object_id(asked.user) if error.code in NO_USER else None
        row = self.ledger.read(user) if user else None
        if row is None or not row.version:
            what = USER_UNKNOWN if object_id(asked.user) else NAME_UNKNOWN
            status, code, request_id = error.status, error.code, error.request_id
            raise Gone(GRAPH, what, status=status, code=code, request_id=request_id) from error
        if not (asked.dry_run or self.dry_run):
            self._note_gone(row)
        requests, request_id = attempt.requests, error.request_id
        return Result(row.user, "gone", USER_UNKNOWN, requests=requests, request_id=request_id)

    def _note_gone(self, row: Row) -> None:
        since = row.gone_since or self.clock.now()
        noted: RowColumns = {"gone_since": since, "outcome": "gone", "reason": USER_UNKNOWN, "queued_at": 0.0}
        if row.holds(noted):
            return
        try:
            self.ledger.write(row, noted)
        except (Stale, ServiceError) as error:  # an attempt is at work, and notes the same; or the next check
            logs.info("note.left", user=row.user, error=str(error))

    def _sync_queued(self, job: Sync, ends: float) -> Result:
        receipt = self.queues.send(job, hidden=HIDDEN_FOR)
        result = self.syncer.attempt(job, ends=ends)
        try:
            if job.force or not result.queued:  # what is queued already may not be forced
                result = self.syncer.queue_again(job, result)
            self.queues.outbox.take_back(receipt)
        except ServiceError as error:  # then the job is done twice, which is harmless, or later
            logs.warning("job.not_taken_back", user=job.user, error=str(error))
        return result
