"""Run functions manually, through `POST /admin/functions/{name}`.

learn.microsoft.com/azure/azure-functions/functions-manually-run-non-http
"""

import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus

from azure.storage.queue import QueueMessage

from local.host.app.functions import Function, HttpTrigger, TimerTrigger
from local.host.calls.invocations import Invoker
from local.host.queues.messages import describe
from local.host.timers.timers import Timer
from local.host.worker import protos


class ManualRuns:
    """Start functions without their trigger. The message is in no queue, so a failure is only logged."""

    def __init__(self, functions: Iterable[Function], timers: Mapping[str, Timer], invoker: Invoker) -> None:
        self._functions = {each.name.lower(): each for each in functions}
        self._timers = timers
        self._invoker = invoker
        self._threads: list[threading.Thread] = []

    def run(self, name: str, text: str) -> HTTPStatus:
        """Start a function with *text* as its message, without waiting; return 202, or else 404 or 400."""
        function = self._functions.get(name.lower())
        if function is None:
            return HTTPStatus.NOT_FOUND
        if isinstance(function.trigger, HttpTrigger):
            return HTTPStatus.BAD_REQUEST
        call = self._timers[function.name].call if isinstance(function.trigger, TimerTrigger) else None
        self._start(call or (lambda: self._deliver(function, text)))
        return HTTPStatus.ACCEPTED

    def join(self, seconds: float) -> bool:
        """Wait until all manual runs have ended; return whether they have."""
        for each in self._threads:
            each.join(seconds)
        return not any(each.is_alive() for each in self._threads)

    def _start(self, call: Callable[[], None]) -> None:
        thread = threading.Thread(target=call, name="manual-run", daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def _deliver(self, function: Function, text: str) -> None:
        message = QueueMessage(content=text, id=str(uuid.uuid4()))
        self._invoker.run(function, protos.TypedData(string=text), describe(message, text))
