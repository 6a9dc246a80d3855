"""The functions of an app as this host represents them: one trigger each, and queue outputs."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from local.host.worker import protos

type AuthLevel = Literal["anonymous", "function", "admin"]

RETURN = "$return"


@dataclass(frozen=True)
class HttpTrigger:
    """Call a function for a request. *methods* are upper case; an empty set means every method."""

    binding: str
    route: str
    methods: frozenset[str]
    auth_level: str


@dataclass(frozen=True)
class QueueTrigger:
    """Call a function for a message. In *queue* and *connection*, `%X%` is not yet resolved."""

    binding: str
    queue: str
    connection: str


@dataclass(frozen=True)
class TimerTrigger:
    """Call a function by a schedule. In *schedule*, `%X%` is not yet resolved."""

    binding: str
    schedule: str
    run_on_startup: bool
    use_monitor: bool


type Trigger = HttpTrigger | QueueTrigger | TimerTrigger


@dataclass(frozen=True)
class QueueOutput:
    """Send what the function puts into *binding* (or returns, for `$return`)."""

    binding: str
    queue: str
    connection: str


@dataclass(frozen=True)
class Function:
    """One function of the app. *bindings* are the names of all its bindings, in order."""

    name: str
    id: str
    trigger: Trigger
    outputs: tuple[QueueOutput, ...] = ()
    bindings: tuple[str, ...] = ()


def read_function(metadata: protos.RpcFunctionMetadata) -> tuple[Function | None, list[str]]:
    """Convert the worker's metadata to a function; also return a problem for every unsupported binding."""
    bindings: list[dict[str, Any]] = [json.loads(each) for each in metadata.raw_bindings]
    unsupported = [each["type"] for each in bindings if each["type"].lower() not in (*BINDINGS, "http")]
    unsupported = [f"{kind} bindings" for kind in unsupported]
    if metadata.retry_options.max_retry_count:
        unsupported.append("retry policies")
    problems = [f"the function {metadata.name}: this host does not simulate {each}" for each in unsupported]
    read = [BINDINGS[each["type"].lower()](each) for each in bindings if each["type"].lower() in BINDINGS]
    triggers = [each for each in read if not isinstance(each, QueueOutput)]
    if len(triggers) != 1:
        return None, problems or [f"the function {metadata.name} has {len(triggers)} triggers, not one"]
    outputs = tuple(each for each in read if isinstance(each, QueueOutput))
    names = tuple(each["name"] for each in bindings)
    return Function(metadata.name, metadata.function_id, triggers[0], outputs, names), problems


def _http(binding: Mapping[str, Any]) -> HttpTrigger:
    methods = frozenset(str(method).upper() for method in binding.get("methods") or ())
    level = str(binding.get("authLevel") or "function").lower()
    return HttpTrigger(binding["name"], binding.get("route") or "", methods, level)


def _timer(binding: Mapping[str, Any]) -> TimerTrigger:
    return TimerTrigger(
        binding["name"],
        binding["schedule"],
        run_on_startup=bool(binding.get("runOnStartup", False)),
        use_monitor=bool(binding.get("useMonitor", True)),
    )


def _queue[Kind: (QueueTrigger, QueueOutput)](kind: type[Kind]) -> Callable[[Mapping[str, Any]], Kind]:
    return lambda binding: kind(binding["name"], binding["queueName"], binding.get("connection") or "")


BINDINGS: dict[str, Callable[[Mapping[str, Any]], Trigger | QueueOutput]] = {
    "httptrigger": _http,
    "queuetrigger": _queue(QueueTrigger),
    "timertrigger": _timer,
    "queue": _queue(QueueOutput),
}
