"""One run: a time with faults, and then a calm in which the promise must come true.

A run is a function of its choices. Every effect of the app outside its process is a stop, at which the
scheduler in this module decides which worker goes on.
"""

import logging
from collections.abc import Callable

from tests.simulation import events, verdict
from tests.simulation.choices import Chooser
from tests.simulation.host import MOST_WORKERS
from tests.simulation.judge import Violation
from tests.simulation.network import Network

MOST_TURNS = 6_000  # for each planned event
LAST_TURNS = 1_000  # with faults after the last event: if every message comes twice, a run never ends
SPELL = 100  # events after which the weather changes
HOUR, DAY = 3600.0, 86_400.0


class Run(Network):
    """One run.

    Args:
        chooser: makes the choices.
        events_planned: number of events outside the app.
        keep_trace: record the trace.
    """

    def __init__(self, chooser: Chooser, *, events_planned: int, keep_trace: bool = False) -> None:
        super().__init__(chooser, keep_trace=keep_trace)
        self.pending = []
        self.events_left = events_planned
        self.photo_changes_left = events_planned
        self.turns = 0
        self._most_turns = MOST_TURNS * events_planned

    def play(self) -> None:
        """Run to the end.

        Raises:
            Violation: the promise was broken.
        """
        logging.disable(logging.CRITICAL)
        try:
            events.populate(self)
            self._chaos()
            self._calm()
        finally:
            logging.disable(logging.NOTSET)
            for worker in list(self.workers):
                self.kill(worker)

    def _chaos(self) -> None:
        while self.events_left:
            self._turn()
        last = self.turns + LAST_TURNS
        while self._busy() and self.turns < last:
            self._turn()

    def _busy(self) -> bool:
        """Whether a worker is active, or a message is due within the next minutes."""
        soon = self.time.now() + 5 * 60
        return bool(self.workers) or any(message.visible_at <= soon for message in self.outbox.messages)

    def _calm(self) -> None:
        self._clear_up()
        self._drain()
        self._release()
        if self.had_dry_run:  # it dropped what was queued: a sweep queues that again after a day
            self._pass(DAY)
        self._pass(self._waiting_for_profiles())
        for _ in range(2):
            self._sweep_in_calm()
        self._pass(HOUR)
        self._drain()
        if verdict.doubts_a_removal(self):
            self._sweep_in_calm()
        verdict.judge_end(self)

    def _waiting_for_profiles(self) -> float:
        """Return for how many seconds sweeps leave users alone whose profile had been missing for days."""
        until = [self.judge.row(user).get("no_profile_until", 0.0) for user in self.ms.people]
        return max([*until, 0.0]) + HOUR - self.time.now() if any(until) else 0.0

    def _sweep_in_calm(self) -> None:
        self._pass(6 * HOUR)
        self.open_sweep()
        self._drain()
        verdict.judge_photos(self)
        self._release()

    def _clear_up(self) -> None:
        """End all faults, and bring most users who are out of scope back into it."""
        self.log("=== calm ===")
        self.weather.clear_up()
        self.outages.clear()
        self.judge.calm_since = self.time.now()
        self.judge.staleness += 1.0  # a photo that was read before the calm may still be written
        for number, instance in enumerate(self.instances):
            if instance.dry_run:
                self.lose_instance(number)
        for person in self.ms.people.values():
            if not person.gone and not self.judge.in_scope(person) and self.chooser.happens(0.7):
                events.come_back(self, person)

    def _release(self) -> None:
        """Release the braked sweeps of the last days, as an administrator does after a check."""
        for sweep in self.braked():
            self.release(sweep)
        self._drain()

    def _drain(self) -> None:
        """Let the app work until no worker, message or request is left."""
        while self.workers or self.outbox.messages or self.pending:
            self._turn()

    def _pass(self, seconds: float) -> None:
        end = self.time.now() + seconds
        while self.time.now() < end:
            self._turn(until=end)

    # --- whose turn it is ---

    def _turn(self, until: float | None = None) -> None:
        self.turns += 1
        if self.turns > self._most_turns:
            first = [message.body for message in self.outbox.messages[:3]]
            raise Violation(f"never done: {len(self.outbox.messages)} messages, {first}")
        now = self.time.now()
        ready = [worker for worker in self.workers if worker.ready(now)]
        due = self.due()
        turns: list[Callable[[], None]] = [lambda worker=worker: self.go_on(worker) for worker in ready]
        if due:
            turns.append(lambda: self.deliver(due))
        if not turns:
            turns.append(lambda: self._wait(until))
        mix, hurry = self.weather.mix, self.weather.hurry
        weights = [1.0 - mix if mix else 1.0] + [mix / max(1, len(turns) - 1)] * (len(turns) - 1)
        if self.pending and self.weather.late:
            turns.append(self.arrive)
            weights.append(0.05)
        if self.events_left:
            idle = not ready and not due
            if idle and not self._busy():
                turns, weights = [self._end_chaos], [1e-9]  # only a run that was cut down ends early
            turns.append(self._trigger_event)
            weights.append(0.35 if idle else hurry)
        self.chooser.pick(turns, weights)()
        if self.judge.found:
            raise Violation("; ".join(self.judge.found))

    def _wait(self, until: float | None) -> None:
        """Let time pass until the next worker or message is ready."""
        now = self.time.now()
        times = [until] if until is not None else []
        times += [max(each.frozen_until, each.stop.until if each.stop else 0.0) for each in self.workers]
        times += [self.deadline(each.worker) for each in self.pending]
        if len(self.workers) < MOST_WORKERS:
            times += [message.visible_at for message in self.outbox.messages]
        self.advance(max(0.0, min(times, default=now + 60.0) - now))

    def _end_chaos(self) -> None:
        self.events_left = 0

    def _trigger_event(self) -> None:
        self.events_left -= 1
        if self.events_left and self.events_left % SPELL == 0:
            self.change_weather()
        events.trigger(self)
