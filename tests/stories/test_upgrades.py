"""Another release, or other settings, over the same queues and tables, with messages on their way."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from shared.jobs import Backfill, Check, SweptCheck, Sync
from tests.fakes.external_steps import ExternalSteps
from tests.fakes.world import World

HOST, OTHER_HOST = "contoso.sharepoint.com", "fabrikam.sharepoint.com"


def send(world: World, queue: str, job: Mapping[str, Any], *, version: int = 1) -> None:
    """Queue a message as another release wrote it."""
    world.outbox.put(queue, json.dumps({"v": version, "job": job}), 0)


def called(steps: ExternalSteps) -> set[str]:
    return {step.removeprefix("call ") for step in steps.taken if step.startswith("call ")}


# --- another release ---


@pytest.mark.parametrize(
    ("queue", "fields"),
    [
        pytest.param(Check.queue, {"why": "notified"}, id="check"),
        pytest.param(SweptCheck.queue, {"why": "swept"}, id="a sweep's check"),
        pytest.param(Sync.queue, {"cause": "rechecked"}, id="sync"),
        pytest.param(Backfill.queue, {"cause": "repaired"}, id="a sweep's sync"),
    ],
)
def test_a_message_of_the_first_release_is_done(world: World, queue: str, fields: dict[str, str]) -> None:
    user, now = world.add(), world.clock.now()
    named = {"users": [user]} if "why" in fields else {"user": user}
    send(world, queue, {**named, **fields, "seen": now, "born": now, "tries": 0, "force": False})
    world.drain()
    world.settled(user)
    assert (world.outbox.poisoned, world.host.failures) == ([], [])


@pytest.mark.parametrize("queue", [Sync.queue, Backfill.queue])
@pytest.mark.parametrize(
    ("version", "more"), [(1, {"colour": "blue"}), (2, {})], ids=["a new field", "a new version"]
)
def test_a_message_of_a_newer_release_is_poison_that_status_shows_and_a_sweep_heals(
    world: World, queue: str, version: int, more: dict[str, str]
) -> None:
    user, now = world.add(), world.clock.now()
    world.ask(user)
    world.drain()
    world.change_photo(user)
    job = {"user": user, "cause": "notified", "seen": now, "born": now, "tries": 0, "force": False, **more}
    send(world, queue, job, version=version)
    world.drain()
    shown = world.app.status_report.status()
    assert [message["queue"] for message in shown["poison"]] == [queue]
    assert [failing["user"] for failing in shown["failed"]["newest"]] == [user]
    world.sweep()
    world.settled(user)
    assert world.app.status_report.status()["failed"]["users"] == 0


def test_what_a_newer_release_wrote_into_a_row_survives_the_writes_of_this_one(world: World) -> None:
    user = world.add()
    world.ask(user)
    world.drain()
    world.note(user, colour="blue", outcome="an outcome of that release")
    world.change_photo(user)
    world.sweep()
    world.settled(user)
    columns, _ = world.ledger.rows[user[:2], user]
    assert (columns["colour"], columns["outcome"]) == ("blue", "synced")


def test_a_row_without_the_columns_of_this_release_costs_one_look_up_of_its_target(world: World) -> None:
    user = world.add()
    world.ask(user)
    world.drain()
    columns, version = world.ledger.rows[user[:2], user]
    del columns["home"], columns["recheck_at"]
    world.ledger.rows[user[:2], user] = columns, version
    costs = []
    for _ in range(2):
        world.change_photo(user)
        world.tenant.history.clear()
        world.ask(user)
        world.drain()
        world.settled(user)
        costs.append(len(world.requests()))
    assert costs == [7, 5]


# --- another SHAREPOINT_HOST ---


@pytest.mark.parametrize("asked", ["by a queued message", "by a forced sweep"])
def test_after_a_change_of_the_host_no_call_goes_to_the_hosts_of_before(world: World, asked: str) -> None:
    user = world.add()
    world.ask(user)
    world.drain()
    world.note(user, home=OTHER_HOST, geo="fabrikam-my.sharepoint.com", folder="/User Photos/Theirs")
    if asked == "by a queued message":
        world.change_photo(user)
        world.ask(user)
    world.restart()
    world.steps.taken.clear()
    world.sweep(force=asked == "by a forced sweep")
    world.settled(user)
    assert called(world.steps) == {
        "graph.microsoft.com",
        "contoso-my.sharepoint.com",
        "contoso-admin.sharepoint.com",
    }
    assert (world.row(user).home, world.row(user).geo) == (HOST, "contoso-my.sharepoint.com")


def test_after_a_change_of_the_host_an_unchanged_photo_waits_for_a_forced_sweep(world: World) -> None:
    user = world.add()
    world.ask(user)
    world.drain()
    world.note(user, home=OTHER_HOST, geo="fabrikam-my.sharepoint.com")
    world.tenant.history.clear()
    world.sweep()
    assert world.requests("sharepoint") == []
    world.sweep(force=True)
    assert world.row(user).home == HOST


# --- another SCOPE ---


def test_messages_on_their_way_are_decided_by_the_scope_that_is_set_when_they_are_done(
    new_world: Callable[..., World],
) -> None:
    world = new_world(SCOPE="members+guests")
    shown, waiting = world.add(guest=True), world.add(guest=True)
    world.ask(shown)
    world.drain()
    before = world.source(shown)
    world.change_photo(shown)
    for user in (shown, waiting):
        world.ask(user)
    world.hint(waiting)
    world.restart(SCOPE="members")
    world.drain()
    world.sweep()
    assert (world.shown(shown), world.shown(waiting)) == (before, "")
    assert {world.row(user).outcome for user in (shown, waiting)} == {"skipped"}
    assert (world.outbox.poisoned, world.host.failures) == ([], [])


# --- another storage account ---


def test_on_an_empty_storage_account_one_sweep_syncs_every_user_and_removes_no_picture(world: World) -> None:
    known, changed, without = (world.add() for _ in range(3))
    for user in (known, changed, without):
        world.ask(user)
    world.drain()
    kept = world.source(without)
    world.change_photo(changed)
    world.ask(changed)  # its message stays in the old account
    world.remove_photo(without)
    for table in (world.ledger, world.state, world.parts):
        table.rows.clear()
    world.outbox.messages.clear()
    world.restart()
    for _ in range(3):
        world.sweep()
        world.run(6 * 3600.0)
    for user in (known, changed):
        world.settled(user)
    assert world.shown(without) == kept
