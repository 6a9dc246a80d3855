"""Every refusal of every call: for one user it delays no other, and for all users it fails none of them."""

import statistics
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.tenant.traffic.faults import Fault
from tests.fakes import bulk
from tests.fakes.world import World

OTHERS = 30
EVERY = 300.0  # seconds in which each of the others changes their photo
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


@pytest.mark.parametrize(("call", "refusal"), CASES)
def test_one_users_trouble_delays_no_other_is_named_and_heals(
    new_world: Callable[..., World], call: str, refusal: dict[str, Any]
) -> None:
    world = new_world(RECHECK_AFTER="PT20M")
    culprit = world.add(geo="eur")
    others = [world.add() for _ in range(OTHERS)]
    settle(world, culprit, *others, known=call not in FIRST_CONTACTS)
    world.fault(*faults(call, refusal, world.person(culprit)))
    world.hint(culprit)
    lags = lags_of_changes(world, others)
    for user in others:
        world.settled(user)
    assert statistics.mean(lags) <= 10, lags
    row = world.row(culprit)
    assert row.settled_etag != world.source(culprit)
    if not _an_answer(call, refusal):
        assert culprit in failing(world) or (row.outcome == "deferred" and redirected(world)), row
    assert poisoned(world) == []
    world.fault()
    world.sweep()
    world.settled(culprit)


def _an_answer(call: str, refusal: dict[str, Any]) -> bool:
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


def lags_of_changes(world: World, users: list[str]) -> list[float]:
    """Let each user change their photo within five minutes; return how long each change took, in seconds."""
    for user in users:
        world.change_photo(user)
        world.hint(user)
        world.run(EVERY / OTHERS)
    world.run(HOUR)
    return [world.row(user).lag_ms / 1000 for user in users]


def poisoned(world: World) -> list[str]:
    return [each.body for each in world.outbox.poisoned]


@pytest.mark.parametrize(("call", "refusal"), CASES)
def test_trouble_for_all_users_fails_none_of_them_and_heals(
    new_world: Callable[..., World], call: str, refusal: dict[str, Any]
) -> None:
    world = new_world(RECHECK_AFTER="PT20M")
    users = [world.add() for _ in range(5)]
    settle(world, *users, known=False)
    if call not in FIRST_CONTACTS:
        settle(world, *users, known=True)
    else:
        users += [world.add() for _ in range(4)]
    world.fault(*faults(call, refusal))
    for user in users:
        world.change_photo(user)
        world.hint(user)
        world.run(10)
    world.run(HOUR)
    assert _an_answer(call, refusal) or redirected(world) or world.app.status_report.status()["gates"]
    assert poisoned(world) == []
    world.fault()
    world.sweep()
    for user in users:
        world.settled(user)
    assert failing(world) == []
