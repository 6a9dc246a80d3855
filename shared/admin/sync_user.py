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
from shared.errors import NotOurs, ServiceError
from shared.graph.client import Graph
from shared.jobs import Sync
from shared.storage.queues import Queues
from shared.sync.result import Result
from shared.sync.syncer import Syncer
from shared.users import object_id

HIDDEN_FOR = 360.0  # seconds; a minute longer than functionTimeout
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
    queues: Queues
    syncer: Syncer
    clock: Clock

    def sync_user(self, asked: UserSyncRequest) -> Result:
        """Sync one user at once; if that must wait, a queued job continues.

        Raises:
            NotOurs: the user is neither an object id nor a UPN.
            Gone: the directory does not know the user.
            TryLater, Denied, Refused, ConfigError: Graph or storage is unavailable, or refuses.
        """
        is_upn = len(asked.user) <= LONGEST_UPN and asked.user.isprintable() and _UPN.fullmatch(asked.user)
        if not (is_upn or object_id(asked.user)):
            raise NotOurs("the user is neither an object id nor a user principal name")
        attempt = Attempt.begin(self.clock, LONGEST_REQUEST)
        user = self.graph.find_user(asked.user, attempt)
        now = self.clock.now()
        job = Sync(user.id, "asked", seen=now, born=now, force=asked.force)
        if asked.dry_run or asked.remove:
            # Not queued: an administrator looked and requested the removal, only for now.
            result = self.syncer.attempt(job, dry_run=asked.dry_run, remove=asked.remove, ends=attempt.ends)
        else:
            result = self._sync_queued(job, attempt.ends)
        return replace(result, requests=result.requests + attempt.requests)

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
