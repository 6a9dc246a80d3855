"""Compare the photo ETags of up to 20 users with the ledger and queue a sync for each that changed.

One Graph request, one table read a user, no write for an unchanged one. A check never fails because of one
user. Order: the syncs are sent first, then notes are written, and a deferral is the last act.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared import jobs, logs, photos
from shared.clock import Clock
from shared.errors import DENIED_AFTER, ConfigError, Denied, ServiceError, Stale, TryLater
from shared.graph import Graph
from shared.jobs import Check, Sync
from shared.ledger import Ledger
from shared.photos import AskAgain, Decision, Leave, Note, Queue, TryAlone
from shared.queues import Queues
from shared.rest import Attempt
from shared.rows import Row

MOST_TRIES = 5  # of a user whose photo Graph answers oddly, before his outcome is *failed*


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found about one user."""

    row: Row
    decision: Decision


class Checker:
    """Checks users. One object, long-lived, shared by all threads.

    Args:
        ledger: what SharePoint shows.
        queues: where syncs go.
        graph: what Exchange has.
        clock: what time it is.
        dry_run: note nothing in the ledger.
    """

    def __init__(
        self, *, ledger: Ledger, queues: Queues, graph: Graph, clock: Clock, dry_run: bool = False
    ) -> None:
        self._ledger = ledger
        self._queues = queues
        self._graph = graph
        self._clock = clock
        self._dry_run = dry_run

    def check(self, job: Check) -> None:
        """Do a job from the queue, so that each of its users is answered, queued, or asked for later.

        Raises:
            TryLater: the queue is out of reach, so that only a redelivery is left.
        """
        attempt = Attempt()
        try:
            found = self._look(job, attempt)
        except TryLater as error:
            self._defer(job, error.after, str(error))
        except Denied as error:
            logs.cry("check.denied", count=len(job.users), error=str(error), request_id=error.request_id)
            self._defer(job, DENIED_AFTER, str(error))
        except ConfigError as error:
            logs.cry("check.denied", count=len(job.users), error=str(error))
            self._defer(job, DENIED_AFTER, str(error))
        else:
            self._queue_changed(job, found)
            self._note(job, found)
            self._put_off(job, found)
            _report(job, found, attempt)

    def _look(self, job: Check, attempt: Attempt) -> list[Found]:
        # Rows first: a note is conditional on the row as it was before Graph was asked.
        rows = [self._ledger.read(user) for user in job.users]
        sources = self._graph.photos(job.users, attempt)
        now = self._clock.now()
        sweep = job.why == "swept"
        return [
            Found(row, photos.decide(sources[row.user], row, force=job.force, sweep=sweep, now=now))
            for row in rows
        ]

    def _queue_changed(self, job: Check, found: Iterable[Found]) -> None:
        now = self._clock.now()
        for each in found:
            if isinstance(each.decision, Queue):
                self._queues.send(Sync(each.row.user, job.why, seen=job.seen, born=now, force=job.force))

    def _note(self, job: Check, found: Iterable[Found]) -> None:
        for each in found:
            match each.decision:
                case Note(columns):
                    self._write(each.row, columns)
                case TryAlone(reason) if job.tries >= MOST_TRIES:
                    self._write(each.row, {"outcome": "failed", "reason": reason})
                case _:
                    pass

    def _write(self, row: Row, columns: Mapping[str, Any]) -> None:
        if self._dry_run:
            return
        try:
            self._ledger.write(row, columns)
        except (Stale, ServiceError) as error:
            # A sync is at work, and knows better; or the ledger is out of reach, and the next check notes it.
            logs.say("note.left", user=row.user, error=str(error))

    def _put_off(self, job: Check, found: Iterable[Found]) -> None:
        """Queue again whom Graph could not answer: together if it was busy, alone if he is odd."""
        odd = [each.row.user for each in found if isinstance(each.decision, TryAlone)]
        if job.tries < MOST_TRIES:
            for user in odd:
                again = replace(job, users=(user,), tries=job.tries + 1)
                self._defer(again, None, "Graph's answer is odd")
        busy = [(each.row.user, each.decision) for each in found if isinstance(each.decision, AskAgain)]
        if busy:
            rest = replace(job, users=tuple(user for user, _ in busy))
            self._defer(rest, _longest(decision for _, decision in busy), "Graph could not say")

    def _defer(self, job: Check, after: float | None, reason: str) -> None:
        now = self._clock.now()
        if now - job.born > jobs.LONGEST_LIFE:
            for user in job.users:
                self._give_up(user, reason)
            return
        wait = self._queues.defer(job, after, now=now)
        logs.warn("check.deferred", count=len(job.users), after=wait, reason=reason, tries=job.tries)

    def _give_up(self, user: str, reason: str) -> None:
        """Note that a user is left to the next sweep; one who cannot be noted is left to it all the same."""
        logs.warn("check.gave_up", user=user, reason=reason)
        if self._dry_run:
            return
        try:
            self._ledger.overwrite(user, {"outcome": "deferred", "reason": f"gave up after a day: {reason}"})
        except ServiceError as error:
            logs.warn("ledger.unreachable", user=user, error=str(error))


def _longest(decisions: Iterable[AskAgain]) -> float | None:
    waits = [DENIED_AFTER if decision.denied else decision.after for decision in decisions]
    known = [wait for wait in waits if wait is not None]
    return max(known) if known else None


def _report(job: Check, found: Iterable[Found], attempt: Attempt) -> None:
    changed = sum(isinstance(each.decision, Queue) for each in found)
    left = sum(isinstance(each.decision, Leave) for each in found)
    denied = sum(isinstance(each.decision, AskAgain) and each.decision.denied for each in found)
    if denied:
        logs.cry("check.denied", count=denied, request_id=attempt.request_id)
    logs.say(
        "check.done",
        why=job.why,
        users=len(job.users),
        count=changed,
        reason=f"{changed} changed, {left} unchanged",
        requests=attempt.requests,
        request_id=attempt.request_id,
    )
