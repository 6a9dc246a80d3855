"""Every refusal of every call that the app makes, as faults of the tenant."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.tenant.traffic.faults import Fault
from tests.fakes import bulk
from tests.fakes.world import World

HOUR = 3600.0
HTML = {"status": 200, "body": "<!DOCTYPE html><p>Sign in"}

REFUSALS: dict[str, dict[str, Any]] = {
    **{str(status): {"status": status} for status in (302, 308, 400, 401, 403, 404, 409, 423)},
    **{str(status): {"status": status} for status in (429, 500, 502, 503, 504, 507)},
    "429 with a time": {"status": 429, "retry_after": 30},
    "503 with a time": {"status": 503, "retry_after": 30},
    "dropped": {"drop": True},
    "html": HTML,
}


def faults(call: str, refusal: dict[str, Any], person: Any = None) -> Iterator[Fault]:
    """Yield the faults that refuse a call, of one person or of all."""
    user, upn = (person.id, person.upn.partition("@")[0]) if person else ("", "")
    match call:
        case "batch":
            yield Fault(service="graph", path=r"\$batch", content=user, **refusal)
        case "part":
            yield Fault(part=True, path=f"{user}/photo$", **refusal)
        case "bytes":  # in the batch if it is a status, and alone
            in_batch = refusal if _of_a_part(refusal) else {"status": 200, "body": "no base64"}
            yield Fault(part=True, path=rf"{user}/photo/\$value", **in_batch)
            yield Fault(service="graph", path=rf"{user}/photo/\$value", **refusal)
        case "profile":
            yield Fault(service="sharepoint-profiles", path=f"GetPropertiesFor.*{upn}", **refusal)
        case "folders":
            yield Fault(service="sharepoint-files", host=_library(person), path="/Folders", **refusal)
        case "upload":
            yield Fault(service="sharepoint-files", path=f"{user}_SThumb", **refusal)
        case "query":
            yield Fault(service="sharepoint-profiles", path="ProcessQuery", content=upn, **refusal)


def _of_a_part(refusal: dict[str, Any]) -> bool:
    return "status" in refusal and refusal is not HTML


def _library(person: Any) -> str:
    """Return the host of a person's geo; folders are not asked for by name, so one user has their own geo."""
    return f"contoso{person.geo}-my.sharepoint.com" if person else ""


CALLS = ("batch", "part", "bytes", "profile", "folders", "upload", "query")
FIRST_CONTACTS = ("profile", "folders")
CASES = [
    pytest.param(call, refusal, id=f"{name} on {call}")
    for call in CALLS
    for name, refusal in REFUSALS.items()
    if call != "part" or _of_a_part(refusal)
]


def an_answer(call: str, refusal: dict[str, Any]) -> bool:
    """Return whether this says that something does not exist, which is not a refusal."""
    return refusal == {"status": 404} and call in ("part", "bytes", "profile", "folders")


def failing(world: World) -> list[str]:
    return [each["user"] for each in world.app.status_report.status()["failed"]["newest"]]


def redirected(world: World) -> bool:
    """Return whether the status says that SharePoint moved, which is what a redirect of it means."""
    return any("redirect" in problem for problem in world.app.status_report.status()["problems"])


def settle(world: World, *users: str, known: bool) -> None:
    """Have SharePoint show an earlier photo of every user; the first is known only if `known` says so."""
    first, *others = users
    for user in users if known else others:
        bulk.settle(world, user, '"OTHER"')
    if known and world.person(first).geo:
        world.note(first, geo=_library(world.person(first)))


def poisoned(world: World) -> list[str]:
    return [each.body for each in world.outbox.poisoned]
