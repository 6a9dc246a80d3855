"""A user of the directory with a photo, and what SharePoint stores of both. Values have a history."""

from dataclasses import dataclass, field

MY_HOSTS = ("contoso-my.sharepoint.com", "contosoeur-my.sharepoint.com")


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
