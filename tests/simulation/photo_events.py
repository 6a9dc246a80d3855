"""The events that change photos."""

from typing import TYPE_CHECKING

from tests.simulation import posts
from tests.simulation.people import Person, Photo
from tests.simulation.pictures import UNREADABLE

if TYPE_CHECKING:
    from tests.simulation.run import Run


def people(run: "Run") -> list[Person]:
    """Return all people whose photos may change."""
    return [person for person in run.ms.people.values() if person.id not in run.judge.bystanders]


def pick_person(run: "Run") -> Person:
    """Return a person, most often the same one: only faults that meet cause harm."""
    some = people(run)
    return run.chooser.pick(some, (len(some), *[1.0] * (len(some) - 1)))


def change_any(run: "Run") -> None:
    """Let a person change their photo."""
    change(run, pick_person(run))


def replace(run: "Run", person: Person) -> None:
    """Let a person change their photo, rarely remove it: an older attempt must not undo that."""
    change(run, person, gone=0.2)


def change(run: "Run", person: Person, *, gone: float = 1.0) -> None:
    """Let a person change, restore or (weighted by `gone`) remove their photo; Graph may notify the app."""
    if person.id in run.judge.bystanders:
        return
    earlier = [photo for photo in person.photo.ever if photo]
    wanted: list[Photo | None] = [Photo(f"{person.id[:4]}.{len(person.photo.ever)}", run.ms.label())]
    weights = [4.0]
    if earlier:  # old bytes, under a new label and under the old one
        last = run.chooser.pick(earlier[::-1])
        wanted += [Photo(last.picture, run.ms.label()), last]
        weights += [2.0, 2.0]
    wanted += [None, Photo(UNREADABLE, run.ms.label())]
    photo = run.chooser.pick(wanted, [*weights, 3.0 * gone, 0.5 * gone])
    person.photo.change(photo, run.time.now())
    run.log(f"--- the photo of {person.id[:8]} is now {photo}")
    if run.chooser.pick((True, False), (0.75, 0.25)):
        posts.notify(run, [person.id])


def take_back(run: "Run", person: Person) -> None:
    """Let a person upload the photo again that the row says SharePoint shows, under a new label."""
    settled = run.judge.row(person.id).get("settled_etag")
    known = [photo for photo in person.photo.ever if photo and photo.etag == settled]
    if known and person.id not in run.judge.bystanders:
        person.photo.change(Photo(known[-1].picture, run.ms.label()), run.time.now())
        run.log(f"--- the photo of {person.id[:8]} is {person.photo.now} again")
        posts.notify(run, [person.id])


def forget(run: "Run") -> None:
    """Let the photos of all users disappear at once, or come back."""
    for person in people(run):
        last = next((photo for photo in person.photo.ever[::-1] if photo), None)
        person.photo.change(None if person.photo.now else last, run.time.now())
    run.log("--- the photos of all users are gone, or back")
