"""What must never happen, whatever goes wrong, and what must hold in the end.

The judge sees each effect in Microsoft, in the tables and in the queues at the moment that it takes place.
It does not rely on what the app reports about itself.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.crew import Worker
from tests.simulation.messages import GRAPH
from tests.simulation.microsoft import Microsoft
from tests.simulation.people import Person
from tests.simulation.scopes import MEMBERS, Scope

SKEW = 30.0  # seconds by which an instance's clock may be wrong, either way
CLAIM_FOR = 420.0  # seconds
LEAST_MISSING = 3600.0  # seconds; `REMOVE_AFTER`
BRAKE = 5  # per cent; `REMOVAL_BRAKE`
READINGS = 10  # of one page by one sweep: more than a message has deliveries


class Violation(AssertionError):
    """The promise was broken."""


@dataclass(frozen=True)
class Settled:
    """The picture that a row without a doubt says SharePoint shows, and since when."""

    time: float
    picture: str


NEVER = Settled(0.0, "")


@dataclass
class Judge:
    """Watches one run.

    Attributes:
        ms: the tenant.
        staleness: seconds by which a replica of Graph's may lag.
        keep: pictures of removed photos stay.
        scope: the users whose photos are kept in step.
        bystanders: users whose photo never changes, and which no request asks to write again.
        calm_since: the time of the last fault, 0 before that.
        outside: the time at which each user left the scope.
        found: the violations so far.
        throttled, refused: the hosts that throttled all callers so far, and the users that each host refused.
        mishaps: the number of faults that leave one message too many: a second delivery, a message whose
            sender did not get the confirmation, a write that must be repeated.
    """

    ms: Microsoft
    now: Any
    tables: Mapping[str, Any]
    outbox: Any
    staleness: float = 0.0
    keep: bool = False
    scope: Scope = MEMBERS
    bystanders: set[str] = field(default_factory=set)
    calm_since: float = 0.0
    outside: dict[str, float] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    settled: dict[str, Settled] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    looks: int = 0
    mishaps: int = 0
    doubts: Counter[str] = field(default_factory=Counter)
    readings: Counter[tuple[str, str]] = field(default_factory=Counter)
    mishaps_of: Counter[str] = field(default_factory=Counter)
    throttled: set[str] = field(default_factory=set)
    refused: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    # --- at every step ---

    def mishap(self, worker: Worker, *, leaves_a_message: bool = True, leaves_a_doubt: bool = True) -> None:
        """Count a fault that this worker met."""
        worker.mishaps += 1
        self.mishaps += leaves_a_message
        self.mishaps_of[worker.user] += leaves_a_doubt

    def look_at(self, person: Person) -> None:
        """Note whether a person is in scope, after a change that may affect it."""
        if self.scope.lists(person):
            self.outside.pop(person.id, None)
        else:
            self.outside.setdefault(person.id, self.now())

    def touched(self, worker: Worker | None, kind: str, target: str, value: Any) -> None:
        """Judge a change in SharePoint: a file (`target`: its name) or a property (`target`: the owner)."""
        if worker is None:
            return
        user = target[:36]
        self._may_write(worker, user)
        self.written.add(user)
        match kind, value:
            case "upload", _:
                picture = self.ms.picture_of(user, value)
                self._uploaded(worker, user, picture)
                self._not_late(worker, user, {picture})
            case "delete", _:
                self._not_late(worker, user, {""})
            case "property", ("SPS-PicturePlaceholderState", "1"):
                self._cleared(worker, user)
                self._not_late(worker, user, {""})
            case "property", ("PictureURL", ""):
                self._not_late(worker, user, {""})
            case "property", ("SPS-PicturePlaceholderState" | "PictureURL", _):
                self._not_late(worker, user, set(self._pictures(user, 0.0)) - {""})

    def _may_write(self, worker: Worker, user: str) -> None:
        if user != worker.user:
            self._report(f"{worker.name} wrote to the profile of {user}, its job is {worker.user}")
        if worker.instance.dry_run or worker.dry_run:
            self._report(f"{worker.name} wrote in a dry run")
        if user in self.bystanders:
            self._report(f"{worker.name} wrote for {user}, whose photo never changed")
        if self.outside.get(user, worker.claimed_at) < worker.claimed_at:
            self._report(f"{worker.name} wrote for {user}, who was already out of scope when it claimed")

    def _uploaded(self, worker: Worker, user: str, picture: str) -> None:
        since = worker.claimed_at - self.staleness
        if picture not in self._pictures(user, since):
            self._report(f"{worker.name} wrote {picture}, which the user has not had since the claim")

    def _cleared(self, worker: Worker, user: str) -> None:
        if "" not in self._pictures(user, worker.claimed_at - self.staleness):
            self._report(f"{worker.name} cleared a photo that existed all the time")
        if not worker.removes:
            missing, now = worker.missing_since, worker.instance.clock.now()
            if not missing or now - missing < LEAST_MISSING - 2 * SKEW:
                self._report(f"{worker.name} cleared a photo missing since {missing}, {now - missing:.0f} s")
            elif missing < self.settled.get(user, NEVER).time - 2 * SKEW:
                self._report(f"{worker.name} cleared a photo that was settled since it was noted as missing")
            elif "" not in self._pictures(user, missing - self.staleness - SKEW, missing + SKEW):
                self._report(f"{worker.name} cleared a photo that existed when it was noted as missing")

    def _not_late(self, worker: Worker, user: str, pictures: set[str]) -> None:
        """Report a write of an older attempt that arrives after a settle: the settle says that none can.

        Args:
            worker: the sender of the write.
            user: the owner of the target.
            pictures: the pictures that the write can belong to ("" no picture): for these it is harmless.
        """
        settled = self.settled.get(user)
        if settled and worker.claimed_at < settled.time and settled.picture not in pictures:
            late = " or ".join(sorted(pictures)) or "nothing"
            self._report(f"{worker.name} wrote {late} after {settled.picture or 'nothing'} was settled")

    def noted(self, worker: Worker | None, table: str, key: str, columns: Mapping[str, Any]) -> None:
        """Judge the columns that were written to a row."""
        if worker and table == "photostate" and "closed_until" in columns:
            self._closes(worker, key)
        if worker is None or table != "photoledger":
            return
        if worker.instance.dry_run or worker.dry_run:
            self._report(f"{worker.name} wrote to the ledger in a dry run: {sorted(columns)}")
        if "claim_token" in columns:
            if key in self.bystanders:
                self._report(f"{worker.name} claims {key}, whose photo never changed")
            worker.claimed_at = self.now()
            worker.missing_since = self.row(key).get("missing_since", 0.0)
        worker.marked |= columns.get("dirty") is True
        if "claim_until" in columns:
            worker.claim_until = columns["claim_until"] or worker.claim_until
            worker.claim_ended = 0.0 if columns["claim_until"] else worker.instance.clock.now()
        if "settled_etag" in columns and not (self.row(key) | columns).get("dirty"):
            self._settles(worker, key, self._picture(key, columns["settled_etag"]))

    def answered(self, worker: Worker, host: str, answer: object) -> None:
        """Note whether a host throttled all callers, or which users' calls it refused."""
        status, headers = getattr(answer, "status", 0), getattr(answer, "headers", {})
        if status == 429 or (status == 503 and "Retry-After" in headers):
            self.throttled.add(host)
        if _is_refusal(status, getattr(answer, "body", None)):
            self.refused[host].update(getattr(worker.job, "users", (worker.user,)))

    def _closes(self, worker: Worker, gate: str) -> None:
        """Report a gate that was closed because of one user, who is no reason to keep all others waiting."""
        host = gate.partition("@")[2] or GRAPH
        if host not in self.throttled and len(self.refused[host]) < 2:
            self._report(f"{worker.name} closes the gate {gate} because of {self.refused[host]}")

    def _settles(self, worker: Worker, user: str, picture: str) -> None:
        """Judge a settle without a doubt: at this moment SharePoint must show the picture."""
        if self.keep and not picture:  # the app promises nothing about a picture that is kept
            self.settled.pop(user, None)
            return
        self.settled[user] = Settled(self.now(), picture)
        if not self.ms.agrees(user, picture):
            shown = self.ms.shown(user) or "nothing"
            self._report(f"{worker.name} settles {picture or 'nothing'}, and SharePoint shows {shown}")

    def sent(self, worker: Worker | None, queue: str, body: str) -> None:
        """Judge a message that was put into a queue."""
        job = json.loads(body)["job"]
        self.looks += len(job.get("users", ()))
        if worker and ("users" in job or "user" in job):
            self._follows(worker, queue, job)
        if worker and job.get("removal") and hasattr(worker.job, "sweep"):
            self._removes(worker, worker.job.sweep)
        if worker and "users" in job and hasattr(worker.job, "user"):  # a settle in doubt has it checked
            self._doubts(worker.job.user)
        if len(self.outbox.messages) > 20 + 4 * len(self.ms.people) + self.looks + self.mishaps:
            count = len(self.outbox.messages)
            self._report(f"{count} messages at once, after {self.looks} looks and {self.mishaps} mishaps")

    def _follows(self, worker: Worker, queue: str, job: Mapping[str, Any]) -> None:
        """Report a second successor: a message is followed, or repeated, by one message for each user."""
        looks = 2 if job.get("why") == "rechecked" and getattr(worker.job, "why", "") == "notified" else 1
        if job.get("cause") == "asked" and worker.job is None:
            looks += 1  # a request replaces its own message by the job that comes back
        for user in job.get("users") or [job["user"]]:
            if job.get("removal"):  # Graph may list a user on two pages, which is harmless
                looks = max(1, self._listed(getattr(worker.job, "sweep", ""), user))
            what = queue + ("!" if job.get("letters") else ""), user, job.get("why") or job["cause"]
            worker.sent[what] += 1
            if worker.sent[what] > looks + worker.mishaps:
                self._report(f"{worker.name} sends {worker.sent[what]} messages of {what}")

    def _listed(self, sweep: str, user: str) -> int:
        parts = self.tables["photoparts"].rows.items()
        return sum(user in columns.get("users", "") for (part, _), (columns, _) in parts if part == sweep)

    def _doubts(self, user: str) -> None:
        """Report a doubt without a cause of its own: no doubt causes another."""
        self.doubts[user] += 1
        if self.doubts[user] > 1 + self.mishaps_of[user]:
            self._report(f"{self.doubts[user]} doubts about {user} after {self.mishaps_of[user]} mishaps")

    def _removes(self, worker: Worker, sweep: str) -> None:
        kept = self.tables["photostate"].rows.get(("sweeps", sweep), ({}, ""))[0]
        if kept.get("state") == "released":
            return
        parts = self.tables["photoparts"].rows.items()
        letters = "".join(columns.get("letters", "") for (part, _), (columns, _) in parts if part == sweep)
        shown = sum(letter.isupper() for letter in letters)
        lost = sum(letters.count(letter) for letter in "MRG")
        if (lost > 20 and lost * 100 > BRAKE * shown) or (lost > 2 and lost * 2 > shown):
            self._report(f"{worker.name} removes although {lost} of {shown} are lost: {letters}")

    def read(self, worker: Worker, url: str) -> None:
        """Judge a request for a page of a list: no sweep reads the same page for ever."""
        sweep = getattr(worker.job, "sweep", "")
        if not sweep or "$batch" in url:
            return
        self.readings[sweep, url] += 1
        if self.readings[sweep, url] > READINGS + self.mishaps:
            self._report(f"{worker.name} reads the page {url} again after {self.mishaps} mishaps")

    def in_scope(self, user: Person) -> bool:
        """Whether the app keeps this person's photo in step."""
        return self.scope.lists(user) and user.mailbox

    def row(self, user: str) -> Mapping[str, Any]:
        """Return the columns of a person's row."""
        return self.tables["photoledger"].rows.get((user[:2], user), ({}, ""))[0]

    def _pictures(self, user: str, since: float, until: float | None = None) -> set[str]:
        """Return the pictures of a user at any moment between two times, "" for no photo."""
        end = self.now() if until is None else until
        return {photo.picture if photo else "" for photo in self.ms.people[user].photo.during(since, end)}

    def _picture(self, user: str, etag: str) -> str:
        known = (photo for photo in reversed(self.ms.people[user].photo.ever) if photo and photo.etag == etag)
        found = next(known, None)
        return found.picture if found else ""

    def _report(self, what: str) -> None:
        self.found.append(what)


def _is_refusal(status: int, body: object) -> bool:
    """Return whether an answer, a part of it, or the query in it failed; `status` 0 for no answer."""
    parts = body.get("responses", ()) if isinstance(body, dict) else ()
    query = (
        body[0].get("ErrorInfo") if isinstance(body, list) and body and isinstance(body[0], dict) else None
    )
    return not status or query is not None or max([status, *(part["status"] for part in parts)]) >= 400
