"""A refusal is known by its status, its error type and its number, in whatever language SharePoint writes."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from local.tenant.traffic.faults import Fault
from tests.fakes import bulk
from tests.fakes.world import World

HOUR = 3600.0
USERS = 30
E_ACCESSDENIED = -2147024891
SERVER_EXCEPTION = "Microsoft.SharePoint.Client.ServerException"


def query_error(text: str, number: int, kind: str) -> dict[str, Any]:
    error = {
        "ErrorMessage": text,
        "ErrorValue": None,
        "TraceCorrelationId": "1",
        "ErrorCode": number,
        "ErrorTypeName": kind,
    }
    head = {"SchemaVersion": "15.0.0.0", "LibraryVersion": "16.0.1.1", "ErrorInfo": error}
    return {"status": 200, "body": json.dumps([{**head, "TraceCorrelationId": "1"}])}


GERMAN = "Zugriff verweigert. Sie haben keine Berechtigung, diesen Vorgang auszuführen."
OWN_DATA = "Für diesen Vorgang müssen Sie Ihre eigenen Daten verwalten oder Administratorrechte besitzen."
DENIALS = [
    pytest.param(query_error(GERMAN, E_ACCESSDENIED, "System.UnauthorizedAccessException"), id="by its type"),
    pytest.param(query_error(GERMAN, E_ACCESSDENIED, SERVER_EXCEPTION), id="by its number"),
    pytest.param(query_error("Accès refusé.", E_ACCESSDENIED, SERVER_EXCEPTION), id="in French"),
    pytest.param({"status": 403, "body": "<html>Zugriff verweigert"}, id="by its status"),
]


@pytest.fixture
def changed(new_world: Callable[..., World]) -> tuple[World, list[str]]:
    """A world in which thirty known users have changed their photo."""
    world = new_world()
    users = bulk.add_users(world, USERS)
    for user in users:
        bulk.settle(world, user, '"OTHER"')
        world.ask(user)
    return world, users


def queries(world: World) -> int:
    return len([request for request in world.requests("sharepoint-profiles") if "ProcessQuery" in request])


@pytest.mark.parametrize("denial", DENIALS)
def test_a_denial_of_all_users_costs_a_few_calls_and_fails_no_user(
    changed: tuple[World, list[str]], denial: dict[str, Any]
) -> None:
    world, users = changed
    world.fault(Fault(service="sharepoint-profiles", path="ProcessQuery", **denial))
    world.run(HOUR)
    assert queries(world) <= 20
    assert world.outbox.poisoned == []
    assert {world.row(user).settled_etag for user in users} == {'"OTHER"'}
    world.fault()
    world.run(HOUR)
    assert all(world.row(user).outcome == "synced" for user in users)


def test_a_refusal_that_only_its_text_explains_closes_the_gate_when_a_second_user_meets_it(
    changed: tuple[World, list[str]],
) -> None:
    world, users = changed
    refusal = query_error(OWN_DATA, -1, SERVER_EXCEPTION)
    world.fault(Fault(service="sharepoint-profiles", path="ProcessQuery", **refusal))
    world.run(3 * HOUR)
    (gate,) = world.app.status_report.status()["gates"]
    assert gate.startswith("sharepoint-profiles")
    assert world.outbox.poisoned == []
    assert world.app.status_report.status()["failed"]["users"] <= 3
    assert len([each for each in world.queued() if each.user in users]) >= USERS - 3
    world.fault()
    world.run(HOUR)
    world.sweep()
    assert all(world.row(user).outcome in ("synced", "unchanged") for user in users)


@pytest.mark.parametrize(
    "text",
    [
        "User Profile Error 1000: User Not Found: Could not load profile data from the database.",
        "Benutzerprofilfehler 1000: Benutzer nicht gefunden: Profildaten konnten nicht geladen werden.",
        "Erreur de profil utilisateur 1000 : utilisateur introuvable.",
    ],
)
def test_a_profile_that_is_not_found_is_looked_up_again_in_any_language(world: World, text: str) -> None:
    user = world.add()
    bulk.settle(world, user, '"OTHER"')
    error = query_error(text, -1, SERVER_EXCEPTION)
    world.fault(Fault(service="sharepoint-profiles", path="ProcessQuery", next=1, **error))
    world.ask(user)
    world.host.deliver_due()
    world.settled(user)
    assert len([request for request in world.requests() if "GetPropertiesFor" in request]) == 1
