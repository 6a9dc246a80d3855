"""The state in which every run must end, after a long enough time without faults."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tests.simulation.judge import Violation
from tests.simulation.microsoft import Person

if TYPE_CHECKING:
    from tests.simulation.run import Run


def judge_photos(run: "Run") -> None:
    """Check the promise for the targets of all users who have a photo, after one sweep."""
    _judge({person.id[:8]: run.judge.judge_end(person) for person in _people(run) if person.photo.now})


def judge_end(run: "Run") -> None:
    """Check the promise for all targets and rows and for the last sweep's figures, after two sweeps."""
    wrong = {person.id[:8]: run.judge.judge_end(person) for person in _people(run)}
    _judge(wrong | {"the last sweep": _wrong_figures(run)})


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
    expected = {
        "seen": len(listed),
        "unanswered": 0,
        "failed": 0,
        "gone": 0,
        "skipped": sum(not p.mailbox for p in listed),
    }
    wrong = {name: (found[name], count) for name, count in expected.items() if found[name] != count}
    if found["unchanged"] + found["changed"] != len(with_photo):
        wrong["photos"] = (found["unchanged"] + found["changed"], len(with_photo))
    return f"{wrong} in {found}" if wrong else ""
