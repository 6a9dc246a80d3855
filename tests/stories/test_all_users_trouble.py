"""Every refusal of every call, for all users: it fails none of them, closes the gate, and heals."""

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
    assert an_answer(call, refusal) or redirected(world) or world.app.status_report.status()["gates"]
    assert poisoned(world) == []
    world.fault()
    world.sweep()
    for user in users:
        world.settled(user)
    assert failing(world) == []
