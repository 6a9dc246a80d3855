"""Read host.json into options.

Azure silently ignores a misspelt key and uses the default; here it is a problem (see `hostshape`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from local.host.app.hostshape import find_problems, parse_time_span


@dataclass(frozen=True)
class QueueOptions:
    """How queues are read; `new_batch_threshold` is `None` if host.json leaves it to the core count."""

    batch_size: int = 16
    new_batch_threshold: int | None = None
    max_polling_interval: timedelta | None = None
    visibility_timeout: timedelta = timedelta(0)
    max_dequeue_count: int = 5
    message_encoding: str = "base64"


@dataclass(frozen=True)
class HostOptions:
    """The content of host.json; `function_timeout` is `None` if it is unbounded."""

    queues: QueueOptions = field(default_factory=QueueOptions)
    route_prefix: str = "api"
    function_timeout: timedelta | None = timedelta(minutes=30)
    log_levels: Mapping[str, str] = field(default_factory=dict)


def read(app_dir: Path) -> tuple[HostOptions, list[str]]:
    """Read the app's host.json; return its options and every problem in it."""
    path = app_dir / "host.json"
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        return HostOptions(), ["host.json is missing"]
    except ValueError as error:
        return HostOptions(), [f"host.json is not valid JSON: {error}"]
    problems = find_problems(content)
    return (HostOptions() if problems else _options(content)), problems


def _options(content: Mapping[str, Any]) -> HostOptions:
    extensions = content.get("extensions", {})
    timeout = content.get("functionTimeout")
    return HostOptions(
        queues=_queue_options(extensions.get("queues", {})),
        route_prefix=extensions.get("http", {}).get("routePrefix", "api").strip("/"),
        function_timeout=None if timeout == "-1" else parse_time_span(timeout) or timedelta(minutes=30),
        log_levels=content.get("logging", {}).get("logLevel", {}),
    )


def _queue_options(content: Mapping[str, Any]) -> QueueOptions:
    return QueueOptions(
        batch_size=content.get("batchSize", 16),
        new_batch_threshold=content.get("newBatchThreshold"),
        max_polling_interval=parse_time_span(content.get("maxPollingInterval")),
        visibility_timeout=parse_time_span(content.get("visibilityTimeout")) or timedelta(0),
        max_dequeue_count=content.get("maxDequeueCount", 5),
        message_encoding=content.get("messageEncoding", "base64").lower(),
    )
