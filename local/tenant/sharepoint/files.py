"""The files of the library `User Photos`, over REST.

Routes (learn.microsoft.com/sharepoint/dev/sp-add-ins/working-with-folders-and-files-with-rest):
`web/GetFolderByServerRelativePath(decodedUrl='…')`, below it `Folders`, `Files`, `Files/Add` and
`Files/AddUsingPath`; `web/GetFileByServerRelativePath(decodedUrl='…')`, below it `$value`.

Stricter than Microsoft: no permission but `Sites.FullControl.All` is accepted, unless the knob
`files_least_role` says so: no document shows a lesser one on this host. An upload named `.jpg` must be
a JPEG of at most 5 000 000 bytes, `Forms` accepts nothing, and the string functions, ambiguous for `%` and
`#`, accept neither (learn.microsoft.com/sharepoint/dev/solution-guidance, "Supporting % and # in files and
folders").
"""

import re

from werkzeug.wrappers import Response

from local.tenant.directory.world import World
from local.tenant.sharepoint.calls import SharePointCall
from local.tenant.sharepoint.entries import FILE_PROPERTIES, FOLDER_PROPERTIES, serve, show_file, show_folder
from local.tenant.sharepoint.errors import (
    SharePointRefusal,
    access_denied,
    bad_argument,
    bad_query,
    no_file,
    no_folder,
    no_resource,
    wrong_method,
)
from local.tenant.sharepoint.library import FORMS, File, Folder, Library
from local.tenant.sharepoint.odata import PathSegment, selected
from local.tenant.sharepoint.pictures import Picture, inspect_jpeg

# From the widest to the narrowest; learn.microsoft.com/graph/permissions-selected-overview
ROLES = (
    "Sites.FullControl.All",
    "Sites.ReadWrite.All",
    "Sites.Selected",
    "Lists.SelectedOperations.Selected",
)
MAX_BYTES = 5_000_000  # what PeopleManager.SetMyProfilePicture takes; the library's own bound is far higher
_SP = "Microsoft.SharePoint.SPException"


class Files:
    """The libraries of the tenant, by geo, over HTTP."""

    def __init__(self, world: World, libraries: dict[str, Library]) -> None:
        self._world = world
        self._libraries = libraries

    def respond(self, call: SharePointCall, steps: list[PathSegment]) -> Response:
        """Answer a REST call whose path after `web` is `steps`."""
        call.demand(*ROLES[: ROLES.index(self._world.knobs.files_least_role) + 1])
        if call.site.kind != "my":  # the other hosts have no such library
            raise no_folder()
        first, *rest = steps
        names = [step.name for step in rest]
        match first.name:
            case "getfolderbyserverrelativepath" | "getfolderbyserverrelativeurl":
                if names in (["files", "add"], ["files", "addusingpath"]):
                    return self._upload(call, _read_path(first), rest[1])
                return self._show(call, _read_path(first), names)
            case "getfilebyserverrelativepath" | "getfilebyserverrelativeurl":
                return self._answer_file(call, _read_path(first), names)
            case _:
                raise no_resource(f"web/{first.spelled}")

    def _show(self, call: SharePointCall, path: str, names: list[str]) -> Response:
        if names not in ([], ["folders"], ["files"]):
            raise no_resource("/".join(names))
        if call.request.method != "GET":
            raise wrong_method(call.request.method, "/".join(names) or "Folder")
        chosen = selected(call.request.args, FILE_PROPERTIES if names == ["files"] else FOLDER_PROPERTIES)
        with self._world.lock:
            folder = self._find_folder(call, path)
            if not names:
                return call.entity("SP.Folder", show_folder(folder), chosen)
            if names == ["files"]:
                files = [show_file(folder, file, call.site.origin) for file in folder.files.values()]
                return call.rows("SP.File", files, chosen)
            inside = self._libraries[call.site.geo].folders_in(folder)
            return call.rows("SP.Folder", [show_folder(each) for each in inside], chosen)

    def _upload(self, call: SharePointCall, path: str, step: PathSegment) -> Response:
        if call.request.method != "POST":
            raise wrong_method(call.request.method, step.spelled)
        call.form()
        chosen = selected(call.request.args, FILE_PROPERTIES)
        overwrite = step.flag("overwrite")
        name = _read_name(step)
        data, picture = _read_upload(call, name)
        with self._world.lock:
            folder = self._find_folder(call, path)
            if folder.name == FORMS:
                raise access_denied()
            if folder.find(name) and not overwrite:
                text = f"A file with the name {folder.path.lstrip('/')}/{name} already exists."
                raise SharePointRefusal(400, -2130575257, _SP, text)
            file = folder.save(name, data, picture, self._world.clock.now())
            row = show_file(folder, file, call.site.origin)
        return call.entity("SP.File", row, chosen)

    def _answer_file(self, call: SharePointCall, path: str, names: list[str]) -> Response:
        verb = call.request.headers.get("X-HTTP-Method", call.request.method).upper()
        with self._world.lock:
            folder, file = self._find_file(call, path)
            match verb, names:
                case "GET", []:
                    row = show_file(folder, file, call.site.origin)
                    return call.entity("SP.File", row, selected(call.request.args, FILE_PROPERTIES))
                case "GET", ["$value"]:
                    return serve(file)
                case "DELETE", []:
                    _check_match(call, file)
                    folder.delete(file)
                    return Response(status=200)
        raise wrong_method(verb, "/".join(names) or "File")

    def _find_folder(self, call: SharePointCall, path: str) -> Folder:
        folder = self._libraries[call.site.geo].find_folder(path)
        if folder is None:
            raise no_folder()
        return folder

    def _find_file(self, call: SharePointCall, path: str) -> tuple[Folder, File]:
        found = self._libraries[call.site.geo].find_file(path)
        if found is None:
            raise no_file(path)
        return found


def _check_match(call: SharePointCall, file: File) -> None:
    """Check the `If-Match` of a deletion; a tunnelled deletion must have one.

    learn.microsoft.com/sharepoint/dev/sp-add-ins/complete-basic-operations-using-sharepoint-rest-endpoints
    """
    wanted = call.request.headers.get("If-Match")
    if wanted is None and call.request.method == "POST":
        raise bad_query("X-HTTP-Method: DELETE needs an If-Match header.")
    if wanted not in {None, "*", file.etag}:
        text = "The request ETag value does not match the object's ETag value."
        raise SharePointRefusal(412, -1, "Microsoft.SharePoint.Client.ClientServiceException", text)


def _read_path(step: PathSegment) -> str:
    """Return the path that `Get…ByServerRelativePath(decodedUrl=…)` or `…Url('…')` names."""
    return step.text("decodedUrl") if step.name.endswith("path") else _be_unambiguous(step.text("0"))


def _read_name(step: PathSegment) -> str:
    """Return the file name that `AddUsingPath(decodedUrl=…)` or `Add(url=…)` gives."""
    return step.text("decodedUrl") if step.name == "addusingpath" else _be_unambiguous(step.text("url"))


def _read_upload(call: SharePointCall, name: str) -> tuple[bytes, Picture | None]:
    """Return the bytes for a file of this name, and what they show if they are a JPEG.

    Decodes them: do not call under `World.lock`.
    """
    if not name or len(name) > 255 or re.search(r'["*:<>?/\\|\x00-\x1f]', name) or name != name.strip():
        text = "The file name is empty or contains characters that are not permitted."
        raise SharePointRefusal(400, -2130575245, _SP, text)
    if (call.request.content_length or 0) > MAX_BYTES:
        text = f"A picture has at most {MAX_BYTES} bytes."
        raise SharePointRefusal(413, -2147024809, "System.ArgumentException", text)
    data = call.request.get_data()
    picture = inspect_jpeg(data)
    if picture is None and name.lower().endswith((".jpg", ".jpeg")):
        raise bad_argument(f"{name} is not a JPEG: SharePoint would serve these bytes as one.")
    return data, picture


def _be_unambiguous(text: str) -> str:
    if "%" in text or "#" in text:
        raise bad_argument("A % or # is ambiguous here; use the ResourcePath functions.")
    return text
