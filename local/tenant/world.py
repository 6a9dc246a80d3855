"""What every face of the tenant shares: its people and their photos, its clock, its knobs.

No HTTP here. Entra, Graph, SharePoint and the admin face each read and change this state, always under
`World.lock`, and hear of each other's changes as an `Observer`.
"""

import random
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Photo:
    """A profile photo as Exchange Online keeps it: its bytes and what Graph says of them.

    `etag` has its quotation marks, as in Graph's `@odata.mediaEtag` and `ETag`: `"BA09D118"`.
    """

    data: bytes
    etag: str
    width: int
    height: int
    content_type: str = "image/jpeg"


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
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Return the tenant's time, aware, in UTC."""
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the tenant's time forward."""
        if seconds < 0:
            raise ValueError("the tenant's clock only moves forward")
        self._ahead += timedelta(seconds=seconds)


@dataclass(slots=True)
class Knobs:
    """The unknowns of Microsoft's behaviour; each default is the least convenient documented answer."""

    photo_change_notifies: bool = False
    validate_on_patch: Literal["never", "url-change", "always"] = "url-change"
    no_photo: Literal["404", "1x1"] = "404"
    no_photo_code: str = "ImageNotFound"
    no_mailbox: Literal["404", "400", "entra-photo"] = "404"
    lifecycle_shape: Literal["documented", "observed"] = "observed"
    batch_throttled_outer: Literal[200, 424] = 200
    retry_after: Literal["integer", "decimal", "absent"] = "integer"


class Observer(Protocol):
    """A face of the tenant that wants to know what happened to a person. Called under `World.lock`."""

    def person_added(self, person: Person) -> None:
        """A person came into being."""

    def person_renamed(self, person: Person, old_upn: str) -> None:
        """The person's UPN changed."""

    def person_moved(self, person: Person, old_geo: str) -> None:
        """The person's preferred data location changed."""

    def person_removed(self, person: Person) -> None:
        """The person was deleted for good."""

    def photo_changed(self, person: Person) -> None:
        """The person's photo was changed or removed in Exchange Online."""


@dataclass
class World:
    """One tenant: who is in it, what time it is there, and how it behaves where nobody knows.

    `organisation` is the first label of its hosts: `contoso` → `contoso.sharepoint.com`.
    """

    organisation: str = "contoso"
    seed: int = 0
    tenant_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    client_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    service_principal_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    clock: Clock = field(default_factory=Clock)
    knobs: Knobs = field(default_factory=Knobs)
    people: dict[str, Person] = field(default_factory=dict)
    observers: list[Observer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.random = random.Random(self.seed)  # noqa: S311 - shuffling, not secrets

    def find(self, key: str) -> Person | None:
        """Return the living person whose object id or UPN (any case) is `key`."""
        wanted = key.lower()
        with self.lock:
            person = self.people.get(wanted)
            if person is None:
                person = next((p for p in self.people.values() if p.upn.lower() == wanted and not p.gone), None)
            return person if person and not person.gone else None

    def living(self) -> Iterator[Person]:
        """Yield everybody who was not deleted, in the order in which they came."""
        with self.lock:
            return iter([p for p in self.people.values() if not p.gone])
