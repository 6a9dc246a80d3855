"""What `Microsoft` answers over HTTP: as much of Graph and SharePoint as the app asks for, and no more.

An unknown request is a mistake of the app's, or a gap in here: it raises.
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
PAGE = 3  # users on a page of a list, so that a handful of people makes several
NAMESPACE = "{http://schemas.microsoft.com/sharepoint/clientquery/2009}"
_NO_PHOTO = {"error": {"code": "ImageNotFound", "message": "no photo"}}
_NO_USER = {"error": {"code": "Request_ResourceNotFound", "message": "no such user"}}
_NO_MAILBOX = {"error": {"code": "ErrorNonExistentMailbox", "message": "no mailbox"}}


@dataclass(frozen=True)
class Asked:
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
class Given:
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
class Mood:
    """How Microsoft takes one request.

    Attributes:
        age: returns how many seconds old the replica is that answers the next part.
        part: returns the answer that a part of a batch gets instead of its own, None for its own.
        properties: how many properties of a query are set before it fails; None: it does not fail.
        told: is told the account, or the file's name, of each change that takes effect, and its value.
    """

    age: Callable[[], float] = lambda: 0.0
    part: Callable[[], Given | None] = lambda: None
    properties: int | None = None
    told: Callable[[str, str, Any], object] | None = None

    def tell(self, kind: str, whom: str, value: Any) -> None:
        """Tell whoever wants to know."""
        if self.told:
            self.told(kind, whom, value)


class Faces:
    """The hosts of one tenant."""

    def __init__(self, microsoft: Microsoft, now: Callable[[], float]) -> None:
        self._ms = microsoft
        self._now = now
        self.subscriptions: dict[str, dict[str, Any]] = {}

    def respond(self, asked: Asked, mood: Mood) -> Given:
        """Do what a request asks for and answer it."""
        if asked.host == GRAPH:
            return self._graph(asked, mood)
        if asked.host in MY_HOSTS:
            return self._files(asked, mood)
        return self._profiles(asked, mood)

    # --- Graph ---

    def _graph(self, asked: Asked, mood: Mood) -> Given:
        path = asked.path.removeprefix("/v1.0")
        if path == "/$batch":
            parts = json.loads(asked.body)["requests"]
            return Given(200, {"responses": self._batch(parts, mood)})
        if path in ("/users", MEMBERS):
            return self._list(asked, path)
        if path.startswith("/subscriptions"):
            return self._subscriptions(asked, path)
        found = re.fullmatch(r"/users/([^/]+)((?:/photo(?:/\$value)?)?)", path)
        if asked.method != "GET" or not found:
            raise AssertionError(f"nobody answers {asked.method} {path}")
        return self._user(found[1], found[2], mood)

    def _batch(self, parts: list[dict[str, Any]], mood: Mood) -> list[dict[str, Any]]:
        done: dict[str, Given] = {}
        for part in parts:
            if any(done[other].status >= 400 for other in part.get("dependsOn", ())):
                done[part["id"]] = Given(424, {"error": {"code": "FailedDependency", "message": "424"}})
                continue
            key, _, rest = part["url"].removeprefix("/users/").partition("/")
            found = self._user(key.partition("?")[0], f"/{rest}" if rest else "", mood)
            done[part["id"]] = mood.part() or found
        return [self._part(name, given) for name, given in done.items()]

    def _part(self, name: str, given: Given) -> dict[str, Any]:
        body = base64.b64encode(given.body).decode() if isinstance(given.body, bytes) else given.body
        return {"id": name, "status": given.status, "headers": dict(given.headers), "body": body}

    def _user(self, key: str, what: str, mood: Mood) -> Given:
        person = self._ms.find(key)
        if person is None:
            return Given(404, _NO_USER)
        seen = self._now() - mood.age()
        if not what:
            return Given(200, self._describe(person, seen))
        if what == "/checkMemberGroups":
            return Given(200, {"value": [GROUP] if person.grouped else []})
        if not person.mailbox:
            return Given(404, _NO_MAILBOX)
        photo = person.photo.at(seen)
        if photo is None:
            return Given(404, _NO_PHOTO)
        return self._bytes(photo) if what.endswith("$value") else self._metadata(photo)

    def _describe(self, person: Person, seen: float) -> dict[str, Any]:
        return {
            "id": person.id,
            "userPrincipalName": person.upn.at(seen),
            "accountEnabled": person.enabled,
            "userType": "Guest" if person.guest else "Member",
        }

    def _metadata(self, photo: Photo) -> Given:
        return Given(200, {"id": "648x648", "@odata.mediaEtag": photo.etag})

    def _bytes(self, photo: Photo) -> Given:
        return Given(200, data_of(photo.picture), {"ETag": photo.etag, "Content-Type": "image/jpeg"})

    def _list(self, asked: Asked, path: str) -> Given:
        token = parse_qs(urlsplit(asked.url).query).get("$skiptoken", ["0"])[0]
        people = [person for person in self._ms.people.values() if not person.gone]
        listed = [person for person in people if (person.grouped if path == MEMBERS else person.enabled)]
        first = int(token)
        page = {"value": [self._describe(person, self._now()) for person in listed[first : first + PAGE]]}
        if first + PAGE < len(listed):
            page["@odata.nextLink"] = f"https://{GRAPH}/v1.0{path}?$skiptoken={first + PAGE}"
        return Given(200, page)

    def _subscriptions(self, asked: Asked, path: str) -> Given:
        key = path.removeprefix("/subscriptions").strip("/")
        match asked.method:
            case "GET":
                return Given(200, {"value": list(self.subscriptions.values())})
            case "POST":
                number = f"00000000-0000-0000-0000-{len(self.subscriptions) + int(self._now()):012d}"
                self.subscriptions[number] = {**json.loads(asked.body), "id": number}
                return Given(201, self.subscriptions[number])
            case _ if key not in self.subscriptions:
                return Given(404, {"error": {"code": "ResourceNotFound", "message": "lost"}})
            case "PATCH":
                self.subscriptions[key] |= json.loads(asked.body)
                return Given(200, self.subscriptions[key])
            case _:
                del self.subscriptions[key]
                return Given(204)

    # --- SharePoint ---

    def _files(self, asked: Asked, mood: Mood) -> Given:
        host, folder = asked.host, self._ms.folders[asked.host]
        if asked.method == "GET":
            names = ("Forms", folder.rpartition("/")[2])
            value = [{"Name": name, "ServerRelativeUrl": f"{LIBRARY}/{name}"} for name in names]
            return Given(200, {"value": value})
        within, name = _paths(asked.path)
        if within.lower() != folder.lower():
            return Given(404, _sharepoint_error("-2147024894, System.IO.FileNotFoundException"))
        key = (host, f"{folder}/{name}".lower())
        if profile := self._ms.profile_of(name[:36]):
            profile.pulled.discard(name[37:38])
        if "/Files/Add" in asked.path:
            self._ms.files[key] = asked.body
            mood.tell("upload", name, asked.body)
            return Given(200, {"Name": name})
        mood.tell("delete", name, None)
        return Given(200 if self._ms.files.pop(key, None) else 404)

    def _profiles(self, asked: Asked, mood: Mood) -> Given:
        if asked.method == "GET":
            account = parse_qs(urlsplit(asked.url).query)["@v"][0].strip("'").rpartition("|")[2]
            return Given(200, self._profile(account))
        calls = [
            [parameter.text or "" for parameter in method.iter(f"{NAMESPACE}Parameter")]
            for method in ET.fromstring(asked.body).iter(f"{NAMESPACE}Method")
        ]
        for number, (claim, name, value) in enumerate(calls):
            if mood.properties is not None and number >= mood.properties:
                return _query_failed("Microsoft.SharePoint.SPException", "it broke in the middle")
            profile = self._ms.profile_at(claim.rpartition("|")[2])
            if profile is None or profile.my_host != ADMIN_HOSTS[asked.host]:
                return _query_failed(
                    "Microsoft.Office.Server.UserProfiles.UserNotFoundException",
                    "User Profile Error 1000: User Not Found",
                )
            profile.properties[name] = value
            profile.pulled.discard("")
            mood.tell("property", profile.owner, (name, value))
        return Given(200, [{"SchemaVersion": "15.0.0.0", "ErrorInfo": None}])

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
    """Return folder and name of the file that a request is about."""
    quoted = re.findall(r"'([^']*)'", path)
    if len(quoted) == 2:
        return quoted[0], quoted[1]
    folder, _, name = quoted[0].rpartition("/")
    return folder, name


def _sharepoint_error(code: str) -> dict[str, Any]:
    return {"odata.error": {"code": code, "message": {"lang": "en-US", "value": "it is not there"}}}


def _query_failed(kind: str, text: str) -> Given:
    error = {"ErrorTypeName": kind, "ErrorMessage": text, "TraceCorrelationId": "trace"}
    return Given(200, [{"SchemaVersion": "15.0.0.0", "ErrorInfo": error}])
