"""What is stored of sweeps: one record, the figures of the last ten, and letters that never change."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import Stale, TryLater
from shared.sweeps.state import SWEEPS_KEPT, SweepRecord
from shared.sweeps.store import PartStore, SweepStore
from shared.sweeps.tally import Totals, sum_letters
from tests.fakes.external_steps import ExternalSteps, drop_connection, fail_precondition
from tests.fakes.schedules import Schedule, Turn, explore, play
from tests.fakes.table import Table

PROPERTY = settings(deadline=None)  # a slow machine is not a counterexample

NOW = 1_800_000_000.0
SWEEP, OTHER = "20270115T080000-0a1b", "20270115T140000-2c3d"
PEOPLE = tuple(f"{n:08x}-0000-4000-8000-000000000000" for n in range(20))
KEY = "00000-000"


@pytest.fixture
def steps() -> ExternalSteps:
    return ExternalSteps()


@pytest.fixture
def store(steps: ExternalSteps) -> SweepStore:
    return SweepStore(Table("photostate", steps))


@pytest.fixture
def parts(steps: ExternalSteps) -> PartStore:
    return PartStore(Table("photoparts", steps))


# --- the record ---


def test_what_is_written_is_read_again_and_other_columns_stay(store: SweepStore) -> None:
    opened = store.write(
        SweepRecord(), {"id": SWEEP, "state": "running", "why": "the timer", "opened_at": NOW}
    )
    written = store.write(opened, {"page": 1.0, "next": "x"})

    assert written == store.record()
    assert (written.id, written.why, written.page, written.next) == (SWEEP, "the timer", 1.0, "x")


def test_a_request_for_another_sweep_changes_nothing_else_of_the_record(store: SweepStore) -> None:
    running = store.write(SweepRecord(), {"id": SWEEP, "state": "running", "page": 3.0})
    store.request_again("missed")

    record = store.record()
    assert record == replace(running, version=record.version, again=True, again_why="missed")
    with pytest.raises(Stale):  # so that no instance ends the sweep without having seen the request
        store.write(running, {"state": "finished"})


# --- what is kept ---

FIGURES = Totals(seen=20, unchanged=18, removable=2, shown=20)


def keep(store: SweepStore, sweep: str, state: Any = "finished") -> None:
    record = SweepRecord(id=sweep, why="the timer", force=True, page=2.0, opened_at=NOW)
    store.keep(record, state, "no reason", FIGURES, NOW + 60)


def test_an_ended_sweep_keeps_its_figures(store: SweepStore) -> None:
    keep(store, SWEEP, "braked")
    ((sweep, columns),) = store.kept()

    assert sweep == SWEEP
    assert (columns["state"], columns["reason"], columns["why"]) == ("braked", "no reason", "the timer")
    assert (columns["opened_at"], columns["ended_at"], columns["force"]) == (NOW, NOW + 60, True)
    assert (columns["seen"], columns["unchanged"], columns["removable"], columns["missing"]) == (20, 18, 2, 0)


def test_the_first_end_of_a_sweep_is_kept_until_it_is_marked(store: SweepStore) -> None:
    assert store.figures(SWEEP) is None
    keep(store, SWEEP, "braked")
    keep(store, SWEEP, "failed")
    assert [columns["state"] for _, columns in store.kept()] == ["braked"]

    store.mark(SWEEP, {"state": "released"})
    assert store.figures(SWEEP) == store.kept()[0][1]
    assert (store.figures(SWEEP)["state"], store.figures(SWEEP)["seen"]) == ("released", 20)


def test_the_latest_comes_first_and_all_but_ten_are_old(store: SweepStore) -> None:
    ids = [f"202701{day:02}T080000-0a1b" for day in range(1, 14)]
    for sweep in [*ids[5:], *ids[:5]]:
        keep(store, sweep)

    assert [sweep for sweep, _ in store.kept()] == ids[::-1]
    assert sorted(sweep for sweep, _ in store.old()) == ids[:3]
    assert len(ids) - len(store.old()) == SWEEPS_KEPT == 10
    for sweep, _ in store.old():
        store.forget(sweep)
        store.forget(sweep)  # once more is no error
    assert [sweep for sweep, _ in store.kept()] == ids[:2:-1]
    assert store.old() == []


def test_a_note_about_a_sweep_that_was_forgotten_makes_no_sweep_of_it(store: SweepStore) -> None:
    keep(store, SWEEP)
    store.mark(SWEEP, {"tidied_to": "sweeps again"})
    store.mark(OTHER, {"tidied_to": "sweeps again"})

    assert [(sweep, columns["tidied_to"]) for sweep, columns in store.kept()] == [(SWEEP, "sweeps again")]


# --- parts ---


def letters(parts: PartStore, sweep: str = SWEEP) -> list[str]:
    return [part.letters for _, part in parts.all(sweep)]


def test_a_part_that_stands_keeps_its_users_and_its_answers(parts: PartStore) -> None:
    parts.add(SWEEP, KEY, PEOPLE[:3])
    parts.answer(SWEEP, KEY, {PEOPLE[1]: "C"})
    part = parts.add(SWEEP, KEY, PEOPLE[5:9])

    assert (part.users, part.letters) == (PEOPLE[:3], "?C?")
    assert letters(parts) == ["?C?"]


def test_a_part_or_an_answer_whose_write_got_no_answer_is_written(
    steps: ExternalSteps, parts: PartStore
) -> None:
    steps.on("write photoparts", fail_precondition, after=True, times=2)
    assert parts.add(SWEEP, KEY, PEOPLE[:2]).unanswered == PEOPLE[:2]
    parts.answer(SWEEP, KEY, {PEOPLE[0]: "U"})
    assert letters(parts) == ["U?"]


def test_parts_come_in_the_order_of_pages_and_belong_to_their_sweep(parts: PartStore) -> None:
    for key, user in [("00010-000", PEOPLE[3]), ("00002-001", PEOPLE[1]), ("00002-000", PEOPLE[0])]:
        parts.add(SWEEP, key, (user,))
    parts.add(OTHER, "00001-000", (PEOPLE[9],))

    assert [part.users for _, part in parts.all(SWEEP)] == [(PEOPLE[0],), (PEOPLE[1],), (PEOPLE[3],)]
    assert parts.met(SWEEP, [PEOPLE[3], PEOPLE[9], PEOPLE[1]]) == {PEOPLE[3], PEOPLE[1]}
    assert parts.forget(SWEEP, 2)
    assert [part.users for _, part in parts.all(SWEEP)] == [(PEOPLE[3],)]
    assert not parts.forget(SWEEP, 2)
    assert list(parts.all(SWEEP)) == []
    assert letters(parts, OTHER) == ["?"]


def test_an_answer_that_is_delivered_again_writes_nothing(steps: ExternalSteps, parts: PartStore) -> None:
    parts.add(SWEEP, KEY, PEOPLE[:2])
    answers = {PEOPLE[0]: "U"}
    parts.answer(SWEEP, KEY, answers)
    steps.taken.clear()
    for late in (answers, {PEOPLE[0]: "C"}, {PEOPLE[7]: "C"}, {}):
        parts.answer(SWEEP, KEY, late)

    assert steps.taken == ["read photoparts"] * 4
    assert letters(parts) == ["U?"]


def test_an_answer_to_a_part_that_was_forgotten_brings_nothing_back(parts: PartStore) -> None:
    parts.answer(SWEEP, KEY, {PEOPLE[0]: "U"})
    assert list(parts.all(SWEEP)) == []


@pytest.mark.parametrize("mishap", [drop_connection, fail_precondition])
def test_a_part_that_cannot_be_written_is_answered_later(
    steps: ExternalSteps, parts: PartStore, mishap: Callable[[], None]
) -> None:
    parts.add(SWEEP, KEY, PEOPLE[:2])
    steps.on("write photoparts", mishap, times=None)
    with pytest.raises(TryLater):
        parts.answer(SWEEP, KEY, {PEOPLE[0]: "U"})


def test_no_interleaving_of_two_readers_of_a_page_makes_two_parts_of_one() -> None:
    def run(schedule: Schedule) -> list[Turn]:
        steps = ExternalSteps()
        parts = PartStore(Table("photoparts", steps))
        seen = dict[str, tuple[str, ...]]()

        def add(name: str, users: tuple[str, ...]) -> None:
            seen[name] = parts.add(SWEEP, KEY, users).users

        readers = {"one": PEOPLE[:3], "two": PEOPLE[1:4]}
        turns = play(
            steps, {name: lambda n=name, u=users: add(n, u) for name, users in readers.items()}, {}, schedule
        )
        ((_, part),) = parts.all(SWEEP)
        assert seen == {"one": part.users, "two": part.users}
        return turns

    assert explore(run, changes=4) > 5


@PROPERTY
@given(
    deliveries=st.lists(
        st.tuples(
            st.integers(0, 2),
            st.dictionaries(st.sampled_from(PEOPLE[:6]), st.sampled_from("UCMRGSFucngsf"), max_size=4),
        ),
        max_size=20,
    )
)
def test_totals_count_all_users_once_whatever_is_delivered_and_how_often(deliveries) -> None:
    parts = PartStore(Table("photoparts", ExternalSteps()))
    asked = [PEOPLE[:3], PEOPLE[3:5], PEOPLE[5:6]]
    for number, users in enumerate(asked):
        parts.add(SWEEP, f"00000-{number:03}", users)
    first: dict[str, str] = {}
    for number, answers in [*deliveries, *deliveries]:
        parts.answer(SWEEP, f"00000-{number:03}", answers)
        for user, letter in answers.items():
            if user in asked[number]:
                first.setdefault(user, letter)

    expected = "".join(first.get(user, "?") for user in PEOPLE[:6])
    assert "".join(letters(parts)) == expected
    assert sum_letters(letters(parts)) == sum_letters([expected])
