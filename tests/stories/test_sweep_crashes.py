"""A sweep survives all mishaps of the instances that run it, and counts no user twice."""

import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from local.tenant.traffic.faults import Fault
from shared.errors import TryLater
from shared.jobs import SweepPage, SweptCheck
from tests.fakes import bulk
from tests.fakes.external_steps import drop_connection, kill
from tests.fakes.schedules import Schedule, Turn, explore, play
from tests.fakes.world import World

HOUR = 3600.0
BETWEEN = 6 * HOUR
TWO_PAGES = 1010  # users; a page has 999
COUNTED = ("unchanged", "changed", "empty", "missing", "removable", "gone", "skipped", "failed", "unanswered")


def small_world(new_world: Callable[..., World]) -> tuple[World, list[str]]:
    """Return a world of six users, one of each kind that a sweep tells apart."""
    world = new_world()
    world.tenant.reset()
    world = new_world()
    unchanged, changed, removed, missing = bulk.add_users(world, 4)
    fresh, empty = world.add(), world.add(photo=False)
    bulk.settle(world, changed, '"OTHER"')
    for user in (removed, missing):
        world.remove_photo(user)
    world.note(removed, missing_since=world.clock.now() - 2 * HOUR)
    return world, [unchanged, changed, removed, missing, fresh, empty]


FOUND = {"seen": 6, "unchanged": 1, "changed": 2, "removable": 1, "missing": 1, "empty": 1, "unanswered": 0}


def found(figures: dict[str, Any], expected: dict[str, int] = FOUND) -> bool:
    """Whether these are the figures; a user synced before the check's answer is no longer changed."""
    told = {name: figures[name] for name in expected}
    synced = expected["changed"] - told["changed"]
    told |= {"changed": told["changed"] + synced, "unchanged": told["unchanged"] - synced}
    return synced >= 0 and told == expected


def ended_well(world: World, users: list[str]) -> None:
    """Assert that the last sweep's figures are correct and that its syncs and removals were done."""
    ended = world.app.status_report.status()["sweeps"]
    assert ended, "no sweep ended"
    figures = ended[0]
    assert sum(figures[name] for name in COUNTED) == figures["seen"] == len(users)
    unchanged, changed, removed, missing, fresh, empty = users
    for user in (unchanged, changed, fresh):
        assert world.row(user).settled_etag == world.source(user)
    assert world.row(removed).settled_etag == ""
    assert world.row(missing).settled_etag != ""
    assert world.row(empty).version == ""
    assert world.outbox.poisoned == []
    assert world.outbox.messages == []


# The steps at which the death of an instance, or the turn of another one, makes a difference to a sweep.
OWN = r"write .*|scan photo(state|parts)|read photoparts|put photo-(sweep|back).*|call graph\..*"


def count_steps(new_world: Callable[..., World]) -> int:
    """Return the number of these steps in an undisturbed sweep, which ends with correct figures."""
    world, users = small_world(new_world)
    figures = world.sweep()
    count = sum(re.fullmatch(OWN, step) is not None for step in world.steps.taken)
    assert {name: figures[name] for name in FOUND} == FOUND
    ended_well(world, users)
    return count


@pytest.mark.parametrize("after", [pytest.param(False, id="before"), pytest.param(True, id="after")])
def test_a_sweep_whose_instance_dies_at_any_step_ends_with_correct_figures(
    new_world: Callable[..., World], after: bool
) -> None:
    for step in range(1, count_steps(new_world) + 1):
        world, users = small_world(new_world)

        def die(world: World = world) -> None:
            world.restart()
            kill()

        world.steps.on(OWN, die, nth=step, after=after)
        world.steps.survive(world.open_sweep)
        world.drain(deliveries=5000)
        world.steps.clear()
        if not world.app.status_report.status()["sweeps"]:  # it died while it opened: the timer fires again
            world.run(BETWEEN)
            world.open_sweep()
            world.drain(deliveries=5000)
        ended = world.app.status_report.status()["sweeps"]
        assert ended[0]["state"] == "finished", f"killed at step {step}"
        if len(ended) == 1 and ended[0]["opened_at"] - world.clock.began < HOUR:
            assert found(ended[0]), f"killed at step {step}: {ended[0]}"
        ended_well(world, users)
        removed = users[2]
        for _ in range(2 if world.row(removed).dirty else 0):  # its removal died, and needs two more sweeps
            world.run(BETWEEN)
            world.sweep()
        assert not world.row(removed).shows_a_photo


@pytest.mark.parametrize("seed", range(4))
def test_a_sweep_of_two_pages_finishes_although_its_instances_die_repeatedly(
    new_world: Callable[..., World], seed: int
) -> None:
    world = new_world()
    users = bulk.add_users(world, TWO_PAGES - 10) + bulk.add_users(world, 10, photo=False, settled=False)
    chance = random.Random(seed)
    world.host.delivery_faults = replace(world.host.delivery_faults, seed=seed, shuffled=True, twice=0.2)
    sweep = world.open_sweep()

    def perhaps_die() -> None:
        if chance.random() < 0.02:
            world.restart()
            kill()

    world.steps.on(".*", perhaps_die, times=None)
    world.steps.on(".*", perhaps_die, times=None, after=True)
    world.run(2 * HOUR)
    world.steps.clear()
    world.drain(deliveries=5000)
    figures = world.figures(sweep)
    assert (figures["state"], figures["seen"]) == ("finished", len(users))
    assert (figures["unchanged"], figures["empty"]) == (TWO_PAGES - 10, 10)
    assert sum(figures[name] for name in COUNTED) == len(users)


@pytest.mark.parametrize("one_dies", [False, True])
def test_two_instances_that_work_on_the_same_message_count_every_user_once(
    new_world: Callable[..., World], one_dies: bool
) -> None:
    def run(schedule: Schedule) -> list[Turn]:
        world, users = small_world(new_world)
        sweep = world.open_sweep()
        world.clock.advance(10)
        page = SweepPage(sweep, 0, born=world.clock.now())
        world.outbox.messages.clear()  # the first of the two to finish deletes it
        if one_dies:
            world.steps.on("put photo-sweeps", kill)
        first, second = world.start().services.sweeper, world.start().services.sweeper
        turns = play(
            world.steps,
            {
                "one": lambda: world.steps.survive(lambda: first.step(page)),
                "two": lambda: world.steps.survive(lambda: second.step(page)),
            },
            {},
            schedule,
            OWN,  # between two reads the order makes no difference
        )
        world.drain(deliveries=5000)
        assert found(world.figures(sweep))
        ended_well(world, users)
        return turns

    assert explore(run, changes=2) > 20


@pytest.mark.parametrize("write", ["in the end", "without an answer"])
def test_a_sweep_whose_record_is_written_after_its_first_page_was_dropped_gets_another(
    world: World, write: str
) -> None:
    users = bulk.add_users(world, 3)
    world.steps.on("write photostate", lambda: world.run(25))
    if write == "without an answer":
        world.steps.on("write photostate", drop_connection, after=True)
        with pytest.raises(TryLater):
            world.open_sweep()
    sweep = world.open_sweep()
    world.run(5 * 60)
    figures = world.figures(sweep)
    assert (figures["state"], figures["seen"]) == ("finished", len(users))
    assert world.outbox.messages == []


# --- sweeps that do not end as they should ---


def test_a_sweep_that_waits_for_graph_for_hours_is_not_taken_for_dead(world: World) -> None:
    users = bulk.add_users(world, 3)
    world.fault(Fault(service="graph", status=503))
    sweep = world.open_sweep()
    for _ in range(5):
        world.run(HOUR)
        assert world.open_sweep() == sweep
    world.fault()
    world.drain()
    figures = world.figures(sweep)
    assert (figures["state"], figures["seen"]) == ("finished", len(users))


def test_a_sweep_without_answers_for_two_hours_is_incomplete_and_removes_nothing(world: World) -> None:
    users = bulk.add_users(world, 45)
    for user in users[:2]:
        world.remove_photo(user)
        world.note(user, missing_since=world.clock.now() - 2 * HOUR)
    sweep = world.open_sweep()
    world.clock.advance(10)
    world.host.deliver_due()  # the page
    for check in [each for each in world.outbox.messages if each.queue == SweptCheck.queue][1:]:
        world.outbox.delete(check)
    world.run(2 * HOUR - 60)
    running = world.app.status_report.status()["sweep"]
    assert (running["id"], running["unanswered"]) == (sweep, 25)
    world.drain()
    figures = world.figures(sweep)
    assert (figures["state"], figures["removable"], figures["unanswered"]) == ("incomplete", 2, 25)
    assert world.requests("sharepoint") == []


def test_an_expired_page_ends_the_sweep_and_begins_another(world: World) -> None:
    bulk.add_users(world, TWO_PAGES)
    world.fault(Fault(service="graph", path="skiptoken", status=503))
    first = world.open_sweep()
    world.run(2 * HOUR)  # longer than a page's address is valid
    world.fault()
    world.drain(deliveries=5000)
    ended = world.app.status_report.status()["sweeps"]
    assert [each["state"] for each in ended] == ["finished", "incomplete"]
    assert (ended[1]["id"], ended[1]["seen"], ended[0]["seen"]) == (first, 999, TWO_PAGES)


def test_pages_that_always_expire_begin_only_one_more_sweep(world: World) -> None:
    bulk.add_users(world, TWO_PAGES)
    world.tenant.world.knobs.page_token_life = 0.0
    world.open_sweep()
    world.run(BETWEEN)
    assert [each["state"] for each in world.app.status_report.status()["sweeps"]] == ["incomplete"] * 2
    assert world.outbox.messages == []
