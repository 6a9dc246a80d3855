"""Folders and files as REST shows them: `SP.Folder` and `SP.File`, their properties in SharePoint's order."""

from datetime import UTC, datetime
from urllib.parse import quote

from werkzeug.wrappers import Response

from local.tenant.sharepoint.library import File, Folder


def show_folder(folder: Folder) -> dict[str, object]:
    """Return a folder as REST shows it."""
    modified = max([folder.created, *(file.modified for file in folder.files.values())])
    return {
        "Exists": True,
        "IsWOPIEnabled": False,
        "ItemCount": len(folder.files),
        "Name": folder.name,
        "ProgID": None,
        "ServerRelativeUrl": folder.path,
        "TimeCreated": _stamp(folder.created),
        "TimeLastModified": _stamp(modified),
        "UniqueId": folder.id,
        "WelcomePage": "",
    }


def show_file(folder: Folder, file: File, origin: str) -> dict[str, object]:
    """Return a file as REST shows it; `origin` is the site's, such as `https://contoso-my.sharepoint.com`.

    `Length` is a string, as SharePoint sends 64-bit numbers.
    """
    path = f"{folder.path}/{file.name}"
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
        "LinkingUri": origin + quote(path),
        "LinkingUrl": origin + quote(path),
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
    return Response(file.data, content_type=kind, headers={"ETag": file.etag})


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FOLDER_PROPERTIES = tuple(show_folder(Folder("/", _EPOCH)))
FILE_PROPERTIES = tuple(show_file(Folder("/", _EPOCH), File("", b"", None, _EPOCH, _EPOCH), ""))
