"""Profiles and libraries as years of use leave them, set up for a test."""

from dataclasses import dataclass
from typing import Any

from local.tenant.directory.world import Person, World
from local.tenant.sharepoint.description import old_stem
from local.tenant.sharepoint.library import Library
from local.tenant.sharepoint.pictures import SIZES, PictureSize, draw_old_picture, make_thumbnail
from local.tenant.sharepoint.profiles import Profile, Profiles
from local.tenant.sharepoint.properties import EXCHANGE_SYNC, PLACEHOLDER, TIMESTAMP
from local.tenant.sharepoint.userphoto import UserPhotos

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
            self._replace_profile(person, changes.profile)
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

    def _replace_profile(self, person: Person, profile: bool | None) -> None:
        if profile is not None:
            self._profiles.drop(person.id)
        if profile:
            self._profiles.add(person)

    def _find(self, person_id: str) -> Profile:
        profile = self._profiles.of(person_id)
        if profile is None:
            raise ValueError("SharePoint has no profile of this person")
        return profile

    def _take_picture(self, profile: Profile) -> None:
        profile.written = None
        stems = (profile.person.id, profile.object_id, old_stem(profile.account))
        names = [f"{stem}_{size}Thumb.jpg" for stem in stems for size in SIZES]
        for folder in self._libraries[profile.geo].picture_folders():
            for file in filter(None, map(folder.find, names)):
                folder.delete(file)

    def _give_picture(self, profile: Profile, thumbnails: dict[PictureSize, bytes], stem: str) -> None:
        self._photos.keep(profile, thumbnails, stem)
        for name, value in ((TIMESTAMP, OLD_STAMP), (PLACEHOLDER, "0"), (EXCHANGE_SYNC, "1")):
            profile.set(name, value)
