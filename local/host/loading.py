"""What is known of an app before it runs: its functions, settings and host.json, and what is wrong."""

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
from local.host.calls.invocations import Running
from local.host.worker.worker import IndexingError, Worker

# What Azure Functions Core Tools set where nothing else does.
TOOLS = {"AZURE_FUNCTIONS_ENVIRONMENT": "Development", "FUNCTIONS_WORKER_RUNTIME": "python"}


@dataclass(frozen=True)
class App:
    """An app, indexed. Without *problems* it can run; *running* holds its calls under way."""

    worker: Worker
    functions: list[Function]
    settings: AppSettings
    accounts: Accounts
    options: HostOptions
    running: Running
    problems: list[str]


def load(app_dir: Path, settings_file: Path, find_host_name: Callable[[], str]) -> App:
    """Make the app's settings part of the environment, configure the logs, import the app and check it all.

    Args:
        app_dir: where `function_app.py` and host.json lie; becomes the working directory, as in Azure.
        settings_file: where settings lie that the environment does not have; need not exist.
        find_host_name: gives what the app finds in `WEBSITE_HOSTNAME`; in Azure, its public name.
    """
    os.chdir(app_dir)
    problems = _enter_settings(app_dir / settings_file)
    os.environ["WEBSITE_HOSTNAME"] = find_host_name()
    options, found = hostjson.read(app_dir)
    problems += found
    running = Running()
    logs.configure(options.log_levels, running)
    worker = Worker(app_dir)
    functions, found = _index(worker)
    problems += found
    values = AppSettings(os.environ)
    accounts = Accounts(values)
    problems += checks.find_problems(functions, values, accounts)
    return App(worker, functions, values, accounts, options, running, problems)


def _enter_settings(path: Path) -> list[str]:
    """Complete the environment; what is set already wins."""
    try:
        values = settings.read_file(path)
    except SettingsError as error:
        return [str(error)]
    known = AppSettings(os.environ)
    os.environ.update({name: value for name, value in {**TOOLS, **values}.items() if known.get(name) is None})
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
