"""The state in which every run must end, after a long enough time without faults."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.simulation.judge import CLAIM_FOR, SKEW, Judge, Violation
from tests.simulation.people import Person
from tests.simulation.pictures import UNREADABLE

if TYPE_CHECKING:
    from tests.simulation.run import Run


def judge_photos(run: "Run") -> None:
    """Check the promise for the targets of all users who have a photo, after one sweep."""
    _judge({person.id[:8]: _wrong(run.judge, person) for person in _people(run) if person.photo.now})


def doubts_a_removal(run: "Run") -> bool:
    """Return whether a picture was removed in doubt: its row stays dirty until the next sweep.

    Raises `Violation` where such a picture still shows after two sweeps.
    """
    doubted = [person for person in _people(run) if _is_removed_in_doubt(run.judge, person)]
    still = {person.id[:8]: run.ms.shown(person.id) for person in doubted if not run.ms.agrees(person.id, "")}
    _judge({person: f"shows {shown}, and was removed" for person, shown in still.items()})
    return bool(doubted)


def judge_end(run: "Run") -> None:
    """Check the promise for all targets and rows and for the last sweep's figures, after two sweeps."""
    wrong = {person.id[:8]: _wrong(run.judge, person) for person in _people(run)}
    _judge(wrong | {"the last sweep": _wrong_figures(run)})


def _is_removed_in_doubt(judge: Judge, user: Person) -> bool:
    row = judge.row(user.id)
    known = judge.in_scope(user) and judge.ms.profile_of(user.id) is not None
    return known and user.photo.now is None and row.get("dirty", False) and row["outcome"] == "cleared"


def _wrong(judge: Judge, user: Person) -> str:
    """Return what is wrong with a person's target and row in the end, "" for nothing."""
    row, shown, photo = judge.row(user.id), judge.ms.shown(user.id), user.photo.now
    if row.get("claim_until", 0.0) > judge.calm_since + CLAIM_FOR + 2 * SKEW:
        return "a claim that was taken in the calm never ended"
    if not judge.in_scope(user) or judge.ms.profile_of(user.id) is None:
        return ""
    if photo is None:
        return _wrong_without_photo(judge, user, row, shown)
    if photo.picture == UNREADABLE:
        outcome = row.get("outcome")
        return "" if outcome == "failed" else f"the photo is unreadable, and the outcome is {outcome}"
    if row.get("settled_etag") != photo.etag:
        return f"settled {row.get('settled_etag')}, the source is {photo}"
    if row.get("dirty"):
        return "the row is dirty"
    if not judge.ms.agrees(user.id, photo.picture):
        return f"shows {shown or 'nothing'}, the source is {photo}"
    return ""


def _wrong_without_photo(judge: Judge, user: Person, row: Mapping[str, Any], shown: str) -> str:
    if row.get("dirty"):
        return "the row of a user without a photo is dirty"
    if row.get("settled_etag"):
        return "the row of a user without a photo is settled"
    wrong = not judge.keep and user.id in judge.written and not judge.ms.agrees(user.id, "")
    return f"shows {shown}, and the user has no photo" if wrong else ""


def _people(run: "Run") -> list[Person]:
    run.ms.settle_arrivals()
    return list(run.ms.people.values())


def _judge(wrong: Mapping[str, str]) -> None:
    if any(wrong.values()):
        raise Violation("; ".join(f"{subject}: {what}" for subject, what in wrong.items() if what))


def _wrong_figures(run: "Run") -> str:
    """Return what is wrong with the figures of the last sweep, "" if nothing is."""
    found = run.instances[0].app.status_report.status()["sweeps"][0]
    listed = [person for person in run.ms.people.values() if run.judge.scope.lists(person)]
    with_photo = [p for p in listed if p.mailbox and p.photo.now]
    skipped = sum(not p.mailbox for p in listed)
    expected = {"seen": len(listed), "unanswered": 0, "failed": 0, "gone": 0, "skipped": skipped}
    wrong = {name: (found[name], count) for name, count in expected.items() if found[name] != count}
    if found["unchanged"] + found["changed"] != len(with_photo):
        wrong["photos"] = (found["unchanged"] + found["changed"], len(with_photo))
    return f"{wrong} in {found}" if wrong else ""
