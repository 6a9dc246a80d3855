"""The host put together: HTTP face, queue listeners and timers around one app.

It is built on the worker library that Azure itself runs (azure-functions-runtime). That indexes the app,
validates its annotations, decodes the triggers and encodes the answers. What surrounds it in Azure is written
in C# and imitated here: routes and keys, queue listeners, timers, output bindings, host.json, and the checks
that decide whether a function may run at all. Never deployed.

Stricter than Azure: one problem anywhere refuses the whole app, and an unknown key of host.json is a problem.

What it does not play: triggers and bindings other than HTTP, storage queues and timers (refused by name);
scaling, so every function shares one process and its memory, which in Azure it must not count on; HTTP
streaming; the 230 seconds of Azure's load balancer; dynamic concurrency; telemetry settings (checked, then
unused); restarting the worker after a timeout (the host ends instead); what .NET does to dates in output
strings that look like JSON.
"""

import logging
import time
from collections.abc import Callable

from local.host.app.functions import Function, QueueTrigger, TimerTrigger
from local.host.byhand import ByHand
from local.host.calls.invocations import Invoker
from local.host.calls.outputs import Outputs
from local.host.http.face import Web, list_endpoints
from local.host.http.keys import Keys
from local.host.http.server import Server
from local.host.loading import App
from local.host.queues.deliveries import Delivery, Source
from local.host.queues.leases import Renewer
from local.host.queues.listeners import QueueListener, Receiver
from local.host.queues.sending import Bells, Sender
from local.host.timers.records import TableRecords
from local.host.timers.schedules import parse
from local.host.timers.timers import Timer

logger = logging.getLogger("Host.General")


class Host:
    """A running app, from `start` to `drain`.

    Args:
        app: loaded, and without problems.
        server: listens already, answers from `start` on.
        keys: who may call what.
        lease_seconds: how long a message is hidden before its lease is renewed.
        on_timeout: told when a call has outlasted host.json's `functionTimeout`.
    """

    def __init__(
        self, app: App, server: Server, keys: Keys, lease_seconds: int, on_timeout: Callable[[], None]
    ) -> None:
        self._app = app
        self._server = server
        self._bells = Bells()
        self._receiver = Receiver()
        self._sender = Sender(app.accounts, self._bells)
        self._renewer = Renewer(lease_seconds)
        outputs = Outputs(app.settings, self._sender, app.options.queues.message_encoding)
        timeout = app.options.function_timeout
        self._invoker = Invoker(app.worker, outputs, timeout, on_timeout, app.running)
        enabled = [each for each in app.functions if not app.settings.disables(each.name)]
        listeners = [self._listen(each) for each in enabled if isinstance(each.trigger, QueueTrigger)]
        self._timers = {each.name: self._time(each) for each in app.functions if _is_timed(each)}
        timers = [self._timers[each.name] for each in enabled if _is_timed(each)]
        self._parts: list[QueueListener | Timer] = [*listeners, *timers]
        self._by_hand = ByHand(app.functions, self._timers, self._invoker)
        self._web = Web(
            server.host,
            list_endpoints(app.functions, app.options.http),
            keys,
            app.settings,
            self._invoker,
            app.options.http,
            self._by_hand.run,
        )

    def start(self) -> None:
        """Begin to answer, to poll and to keep time."""
        for each in self._app.functions:
            if self._app.settings.disables(each.name):
                logger.info("Function '%s' is disabled", each.name)
            if each.retry and not _is_timed(each):
                logger.warning("Function '%s': a retry policy has no effect on this trigger", each.name)
        self._server.start(self._web.answer)
        for part in self._parts:
            part.start()

    def drain(self, seconds: float) -> bool:
        """Take on nothing more and wait for what runs; say whether all of it ended in time."""
        deadline = time.monotonic() + seconds
        self._server.stop()
        for part in self._parts:
            part.stop()
        left = [
            each for each in (self._server, *self._parts, self._by_hand) if not each.join(_until(deadline))
        ]
        if not left:
            self._renewer.stop()
            self._app.worker.stop()
            self._app.accounts.close()
        return not left

    def _listen(self, function: Function) -> QueueListener:
        trigger, settings = function.trigger, self._app.settings
        if not isinstance(trigger, QueueTrigger):
            raise TypeError(f"{function.name} has no queue")
        connection = settings.resolve(trigger.connection)
        source = Source(function, connection, settings.resolve(trigger.queue).lower())
        client = self._app.accounts.queues(connection).get_queue_client(source.queue)
        options = self._app.options.queues
        delivery = Delivery(source, client, options, self._invoker, self._sender, self._renewer)
        return QueueListener(delivery, options, self._receiver, self._bells)

    def _time(self, function: Function) -> Timer:
        trigger = function.trigger
        if not isinstance(trigger, TimerTrigger):
            raise TypeError(f"{function.name} has no schedule")
        schedule = parse(self._app.settings.resolve(trigger.schedule))
        monitored = trigger.use_monitor and not schedule.is_frequent
        return Timer(
            function, schedule, self._invoker, TableRecords(self._app.accounts) if monitored else None
        )


def _until(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _is_timed(function: Function) -> bool:
    return isinstance(function.trigger, TimerTrigger)
