"""Storage queues in memory that behave as Azure's."""

import base64
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shared.storage.queues import Receipt
from tests.fakes.external_steps import ExternalSteps

LARGEST_MESSAGE = 48 * 1024  # bytes in base64; the service takes 64 KiB
LONGEST_HIDING = 7 * 24 * 3600  # seconds


class Now(Protocol):
    """A clock that can be read."""

    def now(self) -> float:
        """Return Unix seconds."""


@dataclass
class Message:
    """One message. It never expires: the app sends with a time-to-live of -1."""

    id: str
    queue: str
    body: str
    visible_at: float
    pop_receipt: str
    dequeue_count: int = 0


class Outbox:
    """`shared.storage.queues.Outbox`, and the operations of a host on its messages.

    `poisoned` keeps every message that ever moved to a poison queue. `watch` is called with the queue and the
    body of each message as it is sent.
    """

    def __init__(
        self, clock: Now, steps: ExternalSteps, watch: Callable[[str, str], object] | None = None
    ) -> None:
        self._clock = clock
        self._watch = watch
        self._steps = steps
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self.messages: list[Message] = []
        self.poisoned: list[Message] = []

    # --- the app's side ---

    def put(self, queue: str, body: str, hidden: int) -> Receipt:
        if len(base64.b64encode(body.encode())) > LARGEST_MESSAGE:
            raise ValueError("a message has at most 48 KiB")
        if not 0 <= hidden < LONGEST_HIDING:
            raise ValueError("a message is hidden for less than seven days")
        with self._steps.take(f"put {queue}"), self._lock:
            message = Message(self._new(), queue, body, self._clock.now() + hidden, self._new())
            self.messages.append(message)
            if self._watch:
                self._watch(queue, body)
        return Receipt(queue, message.id, message.pop_receipt)

    def take_back(self, receipt: Receipt) -> None:
        with self._steps.take(f"take back {receipt.queue}"), self._lock:
            kept = [each for each in self.messages if each.pop_receipt != receipt.pop_receipt]
            self.messages[:] = kept

    def length(self, queue: str) -> int:
        with self._steps.take(f"read {queue}"), self._lock:
            return sum(message.queue == queue for message in self.messages)

    # --- the host's side ---

    def due(self) -> list[Message]:
        """Return the messages that are visible now, oldest first."""
        now = self._clock.now()
        with self._lock:
            return [message for message in self.messages if message.visible_at <= now]

    def dequeue(self, message: Message, lease: float) -> None:
        """Hide `message` for `lease` seconds under a new pop receipt: its sender cannot take it back now."""
        with self._lock:
            message.dequeue_count += 1
            message.pop_receipt = self._new()
            message.visible_at = self._clock.now() + lease

    def release(self, message: Message, hidden: float) -> None:
        """Make `message` visible again after `hidden` seconds."""
        message.visible_at = self._clock.now() + hidden

    def delete(self, message: Message) -> None:
        with self._lock:
            self.messages.remove(message)

    def poison(self, message: Message) -> None:
        """Move `message` to its poison queue, with a new id and count, as the host does."""
        with self._lock:
            self.messages.remove(message)
            self.poisoned.append(message)
            queue = f"{message.queue}-poison"
            self.messages.append(Message(self._new(), queue, message.body, self._clock.now(), self._new()))

    def _new(self) -> str:
        return f"message-{next(self._numbers)}"
