"""Runs are cut down to the choices that they need to fail."""

import random

from hypothesis import given
from hypothesis import strategies as st

from tests.simulation.choices import Chooser, cut_down

SOME = st.lists(st.integers(0, 3), max_size=30)


def played(chooser: Chooser) -> tuple[object, ...]:
    """Make choices of every kind."""
    return (
        *(chooser.pick("abc") for _ in range(5)),
        chooser.pick("ab", (1.0, 0.0)),
        *(chooser.happens(0.5) for _ in range(3)),
        chooser.amount(10.0, 20.0),
        chooser.happens(0.0),
    )


def test_without_chance_every_choice_is_the_harmless_one() -> None:
    assert played(Chooser()) == ("a",) * 6 + (False,) * 3 + (10.0, False)


@given(seed=st.integers())
def test_choices_that_were_made_can_be_made_again(seed: int) -> None:
    chooser = Chooser(chance=random.Random(seed))
    assert played(chooser) == played(Chooser(chooser.made))


@given(some=SOME)
def test_a_run_that_was_cut_down_still_fails_and_is_neither_longer_nor_worse(some: list[int]) -> None:
    def fails(choices: list[int]) -> bool:
        return sum(choice > 1 for choice in choices) >= 2

    if not fails(some):
        return
    least = cut_down(some, fails, runs=1000)
    assert fails(least)
    assert len(least) <= len(some)
    assert sum(choice > 0 for choice in least) == 2


def test_cutting_down_stops_after_the_given_number_of_runs() -> None:
    runs = []
    cut_down([1] * 1000, lambda choices: bool(runs.append(1)) or len(choices) > 900, runs=20)
    assert len(runs) <= 20
