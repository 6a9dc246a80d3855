"""The Functions host: it delivers messages, and completes, repeats or poisons them."""

from collections.abc import Callable, Sequence
from typing import Any

from shared import jobs
from shared.errors import ConfigError, Denied, SyncError, TryLater
from tests.fakes.host import LEASE, MAX_DEQUEUE_COUNT, VISIBILITY_TIMEOUT
from tests.fakes.outbox import Message
from tests.simulation.crew import Worker
from tests.simulation.instance import Instance
from tests.simulation.judge import Violation
from tests.simulation.scene import Scene

MOST_WORKERS = 4


class Host(Scene):
    """A scene in which functions are called."""

    def due(self) -> list[Message]:
        """Return the messages that may be delivered now."""
        return self.outbox.due() if len(self.workers) < MOST_WORKERS else []

    def deliver(self, due: Sequence[Message]) -> None:
        """Deliver one of these messages as the host does: at least once, in any order, at most five times."""
        message = self.chooser.pick(due, (1.0, *[self.weather.mix] * (len(due) - 1)))
        if message.dequeue_count >= MAX_DEQUEUE_COUNT and not message.queue.endswith("-poison"):
            self.outbox.poison(message)
            return
        self.outbox.dequeue(message, LEASE)
        kind = jobs.QUEUES[message.queue.removesuffix("-poison")]
        instance, job = self.chooser.pick(self.instances), jobs.read(kind, message.body)

        def work() -> None:
            triggers, poison = instance.triggers, message.queue.endswith("-poison")
            (triggers.record if poison else triggers.work)(kind, message.body.encode())

        receipt = message.pop_receipt
        name = f"{message.queue}#{message.id.removeprefix('message-')}.{message.dequeue_count}"
        self.start(name, instance, job, work, on_end=lambda worker: self._finish(worker, message, receipt))

    def start(
        self, name: str, instance: Instance, job: Any, work: Callable[[], object], **facts: Any
    ) -> Worker:
        """Let a worker begin."""
        user = facts.pop("user", getattr(job, "user", ""))
        worker = Worker(name, instance, job, work, self.time.now(), user=user, **facts)
        self.log(f"{name} begins: {job}")
        self.workers.insert(0, worker)
        self.crew.start(worker)
        self.look_after(worker)
        return worker

    def call(self, name: str, work: Callable[[Instance], object], **facts: Any) -> None:
        """Have an administrator or a timer call one of the functions."""
        instance = self.chooser.pick(self.instances)
        self.start(name, instance, None, lambda: work(instance), **facts)

    def open_sweep(self) -> None:
        """Have the timer open a sweep."""
        self.call("start_sweep", lambda instance: instance.services.opener.open("the timer"))

    def braked(self) -> list[str]:
        """Return the sweeps that the brake holds, the oldest first."""
        rows = self.tables["photostate"].rows.items()
        return sorted(
            key for (kind, key), (row, _) in rows if kind == "sweeps" and row.get("state") == "braked"
        )

    def release(self, sweep: str) -> None:
        """Have an administrator release the brake of a sweep."""
        self.call("release_brake", lambda instance: instance.services.removals.release(sweep))

    def _finish(self, worker: Worker, message: Message, receipt: str) -> None:
        """Complete, repeat or poison a message; an outage must not count as a failed delivery.

        In Azure the host does not run a message a sixth time, and a poison queue has no poison queue.
        """
        if isinstance(worker.error, TryLater | Denied | ConfigError) and not worker.unsent:
            raise Violation(f"{worker.name}: an outage counts against its message: {worker.error}")
        if message.pop_receipt != receipt or message not in self.outbox.messages:
            return  # another worker has it by now
        if worker.error is None:
            if self.chooser.happens(self.weather.undeleted):
                self.judge.mishap(worker, leaves_a_doubt=False)
                self.outbox.release(message, self.chooser.amount(1.0, LEASE))
            else:
                self.outbox.delete(message)
        elif message.queue.endswith("-poison"):
            return  # it was not queued again: it comes back after its lease
        elif message.dequeue_count >= MAX_DEQUEUE_COUNT:
            self.outbox.poison(message)
        else:
            self.outbox.release(message, VISIBILITY_TIMEOUT)

    def look_after(self, worker: Worker) -> None:
        """Do what the host does if the function has ended."""
        if not worker.done:
            return
        if worker in self.workers:
            self.workers.remove(worker)
        if worker.error is not None and not isinstance(worker.error, SyncError):
            raise Violation(f"{worker.name} raised {worker.error!r}") from worker.error
        error = f": {worker.error}" if worker.error else ""
        self.log(f"{worker.name} {'dies' if worker.dead else 'ends'}{error}")
        if worker.on_end and not worker.dead:
            worker.on_end(worker)
