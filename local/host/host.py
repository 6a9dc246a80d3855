"""Assemble the host: HTTP server, queue listeners and timers around one app.

The host drives the worker library that Azure itself runs (azure-functions-runtime). The library indexes the
app, validates its annotations, decodes the triggers and encodes the responses. In Azure, a host written in C#
surrounds it. Its parts are imitated here: routes and keys, queue listeners, timers, output bindings,
host.json, and the checks that decide whether a function may run. Never deployed.

Stricter than Azure: one problem refuses the whole app, and an unknown key of host.json is a problem.

Not simulated: triggers and bindings other than HTTP, storage queues and timers, retry policies, and most of
the syntax of route templates (all refused by name); return values of HTTP functions other than
`HttpResponse`, and cookies (answered 500); bounds on concurrent requests, and telemetry settings (checked,
then unused); scaling, so all functions share one process and its memory, on which an app must not rely in
Azure; HTTP streaming; the 230 seconds of Azure's load balancer; dynamic concurrency; restarting the worker
after a timeout (the host ends instead); .NET's conversion of dates in output strings that look like JSON.
"""

import logging
import time
from collections.abc import Callable

from local.host.app.functions import Function, QueueTrigger, TimerTrigger
from local.host.calls.invocations import Invoker
from local.host.calls.outputs import Outputs
from local.host.http.endpoints import HttpDispatcher, list_endpoints
from local.host.http.keys import FunctionKeys
from local.host.http.server import Server
from local.host.loading import LoadedApp
from local.host.manual_runs import ManualRuns
from local.host.queues.leases import Renewer
from local.host.queues.listeners import QueueListener, Receiver
from local.host.queues.processing import QueueProcessor, TriggerQueue
from local.host.queues.sending import QueueSignals, Sender
from local.host.timers.schedules import parse
from local.host.timers.status_table import TimerStatusTable
from local.host.timers.timers import Timer

logger = logging.getLogger("Host.General")


class Host:
    """A running app, from `start` to `drain`.

    Args:
        app: has no problems.
        server: listens already; answers from `start` on.
        keys: the keys of the functions.
        lease_seconds: how long a received message is hidden.
        on_timeout: called when a call exceeds host.json's `functionTimeout`.
    """

    def __init__(
        self,
        app: LoadedApp,
        server: Server,
        keys: FunctionKeys,
        lease_seconds: int,
        on_timeout: Callable[[], None],
    ) -> None:
        self._app = app
        self._server = server
        self._signals = QueueSignals()
        self._receiver = Receiver()
        self._sender = Sender(app.accounts, self._signals)
        self._renewer = Renewer(lease_seconds)
        outputs = Outputs(app.settings, self._sender, app.options.queues.message_encoding)
        timeout = app.options.function_timeout
        self._invoker = Invoker(app.worker, outputs, timeout, on_timeout, app.running)
        enabled = [each for each in app.functions if not app.settings.disables(each.name)]
        listeners = [self._make_listener(each) for each in enabled if isinstance(each.trigger, QueueTrigger)]
        self._timers = {each.name: self._make_timer(each) for each in app.functions if _is_timed(each)}
        timers = [self._timers[each.name] for each in enabled if _is_timed(each)]
        self._listeners: list[QueueListener | Timer] = [*listeners, *timers]
        self._manual_runs = ManualRuns(app.functions, self._timers, self._invoker)
        endpoints = list_endpoints(app.functions, app.options.route_prefix)
        self._dispatcher = HttpDispatcher(
            server.host, endpoints, keys, app.settings, self._invoker, self._manual_runs.run
        )

    def start(self) -> None:
        """Start the server, the queue listeners and the timers."""
        for each in self._app.functions:
            if self._app.settings.disables(each.name):
                logger.info("Function '%s' is disabled", each.name)
        self._server.start(self._dispatcher.answer)
        for listener in self._listeners:
            listener.start()

    def drain(self, seconds: float) -> bool:
        """Accept no more work and wait for running calls; return whether all of them ended in time."""
        deadline = time.monotonic() + seconds
        self._server.stop()
        for listener in self._listeners:
            listener.stop()
        left = [
            each
            for each in (self._server, *self._listeners, self._manual_runs)
            if not each.join(_until(deadline))
        ]
        if not left:
            self._renewer.stop()
            self._app.worker.stop()
            self._app.accounts.close()
        return not left

    def _make_listener(self, function: Function) -> QueueListener:
        trigger, settings = function.trigger, self._app.settings
        if not isinstance(trigger, QueueTrigger):
            raise TypeError(f"{function.name} has no queue trigger")
        connection = settings.resolve(trigger.connection)
        trigger_queue = TriggerQueue(function, connection, settings.resolve(trigger.queue).lower())
        client = self._app.accounts.queues(connection).get_queue_client(trigger_queue.queue)
        options = self._app.options.queues
        processor = QueueProcessor(trigger_queue, client, options, self._invoker, self._sender, self._renewer)
        return QueueListener(processor, options, self._receiver, self._signals)

    def _make_timer(self, function: Function) -> Timer:
        trigger = function.trigger
        if not isinstance(trigger, TimerTrigger):
            raise TypeError(f"{function.name} has no timer trigger")
        schedule = parse(self._app.settings.resolve(trigger.schedule))
        monitored = trigger.use_monitor and not schedule.is_frequent
        return Timer(
            function, schedule, self._invoker, TimerStatusTable(self._app.accounts) if monitored else None
        )


def _until(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _is_timed(function: Function) -> bool:
    return isinstance(function.trigger, TimerTrigger)
