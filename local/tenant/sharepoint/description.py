"""What SharePoint has of one person, for people and tests: files, properties, and what a reader sees."""

import hashlib
from collections.abc import Iterator, Mapping

from local.tenant.directory.world import Person, World
from local.tenant.sharepoint import properties
from local.tenant.sharepoint.hosts import name_host
from local.tenant.sharepoint.library import File, Folder, Library
from local.tenant.sharepoint.pictures import SIZES
from local.tenant.sharepoint.profiles import Profile, Profiles
from local.tenant.sharepoint.userphoto import UserPhotos, locate


def describe(
    world: World, person: Person, profiles: Profiles, libraries: Mapping[str, Library], photos: UserPhotos
) -> dict[str, object]:
    """Return a person's target as JSON. Call under `World.lock`.

    `account`, `properties`, `picture_url`: None without a profile. `files`: those in any geo under
    the person's object id, old-style name or `PictureURL`. `userphoto`: by size, "placeholder" or a sha-256.
    """
    profile = profiles.of(person.id)
    geo = profile.geo if profile else person.geo
    library = libraries[geo]
    return {
        "geo": geo,
        "host": name_host(world.organisation, geo, "my"),
        "account": profile.claim if profile else None,
        "folder": _find_folder(profile) or library.current.name,
        "folders": [folder.name for folder in library.picture_folders()],
        "files": list(_list_files(_list_stems(person, profile), libraries)),
        "properties": _list_properties(profile) if profile else None,
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
        for folder in library.picture_folders():
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


def _list_properties(profile: Profile) -> dict[str, str]:
    values = properties.list_values(profile)
    return {name: values[name] for name in (*properties.PICTURE_PROPERTIES, properties.OBJECT_ID)}


def _show(file: File | None) -> str:
    return hashlib.sha256(file.data).hexdigest() if file else "placeholder"
