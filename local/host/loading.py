"""Load an app: its functions, settings and host.json, and the problems in them."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local.host import checks
from local.host.app import hostjson, settings
from local.host.app.functions import Function, read_function
from local.host.app.hostjson import HostOptions
from local.host.app.settings import AppSettings, SettingsError
from local.host.app.storage import Accounts
from local.host.calls import logs
from local.host.calls.invocations import RunningCalls
from local.host.worker.worker import IndexingError, Worker

# Defaults of Azure Functions Core Tools.
TOOLS_DEFAULTS = {"AZURE_FUNCTIONS_ENVIRONMENT": "Development", "FUNCTIONS_WORKER_RUNTIME": "python"}


@dataclass(frozen=True)
class LoadedApp:
    """An indexed app. It can run if *problems* is empty; *running* holds its running calls."""

    worker: Worker
    functions: list[Function]
    settings: AppSettings
    accounts: Accounts
    options: HostOptions
    running: RunningCalls
    problems: list[str]


def load(app_dir: Path, settings_file: Path, find_host_name: Callable[[], str]) -> LoadedApp:
    """Complete the environment, configure the logs, import the app and check it.

    Args:
        app_dir: the directory of `function_app.py` and host.json; becomes the working directory, as in Azure.
        settings_file: settings that complete the environment; need not exist.
        find_host_name: returns the value of `WEBSITE_HOSTNAME`; in Azure, the app's public name.
    """
    os.chdir(app_dir)
    problems = _enter_settings(app_dir / settings_file)
    os.environ["WEBSITE_HOSTNAME"] = find_host_name()
    options, found = hostjson.read(app_dir)
    problems += found
    running = RunningCalls()
    logs.configure(options.log_levels, running)
    worker = Worker(app_dir)
    functions, found = _index(worker)
    problems += found
    values = AppSettings(os.environ)
    accounts = Accounts(values)
    problems += checks.find_problems(functions, values, accounts)
    return LoadedApp(worker, functions, values, accounts, options, running, problems)


def _enter_settings(path: Path) -> list[str]:
    """Complete the environment; a setting in it takes precedence over the file."""
    try:
        values = settings.read_file(path)
    except SettingsError as error:
        return [str(error)]
    known = AppSettings(os.environ)
    os.environ.update(
        {name: value for name, value in {**TOOLS_DEFAULTS, **values}.items() if known.get(name) is None}
    )
    return []


def _index(worker: Worker) -> tuple[list[Function], list[str]]:
    try:
        indexed = worker.index()
    except IndexingError as error:
        return [], [str(error)]
    functions: list[Function] = []
    problems: list[str] = []
    for each in indexed:
        function, found = read_function(each)
        problems += found
        if function:
            functions.append(function)
    return functions, problems
