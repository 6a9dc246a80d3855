"""Compare the photo ETags of up to 20 users with the ledger and queue a sync for each that changed.

One Graph request, one table read for each user, no write for unchanged users. One user never fails a whole
check. Order: follow-up jobs are sent, then notes and answers are written, and a deferral is the last act.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared import logs
from shared.attempt import LONGEST_ATTEMPT, Attempt
from shared.checks.decision import AskAgain, Decision, GiveUp, Leave, Note, Queue, TryAlone, decide, letter_of
from shared.clock import Clock
from shared.errors import DENIED_AFTER, GRAPH, PutOff, Refused, ServiceError, Stale
from shared.graph.client import Graph
from shared.graph.photo import Photo, PhotoSource
from shared.jobs import Backfill, Cause, Check, Sync
from shared.ledger.ledger import Ledger
from shared.ledger.row import Row, RowColumns
from shared.rest.gates import Gates
from shared.settings import Settings
from shared.storage.queues import Queues
from shared.sweeps.store import PartStore
from shared.sweeps.tally import Letter


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found about one user; `letter` is what it answers a sweep."""

    row: Row
    source: PhotoSource
    decision: Decision
    letter: str


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks users. One object, long-lived, shared by all threads."""

    settings: Settings
    ledger: Ledger
    parts: PartStore
    queues: Queues
    graph: Graph
    gates: Gates
    clock: Clock

    def check(self, job: Check) -> None:
        """Do a job from a queue, so that each of its users is answered, queued, or asked for later.

        Raises `TryLater` where the queue is out of reach, so that only a redelivery is left.
        """
        if job.part and job.letters:
            self._report_answers(job, job.part)
            return
        attempt = Attempt.begin(self.clock, LONGEST_ATTEMPT)
        try:
            found = self._look(job, attempt)
            self._queue_changed(job, found)
            self._look_again_later(job, found)
            self._note(job, found)
        except PutOff as error:
            if error.needs_operator:
                request_id = error.request_id if isinstance(error, ServiceError) else None
                logs.error("check.denied", count=len(job.users), error=str(error), request_id=request_id)
            self._defer(job, error.after, str(error))
        else:
            answers = {each.row.user: each.letter for each in found if each.letter != Letter.UNANSWERED}
            self._answer(job, answers)
            self._defer_unanswered(job, found)
            _report(job, found, attempt)

    def _look(self, job: Check, attempt: Attempt) -> list[Found]:
        self.gates.require_open(GRAPH)
        # Rows first: a note is conditional on the row as it was before Graph was asked.
        rows = [self.ledger.read(user) for user in job.users]
        answers = self.graph.photos(job.users, attempt)
        return [self._judge(job, row, answers[row.user]) for row in rows]

    def _judge(self, job: Check, row: Row, source: PhotoSource) -> Found:
        now, swept = self.clock.now(), job.why == "swept"
        decision = decide(source, row, force=job.force, sweep=swept, now=now, tries=job.tries)
        answer = letter_of(source, decision, row, now=now, remove_after=self.settings.remove_after)
        return Found(row, source, decision, answer)

    def _queue_changed(self, job: Check, found: Iterable[Found]) -> None:
        now = self.clock.now()
        lane = Backfill if job.why == "swept" else Sync
        for each in found:
            if isinstance(each.decision, Queue):
                cause = _cause(job, each)
                self.queues.send(lane(each.row.user, cause, seen=job.seen, born=now, force=job.force))

    def _look_again_later(self, job: Check, found: Iterable[Found]) -> None:
        """Queue later checks of notified users: Graph may notify before its store has the photo."""
        answered = tuple(each.row.user for each in found if each.letter != Letter.UNANSWERED)
        if job.why != "notified" or not answered:
            return
        now = self.clock.now()
        for after in self.settings.recheck_after:
            self.queues.send(Check(answered, "rechecked", seen=job.seen, born=now), hidden=after)

    def _note(self, job: Check, found: Iterable[Found]) -> None:
        for each in found:
            match each.decision:
                case Note(columns):
                    self._write(each.row, columns)
                case Queue() if job.why == "swept":
                    self._write(each.row, {"queued_at": self.clock.now()})
                case GiveUp(reason):
                    logs.warning("check.gave_up", user=each.row.user, reason=reason)
                    self._write(each.row, {"outcome": "failed", "reason": reason, "queued_at": 0.0})

    def _answer(self, job: Check, answers: Mapping[str, str]) -> None:
        """Tell the sweep that asked, if there is one, the letter of each user."""
        if job.part and answers:
            users, letters = tuple(answers), "".join(answers.values())
            self._report_answers(replace(job, users=users, letters=letters, born=self.clock.now()), job.part)

    def _report_answers(self, job: Check, part: tuple[str, str]) -> None:
        """Write answers into their part; where it is unreachable, defer a job with the answers alone.

        The syncs are queued already: checking the users again would queue them again, each time.
        """
        try:
            self.parts.answer(*part, dict(zip(job.users, job.letters, strict=True)))
        except ServiceError as error:
            after = error.after if isinstance(error, PutOff) else DENIED_AFTER
            wait = self.queues.put_off(job, after, now=self.clock.now())
            event = "answer.dropped" if wait is None else "answer.deferred"
            logs.warning(event, sweep=part[0], after=wait, error=str(error))

    def _write(self, row: Row, columns: RowColumns) -> None:
        if self.settings.dry_run:
            return
        try:
            self.ledger.write(row, columns)
        except Refused as error:  # storage will not take this row, whoever asks: one user fails no check
            logs.error("note.refused", user=row.user, error=str(error))
        except (Stale, ServiceError) as error:
            # A sync is at work, and knows more; or the ledger is unreachable, and the next check notes it.
            logs.info("note.left", user=row.user, error=str(error))

    def _defer_unanswered(self, job: Check, found: Iterable[Found]) -> None:
        """Queue unanswered users again: together if Graph was busy, alone if the answer was unexpected.

        Denied users stay together only where all users were denied. Otherwise each of them is asked for
        alone: a batch of theirs would look like a missing permission, and close the gate for all users.
        """
        odd = [(each.row.user, each.decision) for each in found if isinstance(each.decision, TryAlone)]
        for user, decision in odd:
            self._defer(replace(job, users=(user,), tries=job.tries + 1), None, decision.reason)
        later = [(each.row.user, each.decision) for each in found if isinstance(each.decision, AskAgain)]
        busy = [user for user, decision in later if not decision.denied]
        denied = [user for user, decision in later if decision.denied]
        together = len(denied) == len(job.users)
        for users in [tuple(denied)] if together else [(user,) for user in denied]:
            self._defer(replace(job, users=users), DENIED_AFTER, "Graph denies it")
        if busy:
            longest = max((each.after for _, each in later if each.after is not None), default=None)
            self._defer(replace(job, users=tuple(busy)), longest, "Graph could not say")

    def _defer(self, job: Check, after: float | None, reason: str) -> None:
        wait = self.queues.put_off(job, after, now=self.clock.now())
        if wait is None:
            self._answer(job, {user: self._give_up(user, reason) for user in job.users})
            return
        logs.warning("check.deferred", count=len(job.users), after=wait, reason=reason, tries=job.tries)

    def _give_up(self, user: str, reason: str) -> str:
        """Note that a user is left to the next sweep, and return the letter for this sweep.

        A user who cannot be noted is left to the next sweep all the same.
        """
        logs.warning("check.gave_up", user=user, reason=reason)
        noted: RowColumns = {"outcome": "deferred", "reason": f"gave up after a day: {reason}"}
        try:
            if not self.settings.dry_run:
                self.ledger.overwrite(user, noted)
            return Letter.FAILED.of(self.ledger.read(user))
        except ServiceError as error:
            logs.warning("ledger.unreachable", user=user, error=str(error))
            return Letter.FAILED.of(Row(user))


def _cause(job: Check, found: Found) -> Cause:
    """Return why a sync is queued: because of the check, or of a picture that may not be whole."""
    row, source = found.row, found.source
    repair = row.dirty and isinstance(source, Photo) and row.settled_etag == source.etag and not job.force
    return "repaired" if repair else job.why


def _report(job: Check, found: Iterable[Found], attempt: Attempt) -> None:
    changed = sum(isinstance(each.decision, Queue) for each in found)
    left = sum(isinstance(each.decision, Leave) for each in found)
    denied = sum(isinstance(each.decision, AskAgain) and each.decision.denied for each in found)
    if denied:
        logs.error("check.denied", count=denied, request_id=attempt.request_id)
    reason = f"{changed} changed, {left} unchanged"
    sent: dict[str, Any] = {"requests": attempt.requests, "request_id": attempt.request_id}
    logs.info("check.done", why=job.why, users=len(job.users), count=changed, reason=reason, **sent)
