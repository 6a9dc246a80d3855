"""The queries of alerts and workbook find what the app logs."""

import re
from pathlib import Path
from typing import get_args

import pytest

from shared.ledger.row import Outcome
from shared.logs import FACTS
from shared.subscription.renewal import Did
from tests.infra.conftest import ROOT

QUERIES = sorted((ROOT / "infra").rglob("*.kql"))
_EVENT = r"[a-z]+\.[a-z_]+"


def logged() -> set[str]:
    """Return every event that `shared` and `function_app.py` can log."""
    code = "\n".join(
        path.read_text() for path in [ROOT / "function_app.py", *(ROOT / "shared").rglob("*.py")]
    )
    events = set(re.findall(rf'"({_EVENT})"', code))
    assert 'f"photo.{result.outcome}"' in code
    assert 'f"subscription.{tended.did}"' in code
    events |= {f"photo.{outcome}" for outcome in get_args(Outcome)}
    return events | {f"subscription.{did}" for did in get_args(Did)}


def problems(query: str, events: set[str]) -> list[str]:
    """Return the events and facts of a query that no log line has."""
    asked = re.findall(rf'"({_EVENT})"', query)
    prefixes = re.findall(r'startswith "([a-z]+\.)"', query)
    facts = [name for names in re.findall(r"\\s(?:\(\?:)?([a-z_|]+)\)?=", query) for name in names.split("|")]
    return [
        *(f"{event} is not logged" for event in asked if event not in events),
        *(
            f"{prefix} begins no event"
            for prefix in prefixes
            if not any(e.startswith(prefix) for e in events)
        ),
        *(f"{fact} is not a fact" for fact in facts if fact not in FACTS),
        *([] if asked or prefixes else ["no event is asked for"]),
    ]


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: "/".join(path.parts[-2:]))
def test_a_query_asks_for_events_and_facts_that_are_logged(path: Path) -> None:
    assert problems(path.read_text(), logged()) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("gate.closed", "gate.shut", "gate.shut is not logged"),
        (r"\safter=", r"\sseconds=", "seconds is not a fact"),
        ("gate.closed", "gate.", "gate.closed"),
    ],
)
def test_a_planted_fault_is_found(old: str, new: str, problem: str) -> None:
    query = (ROOT / "infra/app/queries/gate.kql").read_text()
    assert old in query
    events = logged() - {"gate.closed", "gate.unreachable"} if new == "gate." else logged()
    found = problems(query.replace(old, new), events)
    assert found == ["gate. begins no event"] if new == "gate." else found == [problem]


def test_every_query_is_used_and_every_query_that_is_used_exists() -> None:
    bicep = "".join(path.read_text() for path in (ROOT / "infra/app").glob("*.bicep"))
    used = {ROOT / "infra/app" / name for name in re.findall(r"loadTextContent\('([^']+)'\)", bicep)}
    assert used == set(QUERIES)


def test_the_tolerated_lag_stands_in_its_query_as_the_alert_replaces_it() -> None:
    alerts = (ROOT / "infra/app/alerts.bicep").read_text()
    (placeholder,) = re.findall(r"'(let tolerated = \d+m;)'", alerts)
    assert placeholder in (ROOT / "infra/app/queries/lag.kql").read_text()
