"""An app that shows its tests what the host hands to it."""
# ruff: noqa: ARG001 - a trigger must have its parameter, wanted or not

import json
import logging
import os
import time
from pathlib import Path
from typing import List  # noqa: UP035 - the worker knows no list[str]

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

STORAGE = "AzureWebJobsStorage"


def note(kind: str, **facts: object) -> None:
    """Append a fact to the file that the test reads."""
    with Path(os.environ["NOTES"]).open("a", encoding="utf-8") as notes:
        notes.write(json.dumps({"kind": kind, **facts}) + "\n")


@app.route(route="echo/{user}/{source:alpha?}", methods=["GET", "POST"], auth_level=func.AuthLevel.ANONYMOUS)
def echo(req: func.HttpRequest) -> func.HttpResponse:
    seen = {
        "method": req.method,
        "url": req.url,
        "params": dict(req.params),
        "route": dict(req.route_params),
        "headers": dict(req.headers),
        "body": req.get_body().decode("latin-1"),
        "body_type": type(req.get_body()).__name__,
        "hostname": os.environ.get("WEBSITE_HOSTNAME"),
        "from_file": os.environ.get("FROM_FILE"),
        "cwd": str(Path.cwd()),
    }
    return func.HttpResponse(json.dumps(seen), mimetype="application/json")


@app.route(route="files/{*path}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def files(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(dict(req.route_params)))


@app.route(methods=["GET"])
def keyed(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")


@app.route(methods=["GET"], auth_level=func.AuthLevel.ADMIN)
def guarded(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")


@app.route(methods=["GET"])
def switched_off(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")


@app.route(methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def raise_error(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("broken on purpose")


@app.route(methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def wait(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    import asyncio

    logging.getLogger("app").info("waiting in %s", context.function_name)
    print("printed to standard output")  # noqa: T201 - the host must keep it off its own
    note("waiting")
    await asyncio.sleep(float(req.params["seconds"]))
    return func.HttpResponse(context.invocation_id)


@app.route(methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def answer_text(req: func.HttpRequest) -> str:
    return "text"


@app.route(methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def answer(req: func.HttpRequest) -> func.HttpResponse:
    headers = json.loads(req.params.get("headers", "{}"))
    return func.HttpResponse(b"\x00\xff", status_code=int(req.params["status"]), headers=headers)


@app.route(methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.queue_output(arg_name="jobs", queue_name="%JOBS%", connection=STORAGE)
def send_many(req: func.HttpRequest, jobs: func.Out[List[str]]) -> func.HttpResponse:  # noqa: UP006 - see the import
    jobs.set(req.get_json())
    return func.HttpResponse(status_code=202)


@app.route(methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.queue_output(arg_name="job", queue_name="one-string", connection=STORAGE)
def send_one(req: func.HttpRequest, job: func.Out[str]) -> func.HttpResponse:
    job.set(req.get_body().decode())
    return func.HttpResponse(status_code=202)


@app.route(methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.queue_output(arg_name="job", queue_name="one-bytes", connection=STORAGE)
def send_bytes(req: func.HttpRequest, job: func.Out[bytes]) -> func.HttpResponse:
    job.set(req.get_body())
    return func.HttpResponse(status_code=202)


def describe(msg: func.QueueMessage) -> dict:
    return {
        "body": msg.get_body().decode(),
        "id": msg.id,
        "tries": msg.dequeue_count,
        "inserted": str(msg.insertion_time),
        "at": time.time(),
    }


@app.queue_trigger(arg_name="msg", queue_name="%JOBS%", connection=STORAGE)
def work(msg: func.QueueMessage) -> None:
    note("work", **describe(msg))
    logging.getLogger("app").info("working on %s", msg.get_body().decode())
    job = json.loads(msg.get_body()).get("job", {})
    time.sleep(job.get("seconds", 0))
    if msg.dequeue_count <= job.get("fails", 0):
        raise ValueError("failed on purpose")
    note("worked", **describe(msg))


@app.queue_trigger(arg_name="msg", queue_name="%JOBS%-poison", connection=STORAGE)
def bury(msg: func.QueueMessage) -> None:
    note("bury", **describe(msg))
    if "unburied" in msg.get_body().decode():
        raise ValueError("failed on purpose")


@app.queue_trigger(arg_name="msg", queue_name="Chain-In", connection=STORAGE)
@app.queue_output(arg_name="$return", queue_name="chain-out", connection=STORAGE)
def chain(msg: func.QueueMessage) -> str:
    return "chained " + msg.get_body().decode()


@app.queue_trigger(arg_name="msg", queue_name="silent", connection=STORAGE)
def silent(msg: func.QueueMessage) -> None:
    note("silent", **describe(msg))


@app.timer_trigger(arg_name="timer", schedule="%YEARLY%")
@app.queue_output(arg_name="$return", queue_name="ticks", connection=STORAGE)
def yearly(timer: func.TimerRequest) -> str:
    note("yearly", past_due=timer.past_due, status=timer.schedule_status)
    return "tick"
