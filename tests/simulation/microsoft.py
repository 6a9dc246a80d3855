"""A small model of Microsoft 365: users, their photos, and what SharePoint stores of both. No HTTP here.

`local.tenant` emulates Microsoft's protocols. This module emulates the delays between its parts: every value
has a history, so that a reader can get yesterday's metadata with today's bytes, and SharePoint learns a new
name hours after the directory.
"""

import hashlib
from collections.abc import Callable

from tests.simulation.people import MY_HOSTS, History, Person, Photo, Profile
from tests.simulation.pictures import SIZES, UNREADABLE, picture_of, thumbnail

LIBRARY = "/User Photos"
TORN = "torn"


class Microsoft:
    """One tenant.

    Args:
        now: returns the time.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.people: dict[str, Person] = {}
        self.profiles: list[Profile] = []
        self.arrivals: dict[str, float] = {}  # the time at which SharePoint learns each person's new name
        self.folders: dict[str, str] = dict.fromkeys(MY_HOSTS, f"{LIBRARY}/Profile Pictures")
        self.files: dict[tuple[str, str], bytes] = {}  # host and path, lower case
        self.moved: dict[str, float] = {}  # the time of each person's last move to another geo
        self._labels = 0

    # --- the directory and Exchange ---

    def add(self, upn: str, photo: Photo | None) -> Person:
        """Add a person; SharePoint knows them at once."""
        digest = hashlib.md5(f"{upn} {len(self.people)}".encode(), usedforsecurity=False).hexdigest()
        user = f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"
        now = self._now()
        person = self.people[user] = Person(user, History(upn, now), History(photo, now))
        self.profiles.append(Profile(user, upn, MY_HOSTS[0]))
        return person

    def label(self) -> str:
        """Return a label that no photo had before."""
        self._labels += 1
        return f'"{self._labels:08X}"'

    def find(self, key: str) -> Person | None:
        """Return the person with this object id or, as the directory knows it now, UPN."""
        if key in self.people:
            return None if self.people[key].gone else self.people[key]
        named = (p for p in self.people.values() if p.upn.now.lower() == key.lower() and not p.gone)
        return next(named, None)

    def rename(self, person: Person, upn: str, lag: float) -> None:
        """Give a person another name; SharePoint learns of it after `lag` seconds."""
        person.upn.change(upn, self._now())
        self.arrivals.pop(person.id, None)
        self.arrivals[person.id] = self._now() + lag

    def waits_for(self, person: Person) -> bool:
        """Whether SharePoint does not know this person's current name yet."""
        return person.id in self.arrivals

    def confuses(self, person: Person) -> bool:
        """Whether SharePoint must still learn that another person has, or had, one of this person's names."""
        others = self.arrivals.keys() - {person.id}
        return any(name in self.people[other].upn.ever for other in others for name in person.upn.ever)

    # --- SharePoint ---

    def settle_arrivals(self) -> None:
        """Let SharePoint learn the names that are due: all at once, so that two may change places."""
        due = [user for user, time in self.arrivals.items() if time <= self._now()]
        if not due:
            return
        for user in due:
            del self.arrivals[user]
        taken = {self.people[user].upn.now for user in due}
        for profile in list(self.profiles):
            if profile.owner not in due and profile.account in taken:
                self.profiles.remove(profile)  # its owner is gone, or is about to get another account
        for user in due:
            profile = self.profile_of(user)
            if profile is None:
                profile = Profile(user, "", MY_HOSTS[0])
                self.profiles.append(profile)
            profile.account = self.people[user].upn.now

    def profile_of(self, user: str) -> Profile | None:
        """Return a person's own profile."""
        return next((each for each in self.profiles if each.owner == user), None)

    def profile_at(self, account: str) -> Profile | None:
        """Return the profile that SharePoint has under an account name, which may be another person's."""
        self.settle_arrivals()
        return next((each for each in self.profiles if each.account == account), None)

    def move(self, user: str) -> None:
        """Move a person to the other geo: SharePoint takes the picture along."""
        profile = self.profile_of(user)
        if profile is None:
            return
        self.moved[user] = self._now()
        old, profile.my_host = profile.my_host, MY_HOSTS[profile.my_host == MY_HOSTS[0]]
        for size in SIZES:
            if content := self.files.pop((old, self._path(old, user, size)), None):
                self.files[profile.my_host, self._path(profile.my_host, user, size)] = content
        self._point_to_file(profile)

    def move_folder(self, host: str) -> None:
        """Give a geo's folder another name, as when its language changes, and take every picture along."""
        old = self.folders[host]
        name = "Profilbilder" if old.endswith("Pictures") else "Profile Pictures"
        new = self.folders[host] = f"{LIBRARY}/{name}"
        for where, path in list(self.files):
            if where == host and path.startswith(old.lower() + "/"):
                self.files[host, new.lower() + path[len(old) :]] = self.files.pop((where, path))
        for profile in self.profiles:
            if profile.my_host == host:
                self._point_to_file(profile)

    def pull(self, user: str) -> None:
        """Let SharePoint fetch the photo itself, as it does when the owner asks for it."""
        profile, photo = self.profile_of(user), self.people[user].photo.now
        if profile is None or profile.properties.get("SPS-PictureExchangeSyncState") == "0":
            return
        if photo is None:
            profile.properties |= {"SPS-PicturePlaceholderState": "1"}
            profile.pulled.add("")
        elif photo.picture != UNREADABLE:
            self._show(profile, photo.picture)
            profile.properties |= {"SPS-PictureExchangeSyncState": "1"}
            profile.pulled, profile.pulled_picture = {"", *SIZES}, photo.picture

    def show(self, user: str, photo: Photo) -> None:
        """Let SharePoint show this photo, as if the app had written it."""
        if profile := self.profile_of(user):
            self._show(profile, photo.picture)

    def shown(self, user: str) -> str:
        """Return the picture that SharePoint shows of a person, "" none, `TORN` a mixture."""
        profile = self.profile_of(user)
        if profile is None:
            return ""
        if (shows := self._shows(profile)) != "picture":
            return shows
        found = {self.picture_of(user, self._file(profile.my_host, user, size)) for size in SIZES}
        return found.pop() if len(found) == 1 else TORN

    def agrees(self, user: str, picture: str) -> bool:
        """Whether SharePoint shows this picture of a person ("" none), apart from its own pulls.

        The parts that a pull wrote last must show its picture; all others must be as the app left them.
        """
        profile = self.profile_of(user)
        if profile is None or not profile.pulled:
            return self.shown(user) == picture
        if "" not in profile.pulled and bool(picture) != (self._shows(profile) == "picture"):
            return False
        if not picture:
            return True
        found = {size: self._file(profile.my_host, user, size) for size in SIZES}
        return all(
            self.picture_of(user, content) == (profile.pulled_picture if size in profile.pulled else picture)
            for size, content in found.items()
        )

    def picture_of(self, user: str, content: bytes) -> str:
        """Return which of a person's pictures so far a thumbnail shows; "?" for none of them."""
        ever = {photo.picture: None for photo in self.people[user].photo.ever[::-1] if photo}
        return picture_of(content, ever)

    def _show(self, profile: Profile, picture: str) -> None:
        for size in SIZES:
            path = self._path(profile.my_host, profile.owner, size)
            self.files[profile.my_host, path] = thumbnail(picture, size)
        url = self._url(profile.my_host, profile.owner)
        profile.properties |= {"PictureURL": url, "SPS-PicturePlaceholderState": "0"}

    def _point_to_file(self, profile: Profile) -> None:
        """Let a profile that points to a file point to where the file is now."""
        if profile.properties.get("PictureURL"):
            profile.properties["PictureURL"] = self._url(profile.my_host, profile.owner)

    def _shows(self, profile: Profile) -> str:
        """Return what a profile's properties point to: "picture", "" nothing, `TORN` something else."""
        properties = profile.properties
        if properties.get("SPS-PicturePlaceholderState") != "0" or not properties.get("PictureURL"):
            return ""
        url = self._url(profile.my_host, profile.owner)
        return "picture" if properties["PictureURL"] == url else TORN

    def _file(self, host: str, user: str, size: str) -> bytes:
        return self.files.get((host, self._path(host, user, size)), b"")

    def _path(self, host: str, user: str, size: str) -> str:
        return f"{self.folders[host]}/{user}_{size}Thumb.jpg".lower()

    def _url(self, host: str, user: str) -> str:
        return f"https://{host}:443{self.folders[host].replace(' ', '%20')}/{user}_MThumb.jpg"
