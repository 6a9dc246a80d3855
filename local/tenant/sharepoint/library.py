"""The library `User Photos` of each geo's my-site host: folders one deep, and the files in them.

State only, no HTTP; call everything under `World.lock`. Names keep their case and are found in any.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from local.tenant.sharepoint.pictures import Picture

LIBRARY = "User Photos"
DEFAULT_FOLDER = "Profile Pictures"  # the English name; SharePoint translates it
FORMS = "Forms"


@dataclass(slots=True)
class File:
    """One file. `version` rises by one with each overwrite; `picture` describes the bytes."""

    name: str
    data: bytes
    picture: Picture | None
    created: datetime
    modified: datetime
    version: int = 1
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def etag(self) -> str:
        """The entity tag as SharePoint spells it, quotation marks included: `"{GUID},n"`."""
        return f'"{{{self.id.upper()}}},{self.version}"'


@dataclass(slots=True)
class Folder:
    """One folder. `path` is server-relative: `/User Photos/Profile Pictures`."""

    path: str
    created: datetime
    files: dict[str, File] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def name(self) -> str:
        """The last step of the path."""
        return self.path.rpartition("/")[2]

    def find(self, name: str) -> File | None:
        """Return a file by its name, in any case."""
        return self.files.get(name.lower())

    def save(self, name: str, data: bytes, picture: Picture | None, now: datetime) -> File:
        """Write a file; an existing one of that name is overwritten and keeps its id and its spelling."""
        file = self.find(name)
        if file is None:
            file = self.files[name.lower()] = File(name, data, picture, now, now)
        else:
            file.data, file.picture, file.modified, file.version = data, picture, now, file.version + 1
        return file

    def delete(self, file: File) -> None:
        """Remove a file."""
        del self.files[file.name.lower()]


class Library:
    """`/User Photos` of one geo.

    SharePoint names the folder in the language of its site at the time of an upload, so several can coexist.
    SharePoint itself would use the last one of `folders` now.
    """

    def __init__(self, now: datetime) -> None:
        self._now = now
        self.root = Folder(f"/{LIBRARY}", now)
        self._forms = Folder(f"/{LIBRARY}/{FORMS}", now)
        self.folders = [Folder(f"/{LIBRARY}/{DEFAULT_FOLDER}", now)]

    def set_folder(self, name: str) -> None:
        """Have one folder of pictures, as `add_folder`; the others and their files are removed."""
        self.folders = [self.add_folder(name)]

    def add_folder(self, name: str) -> Folder:
        """Add a folder (or find it, in any case) and make it the current one.

        Raises:
            ValueError: the name is not valid for a folder of pictures.
        """
        if not name.strip() or "/" in name or name.lower() == FORMS.lower():
            raise ValueError(f"not a valid name for a folder of pictures: {name!r}")
        path = f"/{LIBRARY}/{name}"
        folder = self.find_folder(path) or Folder(path, self._now)
        self.folders = [other for other in self.folders if other is not folder] + [folder]
        return folder

    @property
    def current(self) -> Folder:
        """The folder that SharePoint itself would write to now."""
        return self.folders[-1]

    def folders_in(self, folder: Folder) -> list[Folder]:
        """Return the folders inside a folder by name: `Forms` is among those of the library itself."""
        inside = [*self.folders, self._forms] if folder is self.root else []
        return sorted(inside, key=lambda each: each.name.lower())

    def find_folder(self, path: str) -> Folder | None:
        """Return a folder by its server-relative or site-relative path, in any case."""
        wanted = "/" + path.strip("/").lower()
        folders = (self.root, self._forms, *self.folders)
        return next((each for each in folders if each.path.lower() == wanted), None)

    def find_file(self, path: str) -> tuple[Folder, File] | None:
        """Return a file and its folder by its server-relative path, in any case."""
        parent, _, name = path.rpartition("/")
        folder = self.find_folder(parent)
        file = folder and folder.find(name)
        return (folder, file) if folder and file else None
