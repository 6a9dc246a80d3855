"""Check the deployed app: wait until it answers, create the subscription, and say what is not well.

It needs Azure CLI, signed in, for the app's key, which it does not print. azd passes its environment: what
`infra/main.bicep` outputs, and what `azd env set` has set. Run it again with `azd hooks run postdeploy`.

Exit status: 0 the app answers; 1 it does not, or its settings are wrong.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

import grant
import postprovision

DEADLINE = 300.0  # seconds: at a first start settings, keys and roles reach the app one after the other
PAUSE = 10.0  # seconds between two attempts
OK, MISCONFIGURED, DENIED = 200, 500, 502  # what the app answers, see shared/admin/responses.py
TIMEOUT, AZ_TIMEOUT = 90.0, 120.0  # seconds for one answer; a subscription waits for Graph's handshake


class NotYet(Exception):
    """There is no answer, but it may come; the text says why in one line."""


@dataclass
class App:
    """The deployed app, called with its host key."""

    url: str
    environ: Mapping[str, str]
    key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self._opener = grant.new_opener(self.environ)

    def call(self, method: str, path: str) -> "tuple[int, dict[str, Any]]":
        """Return status and body of the app's own answer. NotYet: no connection, or another's answer."""
        url, headers = f"{self.url}/api/{path}", {"x-functions-key": self.key}
        body = b"" if method == "POST" else None
        request = Request(url, body, headers, method=method)  # noqa: S310 - from the deployment's outputs
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                return answer.status, dict(json.loads(answer.read()))
        except HTTPError as error:
            with error:
                text = error.read(100_000)
            try:
                return error.code, dict(json.loads(text))
            except (ValueError, TypeError):
                raise NotYet(f"{self.url} answers {error.code}{_MEANING.get(error.code, '')}") from None
        except (OSError, HTTPException, ValueError, TypeError) as error:
            raise NotYet(f"no answer from {self.url}: {getattr(error, 'reason', error)}") from None


_MEANING = {
    401: ": the key is not valid (yet)",
    403: ": access is restricted; is the app in a virtual network?",
    404: ": its functions are not found (yet)",
    503: ": the host does not start (yet)",
}


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Check the app; return the exit status."""
    needed = ("FUNCTION_APP_NAME", "FUNCTION_APP_URL", "AZURE_RESOURCE_GROUP")
    if missing := [name for name in needed if not environ.get(name)]:
        print(f"{', '.join(missing)} is missing: this runs as a hook of azd deploy.", file=sys.stderr)
        return 1
    app = App(environ["FUNCTION_APP_URL"].rstrip("/"), environ)
    if not _wait_until_it_answers(app):
        return 1
    code, problems = _subscribe(app)
    problems += _read_problems(app)
    for problem in dict.fromkeys(problems):
        print(f"  not well: {problem}")
    if code == DENIED or any(" role" in each for each in problems):
        print(f"The app lacks application roles, or its token is older than they are.\n{_instruct(environ)}")
    if problems:
        print("Afterwards, check again with: azd hooks run postdeploy")
    _print_next(app.url, environ)
    return 1 if code == MISCONFIGURED else 0


def _wait_until_it_answers(app: App) -> bool:
    """Return whether it answers before the deadline; if not, say why."""
    seconds = float(app.environ.get("POSTDEPLOY_SECONDS") or DEADLINE)
    deadline = time.monotonic() + seconds
    while True:
        try:
            app.key = _read_key(app.environ)  # each time: it may have been made since
            code, body = app.call("GET", "status")
            if code == OK:
                print(f"The app answers at {app.url}.", flush=True)
                return True
            why = f"{app.url} answers {code}: {body.get('error', '')}"
        except NotYet as error:
            why = str(error)
        if time.monotonic() >= deadline:
            print(f"The app does not answer within {seconds:.0f} s: {why}", file=sys.stderr)
            print("What was deployed stays. Check again with: azd hooks run postdeploy", file=sys.stderr)
            return False
        print(f"  waiting: {why}", flush=True)
        time.sleep(min(PAUSE, seconds / 10))


def _subscribe(app: App) -> "tuple[int, list[str]]":
    """Create or renew the subscription; return the status of the answer, and what is not well."""
    try:
        code, body = app.call("POST", "subscription")
    except NotYet as error:
        return 0, [f"the subscription was not created: {error}"]
    if code == OK:
        print(f"The subscription of Graph's notifications is {body.get('did')}.", flush=True)
        return code, []
    reasons = body.get("problems") or [body.get("error") or body.get("reason") or "no reason is given"]
    return code, [str(each) for each in reasons]


def _read_problems(app: App) -> "list[str]":
    """Return what the status report says is not well."""
    try:
        _, status = app.call("GET", "status")
    except NotYet as error:
        return [str(error)]
    problems = [str(each) for each in status.get("problems", [])]
    for service, gate in status.get("gates", {}).items():
        if gate["closed"]:
            problems.append(f"{service} is not called for {gate['for']} s: {gate['why']}")
    if kept := status.get("poison"):
        problems.append(f"{len(kept)} messages were given up; the runbook says what to do")
    return problems


def _instruct(environ: Mapping[str, str]) -> str:
    if not environ.get("IDENTITY_PRINCIPAL_ID"):
        return "Run scripts/grant.py for the app's identity."
    later = "A managed identity's token that was given before lacks them for up to 24 hours."
    return f"{postprovision.instruct(environ)}\n{later}"


def _print_next(url: str, environ: Mapping[str, str]) -> None:
    print(f"Where to look: {url}/api/status with the app's key, and the workbook in the resource group.")
    if environ.get("DRY_RUN", "true").lower() != "false":
        print("This is a dry run: the first sweep reports in the status and writes nothing.")
        print("To go live: azd env set DRY_RUN false && azd provision")
    else:
        print("The app is live: it writes changed photos to SharePoint.")
        print(f"The next sweep writes what is missing; to sweep now: POST {url}/api/sweeps")


def _read_key(environ: Mapping[str, str]) -> str:
    az = shutil.which("az", path=environ.get("PATH", ""))
    if az is None:
        raise NotYet("its key cannot be read: Azure CLI (az) is not installed")
    command = [az, "functionapp", "keys", "list", "--output", "json"]
    command += ["--name", environ["FUNCTION_APP_NAME"], "--resource-group", environ["AZURE_RESOURCE_GROUP"]]
    if environ.get("AZURE_SUBSCRIPTION_ID"):
        command += ["--subscription", environ["AZURE_SUBSCRIPTION_ID"]]
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            command, env=dict(environ), capture_output=True, text=True, timeout=AZ_TIMEOUT, check=False
        )
        return str(json.loads(done.stdout)["functionKeys"]["default"])
    except subprocess.TimeoutExpired:
        raise NotYet("its key cannot be read: Azure CLI does not answer") from None
    except (ValueError, KeyError, TypeError):  # its text is not shown: it could have a key in it
        hint = "is Azure CLI signed in (az login), and may you read the app's keys?"
        raise NotYet(f"its key cannot be read: {hint}") from None


if __name__ == "__main__":
    sys.exit(main())
