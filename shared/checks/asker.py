"""Ask Graph about the users of a check, and find out whose trouble a refusal is: a user's, or Graph's.

A batch may fail as a whole because of one user in it. Two of its users are then asked for alone. If Graph
refuses both, it is in trouble, and the whole check waits. If it answers for one of them, the rest is divided
until the user who spoils it is alone: some ten calls more for a batch of twenty, and no message more.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched

from shared.attempt import Attempt
from shared.clock import Clock
from shared.errors import GRAPH, Denied, NotSent, PutOff, RoleMissing, ServiceError, Throttled, TryLater
from shared.graph import batch, photo
from shared.graph.client import Graph
from shared.graph.photo import PhotoDenied, PhotoFailed, PhotoSource, Unavailable
from shared.rest.gates import Gates


@dataclass(frozen=True, slots=True)
class Asked:
    """What Graph said of each user that it answered for; `stopped` is why it did not for all of them.

    `throttled` are those of the others whose mailboxes are throttled for longer than Graph's gate is closed.
    """

    sources: Mapping[str, PhotoSource]
    stopped: PutOff | ServiceError | None = None
    throttled: Mapping[str, PhotoSource] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks about users. One object, long-lived, shared by all threads."""

    graph: Graph
    gates: Gates
    clock: Clock

    def ask(self, users: Sequence[str], attempt: Attempt, *, setbacks: int, listed: bool) -> Asked:
        """Return what Graph says of up to 20 users.

        `setbacks` is how often these users came back: after each, half as many are asked for at once, so that
        a user whose presence has a batch throttled does not hold up the others for ever. `listed`: a page of
        the directory names them.

        Raises `GateClosed` where Graph must not be called now, `TryLater` where storage is out of reach.
        """
        self.gates.require_open(GRAPH)
        pieces = deque(batched(users, max(1, len(users) >> setbacks), strict=False))
        sources: dict[str, PhotoSource] = {}
        stopped, whole = None, True
        while pieces and stopped is None:
            some = pieces.popleft()
            try:
                sources |= self.graph.photos(some, attempt, listed=listed, repeatable=whole)
            except (PutOff, ServiceError) as error:
                if len(some) > 1 and _of_content(error):
                    pieces.extendleft(reversed(self._divide(some, answered=bool(sources))))
                elif source := self._own(some, error, again=setbacks > 0):
                    sources[some[0]] = source
                else:
                    stopped = error
                whole = False
        return self._judge(sources, stopped, again=setbacks > 0)

    def _own(self, users: Sequence[str], error: PutOff | ServiceError, *, again: bool) -> PhotoSource | None:
        """Return what a refusal says of the only user who was asked for, None if it is not about them.

        `again`: this user was in a batch that was throttled before, and is in one that is throttled now.
        """
        if isinstance(error, Throttled) and again and len(users) == 1:
            return Unavailable(error.after)
        if _of_content(error) and isinstance(error, ServiceError) and self.gates.only_of(users[0], error):
            return _source_of(error)
        return None

    def _divide(self, users: Sequence[str], *, answered: bool) -> list[tuple[str, ...]]:
        """Return the parts in which users are asked for next; two of them alone until Graph answered any.

        Which two changes with time: if both of them spoil their batch, others are asked for the next time.
        """
        half = (len(users) + 1) // 2
        if answered or len(users) < 3:
            return [tuple(users[:half]), tuple(users[half:])]
        first = int(self.clock.now()) % len(users)
        turned = (*users[first:], *users[:first])
        left = turned[1:half] + turned[half + 1 :]
        return [turned[:1], turned[half : half + 1], *batched(left, max(1, half - 1), strict=False)]

    def _judge(
        self, sources: dict[str, PhotoSource], stopped: PutOff | ServiceError | None, *, again: bool
    ) -> Asked:
        """Return the answers; none of them if no user was answered for and Graph proves to be in trouble.

        Then the check waits as one message: in an outage each half minute would leave one more. Those who
        came back before (`again`) are told apart all the same.
        """
        if any(isinstance(source, photo.ANSWERS) for source in sources.values()):
            return Asked(sources, stopped)
        if stopped is not None:
            return Asked(sources if again else {}, stopped)
        for user, source in sources.items():
            try:
                batch.require_known(source)
            except ServiceError as error:
                if not self.gates.only_of(user, error):
                    return Asked({}, error, self._throttled_longer(sources))
        return Asked(sources)

    def _throttled_longer(self, sources: Mapping[str, PhotoSource]) -> dict[str, PhotoSource]:
        """Return the mailboxes that are throttled for longer than Graph's gate is closed."""
        left = self.gates.closed_until(GRAPH) - self.clock.now()
        named = {user: each for user, each in sources.items() if isinstance(each, Unavailable)}
        return {user: each for user, each in named.items() if (each.after or 0.0) > left}


def _of_content(error: PutOff | ServiceError) -> bool:
    """Return whether a batch may have failed because of what is in it."""
    of_graph = isinstance(error, ServiceError) and error.service == GRAPH
    return of_graph and not isinstance(error, NotSent | Throttled | RoleMissing)


def _source_of(error: ServiceError) -> PhotoSource:
    """Return what the failure of a batch with only one user says of that user."""
    match error:
        case Denied(code=code):
            return PhotoDenied(code)
        case TryLater(after=after):
            return Unavailable(after)
        case _:
            return PhotoFailed(error.status or 0, error.code)
