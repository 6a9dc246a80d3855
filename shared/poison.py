"""Record poison messages, which failed for good: each leaves a trace that an administrator finds.

Content never raises an error. Unreachable storage does: then the message must be delivered again.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from shared import jobs, logs
from shared.clock import Clock
from shared.errors import NotOurs
from shared.jobs import Check, Job, SweepPage, Sync, Tend
from shared.ledger.ledger import Ledger
from shared.ledger.row import Row
from shared.storage.tables import ANY, StateRows, Table
from shared.sweeps.store import PartStore
from shared.sweeps.tally import Letter
from shared.users import object_ids_in

GAVE_UP = "gave up after repeated failures"
LONGEST_TEXT = 16_000  # characters of up to four bytes; a table column holds 64 KiB of UTF-16
UNREADABLE_MESSAGE = "a message that names this user is not to be read"


@dataclass(frozen=True, slots=True)
class PoisonStore:
    """The poison messages that are not recorded in users' rows: most name no user."""

    table: Table

    def note(self, key: str, queue: str, body: str, why: str, now: float) -> None:
        """Keep a poison message: once for each `key`, its `body` cut where a table column ends.

        `queue` is where it failed, `why` why it was not handled, `now` Unix seconds.
        """
        columns = {"queue": queue, "body": body[:LONGEST_TEXT], "why": why, "at": now}
        self.table.merge(StateRows.POISON, key, columns, ANY)

    def kept(self, most: int) -> list[tuple[str, dict[str, Any]]]:
        """Return key and facts of the messages that were kept, no more than `most` of them."""
        return [(key, columns) for key, columns, _ in islice(self.table.scan(StateRows.POISON), most)]

    def forget(self, before: float, after: str, most: int) -> str:
        """Delete the messages that were kept before a time, Unix seconds.

        Looks at up to `most` messages after the key `after` ("" to begin), and returns where to go on, "" at
        the end.
        """
        rows = list(islice(self.table.scan(StateRows.POISON, ["at"], after=after), most))
        self.table.delete_all(StateRows.POISON, [key for key, columns, _ in rows if columns["at"] < before])
        return rows[-1][0] if len(rows) == most else ""


@dataclass(frozen=True, slots=True)
class PoisonRecorder:
    """Records poison. One object, long-lived, shared by all threads."""

    ledger: Ledger
    parts: PartStore
    store: PoisonStore
    end_sweep: Callable[[str], None]  # one that cannot go on
    dry_run: Callable[[], bool]  # nothing may be written into the ledger
    clock: Clock

    def record(self, kind: type[Job], body: bytes) -> None:
        """Write a poisoned message into its users' rows, end its sweep, or keep it whole.

        `kind` is the kind of job that its queue carries. Raises `TryLater` where it cannot be recorded now:
        the ledger is out of reach, or must not be changed.
        """
        try:
            self._record(kind, body, jobs.read(kind, body))
        except NotOurs as error:
            self._keep(kind, body, str(error))
            self._fail_known(kind, body, f"{UNREADABLE_MESSAGE}: {error}")

    def _record(self, kind: type[Job], body: bytes, job: Job) -> None:
        match job:
            case Check(users=users, letters=""):
                self._fail_users(kind, body, dict.fromkeys(users, GAVE_UP))
                if job.part:
                    failed = {user: Letter.FAILED.of(self.ledger.read(user)) for user in users}
                    self.parts.answer(*job.part, failed)
            case Check(users=users, letters=letters):  # its users are well: only their sweep was not told
                self._keep(kind, body, GAVE_UP)
                if job.part:
                    self.parts.answer(*job.part, dict(zip(users, letters, strict=True)))
            case Sync(user=user):
                self._fail_users(kind, body, {user: _reason(self.ledger.read(user))})
            case SweepPage(sweep=sweep):
                self._keep(kind, body, GAVE_UP)
                self.end_sweep(sweep)
            case Tend():
                self._keep(kind, body, GAVE_UP)

    def _fail_known(self, kind: type[Job], body: bytes, reason: str) -> None:
        """Fail the known users that a message of another release may name, so that they are checked again."""
        if issubclass(kind, Check | Sync):
            named = object_ids_in(body.decode("utf-8", "replace"))[: jobs.USERS_A_CHECK]
            known = [user for user in named if self.ledger.read(user).version]
            self._fail_users(kind, body, dict.fromkeys(known, reason))

    def _fail_users(self, kind: type[Job], body: bytes, reasons: Mapping[str, str]) -> None:
        if reasons and self.dry_run():  # the ledger is left as it is
            self._keep(kind, body, GAVE_UP)
            return
        for user, reason in reasons.items():
            # No condition: an attempt that works on the user meanwhile writes its own outcome after this one.
            self.ledger.overwrite(user, {"outcome": "failed", "reason": reason, "queued_at": 0.0})
            logs.error("poison.recorded", queue=kind.queue, user=user, reason=reason)

    def _keep(self, kind: type[Job], body: bytes, why: str) -> None:
        # Made of its content, so that another delivery finds the same row. (The message's id will not do: in
        # Azure's worker a property `id` of the body takes its place, whatever it says. See `jobs`.)
        key = f"{kind.queue}-{hashlib.sha256(body).hexdigest()}"
        self.store.note(key, kind.queue, body.decode("utf-8", "backslashreplace"), why, self.clock.now())
        logs.error("poison.kept", queue=kind.queue, reason=why)


def _reason(row: Row) -> str:
    """Return why a sync gave up, with the reason that its last attempt noted."""
    noted = row.reason.removeprefix(GAVE_UP).removeprefix(": ") if row.outcome == "failed" else ""
    return f"{GAVE_UP}: {noted}" if noted else GAVE_UP
