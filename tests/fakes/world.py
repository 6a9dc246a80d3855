"""A complete environment for the app: a running tenant, stores in memory, and one clock for both.

The app in it is the real one, built by `shared.app.App`. It sends HTTP to the tenant, over real sockets or
(`direct`) without. Messages go to the bodies of `function_app`'s triggers, without Azure's worker.
"""

import hashlib
import io
from collections.abc import Callable
from dataclasses import astuple
from functools import cache
from typing import Any

from PIL import Image

from local.tenant.directory import people
from local.tenant.directory.people import NewPeople
from local.tenant.directory.world import Person
from local.tenant.tenant import Tenant
from local.tenant.traffic.faults import Fault
from shared import jobs
from shared.app import App, Services, Stores
from shared.jobs import Cause, Job, Sync, Why
from shared.ledger.row import Row
from shared.pictures.thumbnails import UnreadableImage, render
from shared.triggers import Triggers
from tests.fakes.clock import Clock
from tests.fakes.direct import DirectAdapter
from tests.fakes.external_steps import ExternalSteps
from tests.fakes.host import Host
from tests.fakes.outbox import Message, Outbox
from tests.fakes.table import Table

HERE = "https://photos.contoso.com"


class Tokens:
    """Bearer tokens from the tenant's signer, cached with the permissions in them until forgotten.

    A request for a token is the step that stands for the HTTP call.
    """

    def __init__(self, tenant: Tenant, steps: ExternalSteps) -> None:
        self._tenant = tenant
        self._steps = steps
        self._kept: dict[str, str] = {}

    def token(self, host: str) -> str:
        resource = "graph" if host == "graph.microsoft.com" else "sharepoint"
        with self._steps.take(f"call {host}"):
            if host not in self._kept:
                roles = self._tenant.permissions.roles(resource)
                self._kept[host] = self._tenant.tokens.issue(f"https://{host}", roles)
        return self._kept[host]

    def forget(self, host: str) -> None:
        self._kept.pop(host, None)


class World:
    """One tenant, one app, one clock.

    Args:
        tenant: running; its proxy must be this process's `HTTPS_PROXY`.
        direct: send requests to the tenant without sockets, for tests of thousands of requests.
        settings: the app's settings besides those that the tenant names.
    """

    def __init__(self, tenant: Tenant, *, direct: bool = False, **settings: str) -> None:
        self.tenant = tenant
        self._transport = DirectAdapter(tenant) if direct else None
        self.steps = ExternalSteps()
        self.clock = Clock(tenant.world.clock)
        self.ledger = Table("photoledger", self.steps)
        self.state = Table("photostate", self.steps)
        self.parts = Table("photoparts", self.steps)
        self.outbox = Outbox(self.clock, self.steps)
        self.app = self.start(**settings)
        self.host = Host(self.clock, self.outbox, self.steps, self._handlers())
        self._thumbnails: dict[str, str] = {}  # a thumbnail's sha-256 -> its source's etag

    def start(self, **settings: str) -> App:
        """Return another instance of the app, with other settings if they are given."""
        environ = {
            **self.tenant.settings,
            "NOTIFICATION_URL": HERE,
            "AzureWebJobsStorage": "UseDevelopmentStorage=true",  # never connected to
            "CLIENT_CERTIFICATE": "",  # valid by the machine's clock, not by this world's; tokens need none
            **settings,
        }
        stores = Stores(self.ledger, self.state, self.parts, self.outbox)
        return App(
            environ,
            clock=self.clock,
            stores=stores,
            tokens=lambda _: Tokens(self.tenant, self.steps),
            transport=self._transport,
        )

    def restart(self, **settings: str) -> None:
        """Run the app with these settings from now on."""
        self.app = self.start(**settings)

    @property
    def services(self) -> Services:
        return self.app.services

    # --- people ---

    def add(self, *, photo: bool = True, **facts: Any) -> str:
        """Let a person in and return the object id."""
        (person,) = people.add_people(self.tenant.world, self.tenant.exchange, NewPeople(**facts))
        if photo:
            self.change_photo(person.id)
        return person.id

    def change_photo(self, user: str, data: bytes | None = None) -> str:
        """Change a photo as its owner would, without a notification; return the new etag."""
        number = len(self._thumbnails)
        photo = self.tenant.exchange.accept_raw(data or draw(number))
        self._thumbnails |= dict.fromkeys(_thumbnails_of(photo.data), photo.etag)
        self.tenant.world.set_photo(self.person(user), photo, tell=False)
        return photo.etag

    def remove_photo(self, user: str) -> None:
        self.tenant.world.set_photo(self.person(user), None, tell=False)

    def person(self, user: str) -> Person:
        return self.tenant.world.people[user]

    def source(self, user: str) -> str:
        """Return the etag of the photo in Exchange, "" without photo."""
        photo = self.person(user).photo
        return photo.etag if photo else ""

    def shown(self, user: str) -> str:
        """Return the etag of the photo that SharePoint shows in all sizes; "" none, "torn" several."""
        target = self.tenant.sharepoint.describe(user)
        sizes = target["userphoto"]
        assert isinstance(sizes, dict)
        found = {self._thumbnails.get(digest, "") for digest in sizes.values()}
        return found.pop() if len(found) == 1 else "torn"

    def properties(self, user: str) -> dict[str, str]:
        """Return the picture's properties in the SharePoint profile."""
        properties = self.tenant.sharepoint.describe(user)["properties"]
        assert isinstance(properties, dict)
        return properties

    # --- what the app does ---

    def row(self, user: str) -> Row:
        """Return the ledger's row."""
        found = self.ledger.rows.get((user[:2], user))
        return Row.from_columns(user, *found) if found else Row(user)

    def note(self, user: str, **columns: Any) -> None:
        """Write columns into the ledger's row, without a claim."""
        stands, _ = self.ledger.rows.get((user[:2], user), ({}, ""))
        self.ledger.rows[user[:2], user] = ({**stands, **columns}, 'W/"note"')

    def ask(self, user: str, cause: Cause = "notified", **facts: Any) -> Sync:
        """Queue a sync and return its job."""
        now = self.clock.now()
        job = Sync(user, cause, **{"seen": now, "born": now, **facts})
        self.app.queues.send(job)
        return job

    def hint(self, *users: str, why: Why = "notified") -> None:
        """Queue checks."""
        for job in jobs.pack(users, why=why, now=self.clock.now()):
            self.app.queues.send(job)

    def queued(self, kind: type[Job] = Sync) -> list[Any]:
        """Return the jobs in a kind's queue, oldest first."""
        return [jobs.read(kind, each.body) for each in self.outbox.messages if each.queue == kind.queue]

    def hidden(self, queue: str = Sync.queue) -> list[float]:
        """Return for how many seconds each message of a queue is still hidden."""
        now = self.clock.now()
        return [each.visible_at - now for each in self.outbox.messages if each.queue == queue]

    def drain(self, *, deliveries: int = 500) -> None:
        """Deliver messages until none is left."""
        self.host.drain(deliveries=deliveries)

    def run(self, seconds: float) -> None:
        """Advance the clock, and deliver the messages that fall due meanwhile."""
        self.host.run(seconds)

    def open_sweep(self, why: str = "the timer", *, force: bool = False) -> str:
        """Open a sweep as the timer would; return its id, or the id of the sweep that is running."""
        return self.services.opener.open(why, force=force).id

    def sweep(self, *, force: bool = False) -> dict[str, Any]:
        """Run a sweep and everything that follows from it; return what `status` reports of it."""
        sweep = self.open_sweep(force=force)
        self.drain(deliveries=100_000)
        return self.figures(sweep)

    def figures(self, sweep: str) -> dict[str, Any]:
        """Return what `status` reports of an ended sweep."""
        (found,) = [each for each in self.app.status_report.status()["sweeps"] if each["id"] == sweep]
        return found

    def settled(self, user: str) -> None:
        """Assert how every run must end: SharePoint shows the newest photo, and the row says so."""
        row, source = self.row(user), self.source(user)
        now = self.clock.now()
        assert self.shown(user) == source
        assert (row.settled_etag, row.dirty, row.unsure_until > now) == (source, False, False)

    # --- what goes wrong ---

    def fault(self, *faults: Fault) -> None:
        """Arm these faults in the tenant, in place of earlier ones."""
        self.tenant.faults.arm(faults)

    def requests(self, service: str = "") -> list[str]:
        """Return `METHOD path → status` of every request to a service; `sharepoint` covers both its hosts."""
        return [
            f"{each['method']} {each['path']} → {each['status']}"
            for each in self.tenant.history.entries()
            if each["service"].startswith(service)
        ]

    def _handlers(self) -> dict[str, Callable[[Message], object]]:
        def handler(method: str, kind: type[Job]) -> Callable[[Message], None]:
            return lambda message: getattr(Triggers(self.app), method)(kind, message.body.encode())

        work = {queue: handler("work", kind) for queue, kind in jobs.QUEUES.items()}
        return work | {f"{queue}-poison": handler("record", kind) for queue, kind in jobs.QUEUES.items()}


@cache  # all worlds use the same few pictures
def _thumbnails_of(data: bytes) -> tuple[str, ...]:
    """Return the SHA-256 of each thumbnail of a picture; an empty tuple if it is unreadable."""
    try:
        thumbnails = render(data)
    except UnreadableImage:
        return ()
    return tuple(hashlib.sha256(content).hexdigest() for content in astuple(thumbnails))


@cache
def draw(number: int) -> bytes:
    """Return a small JPEG, a different one for each number."""
    colour = (40 + 53 * number % 200, 40 + 97 * number % 200, 40 + 151 * number % 200)
    with Image.new("RGB", (64, 64), colour) as image, io.BytesIO() as file:
        image.save(file, "JPEG", quality=80)
        return file.getvalue()
