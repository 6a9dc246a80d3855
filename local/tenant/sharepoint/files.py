"""The files of the library `User Photos`, over REST and under their own URLs.

Routes (learn.microsoft.com/sharepoint/dev/sp-add-ins/working-with-folders-and-files-with-rest):
`web/GetFolderByServerRelativePath(decodedUrl='…')`, below it `Folders`, `Files`, `Files/Add` and
`Files/AddUsingPath`; `web/GetFileByServerRelativePath(decodedUrl='…')`, below it `$value` and `recycle`.

Stricter than Microsoft: no permission but `Sites.FullControl.All` is accepted.
"""

import uuid

from werkzeug.wrappers import Response

from local.tenant.directory.world import World
from local.tenant.sharepoint.calls import SharePointCall
from local.tenant.sharepoint.entries import FileRow, FolderRow, serve, show_file, show_folder
from local.tenant.sharepoint.errors import (
    SharePointRefusal,
    bad_query,
    no_file,
    no_folder,
    no_resource,
    wrong_method,
)
from local.tenant.sharepoint.library import File, Folder, Library
from local.tenant.sharepoint.odata import PathSegment, selected
from local.tenant.sharepoint.uploads import read_name, read_path, read_upload, save

ROLE = "Sites.FullControl.All"


class Files:
    """The libraries of the tenant, by geo, over HTTP."""

    def __init__(self, world: World, libraries: dict[str, Library]) -> None:
        self._world = world
        self._libraries = libraries

    def respond(self, call: SharePointCall, steps: list[PathSegment]) -> Response:
        """Answer a REST call whose path after `web` is `steps`.

        Raises:
            SharePointRefusal: not permitted, no such folder, file or route, or a refused upload.
        """
        call.demand(ROLE)
        if call.site.kind != "my":  # the other hosts have no such library
            raise no_folder()
        first, *rest = steps
        names = [step.name for step in rest]
        match first.name:
            case "getfolderbyserverrelativepath" | "getfolderbyserverrelativeurl":
                if names in (["files", "add"], ["files", "addusingpath"]):
                    return self._upload(call, read_path(first), rest[1])
                return self._show(call, read_path(first), names)
            case "getfilebyserverrelativepath" | "getfilebyserverrelativeurl":
                return self._answer_file(call, read_path(first), names)
            case _:
                raise no_resource(f"web/{first.spelled}")

    def respond_direct(self, call: SharePointCall) -> Response:
        """Answer GET or PUT of a file under its own URL, such as the one a profile points to.

        PUT is what CSOM's `File.SaveBinaryDirect` sends; a folder that does not exist is a 409 there
        (github.com/pnp/PnP/issues/1419), not a 404 as over REST.

        Raises:
            SharePointRefusal: not permitted, no such file or folder, or a refused upload.
        """
        call.demand(ROLE)
        path = call.request.path
        if call.request.method == "GET":
            with self._world.lock:
                return serve(self._find_file(call, path)[1])
        if call.request.method != "PUT":
            raise wrong_method(call.request.method, path)
        parent, _, name = path.rpartition("/")
        upload = read_upload(call, name)
        with self._world.lock:
            folder = self._libraries[call.site.geo].find_folder(parent)
            if folder is None:
                raise SharePointRefusal(409, -2147024893, "System.IO.DirectoryNotFoundException", "Conflict")
            file = save(folder, upload, self._world.clock.now(), overwrite=True)
            return Response(status=201 if file.version == 1 else 200)

    def _show(self, call: SharePointCall, path: str, names: list[str]) -> Response:
        if names not in ([], ["folders"], ["files"]):
            raise no_resource("/".join(names))
        if call.request.method != "GET":
            raise wrong_method(call.request.method, "/".join(names) or "Folder")
        row = FileRow if names == ["files"] else FolderRow
        chosen = selected(call.request.args, row.__annotations__)
        with self._world.lock:
            library, folder = self._libraries[call.site.geo], self._find_folder(call, path)
            if names == ["files"]:
                files = [show_file(folder, file, call.site.origin) for file in folder.files.values()]
            else:
                itself, inside = (
                    show_folder(folder),
                    [show_folder(each) for each in library.folders_in(folder)],
                )
        if not names:
            return call.entity("SP.Folder", itself, chosen)
        return (
            call.rows("SP.File", files, chosen)
            if names == ["files"]
            else call.rows("SP.Folder", inside, chosen)
        )

    def _upload(self, call: SharePointCall, path: str, step: PathSegment) -> Response:
        if call.request.method != "POST":
            raise wrong_method(call.request.method, step.spelled)
        call.form()
        chosen = selected(call.request.args, FileRow.__annotations__)
        overwrite = step.flag("overwrite")
        upload = read_upload(call, read_name(step))
        with self._world.lock:
            folder = self._find_folder(call, path)
            file = save(folder, upload, self._world.clock.now(), overwrite=overwrite)
            row = show_file(folder, file, call.site.origin)
        return call.entity("SP.File", row, chosen)

    def _answer_file(self, call: SharePointCall, path: str, names: list[str]) -> Response:
        verb = call.request.headers.get("X-HTTP-Method", call.request.method).upper()
        with self._world.lock:
            folder, file = self._find_file(call, path)
            match verb, names:
                case "GET", []:
                    row = show_file(folder, file, call.site.origin)
                    return call.entity("SP.File", row, selected(call.request.args, FileRow.__annotations__))
                case "GET", ["$value"]:
                    return serve(file)
                case "DELETE", []:
                    _check_match(call, file)
                    folder.delete(file)
                    return Response(status=200)
                case "POST", ["recycle"]:
                    call.form()
                    folder.delete(file)
                    return call.value("Recycle", str(uuid.uuid4()))
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
        kind = "Microsoft.SharePoint.Client.ClientServiceException"
        raise SharePointRefusal(
            412, -1, kind, "The request ETag value does not match the object's ETag value."
        )
