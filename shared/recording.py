"""Write down what nobody could handle: the end of the road for a poison message, and never a dead end.

Never raises on content. Storage out of reach does raise: then the message stays where it is, for later.
"""

from shared import jobs, logs
from shared.clock import Clock
from shared.errors import NotOurs
from shared.jobs import Check, Sync, Tend
from shared.ledger import Ledger, State

REASON = "gave up after repeated failures"


class Recorder:
    """Records poison. One object, long-lived, shared by all threads."""

    def __init__(self, ledger: Ledger, state: State, clock: Clock) -> None:
        self._ledger = ledger
        self._state = state
        self._clock = clock

    def record(self, kind: type[Check] | type[Sync] | type[Tend], message: str, body: bytes) -> None:
        """Write a poisoned message into its users' rows, or keep it whole where it names none.

        Args:
            kind: what its queue carries.
            message: the queue message's id.
            body: what it says.
        """
        try:
            users = _users(jobs.read(kind, body))
        except NotOurs as error:
            self._keep(kind, message, body, str(error))
            return
        if not users:
            self._keep(kind, message, body, REASON)
            return
        for user in users:
            # No condition: whoever works on the user meanwhile writes his own outcome after this one.
            self._ledger.overwrite(user, {"outcome": "failed", "reason": REASON, "queued_at": 0.0})
        logs.cry("poison.recorded", queue=kind.queue, count=len(users), user=users[0])

    def _keep(self, kind: type[Check] | type[Sync] | type[Tend], message: str, body: bytes, why: str) -> None:
        text = body.decode("utf-8", "backslashreplace")
        self._state.note_poison(message, kind.queue, text, why, self._clock.now())
        logs.cry("poison.kept", queue=kind.queue, reason=why)


def _users(job: jobs.Job) -> tuple[str, ...]:
    match job:
        case Check(users=users):
            return users
        case Sync(user=user):
            return (user,)
        case Tend():
            return ()
