#!/usr/bin/env python3
"""Give the app's identity its application roles in Microsoft Graph and SharePoint Online, or take them back.

It shows what it would do; with --yes it does it. A second run changes nothing. It needs Python 3.9 or newer
and Azure CLI with a signed-in administrator, and no packages: in Azure Cloud Shell, upload this one file.

The administrator needs the Entra role Privileged Role Administrator or Global Administrator. For SharePoint's
roles alone, Cloud Application Administrator or Application Administrator is enough.

Exit status: 0 done, or nothing to do; 1 refused; 2 wrong arguments; 3 there is something to do, and --yes is
missing; 4 refused because this administrator may not do it.
"""

# Why roles are assigned through the resource:
# learn.microsoft.com/graph/api/serviceprincipal-post-approleassignedto
# Which administrator may do so: learn.microsoft.com/entra/identity/role-based-access-control/delegate-by-task

import argparse
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import (
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
)

DONE, REFUSED, WOULD_CHANGE, MAY_NOT = 0, 1, 3, 4
TIMEOUT, AZ_TIMEOUT = 30.0, 60.0  # seconds for one answer
PATIENCE = 120.0  # seconds in all for which a busy or unreachable Graph is waited for
CLOUDS = {  # learn.microsoft.com/graph/deployments
    "global": "graph.microsoft.com",
    "gcchigh": "graph.microsoft.us",
    "dod": "dod-graph.microsoft.us",
    "china": "microsoftgraph.chinacloudapi.cn",
}
GRAPH = "00000003-0000-0000-c000-000000000000"  # application ids, the same in every directory
SHAREPOINT = "00000003-0000-0ff1-ce00-000000000000"
NAMES = {GRAPH: "Microsoft Graph", SHAREPOINT: "Office 365 SharePoint Online"}
SELECTED = {  # these need another grant: learn.microsoft.com/graph/permissions-selected-overview
    "Sites.Selected": ("", "grantedToIdentities"),
    "Lists.SelectedOperations.Selected": ("/lists/<id of the list User Photos>", "grantedTo"),
}
FILES_ROLES = ("Sites.FullControl.All", "Sites.ReadWrite.All", *SELECTED)
GROUP_ROLE = "GroupMember.ReadBasic.All"
KNOWN = {  # every role that the app can use, whatever its settings
    GRAPH: ("User.Read.All", GROUP_ROLE, "GroupMember.Read.All"),
    SHAREPOINT: ("User.ReadWrite.All", *FILES_ROLES),
}
MAY_GRANT = (
    "this takes the Entra role Privileged Role Administrator or Global Administrator (for SharePoint's roles "
    "alone, Cloud Application Administrator or Application Administrator), activated if it is only eligible"
)
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Refusal(Exception):
    """It cannot go on; the text is one line that says what to do. `status` is that of Graph's answer."""

    def __init__(self, text: str, *, status: int = 0) -> None:
        super().__init__(" ".join(text.split()))
        self.status = status


@dataclass(frozen=True)
class Role:
    """An application role. `assignment` is the id under which the identity holds it, or ""."""

    app: str
    value: str
    id: str
    resource: str  # the object id of its service principal
    assignment: str

    @property
    def name(self) -> str:
        """The role, for people."""
        return f"{NAMES[self.app]}: {self.value}"


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Do not follow: the token would go with it."""


def new_opener(environ: Mapping[str, str]) -> OpenerDirector:
    """Return a client that trusts and uses what the environment names, as Azure CLI does."""
    trusted = ssl.create_default_context(cafile=environ.get("REQUESTS_CA_BUNDLE") or None)
    proxy = environ.get("https_proxy") or environ.get("HTTPS_PROXY")
    proxies = ProxyHandler({"https": proxy} if proxy else {})
    return build_opener(proxies, HTTPSHandler(context=trusted), _NoRedirect)


class Graph:
    """Microsoft Graph for one administrator. `lag` is how long to wait for a directory that lags behind."""

    def __init__(
        self, host: str, token: str, environ: Mapping[str, str], sleep: Callable[[float], None], lag: float
    ) -> None:
        self.host, self._token, self._sleep, self._lag, self._waited = host, token, sleep, lag, 0.0
        self._opener = new_opener(environ)

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Return Graph's answer; wait while Graph is busy. Refusal: another answer, with its status."""
        while True:
            try:
                return self._send(method, path, body)
            except HTTPError as error:
                with error:
                    text = error.read(100_000)
                if error.code not in (429, 502, 503, 504):
                    raise _refusal(error.code, text) from None
                self._pause(error.headers.get("Retry-After", ""), f"Graph is busy ({error.code})")
            except (OSError, HTTPException) as error:  # no connection, a timeout, half an answer
                self._pause("5", f"no connection to {self.host} ({getattr(error, 'reason', error)})")

    def pages(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield every entry of a list."""
        while path:
            page = self.call("GET", path)
            yield from page["value"]
            path = page.get("@odata.nextLink", "").removeprefix(f"https://{self.host}/v1.0")

    def settled(self, ask: Callable[[], Any]) -> Any:
        """Return what `ask` returns; repeat it while the directory does not know a new identity."""
        while True:
            try:
                return ask()
            except Refusal as error:
                unknown = error.status == 404 or "reference update" in str(error)
                if not unknown or self._lag <= 0:
                    raise
            seconds = min(10.0, self._lag)
            print(f"  the directory does not know the identity yet; waiting {seconds:.0f} s ...", flush=True)
            self._lag -= seconds
            self._sleep(seconds)

    def _send(self, method: str, path: str, body: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"https://{self.host}/v1.0{path}", data, headers, method=method)
        with self._opener.open(request, timeout=TIMEOUT) as answer:
            text = answer.read()
        try:
            return dict(json.loads(text)) if text else {}
        except (ValueError, TypeError):
            raise Refusal(f"{self.host} did not answer JSON: does a proxy ask to sign in?") from None

    def _pause(self, after: str, why: str) -> None:
        seconds = max(float(after), 1.0) if re.fullmatch(r"\d{1,6}(\.\d+)?", after) else 10.0
        self._waited += seconds
        if self._waited > PATIENCE:
            raise Refusal(f"{why}: run this again in {seconds:.0f} s, what was done stays done")
        print(f"  {why}; waiting {seconds:.0f} s ...", flush=True)
        self._sleep(seconds)


def main(
    arguments: "list[str] | None" = None,
    environ: Mapping[str, str] = os.environ,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Run with these arguments; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options, environ, sleep)
    except Refusal as error:
        print(f"grant.py: {error}", file=sys.stderr)
        return MAY_NOT if error.status == 403 else REFUSED


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="grant.py", description=__doc__, formatter_class=shape)
    add, known = parser.add_argument, [role for roles in KNOWN.values() for role in roles]
    text = (
        "the managed identity or application: object id of its service principal, client id, or display name"
    )
    add("--identity", required=True, help=text)
    add("--groups", action="store_true", help=f"also {GROUP_ROLE}: for SCOPE=group:... and EXCLUDE_GROUP")
    text = "the role for the picture files; default: %(default)s, the only one that is known to work"
    add("--files-role", choices=FILES_ROLES, default=FILES_ROLES[0], help=text)
    add("--yes", action="store_true", help="do it; without this, only show it")
    text = "take back every role that this program can give, or only ROLE"
    add("--revoke", nargs="?", const="all", choices=["all", *known], metavar="ROLE", help=text)
    add("--cloud", choices=tuple(CLOUDS), default="global", help="default: %(default)s")
    add("--tenant", default="", help="refuse if Azure CLI is signed in to another directory than this id")
    text = "seconds to wait until a new identity is known; default: %(default)g"
    add("--wait", type=float, default=20.0, help=text)
    return parser


def _run(options: argparse.Namespace, environ: Mapping[str, str], sleep: Callable[[float], None]) -> int:
    host = CLOUDS[options.cloud]
    graph = Graph(host, _read_token(host, options.tenant, environ), environ, sleep, options.wait)
    identity = graph.settled(lambda: _find_identity(graph, options.identity))
    print(f"{identity['displayName']}: object id {identity['id']}, client id {identity['appId']}")
    groups = [(GRAPH, GROUP_ROLE)] if options.groups else []
    files = (SHAREPOINT, options.files_role)
    wanted = [(GRAPH, "User.Read.All"), *groups, (SHAREPOINT, "User.ReadWrite.All"), files]
    roles = _read_roles(graph, identity["id"])
    held = [each for each in roles if each.assignment]
    if options.revoke:
        changes = [each for each in held if options.revoke in ("all", each.value)]
    else:
        _require_offered(roles, wanted)
        changes = [each for each in roles if (each.app, each.value) in wanted and each not in held]
    for role in held:
        print(f"  has     {role.name}")
    for role in changes:
        print(f"  {'remove ' if options.revoke else 'give   '} {role.name}")
    if changes and not options.yes:
        print(f"Nothing was changed. Add --yes to do it; {MAY_GRANT}.")
        return WOULD_CHANGE
    for role in changes:
        (_take if options.revoke else _give)(graph, identity["id"], role)
    _print_outcome(options.revoke, changes)
    if not options.revoke:
        _print_spare(options, identity["id"], [r for r in held if (r.app, r.value) not in wanted])
        _print_site_grant(host, options.files_role, identity)
    return DONE


def _read_token(host: str, tenant: str, environ: Mapping[str, str]) -> str:
    az = shutil.which("az", path=environ.get("PATH", ""))
    if az is None:
        raise Refusal("Azure CLI (az) is not installed: install it, or run this file in Azure Cloud Shell")
    command = [az, "account", "get-access-token", "--resource", f"https://{host}", "--output", "json"]
    how = {"capture_output": True, "text": True, "timeout": AZ_TIMEOUT, "check": False}
    try:
        done = subprocess.run(command, env=dict(environ), **how)  # type: ignore[call-overload] # noqa: S603
        answer = json.loads(done.stdout or "{}")
        token, directory = answer.get("accessToken"), answer.get("tenant") or tenant
    except subprocess.TimeoutExpired:
        raise Refusal(f"Azure CLI gave no token within {AZ_TIMEOUT:.0f} s: sign in with az login") from None
    except (ValueError, AttributeError):
        raise Refusal("Azure CLI did not answer a token: update it with az upgrade") from None
    if done.returncode or not token:
        said = (done.stderr.strip().splitlines() or ["it did not say why"])[0]
        said = said.removeprefix("ERROR: ")[:300]
        raise Refusal(f"Azure CLI gave no token, sign in with az login: {said}")
    if tenant and directory.lower() != tenant.lower():
        raise Refusal(f"Azure CLI is signed in to directory {directory}: az login --tenant {tenant}")
    return str(token)


def _find_identity(graph: Graph, key: str) -> "dict[str, Any]":
    """Return the service principal of this object id, client id or display name."""
    select = "$select=id,appId,displayName"
    if not _GUID.fullmatch(key):
        name = quote(key.replace("'", "''"), safe="")
        found = list(graph.pages(f"/servicePrincipals?$filter=displayName%20eq%20'{name}'&{select}"))
        if len(found) > 1:
            ids = ", ".join(each["id"] for each in found)
            raise Refusal(f"{len(found)} service principals are named {key}, give the object id: {ids}")
        if not found:
            raise Refusal(f"no service principal is named {key}: give its object id", status=404)
        return found[0]
    for path in (f"/servicePrincipals/{key}", f"/servicePrincipals(appId='{key}')"):
        try:
            return graph.call("GET", f"{path}?{select}")
        except Refusal as error:
            if error.status != 404:
                raise
    tried = f"no service principal has the object id or the client id {key}"
    hint = "give the enterprise application's object id, not the app registration's"
    raise Refusal(f"{tried}: {hint}, and check the directory with az account show", status=404)


def _read_roles(graph: Graph, identity: str) -> "list[Role]":
    """Return the known roles that this directory offers to applications."""
    entries = graph.pages(f"/servicePrincipals/{identity}/appRoleAssignments")
    held = {(each["resourceId"], each["appRoleId"]): each["id"] for each in entries}
    roles = []
    for app, values in KNOWN.items():
        try:
            resource = graph.call("GET", f"/servicePrincipals(appId='{app}')?$select=id,appRoles")
        except Refusal as error:
            if error.status != 404:
                raise
            text = f"this directory has no service principal of {NAMES[app]}: az ad sp create --id {app}"
            raise Refusal(text) from None
        for each in resource["appRoles"]:
            if each["value"] in values and each["isEnabled"] and "Application" in each["allowedMemberTypes"]:
                assignment = held.get((resource["id"], each["id"]), "")
                roles.append(Role(app, each["value"], each["id"], resource["id"], assignment))
    return roles


def _require_offered(roles: "list[Role]", wanted: "list[tuple[str, str]]") -> None:
    for app, value in wanted:
        if (app, value) not in [(each.app, each.value) for each in roles]:
            raise Refusal(f"{NAMES[app]} offers no application role {value} in this directory")


def _give(graph: Graph, identity: str, role: Role) -> None:
    body = {"principalId": identity, "resourceId": role.resource, "appRoleId": role.id}
    path = f"/servicePrincipals/{role.resource}/appRoleAssignedTo"
    try:
        graph.settled(lambda: graph.call("POST", path, body))
    except Refusal as error:
        if "already exists" not in str(error):  # after an answer that was lost
            raise
    print(f"  given   {role.name}", flush=True)


def _take(graph: Graph, _: str, role: Role) -> None:
    try:
        graph.call("DELETE", f"/servicePrincipals/{role.resource}/appRoleAssignedTo/{role.assignment}")
    except Refusal as error:
        if error.status != 404:
            raise
    print(f"  removed {role.name}", flush=True)


def _print_outcome(revoked: str, changes: "list[Role]") -> None:
    if not changes:
        print(f"Nothing to do: the identity {'has none of these roles' if revoked else 'has every role'}.")
        return
    print("Tokens keep their roles: a managed identity's for up to 24 hours, an application's for one.")


def _print_spare(options: argparse.Namespace, identity: str, spare: "list[Role]") -> None:
    for role in spare:
        undo = f"grant.py --identity {identity} --cloud {options.cloud} --revoke {role.value} --yes"
        print(f"It also has {role.value}, which these options do not need. To remove it: {undo}")


def _print_site_grant(host: str, role: str, identity: "dict[str, Any]") -> None:
    if role not in SELECTED:
        return
    path, key = SELECTED[role]
    person = {"application": {"id": identity["appId"], "displayName": identity["displayName"]}}
    body = json.dumps({"roles": ["write"], key: [person] if key.endswith("ies") else person})
    print(
        f"{role} alone opens no site. For the My Site host of each geo, an administrator also sends, with the"
    )
    print(
        "delegated permission Sites.FullControl.All (in Graph Explorer; Azure CLI's token does not have it):"
    )
    print(f"  POST https://{host}/v1.0/sites/<id of the site>{path}/permissions\n  {body}")


def _refusal(status: int, text: bytes) -> Refusal:
    try:
        error = json.loads(text)["error"]
        code, message = str(error["code"]), str(error["message"])[:300]
    except (ValueError, KeyError, TypeError):
        code, message = "no JSON", "does a proxy answer?"
    if status == 401:
        return Refusal(f"Graph does not accept Azure CLI's token, sign in with az login: {message}")
    if status == 403:
        return Refusal(f"you may not do this ({code}): {MAY_GRANT}", status=status)
    return Refusal(f"Graph answered {status} {code}: {message}", status=status)


if __name__ == "__main__":
    sys.exit(main())
