"""The schema of host.json: the keys that this host knows, with their types and ranges.

Names, types and ranges: learn.microsoft.com/azure/azure-functions/functions-host-json and, for the queues,
learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#host-json.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

type Check = tuple[Callable[[Any], object], str]
"""Whether a value is valid, and what it must be."""
type Schema = Mapping[str, "Check | Schema"]

LEVELS = ("Trace", "Debug", "Information", "Warning", "Error", "Critical", "None")
BUNDLE = "Microsoft.Azure.Functions.ExtensionBundle"
VERSION_RANGE = re.compile(r"[\[(][\d.*]+(, ?[\d.*]+)?[\])]")
TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\.(\d{1,7}))?")


def parse_time_span(text: object) -> timedelta | None:
    """Read `[d.]hh:mm[:ss[.fffffff]]`; return `None` for any other text."""
    found = TIME_SPAN.fullmatch(text) if isinstance(text, str) else None
    if not found:
        return None
    days, hours, minutes, seconds, fraction = found.groups(default="0")
    if int(hours) > 23 or int(minutes) > 59 or int(seconds) > 59:
        return None
    micro = int(fraction.ljust(7, "0")) // 10
    return timedelta(int(days), int(seconds), micro, 0, int(minutes), int(hours))


def _number(low: float, high: float = math.inf, *types: type) -> Check:
    kind = "a number" if float in types else "a whole number"
    bounds = f"from {low} up" if high == math.inf else f"from {low} to {high}"
    return lambda value: type(value) in types and low <= value <= high, f"must be {kind} {bounds}"


def _span(low: timedelta = timedelta(0)) -> Check:
    text = f"must be a time span like 00:00:30, at least {low}"
    return lambda value: (span := parse_time_span(value)) is not None and span >= low, text


def _one_of(*allowed: str) -> Check:
    lower = [each.lower() for each in allowed]
    text = "must be one of " + ", ".join(allowed)
    return lambda value: isinstance(value, str) and value.lower() in lower, text


_flag: Check = (lambda value: isinstance(value, bool), "must be true or false")
_text: Check = (lambda value: isinstance(value, str), "must be a string")
_level = _one_of(*LEVELS)
_levels: Check = (
    lambda value: isinstance(value, dict) and all(_level[0](each) for each in value.values()),
    "must map categories to one of " + ", ".join(LEVELS),
)
_bound: Check = (lambda value: value == -1 or _number(1, math.inf, int)[0](value), "must be -1 or at least 1")
_timeout = _span(timedelta(seconds=1))

SCHEMA: Schema = {
    "version": (lambda value: value == "2.0", 'must be "2.0"'),
    # "-1" is a time span of minus one day to .NET, and read as "no bound" outside the Consumption plan.
    "functionTimeout": (lambda value: value == "-1" or _timeout[0](value), _timeout[1]),
    "telemetryMode": _one_of("OpenTelemetry", "ApplicationInsights"),
    "logging": {
        "fileLoggingMode": _one_of("never", "always", "debugOnly"),
        "logLevel": _levels,
        "console": {"isEnabled": _flag, "DisableColors": _flag},
        "applicationInsights": {
            "samplingSettings": {
                "isEnabled": _flag,
                "maxTelemetryItemsPerSecond": _number(0, math.inf, int, float),
                "initialSamplingPercentage": _number(0, 100, int, float),
                "minSamplingPercentage": _number(0, 100, int, float),
                "maxSamplingPercentage": _number(0, 100, int, float),
                "excludedTypes": _text,
                "includedTypes": _text,
            },
            "enableLiveMetrics": _flag,
            "enableDependencyTracking": _flag,
            "enablePerformanceCountersCollection": _flag,
        },
    },
    "extensions": {
        "http": {
            "routePrefix": _text,
            "maxConcurrentRequests": _bound,
            "maxOutstandingRequests": _bound,
            "dynamicThrottlesEnabled": _flag,
        },
        "queues": {
            "batchSize": _number(1, 32, int),
            "newBatchThreshold": _number(0, math.inf, int),
            "maxPollingInterval": _span(timedelta(milliseconds=100)),
            "visibilityTimeout": _span(),
            "maxDequeueCount": _number(1, math.inf, int),
            "messageEncoding": _one_of("base64", "none"),
        },
    },
    "extensionBundle": {
        "id": _one_of(BUNDLE, f"{BUNDLE}.Preview", f"{BUNDLE}.Experimental"),
        "version": (
            lambda value: isinstance(value, str) and VERSION_RANGE.fullmatch(value),
            "must be a version range like [4.*, 5.0.0)",
        ),
    },
    "concurrency": {"dynamicConcurrencyEnabled": _flag, "snapshotPersistenceEnabled": _flag},
}


def find_problems(content: object) -> list[str]:
    """List the problems of host.json's content, each with the path of the key."""
    if not isinstance(content, dict):
        return ["host.json must be an object"]
    missing = [] if "version" in content else ['host.json: version must be "2.0"']
    return missing + [f"host.json: {each}" for each in _walk(content, SCHEMA, "")]


def _walk(content: Mapping[str, Any], schema: Schema, path: str) -> list[str]:
    found: list[str] = []
    for name, value in content.items():
        expected = schema.get(name)
        if expected is None:
            known = [key for key in schema if key.lower() == name.lower()] or list(schema)
            found.append(f"{path}{name} is unknown to this host; it knows {', '.join(known)}")
        elif isinstance(expected, tuple):
            is_valid, text = expected
            found += [] if is_valid(value) else [f"{path}{name} {text}, not {json.dumps(value)}"]
        elif not isinstance(value, dict):
            found.append(f"{path}{name} must be an object")
        else:
            found += _walk(value, expected, f"{path}{name}.")
    return found
