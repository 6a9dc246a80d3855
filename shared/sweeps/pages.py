"""Read one page of a sweep: of the excluded group's members first, then of the users in scope.

Members are kept; users are put into parts, 20 to each, which are written before their checks are sent.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

from shared import jobs
from shared.attempt import LONGEST_ATTEMPT, Attempt
from shared.clock import Clock
from shared.graph.client import Graph
from shared.jobs import SweptCheck
from shared.settings import Settings
from shared.storage.queues import Queues
from shared.sweeps import tally
from shared.sweeps.lists import ListStore
from shared.sweeps.state import LAST_PAGE_READ, SweepRecord
from shared.sweeps.store import PartStore


@dataclass(frozen=True, slots=True)
class PageReader:
    """Reads pages. One object, long-lived, shared by all threads.

    The members of the excluded group are read once a sweep, to save calls; a sync judges a user who joins or
    leaves meanwhile again.
    """

    settings: Settings
    parts: PartStore
    lists: ListStore
    queues: Queues
    graph: Graph
    clock: Clock

    def read(self, record: SweepRecord) -> dict[str, Any]:
        """Read the sweep's next page; return the columns of its record that say where to go on.

        All users on a page are checked; if its successor is refused, they are nevertheless.

        Raises:
            Expired: Graph does not know the page's address any more.
            Endless: the list does not come to an end.
            Refused: Graph will not list the users.
            TryLater, Denied, ConfigError: not now.
        """
        attempt = Attempt.begin(self.clock, LONGEST_ATTEMPT)
        first = "excluded users" if self.settings.scope.excluded and not record.page else "users"
        if (reading := record.reading or first) == "excluded users":
            following = self._exclude(record, attempt)
            place = {"reading": "excluded users" if following else "users", "next": following}
        else:
            following = self._check(record, attempt)
            place = {"reading": "users", "next": following or LAST_PAGE_READ}
        if following:
            self.lists.follow(record.id, reading, int(record.page) + 1, following)
        return place

    def _exclude(self, record: SweepRecord, attempt: Attempt) -> str:
        group = self.settings.scope.excluded
        members, following = self.graph.list_members(group, record.next, attempt)
        self.lists.exclude(record.id, int(record.page), members)
        return following

    def _check(self, record: SweepRecord, attempt: Attempt) -> str:
        scope = self.settings.scope
        users, following = self.graph.list_users(scope, record.next, attempt)
        if scope.excluded:
            users = self.lists.without_excluded(record.id, users)
        self._ask_all(record, users)
        return following

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
