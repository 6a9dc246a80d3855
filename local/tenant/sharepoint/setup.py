"""What people and tests see and change of a person's SharePoint: files, properties, and what readers see.

Profiles and libraries can be as years of use leave them.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.tenant.directory.world import Person, World
from local.tenant.sharepoint import properties
from local.tenant.sharepoint.hosts import name_host
from local.tenant.sharepoint.library import File, Folder, Library
from local.tenant.sharepoint.pictures import SIZES, PictureSize, draw_old_picture, make_thumbnail
from local.tenant.sharepoint.profiles import Profile, Profiles
from local.tenant.sharepoint.userphoto import UserPhotos, locate

# 2016-08-04: a constant that published scripts copy from each other in place of the time.
OLD_STAMP = "63605901091"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChanges:
    """Changes to one person's profile, made in the order of these fields; None changes nothing.

    - `profile`: False removes it, as for a person unknown to SharePoint; True adds it again.
    - `object_id`: the profile's `msOnline-ObjectId` if it is not the person's; "" for none.
    - `folder`: add this folder of pictures to the person's geo; SharePoint writes to it from now on.
    - `picture`: an old picture, files and properties: True draws one, bytes are one, False removes all.
    - `old_names`: the files of `picture` are named after the UPN, as SharePoint did until about 2021.
    - `properties`: set without checks.
    """

    profile: bool | None = None
    object_id: str | None = None
    folder: str | None = None
    picture: bool | bytes | None = None
    old_names: bool = False
    properties: dict[str, str] | None = None


class ProfileSetup:
    """Set up geos and irregular profiles."""

    def __init__(
        self, world: World, profiles: Profiles, libraries: dict[str, Library], photos: UserPhotos
    ) -> None:
        self._world = world
        self._profiles = profiles
        self._libraries = libraries
        self._photos = photos

    def open_geo(self, geo: str) -> Library:
        """Return the library of a geo; a new geo gets a library and its hosts. Call under `World.lock`."""
        if geo not in self._libraries:
            self._libraries[geo] = Library(self._world.clock.now())
        return self._libraries[geo]

    def configure(self, person_id: str, **fields: Any) -> None:
        """Make the changes, given as fields of `ProfileChanges`.

        Raises:
            KeyError: no person has that id.
            ValueError: no profile exists, the folder name is not valid, or the bytes are not a picture.
        """
        changes = ProfileChanges(**fields)
        person, picture = self._world.people[person_id], changes.picture
        source = draw_old_picture(person.display_name) if picture is True else picture
        thumbnails = {size: make_thumbnail(source, size) for size in SIZES} if source else {}
        with self._world.lock:
            if changes.profile is not None:
                self._profiles.drop(person.id)
            if changes.profile:
                self._profiles.add(person)
            if changes.folder is not None:
                self.open_geo(person.geo).add_folder(changes.folder)
            if changes.object_id is not None:
                self._find(person_id).object_id = changes.object_id
            if thumbnails:
                profile = self._find(person_id)
                self._give_picture(
                    profile, thumbnails, old_stem(profile.account) if changes.old_names else ""
                )
            if picture is False:
                self._take_picture(self._find(person_id))
            for name, value in (changes.properties or {}).items():
                self._find(person_id).set(name, value)

    def _find(self, person_id: str) -> Profile:
        profile = self._profiles.of(person_id)
        if profile is None:
            raise ValueError("SharePoint has no profile of this person")
        return profile

    def _take_picture(self, profile: Profile) -> None:
        profile.written = None
        stems = (profile.person.id, profile.object_id, old_stem(profile.account))
        names = [f"{stem}_{size}Thumb.jpg" for stem in stems for size in SIZES]
        for folder in self._libraries[profile.geo].folders:
            for file in filter(None, map(folder.find, names)):
                folder.delete(file)

    def _give_picture(self, profile: Profile, thumbnails: dict[PictureSize, bytes], stem: str) -> None:
        self._photos.keep(profile, thumbnails, stem)
        for name, value in zip(properties.PICTURE_PROPERTIES[1:], (OLD_STAMP, "0", "1"), strict=True):
            profile.set(name, value)


def describe(
    world: World, person: Person, profiles: Profiles, libraries: Mapping[str, Library], photos: UserPhotos
) -> dict[str, object]:
    """Return a person's target as JSON. Call under `World.lock`.

    `account`, `properties`, `picture_url`: None without a profile. `files`: those in any geo under
    the person's object id, old-style name or `PictureURL`. `userphoto`: by size, "placeholder" or a sha-256.
    """
    profile = profiles.of(person.id)
    geo = profile.geo if profile else person.geo
    library, shown = libraries[geo], (*properties.PICTURE_PROPERTIES, properties.OBJECT_ID)
    return {
        "geo": geo,
        "host": name_host(world.domain.written, geo, "my"),
        "account": profile.claim if profile else None,
        "folder": _find_folder(profile) or library.current.name,
        "folders": [folder.name for folder in library.folders],
        "files": list(_list_files(_list_stems(person, profile), libraries)),
        "properties": profile and {name: properties.list_values(profile)[name] for name in shown},
        "picture_url": properties.derive_picture_url(profile) if profile else None,
        "userphoto": {size: _show(photos.find_shown(profile, size)) for size in SIZES},
    }


def _find_folder(profile: Profile | None) -> str | None:
    """Return the name of the folder that `PictureURL` points into."""
    found = locate(profile.get(properties.PICTURE_URL), "M") if profile else None
    return found[1].split("/")[-2] if found else None


def _list_stems(person: Person, profile: Profile | None) -> set[str]:
    """Return the file names, up to `_MThumb.jpg`, that a person's pictures may have."""
    stems = {person.id, old_stem(person.upn)}
    if profile:
        stems |= {old_stem(profile.account), profile.object_id}
        if found := locate(profile.get(properties.PICTURE_URL), "M"):
            stems.add(found[1].rpartition("/")[2].partition("_MThumb")[0].lower())
    return stems - {""}


def old_stem(upn: str) -> str:
    """Return the name SharePoint once gave a picture's files: the UPN, `@` and `.` replaced."""
    return upn.lower().replace("@", "_").replace(".", "_")


def _list_files(stems: set[str], libraries: Mapping[str, Library]) -> Iterator[dict[str, object]]:
    names = [f"{stem}_{size}thumb.jpg" for stem in sorted(stems) for size in ("s", "m", "l")]
    for geo, library in libraries.items():
        for folder in library.folders:
            yield from (_describe_file(geo, folder, file) for file in map(folder.find, names) if file)


def _describe_file(geo: str, folder: Folder, file: File) -> dict[str, object]:
    picture = file.picture
    return {
        "geo": geo,
        "folder": folder.name,
        "name": file.name,
        "size": len(file.data),
        "width": picture and picture.width,
        "height": picture and picture.height,
        "baseline": picture and picture.baseline,
        "metadata": picture and picture.metadata,
        "sha256": hashlib.sha256(file.data).hexdigest(),
        "etag": file.etag,
        "modified": file.modified.isoformat(),
    }


def _show(file: File | None) -> str:
    return hashlib.sha256(file.data).hexdigest() if file else "placeholder"
