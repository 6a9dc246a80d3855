"""Drive the worker library: one app in this process, one event loop in one thread.

The library keeps its state in module globals, so a process can load one app once; another app, or changed
code, needs another process. The order of the calls is that of Azure's own worker process
(github.com/Azure/azure-functions-python-worker, workers/proxy_worker).
"""

import asyncio
import sys
import threading
from collections.abc import Awaitable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime

from local.host.worker import protos


class IndexingError(Exception):
    """The worker refused the app; the message is that of Azure's log."""


class Worker:
    """Run the worker library with the app of one directory.

    Args:
        app_dir: the directory of `function_app.py`; it becomes the first entry of `sys.path`.
    """

    def __init__(self, app_dir: Path) -> None:
        self._app_dir = app_dir
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="worker-loop", daemon=True)
        self._thread.start()

    def index(self) -> list[protos.RpcFunctionMetadata]:
        """Import the app and return its functions.

        Raises:
            IndexingError: the app cannot be imported, or a function's parameters do not match its bindings.
        """
        sys.path.insert(0, str(self._app_dir))
        runtime.start_threadpool_executor()
        started: protos.WorkerInitResponse = self._call(runtime.worker_init_request(self._init_request()))
        _refuse_failure(started.result)
        if "HttpUri" in started.capabilities:
            raise IndexingError(
                "This host does not simulate HTTP streaming (azurefunctions-extensions-http-*)."
            )
        answer = self._call(runtime.functions_metadata_request(None))
        found: list[protos.RpcFunctionMetadata] = answer.function_metadata_results
        if not found:
            raise IndexingError(f"No functions found in {self._app_dir / 'function_app.py'}.")
        for function in found:
            self._load(function.function_id)
        return found

    def invoke(self, request: protos.InvocationRequest) -> "Future[protos.InvocationResponse]":
        """Begin one call of a function; if the function raises, the future's result says so."""
        return asyncio.run_coroutine_threadsafe(_invoke(request), self._loop)

    def stop(self) -> None:
        """End the event loop, without waiting for running functions."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        if not self._thread.is_alive():
            self._loop.close()

    def _init_request(self) -> SimpleNamespace:
        request = SimpleNamespace(capabilities={}, function_app_directory=str(self._app_dir))
        return SimpleNamespace(
            request=SimpleNamespace(worker_init_request=request),
            properties={"protos": protos, "host": "127.0.0.1"},
        )

    def _load(self, function_id: str) -> None:
        request = SimpleNamespace(function_load_request=SimpleNamespace(function_id=function_id))
        answer = self._call(runtime.function_load_request(SimpleNamespace(request=request)))
        _refuse_failure(answer.result)

    def _call(self, step: Awaitable[Any]) -> Any:
        async def run() -> Any:
            return await step

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()


async def _invoke(request: protos.InvocationRequest) -> protos.InvocationResponse:
    # The library sets the id for functions on threads; for coroutines, Azure's worker process sets it.
    runtime.invocation_id_cv.set(request.invocation_id)
    wrapped = SimpleNamespace(request=SimpleNamespace(invocation_request=request))
    answer: protos.InvocationResponse = await runtime.invocation_request(wrapped)
    return answer


def _refuse_failure(result: protos.StatusResult) -> None:
    if result.status != protos.StatusResult.Success:
        raise IndexingError(result.exception.stack_trace or result.exception.message)
