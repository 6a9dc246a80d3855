"""What the Functions host does with queue messages: at least once, in no order, poison after five."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.fakes.clock import Clock
from tests.fakes.outbox import Message, Outbox
from tests.fakes.steps import Steps

LEASE = 600.0  # seconds; the host hides what it works on for ten minutes and renews that
VISIBILITY_TIMEOUT = 30.0  # seconds, as host.json says
MAX_DEQUEUE_COUNT = 5  # as host.json says

Handlers = Mapping[str, Callable[[Message], object]]


@dataclass
class Mood:
    """How unkind the host is: seeded, so that a run can be repeated.

    `shuffled`: messages come in any order. `twice`: the share of messages that are delivered once more
    although they were handled.
    """

    seed: int = 0
    shuffled: bool = False
    twice: float = 0.0
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)


class Lost(Exception):
    """A poison message was delivered too often: the host runs it no more, and there is no further queue."""


class Host:
    """Delivers messages to the functions of their queues.

    `failures` keeps what the functions raised, kills aside; `most_messages` how many there ever were at once,
    as seen at each delivery.
    """

    def __init__(self, clock: Clock, outbox: Outbox, steps: Steps, handlers: Handlers) -> None:
        self._clock = clock
        self._steps = steps
        self._outbox = outbox
        self._handlers = handlers
        self.mood = Mood()
        self.failures: list[Exception] = []
        self.delivered = 0
        self.most_messages = 0

    def deliver(self, message: Message) -> None:
        """Deliver one message, whether it is due or not, and do what the host does afterwards.

        Raises:
            Lost: it is poison that was delivered five times already.
        """
        self.most_messages = max(self.most_messages, len(self._outbox.messages))
        if message.queue.endswith("-poison") and message.dequeue_count >= MAX_DEQUEUE_COUNT:
            self._outbox.delete(message)
            raise Lost(f"{message.queue}: {message.body[:200]}")
        self._outbox.dequeue(message, LEASE)
        self.delivered += 1
        # An instance that dies leaves the message to its lease.
        self._steps.survive(lambda: self._call(message))

    def _call(self, message: Message) -> None:
        try:
            self._handlers[message.queue](message)
        except Exception as error:  # noqa: BLE001 - a host survives its functions
            self.failures.append(error)
            self._retry(message)
        else:
            self._finish(message)

    def deliver_due(self) -> bool:
        """Deliver one message that is due; False where none is."""
        due = [message for message in self._outbox.due() if message.queue in self._handlers]
        if not due:
            return False
        self.deliver(self.mood.chance.choice(due) if self.mood.shuffled else due[0])
        return True

    def drain(self, *, within: float = 3 * 24 * 3600.0, deliveries: int = 500) -> None:
        """Deliver until no message is left, letting time pass where all of them hide.

        Raises:
            TimeoutError: some are left after `within` seconds, or after so many deliveries.
        """
        end, last = self._clock.now() + within, self.delivered + deliveries
        while self._clock.now() <= end and self.delivered < last:
            if self.deliver_due():
                continue
            waiting = [m.visible_at for m in self._outbox.messages if m.queue in self._handlers]
            if not waiting:
                return
            self._clock.advance(max(0.0, min(waiting) - self._clock.now()))
        raise TimeoutError(f"never done: {self._outbox.messages[:20]}, after {self.failures[:20]}")

    def run(self, seconds: float, *, deliveries: int = 50_000) -> None:
        """Deliver what falls due within the next `seconds`, and let them pass.

        Raises:
            TimeoutError: after so many deliveries there is still something due.
        """
        end, last = self._clock.now() + seconds, self.delivered + deliveries
        while self.delivered < last:
            if self.deliver_due():
                continue
            waiting = [m.visible_at for m in self._outbox.messages if m.queue in self._handlers]
            self._clock.advance(max(0.0, min([*waiting, end]) - self._clock.now()))
            if self._clock.now() >= end:
                return
        raise TimeoutError(f"never still: {self._outbox.messages[:20]}, after {self.failures[:20]}")

    def _finish(self, message: Message) -> None:
        if self.mood.chance.random() < self.mood.twice:
            self._outbox.release(message, self.mood.chance.random() * LEASE)  # its deletion got lost
        else:
            self._outbox.delete(message)

    def _retry(self, message: Message) -> None:
        if message.queue.endswith("-poison"):
            return  # it waits out its lease, and comes again
        if message.dequeue_count >= MAX_DEQUEUE_COUNT:
            self._outbox.poison(message)
        else:
            self._outbox.release(message, VISIBILITY_TIMEOUT)
