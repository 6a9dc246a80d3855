"""What every test needs: a running stage, waits with a deadline, and access to the state.

A test acts as Exchange user, administrator, Graph or stranger through `Story`, then reads the tenant's state,
the ledger's rows and the queues. Nothing of the app is imported or patched.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from local.host.process import HostProcess
from local.stage import Stage
from tests.e2e.pictures import THUMBNAILS, alike, size_of
from tests.e2e.stored import Json, Stored

PATIENCE = 15.0  # seconds; nearly everything takes less than one
POLL = 0.1  # seconds
ENTRA = "login.microsoftonline.com"
QUIET = {
    # Only the test's own actions happen: no second look, no sweep after a subscription, no waiting turn.
    "RECHECK_AFTER": "PT20M,PT30M",
    "AzureWebJobs.sweep_users.Disabled": "true",
    "SHAREPOINT_UNITS_PER_MINUTE": "100000",
}
SWEEPING = {"AzureWebJobs.sweep_users.Disabled": "false"}


class Story(Stored):
    """One stage, with the actions and queries of a test."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage.storage.connection_string)
        self.stage = stage
        self.people = stage.people
        # New users raise notifications of their own; tests want only those that they ask for.
        self._knobs = stage.people.turn() | {"edit_notifications": 0}
        self._log_begins: tuple[HostProcess | None, int] = (None, 0)

    def reset(self) -> Self:
        """Remove messages, faults, closed gates, sweeps and kept poison. Users and rows stay."""
        self.people.disarm()
        self.people.turn(**self._knobs)
        self.people.consent(
            graph=["User.Read.All"], sharepoint=["User.ReadWrite.All", "Sites.FullControl.All"]
        )
        self.stage.tenant.graph.between_parts = None
        for queue in self.queues():
            self.empty(queue)
        self.open_gates()
        for partition in ("sweep", "sweeps", "poison"):
            self.forget("photostate", partition)
        self.people.clear_history()
        self._log_begins = (self.stage.host, len(self.stage.log))
        return self

    def restart(self, **settings: str) -> None:
        """End the host and start it again, at the same address, with these settings on top of the stage's."""
        self.stage.stop_host()
        self.stage.start_host(**settings)

    def open_gates(self) -> None:
        """End the time for which services must not be called."""
        closed = any(row.get("closed_until", 0.0) > time.time() for row in self.rows("photostate"))
        self.forget("photostate", "gate")
        if closed:
            self.restart()  # a host that closed a gate remembers that itself

    @contextmanager
    def restarted(self, **settings: str) -> Iterator[None]:
        """Within the block the host runs with other settings."""
        self.restart(**settings)
        try:
            yield
        finally:
            self.restart()

    # --- waiting ---

    def until(
        self,
        condition: Callable[[], object],
        *users: str,
        seconds: float = PATIENCE,
        every: float = POLL,
        what: str = "",
    ) -> Any:
        """Wait until the condition holds and return its value; after the deadline fail and show the state.

        `every`: seconds between two evaluations; more than usual if an evaluation is expensive.
        """
        deadline = time.monotonic() + seconds
        while not (seen := condition()):
            assert time.monotonic() < deadline, self._describe_state(what, seconds, users)
            time.sleep(every)
        return seen

    def _describe_state(self, what: str, seconds: float, users: tuple[str, ...]) -> str:
        lines = [f"{what or 'it'} did not happen within {seconds} s"]
        for user in users:
            lines += [json.dumps(self.people.user(user), indent=1), f"ledger: {self.ledger(user)}"]
        lines += [f"{queue}: {self.waiting(queue)}" for queue in self.queues()]
        lines += [
            f"{e['at']} {e['method']} {e['host']}{e['path']} {e['status']}" for e in self.history()[-20:]
        ]
        return "\n".join([*lines, self.log[-6000:]])

    # --- the state ---

    @property
    def log(self) -> str:
        """What the host logged during this test; since its start, if that was during this test."""
        host, begins = self._log_begins
        return self.stage.log[begins if self.stage.host is host else 0 :]

    def status(self) -> Json:
        """The answer of `GET status`."""
        answer = self.stage.call("GET", "status")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def closed(self) -> dict[str, int]:
        """The services that must not be called, and for how many seconds."""
        return {name: gate["for"] for name, gate in self.status()["gates"].items() if gate["closed"]}

    def shows_its_source(self, user: str) -> bool:
        """Whether SharePoint shows the user's photo, in three sizes."""
        source = self.people.photo(user)
        shown = {size: self.people.shown(user, size) for size in ("S", "M", "L")}
        right = all(size_of(shown[size]) == (pixels, pixels) for size, pixels in THUMBNAILS.items())
        return right and all(alike(source, each) for each in shown.values())

    def shows_nothing(self, user: str) -> bool:
        """Whether no picture was ever written for the user."""
        target = self.people.user(user)["target"]
        return not target["files"] and set(target["userphoto"].values()) == {"placeholder"}

    def settled(self, user: str) -> bool:
        """Whether the ledger says that SharePoint shows what Exchange has now."""
        row, source = self.ledger(user), self.people.user(user)["source"]
        return row.get("settled_etag") == source["etag"] and not row["dirty"] and not row["claim_until"]

    def history(self, user: str = "", *, service: str = "") -> list[Json]:
        """The requests received, tokens aside: all, or those that name the user in path or parts."""
        return [
            each
            for each in self.people.history()
            if each["host"] != ENTRA and each["service"].startswith(service) and user in str(each)
        ]

    def writes(self, user: str = "") -> list[Json]:
        """The requests that would change SharePoint."""
        return [each for each in self.history(user, service="sharepoint") if each["method"] != "GET"]

    # --- actions ---

    def add_user(self, **facts: Any) -> str:
        """Add one person with a photo to the tenant."""
        (user,) = self.people.add(**{"photo": True, **facts})
        return user

    def remove_all_users(self) -> Self:
        """Remove all users from the tenant, so that a sweep sees only those who are added later."""
        for person in self.people.users():
            self.people.change(person["id"], gone=True)
        return self

    def add_synced_user(self, **facts: Any) -> str:
        """Add a person whose photo SharePoint shows already; the history begins after that."""
        user = self.add_user(**facts)
        answer = self.stage.sync(user)
        assert answer.json()["outcome"] == "synced", answer.text
        self.people.clear_history()
        return user

    def send_sync(self, user: str, **job: Any) -> None:
        now = time.time()
        common = {"cause": "notified", "seen": now, "born": now, "tries": 0, "force": False}
        self.send("photo-syncs", {"v": 1, "job": {"user": user, **common, **job}})

    def send_check(self, *users: str, **job: Any) -> None:
        now = time.time()
        common = {"why": "notified", "seen": now, "born": now, "tries": 0, "force": False}
        self.send("photo-checks", {"v": 1, "job": {"users": [*users], **common, **job}})

    def open_sweep(self, **query: str) -> str:
        """Open a sweep and return its id; its first page is read after ten seconds."""
        answer = self.stage.call("POST", "sweeps", params=query)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["sweep"])

    def sweep(self, **query: str) -> str:
        """Open a sweep and return its id; its first page is read at once."""
        return self.start_now(self.open_sweep(**query))

    def start_now(self, sweep: str) -> str:
        """Send a sweep's first message again, not hidden: one of the two does nothing."""
        self.send("photo-sweeps", {"v": 1, "job": {"sweep": sweep, "page": 0, "born": time.time()}})
        return sweep

    def ended(self, sweep: str, *, seconds: float = 2 * PATIENCE) -> Json:
        """Wait for the end of a sweep and of the syncs that it queued; return its figures."""
        self.until(
            lambda: not self._runs(sweep), seconds=seconds, every=0.3, what=f"the end of sweep {sweep}"
        )
        self.until(lambda: not self.waiting("photo-backfill"), what="what the sweep queued")
        (figures,) = [each for each in self.status()["sweeps"] if each["id"] == sweep]
        return dict(figures)

    def _runs(self, sweep: str) -> bool:
        record = self.row("photostate", "sweep", "record")
        return record["state"] == "running" and record["id"] == sweep

    def settle(self, *but: str) -> None:
        """Let the ledger say that SharePoint shows the photos of all users but these."""
        rows: dict[str, list[Json]] = {}
        for person in self.stage.tenant.world.living():
            if person.photo and person.id not in but:
                keys = {"PartitionKey": person.id[:2], "RowKey": person.id}
                known = {"settled_etag": person.photo.etag, "upn": person.upn, "outcome": "synced"}
                rows.setdefault(person.id[:2], []).append(keys | known)
        self.write_rows("photoledger", rows.values())

    def subscribed(self) -> Json:
        """Our subscription; it is created if it does not exist."""
        answer = self.stage.subscribe()
        assert answer.ok, answer.text
        (subscription,) = [
            each for each in self.people.subscriptions() if each["id"] == answer.json()["subscription"]
        ]
        return subscription


def quiet_stage(*, settings: Mapping[str, str] | None = None, **how: Any) -> Stage:
    """A stage on which nothing happens by itself; `settings` on top of that. Its hosts start at once."""
    return Stage(settings={**QUIET, **(settings or {})}, forked=True, **how)


@contextmanager
def playing(stage: Stage) -> Iterator[Story]:
    """Start the stage; yield the story on it."""
    with stage:
        story = Story(stage)
        try:
            yield story
        finally:
            story.close()
