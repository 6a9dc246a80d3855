"""Call functions: each call has an invocation id, its outputs and one line in the log."""

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
    """The function has run and its outputs are written; *returned* is its return value, if any."""

    returned: protos.TypedData | None


@dataclass(frozen=True)
class Failed:
    """The function raised or timed out, or an output could not be written."""

    error: protos.RpcException


type CallOutcome = Succeeded | Failed


class RunningCalls:
    """Map the invocation ids of running calls to function names. Thread-safe."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._names)

    def name(self, invocation_id: str | None) -> str | None:
        """Return the function name of a running call, or `None`."""
        return self._names.get(invocation_id or "")

    def begin(self, invocation_id: str, name: str) -> None:
        """Add a call."""
        self._names[invocation_id] = name

    def end(self, invocation_id: str) -> None:
        """Remove a call."""
        del self._names[invocation_id]

    def describe(self) -> str:
        """List the running calls, for the log."""
        return ", ".join(f"{name} ({key})" for key, name in list(self._names.items()))


class Invoker:
    """Call functions. Thread-safe.

    Args:
        worker: holds the app.
        outputs: writes the output bindings.
        timeout: the longest duration of a call; `None` means no bound.
        on_timeout: called after a timeout; Azure then recycles the worker and ends every call in it.
        running: records the running calls.
    """

    def __init__(
        self,
        worker: Worker,
        outputs: Outputs,
        timeout: timedelta | None,
        on_timeout: Callable[[], None],
        running: RunningCalls,
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
    ) -> CallOutcome:
        """Call a function with its trigger's data; return the outcome after its outputs are written."""
        invocation_id = str(uuid.uuid4())
        request = protos.InvocationRequest(
            invocation_id=invocation_id,
            function_id=function.id,
            input_data=[protos.ParameterBinding(name=function.trigger.binding, data=data)],
            trigger_metadata=metadata,
            trace_context=protos.RpcTraceContext(trace_parent=_new_trace_parent()),
        )
        begun = time.monotonic()
        self._running.begin(invocation_id, function.name)
        try:
            outcome = self._call(function, request)
        finally:
            self._running.end(invocation_id)
        _log(function.name, invocation_id, outcome, (time.monotonic() - begun) * 1000)
        return outcome

    def _call(self, function: Function, request: protos.InvocationRequest) -> CallOutcome:
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
        return Succeeded(response.return_value if response.HasField("return_value") else None)


def _new_trace_parent() -> str:
    """Return a new trace context, not sampled: www.w3.org/TR/trace-context/#traceparent-header."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


def _log(name: str, invocation_id: str, outcome: CallOutcome, milliseconds: float) -> None:
    logger = logging.getLogger(f"Function.{name}")
    match outcome:
        case Succeeded():
            text = "Executed 'Functions.%s' (Succeeded, Id=%s, Duration=%dms)"
            logger.info(text, name, invocation_id, milliseconds)
        case Failed(error):
            text = "Executed 'Functions.%s' (Failed, Id=%s, Duration=%dms)\n%s"
            logger.error(text, name, invocation_id, milliseconds, error.stack_trace or error.message)
