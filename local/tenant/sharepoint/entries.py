"""Folders and files as REST shows them: `SP.Folder` and `SP.File`, their properties in SharePoint's order."""

from datetime import datetime
from typing import TypedDict
from urllib.parse import quote

from werkzeug.wrappers import Response

from local.tenant.sharepoint.library import File, Folder


class FolderRow(TypedDict):
    """`SP.Folder`."""

    Exists: bool
    IsWOPIEnabled: bool
    ItemCount: int
    Name: str
    ProgID: None
    ServerRelativeUrl: str
    TimeCreated: str
    TimeLastModified: str
    UniqueId: str
    WelcomePage: str


class FileRow(TypedDict):
    """`SP.File`. `Length` is a string, as SharePoint sends 64-bit numbers."""

    CheckInComment: str
    CheckOutType: int
    ContentTag: str
    CustomizedPageStatus: int
    ETag: str
    Exists: bool
    IrmEnabled: bool
    Length: str
    Level: int
    LinkingUri: str
    LinkingUrl: str
    MajorVersion: int
    MinorVersion: int
    Name: str
    ServerRelativeUrl: str
    TimeCreated: str
    TimeLastModified: str
    Title: str
    UIVersion: int
    UIVersionLabel: str
    UniqueId: str


def show_folder(folder: Folder) -> FolderRow:
    """Return a folder as REST shows it."""
    return {
        "Exists": True,
        "IsWOPIEnabled": False,
        "ItemCount": len(folder.files),
        "Name": folder.name,
        "ProgID": None,
        "ServerRelativeUrl": folder.path,
        "TimeCreated": _stamp(folder.created),
        "TimeLastModified": _stamp(max([folder.created, *(file.modified for file in folder.files.values())])),
        "UniqueId": folder.id,
        "WelcomePage": "",
    }


def show_file(folder: Folder, file: File, origin: str) -> FileRow:
    """Return a file as REST shows it; `origin` is the site's, such as `https://contoso-my.sharepoint.com`."""
    path = f"{folder.path}/{file.name}"
    link = origin + quote(path)
    return {
        "CheckInComment": "",
        "CheckOutType": 2,
        "ContentTag": f"{{{file.id.upper()}}},{file.version},{file.version}",
        "CustomizedPageStatus": 0,
        "ETag": file.etag,
        "Exists": True,
        "IrmEnabled": False,
        "Length": str(len(file.data)),
        "Level": 1,
        "LinkingUri": link,
        "LinkingUrl": link,
        "MajorVersion": 1,
        "MinorVersion": 0,
        "Name": file.name,
        "ServerRelativeUrl": path,
        "TimeCreated": _stamp(file.created),
        "TimeLastModified": _stamp(file.modified),
        "Title": "",
        "UIVersion": 512,
        "UIVersionLabel": "1.0",
        "UniqueId": file.id,
    }


def serve(file: File) -> Response:
    """Return a file's bytes; SharePoint names the type by the extension, not by the content."""
    kind = "image/jpeg" if file.name.lower().endswith(".jpg") else "application/octet-stream"
    response = Response(file.data, content_type=kind)
    response.headers["ETag"] = file.etag
    return response


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
