"""The schema of host.json: every known key, with its type and range.

Names, types and ranges: learn.microsoft.com/azure/azure-functions/functions-host-json and, for the queues,
learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#host-json.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, cast

type Check = Callable[[object], str | None]
type Schema = Mapping[str, "Check | Schema"]

LEVELS = ("Trace", "Debug", "Information", "Warning", "Error", "Critical", "None")
BUNDLE = "Microsoft.Azure.Functions.ExtensionBundle"
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


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _text(value: object) -> str | None:
    return None if isinstance(value, str) else "must be a string"


def _texts(value: object) -> str | None:
    valid = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return None if valid else "must be a list of strings"


def _anything(_value: object) -> str | None:
    return None


def _whole(low: int, high: int | None = None) -> Check:
    def check(value: object) -> str | None:
        valid = type(value) is int and value >= low and (high is None or value <= high)
        return None if valid else f"must be a whole number from {low}" + (f" to {high}" if high else " up")

    return check


def _unbounded_or_whole(value: object) -> str | None:
    return None if value == -1 else _whole(1)(value) and "must be -1 or a whole number from 1 up"


def _number(low: float, high: float | None = None) -> Check:
    def check(value: object) -> str | None:
        valid = type(value) in (int, float) and cast("float", value) >= low
        valid = valid and (high is None or cast("float", value) <= high)
        return None if valid else f"must be a number from {low}" + (f" to {high}" if high else " up")

    return check


def _span(low: timedelta = timedelta(0)) -> Check:
    def check(value: object) -> str | None:
        found = parse_time_span(value)
        if found is None:
            return "must be a time span like 00:00:30"
        return None if found >= low else f"must be at least {low}"

    return check


def _one_of(*allowed: str) -> Check:
    lower = [each.lower() for each in allowed]

    def check(value: object) -> str | None:
        valid = isinstance(value, str) and value.lower() in lower
        return None if valid else "must be one of " + ", ".join(allowed)

    return check


def _version(value: object) -> str | None:
    return None if value == "2.0" else 'must be "2.0"'


def _timeout(value: object) -> str | None:
    # "-1" is a time span of minus one day to .NET, and read as "no bound" outside the Consumption plan.
    return None if value == "-1" else _span(timedelta(seconds=1))(value)


def _levels(value: object) -> str | None:
    valid = isinstance(value, dict) and all(_one_of(*LEVELS)(level) is None for level in value.values())
    return None if valid else "must map categories to one of " + ", ".join(LEVELS)


def _bundle_id(value: object) -> str | None:
    return None if value in (BUNDLE, f"{BUNDLE}.Preview", f"{BUNDLE}.Experimental") else f"must be {BUNDLE}"


def _version_range(value: object) -> str | None:
    valid = isinstance(value, str) and re.fullmatch(r"[\[(][\d.*]+(, ?[\d.*]+)?[\])]", value)
    return None if valid else "must be a version range like [4.*, 5.0.0)"


_SAMPLING: Schema = {
    "isEnabled": _flag,
    "maxTelemetryItemsPerSecond": _number(0),
    "evaluationInterval": _span(),
    "initialSamplingPercentage": _number(0, 100),
    "samplingPercentageIncreaseTimeout": _span(),
    "samplingPercentageDecreaseTimeout": _span(),
    "minSamplingPercentage": _number(0, 100),
    "maxSamplingPercentage": _number(0, 100),
    "movingAverageRatio": _number(0, 1),
    "excludedTypes": _text,
    "includedTypes": _text,
}

SCHEMA: Schema = {
    "version": _version,
    "functionTimeout": _timeout,
    "telemetryMode": _one_of("OpenTelemetry", "ApplicationInsights"),
    "watchDirectories": _texts,
    "watchFiles": _texts,
    "functions": _texts,
    "logging": {
        "fileLoggingMode": _one_of("never", "always", "debugOnly"),
        "logLevel": _levels,
        "console": {"isEnabled": _flag, "DisableColors": _flag},
        "applicationInsights": {
            "samplingSettings": _SAMPLING,
            "enableLiveMetrics": _flag,
            "enableLiveMetricsFilters": _flag,
            "enableDependencyTracking": _flag,
            "enablePerformanceCountersCollection": _flag,
            "snapshotConfiguration": _anything,
            "httpAutoCollectionOptions": {
                "enableHttpTriggerExtendedInfoCollection": _flag,
                "enableW3CDistributedTracing": _flag,
                "enableResponseHeaderInjection": _flag,
            },
        },
    },
    "extensions": {
        "http": {
            "routePrefix": _text,
            "maxConcurrentRequests": _unbounded_or_whole,
            "maxOutstandingRequests": _unbounded_or_whole,
            "dynamicThrottlesEnabled": _flag,
            "hsts": {"isEnabled": _flag, "maxAge": _text},
            "customHeaders": _anything,
        },
        "queues": {
            "batchSize": _whole(1, 32),
            "newBatchThreshold": _whole(0),
            "maxPollingInterval": _span(timedelta(milliseconds=100)),
            "visibilityTimeout": _span(),
            "maxDequeueCount": _whole(1),
            "messageEncoding": _one_of("base64", "none"),
        },
    },
    "extensionBundle": {"id": _bundle_id, "version": _version_range},
    "concurrency": {"dynamicConcurrencyEnabled": _flag, "snapshotPersistenceEnabled": _flag},
    "healthMonitor": {
        "enabled": _flag,
        "healthCheckInterval": _span(),
        "healthCheckWindow": _span(),
        "healthCheckThreshold": _whole(1),
        "counterThreshold": _number(0, 1),
    },
    "singleton": {
        "lockPeriod": _span(timedelta(seconds=15)),
        "listenerLockPeriod": _span(timedelta(seconds=15)),
        "listenerLockRecoveryPollingInterval": _span(),
        "lockAcquisitionTimeout": _span(),
        "lockAcquisitionPollingInterval": _span(),
    },
    "managedDependency": {"enabled": _flag},
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
            found.append(f"{path}{name} is unknown; the known keys are: {', '.join(known)}")
        elif callable(expected):
            wrong = expected(value)
            found += [f"{path}{name} {wrong}, not {json.dumps(value)}"] if wrong else []
        elif not isinstance(value, dict):
            found.append(f"{path}{name} must be an object")
        else:
            found += _walk(value, expected, f"{path}{name}.")
    return found
