"""The HTTP endpoints of SharePoint that the app calls: files in the geos, and profiles."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

from tests.simulation.messages import Handling, Request, Response
from tests.simulation.microsoft import LIBRARY, Microsoft
from tests.simulation.people import MY_HOSTS

ADMIN_HOSTS = {host.replace("-my.", "-admin."): host for host in MY_HOSTS}
NAMESPACE = "{http://schemas.microsoft.com/sharepoint/clientquery/2009}"


class SharePoint:
    """The hosts of one tenant, those of files and those of profiles."""

    def __init__(self, microsoft: Microsoft) -> None:
        self._ms = microsoft

    def respond(self, request: Request, handling: Handling) -> Response:
        """Carry out a request and return the response."""
        return (self._files if request.host in MY_HOSTS else self._profiles)(request, handling)

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
            handling.on_change("upload", name, request.body)
            return Response(200, {"Name": name})
        handling.on_change("delete", name, None)
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
            handling.on_change("property", profile.owner, (name, value))
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
