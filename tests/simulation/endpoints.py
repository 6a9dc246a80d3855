"""The HTTP endpoints of `Microsoft`: only the parts of Graph and SharePoint that the app calls.

An unknown request is a mistake of the app, or a gap in this module: it raises.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET

from tests.simulation.microsoft import LIBRARY, MY_HOSTS, Microsoft, Person, Photo
from tests.simulation.pictures import data_of
from tests.simulation.scopes import GROUP

GRAPH = "graph.microsoft.com"
ADMIN_HOSTS = {host.replace("-my.", "-admin."): host for host in MY_HOSTS}
MEMBERS = f"/groups/{GROUP}/transitiveMembers/microsoft.graph.user"
PAGE = 3  # users on a page of a list: so few that a few people make several pages
NAMESPACE = "{http://schemas.microsoft.com/sharepoint/clientquery/2009}"
_NO_PHOTO = {"error": {"code": "ImageNotFound", "message": "no photo"}}
_NO_USER = {"error": {"code": "Request_ResourceNotFound", "message": "no such user"}}
_NO_MAILBOX = {"error": {"code": "ErrorNonExistentMailbox", "message": "no mailbox"}}


@dataclass(frozen=True)
class Request:
    """A request."""

    method: str
    url: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return str(urlsplit(self.url).hostname)

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.url).path)

    @property
    def what(self) -> str:
        """For the trace."""
        if "/Files/Add" in self.url:
            return f"upload {self.path.rpartition('_')[2][:1]}"
        if "ProcessQuery" in self.url:
            return "set properties"
        if "GetFileBy" in self.url:
            return f"delete {self.path.rpartition('_')[2][:1]}"
        return f"{self.method} {self.path.rpartition('/')[2][:40]}"

    @property
    def writes(self) -> bool:
        """Whether it changes something in SharePoint."""
        return self.host != GRAPH and self.method == "POST"


@dataclass(frozen=True)
class Response:
    """An answer."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """The body as bytes."""
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Handling:
    """How Microsoft handles one request.

    Attributes:
        age: returns the age, in seconds, of the replica that answers the next part.
        part: returns the response that replaces that of a part of a batch, None to keep its own.
        properties: the number of properties that a query sets before it fails; None: it does not fail.
        on_change: is called with the profile's owner, or the file's name, of each change, and its value.
    """

    age: Callable[[], float] = lambda: 0.0
    part: Callable[[], Response | None] = lambda: None
    properties: int | None = None
    on_change: Callable[[str, str, Any], object] | None = None

    def report(self, kind: str, target: str, value: Any) -> None:
        """Report a change that took effect."""
        if self.on_change:
            self.on_change(kind, target, value)


class Endpoints:
    """The hosts of one tenant."""

    def __init__(self, microsoft: Microsoft, now: Callable[[], float]) -> None:
        self._ms = microsoft
        self._now = now
        self.subscriptions: dict[str, dict[str, Any]] = {}

    def respond(self, request: Request, handling: Handling) -> Response:
        """Carry out a request and return the response."""
        if request.host == GRAPH:
            return self._graph(request, handling)
        if request.host in MY_HOSTS:
            return self._files(request, handling)
        return self._profiles(request, handling)

    # --- Graph ---

    def _graph(self, request: Request, handling: Handling) -> Response:
        path = request.path.removeprefix("/v1.0")
        if path == "/$batch":
            parts = json.loads(request.body)["requests"]
            return Response(200, {"responses": self._batch(parts, handling)})
        if path in ("/users", MEMBERS):
            return self._list(request, path)
        if path.startswith("/subscriptions"):
            return self._subscriptions(request, path)
        found = re.fullmatch(r"/users/([^/]+)((?:/photo(?:/\$value)?)?)", path)
        if request.method != "GET" or not found:
            raise AssertionError(f"no endpoint answers {request.method} {path}")
        return self._user(found[1], found[2], handling)

    def _batch(self, parts: list[dict[str, Any]], handling: Handling) -> list[dict[str, Any]]:
        done: dict[str, Response] = {}
        for part in parts:
            if any(done[other].status >= 400 for other in part.get("dependsOn", ())):
                done[part["id"]] = Response(424, {"error": {"code": "FailedDependency", "message": "424"}})
                continue
            key, _, rest = part["url"].removeprefix("/users/").partition("/")
            found = self._user(key.partition("?")[0], f"/{rest}" if rest else "", handling)
            done[part["id"]] = handling.part() or found
        return [self._part(name, response) for name, response in done.items()]

    def _part(self, name: str, response: Response) -> dict[str, Any]:
        body = base64.b64encode(response.body).decode() if isinstance(response.body, bytes) else response.body
        return {"id": name, "status": response.status, "headers": dict(response.headers), "body": body}

    def _user(self, key: str, what: str, handling: Handling) -> Response:
        person = self._ms.find(key)
        if person is None:
            return Response(404, _NO_USER)
        seen = self._now() - handling.age()
        if not what:
            return Response(200, self._describe(person, seen))
        if what == "/checkMemberGroups":
            return Response(200, {"value": [GROUP] if person.grouped else []})
        if not person.mailbox:
            return Response(404, _NO_MAILBOX)
        photo = person.photo.at(seen)
        if photo is None:
            return Response(404, _NO_PHOTO)
        return self._bytes(photo) if what.endswith("$value") else self._metadata(photo)

    def _describe(self, person: Person, seen: float) -> dict[str, Any]:
        return {
            "id": person.id,
            "userPrincipalName": person.upn.at(seen),
            "accountEnabled": person.enabled,
            "userType": "Guest" if person.guest else "Member",
        }

    def _metadata(self, photo: Photo) -> Response:
        return Response(200, {"id": "648x648", "@odata.mediaEtag": photo.etag})

    def _bytes(self, photo: Photo) -> Response:
        return Response(200, data_of(photo.picture), {"ETag": photo.etag, "Content-Type": "image/jpeg"})

    def _list(self, request: Request, path: str) -> Response:
        token = parse_qs(urlsplit(request.url).query).get("$skiptoken", ["0"])[0]
        people = [person for person in self._ms.people.values() if not person.gone]
        listed = [person for person in people if (person.grouped if path == MEMBERS else person.enabled)]
        first = int(token)
        page = {"value": [self._describe(person, self._now()) for person in listed[first : first + PAGE]]}
        if first + PAGE < len(listed):
            page["@odata.nextLink"] = f"https://{GRAPH}/v1.0{path}?$skiptoken={first + PAGE}"
        return Response(200, page)

    def _subscriptions(self, request: Request, path: str) -> Response:
        key = path.removeprefix("/subscriptions").strip("/")
        match request.method:
            case "GET":
                return Response(200, {"value": list(self.subscriptions.values())})
            case "POST":
                number = f"00000000-0000-0000-0000-{len(self.subscriptions) + int(self._now()):012d}"
                self.subscriptions[number] = {**json.loads(request.body), "id": number}
                return Response(201, self.subscriptions[number])
            case _ if key not in self.subscriptions:
                return Response(404, {"error": {"code": "ResourceNotFound", "message": "lost"}})
            case "PATCH":
                self.subscriptions[key] |= json.loads(request.body)
                return Response(200, self.subscriptions[key])
            case _:
                del self.subscriptions[key]
                return Response(204)

    # --- SharePoint ---

    def _files(self, request: Request, handling: Handling) -> Response:
        host, folder = request.host, self._ms.folders[request.host]
        if request.method == "GET":
            names = ("Forms", folder.rpartition("/")[2])
            value = [{"Name": name, "ServerRelativeUrl": f"{LIBRARY}/{name}"} for name in names]
            return Response(200, {"value": value})
        within, name = _paths(request.path)
        if within.lower() != folder.lower():
            return Response(404, _sharepoint_error("-2147024894, System.IO.FileNotFoundException"))
        key = (host, f"{folder}/{name}".lower())
        if profile := self._ms.profile_of(name[:36]):
            profile.pulled.discard(name[37:38])
        if "/Files/Add" in request.path:
            self._ms.files[key] = request.body
            handling.report("upload", name, request.body)
            return Response(200, {"Name": name})
        handling.report("delete", name, None)
        return Response(200 if self._ms.files.pop(key, None) else 404)

    def _profiles(self, request: Request, handling: Handling) -> Response:
        if request.method == "GET":
            account = parse_qs(urlsplit(request.url).query)["@v"][0].strip("'").rpartition("|")[2]
            return Response(200, self._profile(account))
        calls = [
            [parameter.text or "" for parameter in method.iter(f"{NAMESPACE}Parameter")]
            for method in ET.fromstring(request.body).iter(f"{NAMESPACE}Method")
        ]
        for number, (claim, name, value) in enumerate(calls):
            if handling.properties is not None and number >= handling.properties:
                return _query_failed("Microsoft.SharePoint.SPException", "the query failed halfway")
            profile = self._ms.profile_at(claim.rpartition("|")[2])
            if profile is None or profile.my_host != ADMIN_HOSTS[request.host]:
                return _query_failed(
                    "Microsoft.Office.Server.UserProfiles.UserNotFoundException",
                    "User Profile Error 1000: User Not Found",
                )
            profile.properties[name] = value
            profile.pulled.discard("")
            handling.report("property", profile.owner, (name, value))
        return Response(200, [{"SchemaVersion": "15.0.0.0", "ErrorInfo": None}])

    def _profile(self, account: str) -> dict[str, Any]:
        profile = self._ms.profile_at(account)
        if profile is None:
            return {"odata.null": True}
        properties = {**profile.properties, "msOnline-ObjectId": profile.owner}
        return {
            "AccountName": f"i:0#.f|membership|{profile.account}",
            "PersonalSiteHostUrl": f"https://{profile.my_host}:443/",
            "UserProfileProperties": [{"Key": key, "Value": value} for key, value in properties.items()],
        }


def _paths(path: str) -> tuple[str, str]:
    """Return the folder and the name of the file in a request's path."""
    quoted = re.findall(r"'([^']*)'", path)
    if len(quoted) == 2:
        return quoted[0], quoted[1]
    folder, _, name = quoted[0].rpartition("/")
    return folder, name


def _sharepoint_error(code: str) -> dict[str, Any]:
    return {"odata.error": {"code": code, "message": {"lang": "en-US", "value": "the file does not exist"}}}


def _query_failed(kind: str, text: str) -> Response:
    error = {"ErrorTypeName": kind, "ErrorMessage": text, "TraceCorrelationId": "trace"}
    return Response(200, [{"SchemaVersion": "15.0.0.0", "ErrorInfo": error}])
