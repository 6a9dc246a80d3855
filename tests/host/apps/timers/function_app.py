"""Timers that note when they run, and functions that last too long."""
# ruff: noqa: ARG001 - a trigger must have its parameter, wanted or not

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def note(kind: str, **facts: object) -> None:
    """Append a fact to the file that the test reads."""
    with Path(os.environ["NOTES"]).open("a", encoding="utf-8") as notes:
        notes.write(json.dumps({"kind": kind, "at": datetime.now(UTC).timestamp(), **facts}) + "\n")


@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
def tick(timer: func.TimerRequest) -> None:
    note("begin", past_due=timer.past_due, status=timer.schedule_status)
    time.sleep(1.2)
    note("end")


@app.timer_trigger(arg_name="timer", schedule="0 0 1 1 *", run_on_startup=True)
def at_startup(timer: func.TimerRequest) -> None:
    note("startup", past_due=timer.past_due)


@app.timer_trigger(arg_name="timer", schedule="%MISSED%")
def missed(timer: func.TimerRequest) -> None:
    note("missed", past_due=timer.past_due, status=timer.schedule_status)


@app.route(methods=["GET"])
def last_too_long(req: func.HttpRequest) -> func.HttpResponse:
    time.sleep(60)
    return func.HttpResponse("never")
