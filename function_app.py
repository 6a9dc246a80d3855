"""The functions that Azure runs: triggers only. Each decodes, calls one function, and encodes its answer.

Importing this file always succeeds, whatever the settings: a function app whose import fails shows its
administrator nothing at all. Each function says what is wrong when it is called.
"""

import logging
import os
from collections.abc import Callable
from typing import List  # noqa: UP035 - the worker refuses func.Out[list[str]] at indexing

import azure.functions as func

from shared import logs
from shared.admin import responses
from shared.admin.responses import AdminResponse
from shared.admin.sync_user import UserSyncRequest
from shared.app import App
from shared.errors import SyncError
from shared.jobs import Backfill, Check, SweepPage, SweptCheck, Sync, Tend
from shared.sweeps.opener import Opened
from shared.triggers import Triggers, WebhookReply

STORAGE = "AzureWebJobsStorage"

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
sync_app = App(os.environ)
triggers = Triggers(sync_app)
logs.quieten_libraries()


# --- Microsoft Graph ---


@app.route(route="notifications", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.queue_output(arg_name="checks", queue_name=Check.queue, connection=STORAGE)
def notifications(req: func.HttpRequest, checks: func.Out[List[str]]) -> func.HttpResponse:  # noqa: UP006
    """Queue a check for the users that changed: 202. Handshake: 200. Not Graph's form: 400 or 413.

    Items that are not Graph's are counted and dropped; the answer is 202 all the same, so that no sender
    learns which were accepted. 503 while the settings are wrong: Graph tries again for four hours.
    """
    reply = triggers.notifications(req.params.get("validationToken"), req.get_body())
    return _send(reply, checks)


@app.route(route="lifecycle", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.queue_output(arg_name="events", queue_name=Tend.queue, connection=STORAGE)
def lifecycle(req: func.HttpRequest, events: func.Out[List[str]]) -> func.HttpResponse:  # noqa: UP006
    """Queue what Graph announces about our subscription. Answers as `notifications` does."""
    reply = triggers.lifecycle(req.params.get("validationToken"), req.get_body())
    return _send(reply, events)


def _send(reply: WebhookReply, messages: func.Out[List[str]]) -> func.HttpResponse:  # noqa: UP006
    if reply.messages:
        messages.set(list(reply.messages))
    return func.HttpResponse(
        reply.text or None, status_code=reply.status, headers=dict(reply.headers), mimetype="text/plain"
    )


# --- queues ---


@app.queue_trigger(arg_name="msg", queue_name=Check.queue, connection=STORAGE)
def check_photos(msg: func.QueueMessage) -> None:
    """Compare the photos of up to 20 users with the ledger."""
    triggers.work(Check, msg.get_body())


@app.queue_trigger(arg_name="msg", queue_name=Sync.queue, connection=STORAGE)
def sync_photo(msg: func.QueueMessage) -> None:
    """Make SharePoint show one user's photo."""
    triggers.work(Sync, msg.get_body())


@app.queue_trigger(arg_name="msg", queue_name=SweptCheck.queue, connection=STORAGE)
def check_swept(msg: func.QueueMessage) -> None:
    """Compare the photos of up to 20 users for a sweep, which waits for the answers."""
    triggers.work(SweptCheck, msg.get_body())


@app.queue_trigger(arg_name="msg", queue_name=Backfill.queue, connection=STORAGE)
def sync_swept(msg: func.QueueMessage) -> None:
    """Make SharePoint show what a sweep found, in a lane of its own."""
    triggers.work(Backfill, msg.get_body())


@app.queue_trigger(arg_name="msg", queue_name=SweepPage.queue, connection=STORAGE)
def sweep_users(msg: func.QueueMessage) -> None:
    """Do the next step of a sweep: a page of users, or the wait for the last answers, or the verdict."""
    triggers.work(SweepPage, msg.get_body())


@app.queue_trigger(arg_name="msg", queue_name=Tend.queue, connection=STORAGE)
def tend_subscription(msg: func.QueueMessage) -> None:
    """Look after the subscription because Graph announced something about it."""
    triggers.work(Tend, msg.get_body())


@app.queue_trigger(arg_name="msg", queue_name=f"{Check.queue}-poison", connection=STORAGE)
def record_poisoned_checks(msg: func.QueueMessage) -> None:
    """Record a check that failed for good."""
    triggers.record(Check, msg.get_body())


@app.queue_trigger(arg_name="msg", queue_name=f"{Sync.queue}-poison", connection=STORAGE)
def record_poisoned_syncs(msg: func.QueueMessage) -> None:
    """Record a sync that failed for good."""
    triggers.record(Sync, msg.get_body())


@app.queue_trigger(arg_name="msg", queue_name=f"{SweptCheck.queue}-poison", connection=STORAGE)
def record_poisoned_swept_checks(msg: func.QueueMessage) -> None:
    """Record a sweep's check that failed for good."""
    triggers.record(SweptCheck, msg.get_body())


@app.queue_trigger(arg_name="msg", queue_name=f"{Backfill.queue}-poison", connection=STORAGE)
def record_poisoned_backfill(msg: func.QueueMessage) -> None:
    """Record a sweep's sync that failed for good."""
    triggers.record(Backfill, msg.get_body())


@app.queue_trigger(arg_name="msg", queue_name=f"{SweepPage.queue}-poison", connection=STORAGE)
def record_poisoned_sweeps(msg: func.QueueMessage) -> None:
    """Record a sweep's step that failed for good, and end the sweep."""
    triggers.record(SweepPage, msg.get_body())


@app.queue_trigger(arg_name="msg", queue_name=f"{Tend.queue}-poison", connection=STORAGE)
def record_poisoned_subscription(msg: func.QueueMessage) -> None:
    """Record a lifecycle event that failed for good."""
    triggers.record(Tend, msg.get_body())


# --- timer ---


@app.timer_trigger(arg_name="timer", schedule="%RENEWAL_SCHEDULE%")
def renew_subscription(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the trigger brings it
    """Keep the Graph subscription alive. A failed run shows as such, and the next one tries again."""
    sync_app.services.renewal.tend()


@app.timer_trigger(arg_name="timer", schedule="%SWEEP_SCHEDULE%")
def start_sweep(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the trigger brings it
    """Open a sweep unless one is running."""
    sync_app.services.opener.open("the timer")


# --- administrators ---


@app.route(route="users/{user}/sync", methods=["POST"])
def sync_user(req: func.HttpRequest) -> func.HttpResponse:
    """Sync one user now.

    `?force=true` whatever the ledger says, `?dry_run=true` without writing anything, `?remove=true` removes
    the picture of a user who has no photo.

    200 with the outcome; 202 the job is queued again; 400 not a user's name; 404 unknown user; 409 another
    attempt is active; 500 not configured; 502 refused or denied; 503 throttled, or no time left to answer.
    """

    def ask() -> AdminResponse:
        force, dry_run, remove = (_flag(req, name) for name in ("force", "dry_run", "remove"))
        asked = UserSyncRequest(req.route_params.get("user", ""), force=force, dry_run=dry_run, remove=remove)
        return responses.of_result(sync_app.services.user_sync.sync_user(asked))

    return _answer(req, ask, "force", "dry_run", "remove")


@app.route(route="subscription", methods=["POST", "DELETE"])
def subscribe(req: func.HttpRequest) -> func.HttpResponse:
    """POST: renew now, `?take_over=true` over another deployment's. DELETE: end it until the next POST."""

    def tend() -> AdminResponse:
        renewal = sync_app.services.renewal
        if req.method == "DELETE":
            return responses.of_tended(renewal.end())
        return responses.of_tended(renewal.tend(asked=True, take_over=_flag(req, "take_over")))

    known = () if req.method == "DELETE" else ("take_over",)
    return _answer(req, tend, *known)


@app.route(route="sweeps", methods=["POST", "DELETE"])
def sweep_now(req: func.HttpRequest) -> func.HttpResponse:
    """POST: open a sweep, `?force=true` to have every photo written again: 202 with its id, 409 if one runs.

    `?release_brake=<sweep>` lets a braked sweep remove what it found. DELETE: end the running one as
    *failed*: 200 with its id, 404 if none runs.
    """

    def sweep() -> AdminResponse:
        if req.method == "DELETE":
            return responses.of_cancelled(sync_app.services.sweeper.cancel())
        if released := responses.sweep_to_release(responses.query_of(req.url, req.params)):
            sync_app.services.removals.release(released)
            return responses.of_opened(Opened(released, new=True))
        force = _flag(req, "force")
        return responses.of_opened(sync_app.services.opener.open("an administrator", force=force))

    known = () if req.method == "DELETE" else ("force", "release_brake")
    return _answer(req, sweep, *known)


@app.route(route="status", methods=["GET"])
def status(req: func.HttpRequest) -> func.HttpResponse:
    """Show the running sweep and the last ten, the subscription, gates, failing users, and kept poison.

    200, whatever is wrong with settings, certificate or storage: `problems` lists it. 400 for an unknown
    query parameter.
    """
    return _answer(req, lambda: responses.of_status(sync_app.status_report.status()))


def _flag(req: func.HttpRequest, name: str) -> bool:
    return responses.flag(name, responses.query_of(req.url, req.params).get(name))


def _answer(req: func.HttpRequest, ask: Callable[[], AdminResponse], *known: str) -> func.HttpResponse:
    """Return the answer of `ask`; 400 for a query parameter that is not one of `known`."""
    try:
        responses.require_known(responses.query_of(req.url, req.params), known)
        answer = ask()
    except SyncError as error:
        logs.warning("request.refused", error=str(error))
        answer = responses.of_error(error)
    except Exception:  # the outermost frame: administrators get JSON, the log gets the stack
        logging.getLogger("photosync").exception("request.broken")
        answer = responses.broken()
    return func.HttpResponse(
        answer.body, status_code=answer.status, headers=answer.headers, mimetype="application/json"
    )
