"""The calls to SharePoint Online. Not here: which user and folder to write (`targets`), the quota (`pace`).

Thumbnails are stored in the My Site host's library `User Photos`; the profile properties that point at them
are written through the admin host. Bearer tokens only: with them SharePoint needs no form digest.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import escape

from shared.attempt import Attempt
from shared.errors import FILES, PROFILES, Denied, Gone, Locked, Refused, TryLater
from shared.rest.call import Request, Response, whole
from shared.rest.client import HttpClient
from shared.rest.status import says_locked

LIBRARY = "/User Photos"
_JSON = {"Accept": "application/json;odata=nometadata"}
_PEOPLE_MANAGER = "{cf560d69-0fdb-4489-a216-b6b47adf8ef8}"  # SP.UserProfiles.PeopleManager
_DOTNET_EPOCH = 62_135_596_800  # seconds from 0001-01-01 to 1970-01-01, both UTC
_NO_SUCH_PROFILE = re.compile(
    r"\b1000\b.*:"
)  # "User Profile Error 1000: User Not Found: ...", in any language
_E_ACCESSDENIED = -2147024891  # learn.microsoft.com/openspecs/sharepoint_protocols/ms-csomspt
_NOT_PERMITTED = "managing your own data"  # github.com/pnp/powershell/issues/1396


@dataclass(frozen=True, slots=True)
class Profile:
    """The parts of a user's profile that a sync needs; "" if SharePoint gives no value."""

    account: str  # the claim, `i:0#.f|membership|upn`
    object_id: str  # the Entra object id that SharePoint has for this account, lower case
    my_host: str  # host of the user's My Site, which identifies the user's geo
    picture_path: str  # server-relative path of the picture that `PictureURL` names


@dataclass(frozen=True, slots=True)
class SharePoint:
    """SharePoint Online's REST and CSOM APIs; every method takes the host."""

    rest: HttpClient

    def profile(self, admin_host: str, upn: str, attempt: Attempt) -> Profile | None:
        """Return the profile of a user, None if SharePoint has none (it may answer 200 then, too)."""
        account = quote(account_of(upn).replace("'", "''"), safe="")
        method = "SP.UserProfiles.PeopleManager/GetPropertiesFor(accountName=@v)"
        url = f"https://{admin_host}/_api/{method}?@v='{account}'"
        call = Request(PROFILES, "profile", "GET", url, headers=_JSON, accept=(404,))
        return self.rest.send(call, attempt, _read_profile)

    def folders(self, my_host: str, attempt: Attempt) -> list[str]:
        """Return the server-relative paths of the folders that may hold thumbnails, without `Forms`.

        A tenant in which no user ever had a photo may lack the library: then the list is empty.
        """
        url = f"https://{my_host}{_folder(LIBRARY)}/Folders?$select=Name,ServerRelativeUrl"
        call = Request(FILES, "folders", "GET", url, headers=_JSON, accept=(404,))
        return self.rest.send(call, attempt, _read_folders)

    def upload(self, my_host: str, folder: str, name: str, content: bytes, attempt: Attempt) -> None:
        """Write a file into a folder; overwrite one of the same name.

        Raises `Gone` where the folder does not exist. Refused: 409, in some tenants, for the same reason.
        """
        url = f"https://{my_host}{_folder(folder)}/Files/AddUsingPath(decodedUrl='{_path(name)}',overwrite=true)"
        headers = {**_JSON, "Content-Type": "application/octet-stream"}
        call = Request(FILES, "upload", "POST", url, headers, content, writes=True)
        self.rest.send(call, attempt, _read_file)

    def delete(self, my_host: str, folder: str, name: str, attempt: Attempt) -> None:
        """Delete a file; succeed if it does not exist."""
        path = _path(f"{folder}/{name}")
        url = f"https://{my_host}/_api/web/GetFileByServerRelativePath(decodedUrl='{path}')"
        headers = {**_JSON, "X-HTTP-Method": "DELETE", "If-Match": "*"}
        call = Request(FILES, "delete", "POST", url, headers, writes=True, accept=(404,))
        self.rest.send(call, attempt, whole)

    def set_properties(
        self, admin_host: str, upn: str, properties: Sequence[tuple[str, str]], attempt: Attempt
    ) -> None:
        """Set profile properties in this order, in one request; those before a failed one stay set.

        Raises `Gone` where this host has no profile of that user.
        """
        url = f"https://{admin_host}/_vti_bin/client.svc/ProcessQuery"
        query = _query(account_of(upn), properties).encode()
        call = Request(PROFILES, "query", "POST", url, {"Content-Type": "text/xml"}, query, writes=True)
        self.rest.send(call, attempt, _check_query)


def account_of(upn: str) -> str:
    """Return the claim under which SharePoint knows a user principal name."""
    return f"i:0#.f|membership|{upn.lower()}"


def picture_url(my_host: str, folder: str, name: str) -> str:
    """Return the address of a thumbnail in the form in which SharePoint itself stores it, with the port."""
    return f"https://{my_host}:443{quote(f'{folder}/{name}')}"


def _path(path: str) -> str:
    """Return a path encoded for an OData string literal in a URL."""
    return quote(path.replace("'", "''"), safe="/")


def _folder(path: str) -> str:
    return f"/_api/web/GetFolderByServerRelativePath(decodedUrl='{_path(path)}')"


def _query(account: str, properties: Sequence[tuple[str, str]]) -> str:
    methods = "".join(
        f'<Method Name="SetSingleValueProfileProperty" Id="{number}" ObjectPathId="1"><Parameters>'
        + "".join(f'<Parameter Type="String">{escape(text)}</Parameter>' for text in (account, name, value))
        + "</Parameters></Method>"
        for number, (name, value) in enumerate(properties, start=3)
    )
    return (
        '<Request xmlns="http://schemas.microsoft.com/sharepoint/clientquery/2009"'
        ' AddExpandoFieldTypeSuffix="true" SchemaVersion="15.0.0.0" LibraryVersion="16.0.0.0"'
        ' ApplicationName="PhotoSync">'
        f'<Actions><ObjectPath Id="2" ObjectPathId="1"/>{methods}</Actions>'
        f'<ObjectPaths><Constructor Id="1" TypeId="{_PEOPLE_MANAGER}"/></ObjectPaths></Request>'
    )


def _read_profile(answer: Response) -> Profile | None:
    body = None if answer.status == HTTPStatus.NOT_FOUND else answer.json()
    if not isinstance(body, dict) or not body.get("AccountName"):
        return None
    listed = _items(PROFILES, body, "UserProfileProperties")
    properties = {str(each.get("Key")): str(each.get("Value") or "") for each in listed}
    return Profile(
        account=str(body["AccountName"]),
        object_id=properties.get("msOnline-ObjectId", "").lower(),
        my_host=_split(str(body.get("PersonalSiteHostUrl") or ""))[0],
        picture_path=_split(properties.get("PictureURL", ""))[1],
    )


def _read_folders(answer: Response) -> list[str]:
    if answer.status == HTTPStatus.NOT_FOUND:
        return []
    folders = [f for f in _items(FILES, answer.json(), "value") if f.get("Name") != "Forms"]
    return [str(f["ServerRelativeUrl"]) for f in folders if f.get("ServerRelativeUrl")]


def _read_file(answer: Response) -> None:
    """Raise `TryLater` where an answer does not describe the file that was written."""
    body = answer.json()
    if not isinstance(body, dict) or not body.get("Name"):
        raise TryLater(FILES, "the answer names no file", status=answer.status)


def _check_query(answer: Response) -> None:
    """Raise the error that a CSOM answer reports: its HTTP status is 200 even if the query failed."""
    body = answer.json()
    head = body[0] if isinstance(body, list) and body else None
    if not isinstance(head, dict) or "ErrorInfo" not in head:
        raise TryLater(PROFILES, "the query's answer has no ErrorInfo")
    if (error := head["ErrorInfo"]) is None:
        return
    if not isinstance(error, dict):
        raise TryLater(PROFILES, "the query's ErrorInfo is none")
    kind, text = str(error.get("ErrorTypeName")), str(error.get("ErrorMessage"))
    facts: dict[str, Any] = {"code": kind[:200], "request_id": str(error.get("TraceCorrelationId") or "")}
    if says_locked(error.get("ErrorCode")):
        raise Locked(PROFILES, "the profile is locked", status=200, **facts)
    # A plain ServerException is identified by its number; the text is in the language of the site.
    if _NO_SUCH_PROFILE.search(text) or kind.endswith(".UserNotFoundException"):
        raise Gone(PROFILES, "no such profile", status=200, **facts)
    if (
        kind == "System.UnauthorizedAccessException"
        or error.get("ErrorCode") == _E_ACCESSDENIED
        or _NOT_PERMITTED in text
    ):
        raise Denied(PROFILES, "may not write profiles", status=200, **facts)
    raise Refused(PROFILES, f"the query failed: {json.dumps(kind[:200])}", status=200, **facts)


def _items(service: str, body: Any, name: str) -> list[dict[str, Any]]:
    """Return the objects of the list called `name`; raise `TryLater` if the answer has none."""
    found = body.get(name) if isinstance(body, dict) else None
    if not isinstance(found, list):
        raise TryLater(service, f"the answer has no list called {name}")
    return [item for item in found if isinstance(item, dict)]


def _split(url: str) -> tuple[str, str]:
    """Return host and decoded path of a URL that SharePoint stores; "" for none."""
    try:
        parts = urlsplit(url)
    except ValueError:  # administrators can store any text
        return "", ""
    return parts.hostname or "", unquote(parts.path)


def thumbnail_name(user: str, size: str) -> str:
    """Return the name under which SharePoint itself stores a thumbnail; it survives a change of UPN."""
    return f"{user}_{size}Thumb.jpg"


def picture_timestamp(now: float, newest: float) -> int:
    """Return `SPS-PictureTimestamp`: whole seconds since 0001-01-01 UTC, at least the newest written."""
    return max(int(now) + _DOTNET_EPOCH, int(newest))
