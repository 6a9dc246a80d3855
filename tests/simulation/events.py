"""The events of a run outside the app: changes of users, notifications, sweeps, outages, crashes."""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.admin.sync_user import UserSyncRequest
from tests.fakes.host import MAX_DEQUEUE_COUNT
from tests.simulation import posts
from tests.simulation.crew import Worker
from tests.simulation.judge import CLAIM_FOR
from tests.simulation.people import MY_HOSTS, Person, Photo
from tests.simulation.photo_events import change_any, forget, people, pick_person
from tests.simulation.pictures import data_of

if TYPE_CHECKING:
    from tests.simulation.run import Run

HOUR = 3600.0
SHORTEST_LAG = HOUR / 2  # seconds, at least, until SharePoint knows a name that changed in the directory
SHORTEST_STAY = 2 * CLAIM_FOR  # seconds in one geo, at least
STRANGERS = [f"{number:08x}-5757-4757-8757-575757575757" for number in range(20)]
SPELLS = (600.0, 30.0, 120.0, HOUR, 6 * HOUR)  # seconds


def populate(run: "Run") -> None:
    """Add users, some of which the app knows already, and create the subscription."""
    count = run.chooser.pick((2, 1, 3, 4, 6), (0.35, 0.2, 0.25, 0.15, 0.05))
    for number in range(count):
        photo = None if run.chooser.happens(0.15) else Photo(f"{number}.0", run.ms.label())
        person = run.ms.add(f"user{number}@contoso.com", photo)
        if photo and not run.chooser.happens(0.25):
            _mark_known(run, person, photo)
        person.grouped = run.judge.scope.grouped != run.chooser.happens(0.2)
        run.judge.look_at(person)
    photo = Photo("bystander", run.ms.label())
    bystander = run.ms.add("bystander@contoso.com", photo)
    bystander.grouped = run.judge.scope.grouped
    _mark_known(run, bystander, photo)
    run.judge.bystanders.add(bystander.id)
    run.endpoints.subscriptions["one"] = {
        "id": "00000000-0000-0000-0000-000000000001",
        "clientState": run.instances[0].services.client_state.make(),
    }


def _mark_known(run: "Run", person: Person, photo: Photo) -> None:
    """Let SharePoint show a photo, and the row say the same."""
    run.ms.show(person.id, photo)
    profile = run.ms.profile_of(person.id)
    assert profile is not None
    columns = {
        "settled_etag": photo.etag,
        "settled_sha256": hashlib.sha256(data_of(photo.picture)).hexdigest(),
        "upn": person.upn.now,
        "geo": profile.my_host,
        "home": run.instances[0].services.settings.sharepoint_host,
        "folder": run.ms.folders[profile.my_host],
        "outcome": "synced",
    }
    run.tables["photoledger"].merge(person.id[:2], person.id, columns, "")
    run.judge.written.add(person.id)


def trigger(run: "Run") -> None:
    """Let one event happen."""
    event = run.chooser.pick([event for event, _ in EVENTS], [weight for _, weight in EVENTS])
    event(run)


def _hint(run: "Run") -> None:
    users = [run.chooser.pick(list(run.ms.people)) for _ in range(run.chooser.pick((1, 2, 3, 5)))]
    if run.chooser.happens(0.1):
        users[:0] = STRANGERS  # enough that the webhook writes two messages
    posts.notify(run, users)


def _sweep(run: "Run") -> None:
    run.open_sweep()


def _renew(run: "Run") -> None:
    if run.chooser.happens(0.5):
        run.log("--- the subscription is lost")
        run.endpoints.subscriptions.clear()
    run.call("renew_subscription", lambda instance: instance.services.renewal.tend())


def _release(run: "Run") -> None:
    if braked := run.braked():
        run.release(run.chooser.pick(braked))


def _sync_user(run: "Run") -> None:
    person = pick_person(run)
    if person.gone:
        return
    how = run.chooser.pick(({}, {"force": True}, {"dry_run": True}, {"remove": True}), (0.5, 0.2, 0.1, 0.2))
    request = UserSyncRequest(person.id, **how)
    facts = {"user": person.id, "dry_run": "dry_run" in how, "removes": "remove" in how}
    run.call(f"sync_user {how}", lambda instance: instance.services.user_sync.sync_user(request), **facts)


def _rename(run: "Run") -> None:
    """Rename a person, swap the names of two, or give one the name of a person who left."""
    person, lag = pick_person(run), run.chooser.pick((SHORTEST_LAG, 4 * HOUR))
    if person.gone or run.ms.confuses(person):
        return
    others = [
        other
        for other in people(run)
        if other is not person
        and not (run.ms.waits_for(person) or run.ms.waits_for(other) or run.ms.confuses(other))
    ]
    other = run.chooser.pick([None, *others])
    old = person.upn.now
    new = other.upn.now if other else f"{person.id[:4]}{len(person.upn.ever)}@contoso.com"
    if _is_known_as(run, person, new) or (other and _is_known_as(run, other, old)):
        return  # a user never gets back a name that their row still has: an assumption of docs/guarantees.md
    run.log(f"--- {person.id[:8]} is renamed from {old} to {new}")
    if other and not other.gone:
        if run.chooser.happens(0.5):
            _delete(run, other)
        else:
            run.ms.rename(other, old, lag)
    run.ms.rename(person, new, lag)


def _is_known_as(run: "Run", person: Person, name: str) -> bool:
    return bool(run.judge.row(person.id).get("upn") == name)


def _leave(run: "Run") -> None:
    """Let a person leave, for a while or for good, or come back."""
    away = [person for person in people(run) if not person.gone and not run.judge.in_scope(person)]
    if away and run.chooser.happens(0.5):
        come_back(run, run.chooser.pick(away))
        return
    person = pick_person(run)
    weights = (2, 1, 2 if run.judge.scope.depends_on_group else 0, 1, 1)
    match run.chooser.pick(("disabled", "guest", "group", "mailbox", "gone"), weights):
        case "disabled":
            person.enabled = not person.enabled
        case "guest":
            person.guest = not person.guest
        case "group":
            person.grouped = not person.grouped
        case "mailbox":
            person.mailbox = not person.mailbox
        case _:
            _delete(run, person)
    _note_account(run, person)


def come_back(run: "Run", person: Person) -> None:
    """Bring a person back into scope."""
    person.enabled, person.guest, person.mailbox = True, False, True
    person.grouped = run.judge.scope.grouped
    _note_account(run, person)


def _note_account(run: "Run", person: Person) -> None:
    """Tell the judge and the trace how a person's account is now."""
    run.judge.look_at(person)
    facts = f"{person.enabled=} {person.guest=} {person.grouped=} {person.mailbox=} {person.gone=}"
    run.log(f"--- {person.id[:8]} is now {facts}")


def _delete(run: "Run", person: Person) -> None:
    person.gone = True
    run.judge.look_at(person)
    run.ms.arrivals.pop(person.id, None)


def _move(run: "Run") -> None:
    if run.chooser.happens(0.3):
        host = run.chooser.pick(MY_HOSTS)
        if any(_writes(worker) for worker in run.workers):
            return  # not in the seconds of a write: an assumption of docs/guarantees.md
        run.log(f"--- the folder on {host} gets another name")
        run.ms.move_folder(host)
    else:
        person = pick_person(run)
        if run.time.now() - run.ms.moved.get(person.id, 0.0) < SHORTEST_STAY:
            return  # no move there and back within one write: an assumption of docs/guarantees.md
        if _returns_under_a_write(run, person):
            return  # likewise one that ends where the ledger still believes the user
        run.log(f"--- {person.id[:8]} moves to the other geo")
        run.ms.move(person.id)


def _returns_under_a_write(run: "Run", person: Person) -> bool:
    """Whether a worker writes to the geo that the ledger has for a person, who would move there now."""
    profile, known = run.ms.profile_of(person.id), run.judge.row(person.id).get("geo")
    away = profile is not None and bool(known) and profile.my_host != known
    return away and any(worker.user == person.id and _writes(worker) for worker in run.workers)


def _writes(worker: Worker) -> bool:
    """Whether a worker has begun to write and may still settle its write."""
    return worker.marked and worker.holds_claim and worker.claim_until > worker.instance.clock.now()


def _pull(run: "Run") -> None:
    person = pick_person(run)
    run.log(f"--- SharePoint pulls the photo of {person.id[:8]}")
    run.ms.pull(person.id)


def _outage(run: "Run") -> None:
    service = run.chooser.pick(("graph", "files", "profiles", "storage", "queues"))
    kinds = ("refused",) if service in ("storage", "queues") else ("down", "throttled", "refused", "denied")
    how = run.chooser.pick(kinds)
    spell = run.chooser.pick(SPELLS)
    run.log(f"--- {service} is {how} for {spell:.0f} s")
    run.outages[service] = (run.time.now() + spell, how)


def _circle(run: "Run") -> None:
    """Let each page of Graph's lists name itself as the next one, while a sweep runs."""
    spell = run.chooser.pick(SPELLS)
    run.log(f"--- lists come back to the same page for {spell:.0f} s")
    run.outages["lists"] = (run.time.now() + spell, "circling")
    run.open_sweep()


def _crash(run: "Run") -> None:
    number = run.chooser.pick(range(len(run.instances)))
    dry = {"DRY_RUN": "true"} if run.chooser.happens(0.2) else {}
    run.log(f"--- instance {number} dies{', the next one is a dry run' if dry else ''}")
    run.lose_instance(number, **dry)


def _give_up(run: "Run") -> None:
    """Let a message reach its last delivery: every host that took it died."""
    waiting = [message for message in run.outbox.messages if not message.queue.endswith("-poison")]
    if waiting:
        message = run.chooser.pick(waiting)
        run.log(f"--- {message.queue}#{message.id.removeprefix('message-')} was delivered too often")
        message.dequeue_count = MAX_DEQUEUE_COUNT


def _wait(run: "Run") -> None:
    spell = run.chooser.pick(SPELLS)
    run.log(f"--- {spell:.0f} s pass")
    for worker in run.workers:  # a worker that waits for an answer or holds a claim may time out
        run.judge.mishap(worker)
    run.advance(spell)


EVENTS: tuple[tuple[Callable[["Run"], None], float], ...] = (
    (_wait, 2.0),
    (change_any, 7.0),
    (forget, 0.5),
    (_hint, 1.0),
    (posts.announce, 0.4),
    (_sweep, 2.5),
    (_renew, 0.4),
    (_release, 0.5),
    (_sync_user, 1.0),
    (_rename, 0.8),
    (_leave, 0.6),
    (_move, 0.6),
    (_pull, 0.6),
    (_outage, 0.8),
    (_crash, 0.8),
    (_give_up, 0.5),
    (_circle, 0.3),
)
