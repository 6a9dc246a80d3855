"""Read one page of the users in scope, and have each of them checked.

Users are put into parts, 20 to each, which are written before their checks are sent.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count, islice

from shared import jobs
from shared.attempt import LONGEST_ATTEMPT, Attempt
from shared.clock import Clock
from shared.graph.client import Graph
from shared.jobs import SweptCheck
from shared.settings import Settings
from shared.storage.queues import Queues
from shared.sweeps import tally
from shared.sweeps.state import SweepRecord
from shared.sweeps.store import PartStore


@dataclass(slots=True)
class PageReader:
    """Reads pages. One object, long-lived, shared by all threads.

    The members of the excluded group are read once a sweep and cached until its last page, to save calls.
    Another instance reads them for itself, and a sync judges a user who joins or leaves meanwhile again.
    """

    settings: Settings
    parts: PartStore
    queues: Queues
    graph: Graph
    clock: Clock
    _excluded: tuple[str, frozenset[str]] = ("", frozenset())

    def read(self, record: SweepRecord) -> str:
        """Have all users on the sweep's next page checked, and return the address of the one after it.

        It is "" after the last page.

        Raises:
            Expired: Graph does not know the address any more.
            Refused: Graph will not list the users.
            TryLater, Denied, ConfigError: not now.
        """
        attempt = Attempt.begin(self.clock, LONGEST_ATTEMPT)
        users, following = self.graph.list_users(self.settings.scope, record.next, attempt)
        excluded = self._left_out(record.id, attempt)
        self._ask_all(record, [user for user in users if user not in excluded])
        if not following:
            self._excluded = ("", frozenset())
        return following

    def _left_out(self, sweep: str, attempt: Attempt) -> frozenset[str]:
        group = self.settings.scope.excluded
        if not group:
            return frozenset()
        kept, excluded = self._excluded
        if kept != sweep:
            excluded = self.graph.members_of(group, attempt)
            self._excluded = (sweep, excluded)
        return excluded

    def _ask_all(self, record: SweepRecord, users: Iterable[str]) -> None:
        """Put all users into parts, 20 to each; a part that exists already keeps its users.

        A page that is read once more may list others, in another order: none is left out or asked for twice.
        """
        left = dict.fromkeys(users)
        for number in count():
            if not left:
                return
            some = tuple(islice(left, jobs.USERS_A_CHECK))
            for user in self._ask(record, tally.part_key(int(record.page), number), some):
                left.pop(user, None)

    def _ask(self, record: SweepRecord, key: str, users: tuple[str, ...]) -> tuple[str, ...]:
        """Write a part, send its check, and return its users; those already answered are not asked for."""
        part = self.parts.add(record.id, key, users)
        now = self.clock.now()
        if asked := part.unanswered:
            check = SweptCheck(asked, "swept", seen=now, born=now, force=record.force, part=(record.id, key))
            self.queues.send(check)
        return part.users
