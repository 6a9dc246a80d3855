"""The Functions host's queue delivery: at least once, in any order, to the poison queue after five times."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.fakes.clock import Clock
from tests.fakes.external_steps import ExternalSteps
from tests.fakes.outbox import Message, Outbox

LEASE = 600.0  # seconds; the host hides a message for ten minutes while it works on it, and renews that
VISIBILITY_TIMEOUT = 30.0  # seconds, as host.json says
MAX_DEQUEUE_COUNT = 5  # as host.json says

Handlers = Mapping[str, Callable[[Message], object]]


@dataclass
class DeliveryFaults:
    """Faults of the delivery, drawn from a seed so that a run can be repeated.

    `shuffled`: messages are delivered in random order. `twice`: the share of messages that are delivered once
    more although they were handled.
    """

    seed: int = 0
    shuffled: bool = False
    twice: float = 0.0
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)


class MessageLost(Exception):
    """A poison message was delivered too often: the host deletes it, and there is no further queue."""


class Host:
    """Delivers messages to the functions of their queues.

    `failures` keeps what the functions raised, except kills. `most_messages` is the largest number of
    messages that existed at any delivery.
    """

    def __init__(self, clock: Clock, outbox: Outbox, steps: ExternalSteps, handlers: Handlers) -> None:
        self._clock = clock
        self._steps = steps
        self._outbox = outbox
        self._handlers = handlers
        self.delivery_faults = DeliveryFaults()
        self.failures: list[Exception] = []
        self.delivered = 0
        self.most_messages = 0

    def deliver(self, message: Message) -> None:
        """Deliver one message, due or not, and then delete, release or move it as the host does.

        Raises:
            MessageLost: it is a poison message that was delivered five times already.
        """
        self.most_messages = max(self.most_messages, len(self._outbox.messages))
        if message.queue.endswith("-poison") and message.dequeue_count >= MAX_DEQUEUE_COUNT:
            self._outbox.delete(message)
            raise MessageLost(f"{message.queue}: {message.body[:200]}")
        self._outbox.dequeue(message, LEASE)
        self.delivered += 1
        # An instance that dies leaves the message hidden until its lease ends.
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
        """Deliver one message that is due; return False where no message is due."""
        due = [message for message in self._outbox.due() if message.queue in self._handlers]
        if not due:
            return False
        self.deliver(self.delivery_faults.chance.choice(due) if self.delivery_faults.shuffled else due[0])
        return True

    def drain(self, *, within: float = 3 * 24 * 3600.0, deliveries: int = 500) -> None:
        """Deliver until no message is left; where all of them are hidden, advance the clock.

        Raises:
            TimeoutError: messages are left after `within` seconds, or after so many deliveries.
        """
        if not self._deliver(within, deliveries, drain=True):
            raise TimeoutError(f"not drained: {self._outbox.messages[:20]}, after {self.failures[:20]}")

    def run(self, seconds: float, *, deliveries: int = 50_000) -> None:
        """Deliver what falls due within the next `seconds`, and advance the clock by them.

        Raises:
            TimeoutError: after so many deliveries a message is still due.
        """
        if not self._deliver(seconds, deliveries, drain=False):
            raise TimeoutError(f"still due: {self._outbox.messages[:20]}, after {self.failures[:20]}")

    def _deliver(self, seconds: float, deliveries: int, *, drain: bool) -> bool:
        """Deliver for so long; return whether the time is over, or (`drain`) no message is left."""
        end, last = self._clock.now() + seconds, self.delivered + deliveries
        while self.delivered < last:
            if self.deliver_due():
                continue
            waiting = [m.visible_at for m in self._outbox.messages if m.queue in self._handlers]
            if drain and not waiting:
                return True
            self._clock.advance(max(0.0, min([*waiting, end]) - self._clock.now()))
            if self._clock.now() >= end:
                return not drain
        return False

    def _finish(self, message: Message) -> None:
        if self.delivery_faults.chance.random() < self.delivery_faults.twice:
            hidden = self.delivery_faults.chance.random() * LEASE
            self._outbox.release(message, hidden)  # its deletion was lost
        else:
            self._outbox.delete(message)

    def _retry(self, message: Message) -> None:
        if message.queue.endswith("-poison"):
            return  # it stays hidden until its lease ends, and is delivered again
        if message.dequeue_count >= MAX_DEQUEUE_COUNT:
            self._outbox.poison(message)
        else:
            self._outbox.release(message, VISIBILITY_TIMEOUT)
