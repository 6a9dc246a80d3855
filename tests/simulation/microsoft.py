"""A small model of Microsoft 365: users, their photos, and what SharePoint stores of both. No HTTP here.

`local.tenant` emulates Microsoft's protocols. This module emulates the delays between its parts: every value
has a history, so that a reader can get yesterday's metadata with today's bytes, and SharePoint learns a new
name hours after the directory.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.pictures import SIZES, UNREADABLE, picture_of, thumbnail

MY_HOSTS = ("contoso-my.sharepoint.com", "contosoeur-my.sharepoint.com")
LIBRARY = "/User Photos"
TORN = "torn"


@dataclass(frozen=True)
class Photo:
    """A photo as Exchange keeps it: the name of its picture, which stands for the bytes, and a label."""

    picture: str
    etag: str


class History[T]:
    """The values of one thing, each with the time from which it holds."""

    def __init__(self, first: T, since: float) -> None:
        self._kept: list[tuple[float, T]] = [(since, first)]

    @property
    def now(self) -> T:
        """The current value."""
        return self._kept[-1][1]

    def change(self, value: T, now: float) -> None:
        """Set another value from now on."""
        self._kept.append((now, value))

    def at(self, time: float) -> T:
        """Return the value at a time."""
        return next((value for since, value in reversed(self._kept) if since <= time), self._kept[0][1])

    def during(self, begin: float, end: float) -> list[T]:
        """Return all values at any moment between two times."""
        return [self.at(begin), *(value for since, value in self._kept if begin < since <= end)]

    @property
    def ever(self) -> list[T]:
        """All values so far."""
        return [value for _, value in self._kept]


@dataclass
class Person:
    """A user of the directory; `grouped`: a member of the only group."""

    id: str
    upn: History[str]
    photo: History[Photo | None]
    enabled: bool = True
    guest: bool = False
    mailbox: bool = True
    gone: bool = False
    grouped: bool = False


@dataclass
class Profile:
    """What SharePoint stores about a person. `owner` is an object id, `account` a lower-case UPN.

    `pulled`: the parts that SharePoint's own pull wrote last: sizes, and "" for the properties.
    `pulled_picture`: the picture that it wrote, "" for none.
    """

    owner: str
    account: str
    my_host: str
    properties: dict[str, str] = field(default_factory=dict)
    pulled: set[str] = field(default_factory=set)
    pulled_picture: str = ""


@dataclass
class Arrival:
    """A name that the directory has and SharePoint does not know yet."""

    person: str
    due: float


class Microsoft:
    """One tenant.

    Args:
        now: returns the time.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.people: dict[str, Person] = {}
        self.profiles: list[Profile] = []
        self.arrivals: list[Arrival] = []
        self.folders: dict[str, str] = dict.fromkeys(MY_HOSTS, f"{LIBRARY}/Profile Pictures")
        self.files: dict[tuple[str, str], bytes] = {}  # host and path, lower case
        self.moved: dict[str, float] = {}  # the time of each person's last move to another geo
        self._labels = 0

    # --- the directory and Exchange ---

    def add(self, upn: str, photo: Photo | None, *, profile: bool = True) -> Person:
        """Add a person; SharePoint knows them at once, or never without `profile`."""
        digest = hashlib.md5(f"{upn} {len(self.people)}".encode(), usedforsecurity=False).hexdigest()
        user = f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"
        now = self._now()
        person = self.people[user] = Person(user, History(upn, now), History(photo, now))
        if profile:
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
        self.arrivals = [each for each in self.arrivals if each.person != person.id]
        self.arrivals.append(Arrival(person.id, self._now() + lag))

    def waits_for(self, person: Person) -> bool:
        """Whether SharePoint does not know this person's current name yet."""
        return any(each.person == person.id for each in self.arrivals)

    def confuses(self, person: Person) -> bool:
        """Whether SharePoint must still learn that another person has, or had, one of this person's names."""
        others = [each.person for each in self.arrivals if each.person != person.id]
        return any(name in self.people[other].upn.ever for other in others for name in person.upn.ever)

    # --- SharePoint ---

    def settle_arrivals(self) -> None:
        """Let SharePoint learn the names that are due: all at once, so that two may change places."""
        now = self._now()
        due = [each.person for each in self.arrivals if each.due <= now]
        if not due:
            return
        self.arrivals = [each for each in self.arrivals if each.due > now]
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
            path = f"{self.folders[old]}/{user}_{size}Thumb.jpg".lower()
            if content := self.files.pop((old, path), None):
                self.files[profile.my_host, self._path(profile.my_host, user, size)] = content
        if profile.properties.get("PictureURL"):
            profile.properties["PictureURL"] = self._url(profile.my_host, user)

    def move_folder(self, host: str) -> None:
        """Give a geo's folder another name, as when its language changes, and take every picture along."""
        old = self.folders[host]
        new = self.folders[host] = (
            f"{LIBRARY}/{'Profilbilder' if old.endswith('Pictures') else 'Profile Pictures'}"
        )
        for where, path in list(self.files):
            if where == host and path.startswith(old.lower() + "/"):
                self.files[host, new.lower() + path[len(old) :]] = self.files.pop((where, path))
        for profile in self.profiles:
            if profile.my_host == host and profile.properties.get("PictureURL"):
                profile.properties["PictureURL"] = self._url(host, profile.owner)

    def pull(self, user: str) -> None:
        """Let SharePoint fetch the photo itself, as it does when the owner asks for it."""
        profile, photo = self.profile_of(user), self.people[user].photo.now
        if profile is None or profile.properties.get("SPS-PictureExchangeSyncState") == "0":
            return
        if photo is None:
            profile.properties |= {"SPS-PicturePlaceholderState": "1"}
            profile.pulled.add("")
            return
        if photo.picture == UNREADABLE:
            return
        for size in SIZES:
            self.files[profile.my_host, self._path(profile.my_host, user, size)] = thumbnail(
                photo.picture, size
            )
        profile.properties |= {
            "PictureURL": self._url(profile.my_host, user),
            "SPS-PicturePlaceholderState": "0",
            "SPS-PictureExchangeSyncState": "1",
        }
        profile.pulled, profile.pulled_picture = {"", *SIZES}, photo.picture

    def show(self, user: str, photo: Photo) -> None:
        """Let SharePoint show this photo, as if the app had written it."""
        profile = self.profile_of(user)
        if profile is None:
            return
        for size in SIZES:
            path = self._path(profile.my_host, user, size)
            self.files[profile.my_host, path] = thumbnail(photo.picture, size)
        url = self._url(profile.my_host, user)
        profile.properties |= {"PictureURL": url, "SPS-PicturePlaceholderState": "0"}

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
        return picture_of(
            content, {photo.picture: None for photo in self.people[user].photo.ever[::-1] if photo}
        )

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
