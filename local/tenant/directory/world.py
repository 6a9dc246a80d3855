"""What all faces of the tenant share: people, their photos and groups, the clock, the knobs.

No HTTP here. Entra, Graph, SharePoint and the admin face read and change this state, always under
`World.lock`, and observe each other's changes as an `Observer`. People change only through the methods of
`World`, which keep the index of UPNs and call the observers.
"""

import random
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from local.tenant.directory.domain import Domain
from local.tenant.directory.groups import Groups
from local.tenant.knobs import Knobs


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A profile photo as Exchange Online keeps it: its bytes and what Graph says of them.

    `source` is the bytes, or a function that draws the same bytes each time it is called: a hundred thousand
    people have photos without a hundred thousand pictures in memory. `etag` has its quotation marks, as in
    Graph's `@odata.mediaEtag` and `ETag`: `"BA09D118"`. `width` and `height` are pixels.
    """

    source: bytes | Callable[[], bytes]
    etag: str
    width: int
    height: int
    content_type: str = "image/jpeg"

    @property
    def data(self) -> bytes:
        """The image's bytes."""
        return self.source if isinstance(self.source, bytes) else self.source()


@dataclass(slots=True)
class Person:
    """One directory user. `geo` is "" for the tenant's central location, else a code such as `eur`."""

    id: str
    upn: str
    display_name: str
    guest: bool = False
    enabled: bool = True
    mailbox: bool = True
    geo: str = ""
    photo: Photo | None = None
    gone: bool = False


class Clock:
    """The tenant's time: the machine's, plus what `advance` added to it."""

    def __init__(self) -> None:
        self.reset()

    def now(self) -> datetime:
        """Return the tenant's time, aware, in UTC."""
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the tenant's time forward."""
        if seconds < 0:
            raise ValueError("the tenant's clock only moves forward")
        self._ahead += timedelta(seconds=seconds)

    def reset(self) -> None:
        """Return to the machine's time."""
        self._ahead = timedelta()


PersonEvent = Literal["added", "renamed", "moved", "removed", "restored", "photo"]


class Observer(Protocol):
    """A face of the tenant that is called after a person changed, under `World.lock`."""

    def person_changed(self, person: Person, event: PersonEvent) -> None:
        """Note a change: of the person, UPN, location, or (`photo`) of the photo in Exchange Online."""


@dataclass
class World:
    """One tenant: its people, its time, and its knobs.

    `organisation` is its first name: `contoso` → `contoso.sharepoint.com`. `domain` has the later ones.

    Raises:
        ValueError: `organisation` has anything but lower-case letters and digits.
    """

    organisation: str = "contoso"
    seed: int = 0
    tenant_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    client_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    service_principal_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    clock: Clock = field(default_factory=Clock)
    knobs: Knobs = field(default_factory=Knobs)
    people: dict[str, Person] = field(default_factory=dict)
    groups: Groups = field(default_factory=Groups)
    observers: list[Observer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.domain = Domain(self.organisation)
        self.lock = threading.RLock()
        self.random = random.Random(self.seed)  # noqa: S311 - shuffling, not secrets
        self._ids: dict[str, str] = {}  # lower-case UPN of each person not deleted -> object id

    def find(self, key: str) -> Person | None:
        """Return the living person whose object id or UPN (any case) is `key`."""
        wanted = key.lower()
        with self.lock:
            person = self.people.get(wanted) or self.people.get(self._ids.get(wanted, ""))
            return person if person and not person.gone else None

    def living(self) -> Iterator[Person]:
        """Yield all people who are not deleted, in the order in which they were added."""
        with self.lock:
            return iter([p for p in self.people.values() if not p.gone])

    def new_id(self) -> str:
        """Return an object id that depends on the seed."""
        with self.lock:
            return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def new_etag(self) -> str:
        """Return a photo's etag in the form Exchange Online gives it: eight hex digits, quoted."""
        with self.lock:
            return f'"{self.random.getrandbits(32):08X}"'

    def add(self, person: Person) -> Person:
        """Add `person` to the directory and return them.

        ValueError: a living person has that UPN, or any person that id (ids are lower-case).
        """
        with self.lock:
            if person.id != person.id.lower() or person.id in self.people:
                raise ValueError(f"an object id is lower-case and used once: {person.id}")
            self._take_upn(person.id, person.upn)
            self.people[person.id] = person
            self._notify(person, "added")
        return person

    def rename(self, person: Person, upn: str) -> None:
        """Give `person` another UPN; ValueError: another living person has it."""
        with self.lock:
            old = person.upn
            if upn.lower() != old.lower():
                self._take_upn(person.id, upn)
                del self._ids[old.lower()]
            person.upn = upn
            self._notify(person, "renamed")

    def move(self, person: Person, geo: str) -> None:
        """Change the person's preferred data location."""
        with self.lock:
            person.geo = geo
            self._notify(person, "moved")

    def remove(self, person: Person) -> None:
        """Delete `person`: their UPN can be used again, their id cannot."""
        with self.lock:
            if person.gone:
                return
            person.gone = True
            self._ids.pop(person.upn.lower(), None)
            self._notify(person, "removed")

    def restore(self, person: Person) -> None:
        """Bring a deleted person back with id and UPN; ValueError: another living person has the UPN."""
        with self.lock:
            if person.gone:
                self._take_upn(person.id, person.upn)
                person.gone = False
                self._notify(person, "restored")

    def set_photo(self, person: Person, photo: Photo | None, *, tell: bool = True) -> None:
        """Change (or with None remove) a photo as its owner would; call the observers if `tell`."""
        with self.lock:
            person.photo = photo
            if tell:
                self._notify(person, "photo")

    def reset(self) -> None:
        """Remove all people, reset the clock and every knob, and restart the random numbers.

        The ids of tenant and application and the organisation stay, so a running app's settings stay valid.
        """
        with self.lock:
            self.people.clear()
            self._ids.clear()
            self.groups.clear()
            self.domain.reset()
            self.clock.reset()
            self.random.seed(self.seed)
            for each in fields(self.knobs):
                setattr(self.knobs, each.name, each.default)

    def _notify(self, person: Person, event: PersonEvent) -> None:
        for observer in self.observers:
            observer.person_changed(person, event)

    def _take_upn(self, person_id: str, upn: str) -> None:
        if self._ids.setdefault(upn.lower(), person_id) != person_id:
            raise ValueError(f"another person has the UPN {upn}")
