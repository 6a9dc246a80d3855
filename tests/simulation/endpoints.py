"""The HTTP endpoints of `Microsoft`: only the parts of Graph and SharePoint that the app calls.

An unknown request is a mistake of the app, or a gap in this module: it raises.
"""

import base64
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.simulation.messages import GRAPH, Handling, Request, Response
from tests.simulation.microsoft import Microsoft
from tests.simulation.people import Person
from tests.simulation.pictures import data_of
from tests.simulation.scopes import GROUP
from tests.simulation.sharepoint import SharePoint

MEMBERS = f"/groups/{GROUP}/transitiveMembers/microsoft.graph.user"
PAGE = 3  # users on a page of a list: so few that a few people make several pages
_NO_PHOTO = {"error": {"code": "ImageNotFound", "message": "no photo"}}
_NO_USER = {"error": {"code": "Request_ResourceNotFound", "message": "no such user"}}
_NO_MAILBOX = {"error": {"code": "ErrorNonExistentMailbox", "message": "no mailbox"}}


class Endpoints:
    """The hosts of one tenant."""

    def __init__(self, microsoft: Microsoft, now: Callable[[], float]) -> None:
        self._ms = microsoft
        self._sharepoint = SharePoint(microsoft)
        self._now = now
        self.subscriptions: dict[str, dict[str, Any]] = {}

    def respond(self, request: Request, handling: Handling) -> Response:
        """Carry out a request and return the response."""
        if request.host != GRAPH:
            return self._sharepoint.respond(request, handling)
        path = request.path.removeprefix("/v1.0")
        if path == "/$batch":
            parts = json.loads(request.body)["requests"]
            return Response(200, {"responses": self._batch(parts, handling)})
        if path in ("/users", MEMBERS):
            return self._list(request, path, handling)
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
        if not person.mailbox:  # of some, the photo service says that there is no such user
            return Response(404, _NO_USER if int(person.id[0], 16) % 2 else _NO_MAILBOX)
        photo = person.photo.at(seen)
        if photo is None:
            return Response(404, _NO_PHOTO)
        if what.endswith("$value"):
            headers = {"ETag": photo.etag, "Content-Type": "image/jpeg"}
            return Response(200, data_of(photo.picture), headers)
        return Response(200, {"id": "648x648", "@odata.mediaEtag": photo.etag})

    def _describe(self, person: Person, seen: float) -> dict[str, Any]:
        return {
            "id": person.id,
            "userPrincipalName": person.upn.at(seen),
            "accountEnabled": person.enabled,
            "userType": "Guest" if person.guest else "Member",
        }

    def _list(self, request: Request, path: str, handling: Handling) -> Response:
        token = parse_qs(urlsplit(request.url).query).get("$skiptoken", ["0"])[0]
        people = [person for person in self._ms.people.values() if not person.gone]
        listed = [person for person in people if (person.grouped if path == MEMBERS else person.enabled)]
        first = int(token)
        page = {"value": [self._describe(person, self._now()) for person in listed[first : first + PAGE]]}
        if first + PAGE < len(listed):
            following = first if handling.circles else first + PAGE
            page["@odata.nextLink"] = f"https://{GRAPH}/v1.0{path}?$skiptoken={following}"
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
