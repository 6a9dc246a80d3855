"""Apps that are refused and apps that are accepted: `python -m local.host --check` on small sample apps."""

import json
import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from local.host.process import ROOT

HEAD = """
import typing
import azure.functions as func
app = func.FunctionApp()
S = "AzureWebJobsStorage"
"""
ROUTE = "@app.route(route='r')\n"
OUT = "@app.queue_output(arg_name='out', queue_name='q-out', connection=S)\n"
QUEUE = "@app.queue_trigger(arg_name='msg', queue_name='q-in', connection=S)\n"
TIMER = "@app.timer_trigger(arg_name='t', schedule='0 * * * * *')\n"
RESPONSE = "func.HttpResponse"


@dataclass(frozen=True)
class SampleApp:
    """An app, and the problem that its check must report; "" for an app without problems."""

    source: str
    problem: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    host_json: str = '{"version": "2.0"}'


# Refused by Microsoft's worker when it indexes an app: some of its rules.
REFUSED_BY_THE_WORKER = {
    "a binding without a parameter": SampleApp(
        QUEUE + OUT + "def f(msg: func.QueueMessage): pass", "not present in Python: {'out'}"
    ),
    "no trigger": SampleApp(OUT + "def f(out: func.Out[str]): pass", "does not have a trigger"),
    "an import that fails": SampleApp("import no_such_module", "Cannot find module"),
    "an output annotated str": SampleApp(
        ROUTE + OUT + "def f(req: func.HttpRequest, out: str) -> func.HttpResponse: pass",
        "not a subclass of azure.functions.Out",
    ),
    # ruff's UP006 "repairs" typing.List into list; Azure then indexes no function at all.
    "an output annotated Out[list[str]]": SampleApp(
        ROUTE + OUT + "def f(req: func.HttpRequest, out: func.Out[list[str]]) -> func.HttpResponse: pass",
        "binding out has invalid non-type annotation",
    ),
    "an answer annotated with a union": SampleApp(
        ROUTE + "def f(req: func.HttpRequest) -> func.HttpResponse | None: pass", "non-type return"
    ),
}

# Accepted by the worker and refused by Azure's host, or not simulated by this host.
REFUSED_BY_THE_HOST = {
    "a blob trigger": SampleApp(
        "@app.blob_trigger(arg_name='b', path='c/{n}', connection=S)\ndef f(b: func.InputStream): pass",
        "the function f: this host does not simulate blobTrigger bindings",
    ),
    "a table input": SampleApp(
        QUEUE + "@app.table_input(arg_name='row', table_name='t', connection=S)\n"
        "def f(msg: func.QueueMessage, row: str): pass",
        "the function f: this host does not simulate table bindings",
    ),
    "an event hub output": SampleApp(
        QUEUE + "@app.event_hub_output(arg_name='e', event_hub_name='h', connection=S)\n"
        "def f(msg: func.QueueMessage, e: func.Out[str]): pass",
        "the function f: this host does not simulate eventHub bindings",
    ),
    "a retry policy": SampleApp(
        TIMER + "@app.retry(strategy='fixed_delay', max_retry_count='2', delay_interval='00:00:01')\n"
        "def f(t: func.TimerRequest): pass",
        "the function f: this host does not simulate retry policies",
    ),
    "a setting that is not set": SampleApp(
        TIMER.replace("0 * * * * *", "%SWEEP%") + "def f(t: func.TimerRequest): pass",
        "the function f: the setting SWEEP is not set",
    ),
    "a schedule that is not valid": SampleApp(
        TIMER.replace("0 * * * * *", "%SWEEP%") + "def f(t: func.TimerRequest): pass",
        "the function f: 'hourly' has neither 5 nor 6 fields",
        {"SWEEP": "hourly"},
    ),
    "a connection that is not set": SampleApp(
        QUEUE.replace("connection=S", "connection='Other'") + "def f(msg: func.QueueMessage): pass",
        "the function f: the connection Other is not set",
    ),
    "a misspelt key in host.json": SampleApp(
        TIMER + "def f(t: func.TimerRequest): pass",
        "host.json: extensions.queues.newBatchSize is unknown",
        host_json='{"version": "2.0", "extensions": {"queues": {"newBatchSize": 4}}}',
    ),
}

ACCEPTED = {
    "a list of messages": SampleApp(
        ROUTE
        + OUT
        + "def f(req: func.HttpRequest, out: func.Out[typing.List[str]]) -> func.HttpResponse: pass"
    ),
    "bytes as output": SampleApp(
        ROUTE + OUT + "def f(req: func.HttpRequest, out: func.Out[bytes]) -> func.HttpResponse: pass"
    ),
    "a message annotated str": SampleApp(QUEUE + "def f(msg: str): pass"),
    "no annotation": SampleApp(QUEUE + "def f(msg): pass"),
    "a timer annotated str": SampleApp(TIMER + "def f(t: str): pass"),
    "a context": SampleApp(QUEUE + "def f(msg: func.QueueMessage, context: func.Context): pass"),
    "a coroutine": SampleApp(QUEUE + "async def f(msg: func.QueueMessage): pass"),
    "a blueprint": SampleApp(
        "bp = func.Blueprint()\n@bp.timer_trigger(arg_name='t', schedule='%SWEEP%')\n"
        "def f(t: func.TimerRequest): pass\napp.register_functions(bp)",
        settings={"SWEEP": "0 0 */6 * * *"},
    ),
    "an answer annotated str": SampleApp(ROUTE + "def f(req: func.HttpRequest) -> str: pass"),
}

ALL = REFUSED_BY_THE_WORKER | REFUSED_BY_THE_HOST | ACCEPTED


# Imports the host once and checks each app in a fork: a process of its own without half a second of imports.
CHECK_ALL = """
import os, sys
from local.host.__main__ import main
for directory in sys.argv[1:]:
    if not (child := os.fork()):
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT), number)
        os._exit(main(["--check", "--app", directory]))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Check all apps: exit status, standard output and standard error of each."""
    directories = {name: tmp_path_factory.mktemp("checked") for name in ALL}
    for name, directory in directories.items():
        (directory / "function_app.py").write_text(HEAD + ALL[name].source)
        (directory / "host.json").write_text(ALL[name].host_json)
        values = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", **ALL[name].settings}
        (directory / "local.settings.json").write_text(json.dumps({"Values": values}))
    answer = subprocess.run(
        [sys.executable, "-c", CHECK_ALL, *map(str, directories.values())],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    return {
        name: (int(status), (directory / "out").read_text(), (directory / "err").read_text())
        for status, (name, directory) in zip(answer.stdout.split(), directories.items(), strict=True)
    }


@pytest.mark.parametrize("name", REFUSED_BY_THE_WORKER)
def test_an_app_that_the_worker_refuses_is_refused_with_the_workers_message(checked, name):
    status, output, errors = checked[name]

    assert (status, output) == (1, "")
    assert ALL[name].problem in errors


@pytest.mark.parametrize("name", REFUSED_BY_THE_HOST)
def test_an_app_that_azures_host_refuses_is_refused_with_the_functions_name(checked, name):
    status, output, errors = checked[name]

    assert (status, output) == (1, "")
    assert f"problem: {ALL[name].problem}" in errors


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_app_that_azure_accepts_is_accepted(checked, name):
    status, output, errors = checked[name]

    assert (status, "problem" in errors) == (0, False)
    assert output.split()[0] == "f"


def test_check_lists_every_function_with_its_trigger(app_dir, run_host):
    storage = {"AzureWebJobsStorage__accountName": "none"}
    env = {**storage, "JOBS": "Jobs", "AzureWebJobs.keyed.Disabled": "true"}
    answer = run_host("--check", "--app", str(app_dir), env=env)

    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in answer.stdout.splitlines()}
    assert lines["echo"] == "http   GET,POST /api/echo/{user}/{source:alpha?} (anonymous)"
    assert lines["keyed"] == "http   GET /api/keyed (function)  disabled"
    assert lines["work"] == "queue  jobs"
    assert lines["yearly"] == "timer  0 0 0 1 1 *"
    assert answer.returncode == 0


def test_check_lists_every_problem_at_once(tmp_path, run_host):
    (tmp_path / "host.json").write_text('{"version": "1.0"}')
    (tmp_path / "function_app.py").write_text(HEAD + QUEUE.replace("q-in", "%Q%") + "def f(msg): pass")

    answer = run_host("--check", "--app", str(tmp_path))

    problems = [line for line in answer.stderr.splitlines() if line.startswith("problem: ")]
    assert len(problems) == 3
    assert problems[0] == 'problem: host.json: version must be "2.0", not "1.0"'
    assert problems[1] == "problem: the function f: the setting Q is not set (used in '%Q%')"
    assert problems[2].startswith("problem: the function f: the connection AzureWebJobsStorage is not set: ")
