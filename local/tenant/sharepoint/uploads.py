"""The rules for an upload: its name, its body, its folder.

Stricter than Microsoft: `.jpg` must be a JPEG of at most 5 000 000 bytes, `Forms` accepts nothing, and the
string functions, ambiguous for `%` and `#`, accept neither
(learn.microsoft.com/sharepoint/dev/solution-guidance, "Supporting % and # in files and folders").
"""

import re
from dataclasses import dataclass
from datetime import datetime

from local.tenant.sharepoint.calls import SharePointCall
from local.tenant.sharepoint.errors import SharePointRefusal, access_denied, bad_argument
from local.tenant.sharepoint.library import FORMS, File, Folder
from local.tenant.sharepoint.odata import PathSegment
from local.tenant.sharepoint.pictures import Picture, inspect_jpeg

MAX_BYTES = 5_000_000  # what PeopleManager.SetMyProfilePicture takes; the library's own bound is far higher
_SP = "Microsoft.SharePoint.SPException"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to write. `picture` describes a JPEG; None for other files."""

    name: str
    data: bytes
    picture: Picture | None


def read_path(step: PathSegment) -> str:
    """Return the path that `Get…ByServerRelativePath(decodedUrl=…)` or `…Url('…')` names."""
    return step.text("decodedUrl") if step.name.endswith("path") else _be_unambiguous(step.text("0"))


def read_name(step: PathSegment) -> str:
    """Return the file name that `AddUsingPath(decodedUrl=…)` or `Add(url=…)` gives."""
    return step.text("decodedUrl") if step.name == "addusingpath" else _be_unambiguous(step.text("url"))


def read_upload(call: SharePointCall, name: str) -> Upload:
    """Return the request's body as a file of this name. Decodes it: do not call under `World.lock`.

    Raises:
        SharePointRefusal: the name is not valid, the bytes are too many, or a `.jpg` is not a JPEG.
    """
    if not name or len(name) > 255 or re.search(r'["*:<>?/\\|\x00-\x1f]', name) or name != name.strip():
        raise SharePointRefusal(
            400, -2130575245, _SP, "The file name is empty or contains characters that are not permitted."
        )
    if (call.request.content_length or 0) > MAX_BYTES:
        raise SharePointRefusal(
            413, -2147024809, "System.ArgumentException", f"A picture has at most {MAX_BYTES} bytes."
        )
    data = call.request.get_data()
    picture = inspect_jpeg(data)
    if picture is None and name.lower().endswith((".jpg", ".jpeg")):
        raise bad_argument(f"{name} is not a JPEG: SharePoint would serve these bytes as one.")
    return Upload(name, data, picture)


def save(folder: Folder, upload: Upload, now: datetime, *, overwrite: bool) -> File:
    """Write an upload into a folder and return the file.

    Raises:
        SharePointRefusal: the folder accepts no files, or has one of that name and `overwrite` is false.
    """
    if folder.name == FORMS:
        raise access_denied()
    if folder.find(upload.name) and not overwrite:
        path = f"{folder.path}/{upload.name}".lstrip("/")
        raise SharePointRefusal(400, -2130575257, _SP, f"A file with the name {path} already exists.")
    return folder.save(upload.name, upload.data, upload.picture, now)


def _be_unambiguous(text: str) -> str:
    if "%" in text or "#" in text:
        raise bad_argument("A % or # is ambiguous here; use the ResourcePath functions.")
    return text
