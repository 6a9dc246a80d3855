"""A page of users that is read once more, after somebody died in the middle of it."""

import pytest

from tests.unit.sweeps_seen import ended, parts
from tests.world import crowd
from tests.world.steps import kill
from tests.world.world import World


@pytest.mark.parametrize("parts_before", [1, 2])
@pytest.mark.parametrize(
    ("gone", "come"),
    [
        pytest.param(0, 0, id="the same users"),
        pytest.param(1, 0, id="one fewer at the front"),
        pytest.param(0, 1, id="one more"),
        pytest.param(3, 25, id="three fewer, twenty-five more"),
    ],
)
def test_a_page_that_is_read_once_more_leaves_out_nobody_and_asks_nobody_twice(
    world: World, parts_before: int, gone: int, come: int
) -> None:
    users = crowd.let_in(world, 50)
    opened = world.open_sweep()
    world.steps.on("put photo-sweep-checks", kill, nth=parts_before, after=True)
    world.run(20)
    assert len(parts(world, opened)) == parts_before

    asked_before = parts(world, opened)[0]
    never_asked = [user for user in users if all(user not in part for part in parts(world, opened))]
    for user in [*asked_before[:gone], *never_asked[:gone]]:
        world.tenant.world.remove(world.person(user))
    expected = set(users) - set(never_asked[:gone])
    if come:
        expected |= set(crowd.let_in(world, come))
    world.drain(deliveries=2000)

    asked = [user for some in parts(world, opened) for user in some]
    assert len(asked) == len(set(asked))
    assert set(asked) == expected
    assert [each["seen"] for each in ended(world)] == [len(asked)]


def test_a_part_that_was_answered_is_not_asked_again(world: World) -> None:
    crowd.let_in(world, 30)
    world.open_sweep()
    world.steps.on("write photostate", kill)  # every check was sent, and the record not advanced
    world.run(20)
    world.drain()
    checks = sum(step == "put photo-sweep-checks" for step in world.steps.taken)
    assert checks == 2
    assert [each["seen"] for each in ended(world)] == [30]
