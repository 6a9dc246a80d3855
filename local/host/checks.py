"""Find what the real host refuses although the worker accepts it.

The worker checks Python. The C# host checks names, routes, queues, settings and schedules, at start,
function by function. The rules are those of github.com/Azure/azure-functions-host (Utility.cs,
ScriptHost.cs) and of the storage service:
learn.microsoft.com/rest/api/storageservices/naming-queues-and-metadata.
"""

import re
from collections.abc import Iterable

from local.host.app.functions import RETURN, Function, HttpTrigger, QueueOutput, QueueTrigger, TimerTrigger
from local.host.app.settings import AppSettings, SettingsError
from local.host.app.storage import Accounts, ConnectionMissingError
from local.host.http.routes import RouteError, compile_route
from local.host.timers.schedules import ScheduleError, parse

FUNCTION_NAME = re.compile(r"[a-z][a-z0-9_\-]{0,127}", re.IGNORECASE | re.ASCII)
BINDING_NAME = re.compile(r"(?!.*__)[a-zA-Z_][a-zA-Z0-9_]{0,127}", re.ASCII)
QUEUE_NAME = re.compile(r"(?!.*--)[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]", re.ASCII)
RESERVED_ROUTES = ("admin", "runtime")


def find_problems(functions: Iterable[Function], settings: AppSettings, accounts: Accounts) -> list[str]:
    """List everything the real host would refuse in these functions, each with the function's name."""
    listed = list(functions)
    problems = [
        f"the function {each.name}: {problem}"
        for each in listed
        for problem in _problems(each, settings, accounts)
    ]
    return problems + _shared_names(listed) + _shared_routes(listed)


def _problems(function: Function, settings: AppSettings, accounts: Accounts) -> list[str]:
    found = _name_problems(function)
    match function.trigger:
        case HttpTrigger() as trigger:
            found += _route_problems(trigger)
        case QueueTrigger() as trigger:
            found += _queue_problems(trigger, settings, accounts)
        case TimerTrigger() as trigger:
            found += _schedule_problems(trigger, settings)
    for output in function.outputs:
        found += _queue_problems(output, settings, accounts)
    return found


def _name_problems(function: Function) -> list[str]:
    found = []
    if not FUNCTION_NAME.fullmatch(function.name) or function.name.lower() == "host":
        found.append("this is not a valid function name")
    wrong = (name for name in function.bindings if name != RETURN and not BINDING_NAME.fullmatch(name))
    found += [f"'{name}' is not a valid binding name" for name in wrong]
    if len({name.lower() for name in function.bindings}) < len(function.bindings):
        found.append("two bindings have the same name")
    return found


def _route_problems(trigger: HttpTrigger) -> list[str]:
    if trigger.route.strip("/").lower().startswith(RESERVED_ROUTES):
        return [f"the route '{trigger.route}' is reserved for the host (admin, runtime)"]
    try:
        compile_route(trigger.route.strip("/"))
    except RouteError as error:
        return [f"the route {error}"]
    return []


def _queue_problems(
    binding: QueueTrigger | QueueOutput, settings: AppSettings, accounts: Accounts
) -> list[str]:
    found = []
    try:
        name = settings.resolve(binding.queue).lower()
        if not QUEUE_NAME.fullmatch(name):
            found.append(f"'{name}' is not a valid queue name")
    except SettingsError as error:
        found.append(str(error))
    try:
        accounts.check(settings.resolve(binding.connection))
    except (ConnectionMissingError, SettingsError) as error:
        found.append(str(error))
    return found


def _schedule_problems(trigger: TimerTrigger, settings: AppSettings) -> list[str]:
    try:
        parse(settings.resolve(trigger.schedule))
    except (ScheduleError, SettingsError) as error:
        return [str(error)]
    return []


def _shared_names(functions: list[Function]) -> list[str]:
    names = [each.name.lower() for each in functions]
    return [
        f"two functions have the name {name}"
        for name in sorted({each for each in names if names.count(each) > 1})
    ]


def _shared_routes(functions: list[Function]) -> list[str]:
    found = []
    routed = [(each, each.trigger) for each in functions if isinstance(each.trigger, HttpTrigger)]
    for number, (one, first) in enumerate(routed):
        for other, second in routed[:number]:
            if _route(one, first) != _route(other, second):
                continue
            if not first.methods or not second.methods or first.methods & second.methods:
                found.append(f"the function {one.name}: the function {other.name} has the same route")
    return found


def _route(function: Function, trigger: HttpTrigger) -> str:
    return (trigger.route or function.name).strip("/").lower()
