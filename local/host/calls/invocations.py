"""Calls of functions: one id, one call of the worker, its outputs, one line in the log."""

import logging
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from local.host.app.functions import Function
from local.host.calls.outputs import OutputError, Outputs
from local.host.worker import protos
from local.host.worker.worker import Worker


@dataclass(frozen=True)
class Succeeded:
    """The function ran and its outputs are written; *returned* is its return value, if it has one."""

    returned: protos.TypedData | None


@dataclass(frozen=True)
class Failed:
    """The function raised, ran out of time, or an output could not be written."""

    error: protos.RpcException


type Outcome = Succeeded | Failed


class Running:
    """The calls under way: invocation id to function name. Shared by all threads."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._names)

    def name(self, invocation_id: str | None) -> str | None:
        """Name the function of a call under way."""
        return self._names.get(invocation_id or "")

    def begin(self, invocation_id: str, name: str) -> None:
        """Note a call."""
        self._names[invocation_id] = name

    def end(self, invocation_id: str) -> None:
        """Strike a call out."""
        del self._names[invocation_id]

    def describe(self) -> str:
        """List the calls under way, for the log."""
        return ", ".join(f"{name} ({key})" for key, name in list(self._names.items()))


class Invoker:
    """Calls functions, from any thread.

    Args:
        worker: has the app. outputs: takes what the functions put into their output bindings. timeout: how
        long a call may last; `None` is without end. on_timeout: told after a call has lasted too long;
        Azure recycles the worker then, and every call in it. running: where the calls under way are noted.
    """

    def __init__(
        self,
        worker: Worker,
        outputs: Outputs,
        timeout: timedelta | None,
        on_timeout: Callable[[], None],
        running: Running,
    ) -> None:
        self._worker = worker
        self._outputs = outputs
        self._timeout = timeout
        self._on_timeout = on_timeout
        self._running = running

    def run(
        self,
        function: Function,
        data: protos.TypedData,
        metadata: Mapping[str, protos.TypedData] | None = None,
        retry: protos.RetryContext | None = None,
    ) -> Outcome:
        """Call a function with its trigger's data and wait for the end of it, its outputs included."""
        invocation_id = str(uuid.uuid4())
        request = protos.InvocationRequest(
            invocation_id=invocation_id,
            function_id=function.id,
            input_data=[protos.ParameterBinding(name=function.trigger.binding, data=data)],
            trigger_metadata=metadata,
            trace_context=protos.RpcTraceContext(trace_parent=_draw_trace_parent()),
            retry_context=retry,
        )
        begun = time.monotonic()
        self._running.begin(invocation_id, function.name)
        try:
            outcome = self._call(function, request)
        finally:
            self._running.end(invocation_id)
        _log(function.name, invocation_id, outcome, (time.monotonic() - begun) * 1000)
        return outcome

    def _call(self, function: Function, request: protos.InvocationRequest) -> Outcome:
        future = self._worker.invoke(request)
        try:
            response = future.result(self._timeout.total_seconds() if self._timeout else None)
        except TimeoutError:
            self._on_timeout()
            message = f"Timeout value of {self._timeout} was exceeded by function: {function.name}"
            return Failed(protos.RpcException(message=message))
        if response.result.status != protos.StatusResult.Success:
            return Failed(response.result.exception)
        try:
            self._outputs.write(function, response)
        except OutputError as error:
            return Failed(protos.RpcException(message=str(error)))
        return Succeeded(response.return_value if "return_value" in vars(response) else None)


def _draw_trace_parent() -> str:
    """Begin a trace, not sampled: www.w3.org/TR/trace-context/#traceparent-header."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


def _log(name: str, invocation_id: str, outcome: Outcome, milliseconds: float) -> None:
    logger = logging.getLogger(f"Function.{name}")
    match outcome:
        case Succeeded():
            text = "Executed 'Functions.%s' (Succeeded, Id=%s, Duration=%dms)"
            logger.info(text, name, invocation_id, milliseconds)
        case Failed(error):
            text = "Executed 'Functions.%s' (Failed, Id=%s, Duration=%dms)\n%s"
            logger.error(text, name, invocation_id, milliseconds, error.stack_trace or error.message)
