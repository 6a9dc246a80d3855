"""Every refusal of every call, for one user: it delays no other, names them, and heals."""

import statistics
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.world import World
from tests.stories.refusals import (
    CASES,
    FIRST_CONTACTS,
    HOUR,
    an_answer,
    failing,
    faults,
    poisoned,
    redirected,
    settle,
)

OTHERS = 30
EVERY = 300.0  # seconds in which each of the others changes their photo


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
    if not an_answer(call, refusal):
        assert culprit in failing(world) or (row.outcome == "deferred" and redirected(world)), row
    assert poisoned(world) == []
    world.fault()
    world.sweep()
    world.settled(culprit)


def lags_of_changes(world: World, users: list[str]) -> list[float]:
    """Let each user change their photo within five minutes; return how long each change took, in seconds."""
    for user in users:
        world.change_photo(user)
        world.hint(user)
        world.run(EVERY / OTHERS)
    world.run(HOUR)
    return [world.row(user).lag_ms / 1000 for user in users]
