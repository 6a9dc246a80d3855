"""How every run must end, once the weather was calm for long enough."""

from typing import TYPE_CHECKING

from tests.simulation.judge import Violation

if TYPE_CHECKING:
    from tests.simulation.run import Run


def judge_end(run: "Run") -> None:
    """Hold everybody's target and row, and the last sweep's figures, to the promise."""
    run.ms.settle_arrivals()
    wrong = {person.id[:8]: run.judge.judge_end(person) for person in run.ms.people.values()}
    wrong = {user: what for user, what in wrong.items() if what}
    if figures := _wrong_figures(run):
        wrong["the last sweep"] = figures
    if wrong:
        raise Violation("; ".join(f"{user}: {what}" for user, what in wrong.items()))


def _wrong_figures(run: "Run") -> str:
    """Return what is wrong with the figures of the last sweep, "" if nothing is."""
    found = run.instances[0].app.health.status()["sweeps"][0]
    listed = [p for p in run.ms.people.values() if p.enabled and not p.gone and not p.guest]
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
