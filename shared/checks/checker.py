"""Compare the photo ETags of up to 20 users with the ledger and queue a sync for each that changed.

One Graph request, one table read for each user, no write for unchanged users. One user never fails a whole
check. Order: follow-up jobs are sent, then notes and answers are written, and a deferral is the last act.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared import backoff, logs
from shared.attempt import LONGEST_ATTEMPT, Attempt
from shared.checks.asker import Asked, Asker
from shared.checks.decision import AskAgain, Decision, GiveUp, Leave, Queue, decide, letter_of
from shared.clock import Clock
from shared.errors import DENIED_AFTER, PutOff, Refused, ServiceError, Stale, Throttled
from shared.graph.photo import Photo, PhotoDenied, PhotoSource, Unavailable
from shared.jobs import MOST_SETBACKS, Backfill, Cause, Check, Sync
from shared.ledger.ledger import Ledger
from shared.ledger.row import Outcome, Row, RowColumns
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
    asker: Asker
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
            found, throttled, stopped = self._look(job, attempt)
            self._queue_changed(job, found)
            self._look_again_later(job, found)
            self._note(job, [*found, *throttled])
        except PutOff as error:
            self._defer_left(job, [], error)
        else:
            answers = {each.row.user: each.letter for each in found if each.letter != Letter.UNANSWERED}
            self._answer(job, answers)
            self._defer_unanswered(job, found)
            if stopped is not None:
                self._defer_left(job, found, stopped)
            _report(job, found, attempt)

    def _look(
        self, job: Check, attempt: Attempt
    ) -> tuple[list[Found], list[Found], PutOff | ServiceError | None]:
        """Return what was found of each user that Graph answered for, and why it did not for the others.

        In between: those of the others whose mailboxes are throttled, which their rows are told.
        """
        # Rows first: a note is conditional on the row as it was before Graph was asked.
        rows, now = [self.ledger.read(user) for user in job.users], self.clock.now()
        waiting = {row.user: Unavailable(row.wait_until - now) for row in rows if row.wait_until > now}
        users, tries, listed = [user for user in job.users if user not in waiting], job.tries, job.listed
        asked = self.asker.ask(users, attempt, setbacks=tries, listed=listed) if users else Asked({})
        sources = {**waiting, **asked.sources}
        found = [self._judge(job, row, sources[row.user]) for row in rows if row.user in sources]
        throttled = [
            self._judge(job, row, asked.throttled[row.user]) for row in rows if row.user in asked.throttled
        ]
        return found, throttled, asked.stopped

    def _judge(self, job: Check, row: Row, source: PhotoSource) -> Found:
        now, swept = self.clock.now(), job.why == "swept"
        # Graph's notification may be about what made SharePoint give the user a profile, or another name.
        asked = replace(row, no_profile_until=0.0) if job.why == "notified" else row
        tries, listed = job.tries, job.listed
        decision = decide(source, asked, force=job.force, sweep=swept, now=now, tries=tries, listed=listed)
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
            noted: RowColumns = {} if isinstance(each.decision, Leave) else {**each.decision.columns}
            match each.decision:
                case Queue() if job.why == "swept":
                    noted["queued_at"] = self.clock.now()
                case AskAgain(reason, after):
                    noted |= self._refusal(job, each.row, reason, after)
                case GiveUp(reason):
                    logs.warning("check.gave_up", user=each.row.user, reason=reason)
                    noted |= {"outcome": "failed", "reason": reason, "queued_at": 0.0}
            if noted:
                self._write(each.row, noted)

    def _refusal(self, job: Check, row: Row, reason: str, after: float | None) -> RowColumns:
        """Return until when a throttled mailbox is left alone; the second refusal names the user."""
        now, noted = self.clock.now(), RowColumns()
        if row.wait_until > now:
            return {}  # noted before, and not asked for since
        if after is not None:
            noted["wait_until"] = now + after
        if job.tries:
            noted |= {"outcome": "failed", "reason": reason}
        return {} if row.holds(noted) else noted

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
        except Refused as error:  # storage never takes this row: one user fails no check
            logs.error("note.refused", user=row.user, error=str(error))
        except (Stale, ServiceError) as error:
            # A sync is at work, and knows more; or the ledger is unreachable, and the next check notes it.
            logs.info("note.left", user=row.user, error=str(error))

    def _defer_unanswered(self, job: Check, found: Iterable[Found]) -> None:
        """Queue users again that Graph did not answer for, as one message: none of them leaves another.

        It comes back for the first of them: the rows of the others say until when they are not asked for. In
        a dry run they say nothing, and it comes back for the last.
        """
        later = [(each.row.user, each.decision) for each in found if isinstance(each.decision, AskAgain)]
        if not later:
            return
        again = replace(job, tries=min(job.tries + 1, MOST_SETBACKS), users=tuple(user for user, _ in later))
        own = backoff.own_wait(again.tries)
        waits = [max(each.after or 0.0, own) for _, each in later]
        after = max(waits) if self.settings.dry_run else min(waits)
        self._defer(again, after, later[0][1].reason, outcome="failed")

    def _defer_left(self, job: Check, found: Iterable[Found], error: PutOff | ServiceError) -> None:
        """Queue the users again that Graph was not asked for, or refused together with all others."""
        done = {each.row.user for each in found}
        left = replace(job, users=tuple(user for user in job.users if user not in done))
        if isinstance(error, PutOff) and error.needs_operator:
            request_id = error.request_id if isinstance(error, ServiceError) else None
            logs.error("check.denied", count=len(left.users), error=str(error), request_id=request_id)
        after = error.after if isinstance(error, PutOff) else backoff.SHORTEST
        if isinstance(error, Throttled):
            left = replace(left, tries=min(job.tries + 1, MOST_SETBACKS))
            after = (after or 0.0) + backoff.own_wait(left.tries)  # after all others, whose gate opens then
        self._defer(left, after, str(error))

    def _defer(self, job: Check, after: float | None, reason: str, outcome: Outcome = "deferred") -> None:
        """Queue a job again; one that is older than a day ends, with this outcome for each of its users."""
        wait = self.queues.put_off(job, after, now=self.clock.now())
        if wait is None:
            self._answer(job, {user: self._give_up(user, reason, outcome) for user in job.users})
            return
        logs.warning("check.deferred", count=len(job.users), after=wait, reason=reason, tries=job.tries)

    def _give_up(self, user: str, reason: str, outcome: Outcome) -> str:
        """Note that a user is left to the next sweep, and return the letter for this sweep.

        A user who cannot be noted is left to the next sweep all the same.
        """
        logs.warning("check.gave_up", user=user, reason=reason)
        noted: RowColumns = {"outcome": outcome, "reason": f"gave up after a day: {reason}"}
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
    denied = sum(isinstance(each.source, PhotoDenied) for each in found)
    if denied:
        logs.error("check.denied", count=denied, request_id=attempt.request_id)
    reason = f"{changed} changed, {left} unchanged"
    sent: dict[str, Any] = {"requests": attempt.requests, "request_id": attempt.request_id}
    logs.info("check.done", why=job.why, users=len(job.users), count=changed, reason=reason, **sent)
