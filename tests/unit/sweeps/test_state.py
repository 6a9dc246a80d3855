"""A sweep's steps, letters and sums, and when it must stop for an administrator."""

from dataclasses import asdict
from itertools import accumulate, pairwise
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.checks.decision import GiveUp, decide, letter_of
from shared.graph.photo import (
    NoMailbox,
    NoPhoto,
    Photo,
    PhotoDenied,
    PhotoFailed,
    PhotoSource,
    Unavailable,
    UserGone,
)
from shared.ledger.row import Row
from shared.sweeps.state import (
    FEW,
    LAST_PAGE_READ,
    LOOK_AFTER,
    PARTITIONS,
    SweepRecord,
    SweepState,
    next_look,
    next_step,
    partitions_due,
    waiting,
)
from shared.sweeps.tally import Letter, SweepPart, Totals, brakes, part_key, sum_letters

PROPERTY = settings(deadline=None)  # a slow machine is not a counterexample

ANNA = "01234567-89ab-cdef-0123-456789abcdef"
NOW = 1_800_000_000.0
HOUR = 3600.0
EARLIER, LATER = NOW - 60.0, NOW + 60.0
E, OTHER = '"BA09D118"', '"1E8FD63F"'
THIS, ANOTHER = "20270115T080000-0a1b", "20270115T140000-2c3d"
NEXT = "https://graph.microsoft.com/v1.0/users?$skiptoken=x"


# --- the record ---


@pytest.mark.parametrize(
    ("unanswered", "idle", "expected"),
    [
        pytest.param(0, 9 * 3600.0, "answered", id="all answered, however late"),
        pytest.param(FEW, 3600.0, "going on", id="a few, within the hour"),
        pytest.param(FEW, 3600.1, "few left", id="a few, for an hour"),
        pytest.param(FEW + 1, 7200.0, "going on", id="many, within two hours"),
        pytest.param(FEW + 1, 7200.1, "stuck", id="many, for two hours"),
    ],
)
def test_a_sweep_waits_an_hour_for_a_few_users_and_two_for_many(unanswered, idle, expected) -> None:
    record = SweepRecord(progress_at=NOW - idle, unanswered=float(unanswered))

    assert waiting(record, 100, unanswered, NOW) == expected
    assert waiting(record, 100, unanswered + 1, NOW) == "going on"  # one was answered since


def test_a_hundredth_of_all_users_counts_as_few() -> None:
    record = SweepRecord(progress_at=NOW - 3601, unanswered=100.0)

    assert waiting(record, 10_000, 100, NOW) == "few left"
    assert waiting(record, 9_999, 100, NOW) == "going on"


@pytest.mark.parametrize(
    ("record", "running"),
    [
        pytest.param(SweepRecord(), False, id="there never was one"),
        pytest.param(SweepRecord(id=THIS, state="running", lease_until=LATER), True, id="under way"),
        pytest.param(SweepRecord(id=THIS, state="running", lease_until=NOW), False, id="dead from now on"),
        pytest.param(SweepRecord(id=THIS, state="running", lease_until=EARLIER), False, id="dead"),
        *(
            pytest.param(SweepRecord(id=THIS, state=state, lease_until=LATER), False, id=state)
            for state in get_args(SweepState)
            if state not in ("", "running")
        ),
    ],
)
def test_a_sweep_runs_until_it_ends_or_its_lease_does(record: SweepRecord, running: bool) -> None:
    assert record.running(NOW) is running


def test_a_record_is_read_from_its_columns_and_leaves_others_alone() -> None:
    columns = {
        "id": THIS,
        "state": "running",
        "page": 3.0,
        "again": True,
        "PartitionKey": "sweep",
        "colour": 7,
    }

    assert SweepRecord.from_columns(columns, "v7") == SweepRecord(
        "v7", id=THIS, state="running", page=3.0, again=True
    )


# --- steps ---


@settings(PROPERTY, max_examples=500)
@given(
    state=st.just("running") | st.sampled_from(get_args(SweepState)),
    stands=st.integers(0, 110),
    ahead=st.integers(-3, 3),
    sweep=st.sampled_from([THIS, THIS, ANOTHER]),
    following=st.sampled_from(["", NEXT, LAST_PAGE_READ]),
)
def test_a_page_message_is_obeyed_only_at_the_position_of_its_sweep(
    state: SweepState, stands: int, ahead: int, sweep: str, following: str
) -> None:
    record = SweepRecord(id=sweep, state=state, page=float(stands), next=following)

    found = next_step(record, THIS, stands + ahead)
    if sweep != THIS or state != "running":
        assert found == "drop"
    elif ahead == 0:
        assert found == ("await" if following == LAST_PAGE_READ else "read")
    else:
        assert found == ("resend" if ahead == -1 else "drop")


@PROPERTY
@given(since=st.floats(0, 1e6), longer=st.floats(0, 1e6))
def test_a_sweep_checks_for_its_last_answers_soon_at_first_and_then_each_minute(since, longer) -> None:
    record = SweepRecord(opened_at=NOW)

    assert 2.0 <= next_look(record, NOW + since) <= next_look(record, NOW + since + longer) <= 60.0
    assert next_look(record, NOW) == 2.0
    assert next_look(record, NOW + 600.0) == 60.0


# --- letters ---


def a_row(**columns: Any) -> Row:
    return Row(ANNA, version="v1", **columns)


def found(source: PhotoSource, row: Row, *, force: bool = False, remove_after: float = HOUR) -> str:
    decision = decide(source, row, force=force, sweep=True, now=NOW)
    return letter_of(source, decision, row, now=NOW, remove_after=remove_after)


SETTLED = {"settled_etag": E, "settled_sha256": "ab"}
REFUSED = {"refused_etag": E, "outcome": "failed", "reason": "unreadable image"}


@pytest.mark.parametrize(
    ("source", "columns", "expected"),
    [
        pytest.param(Photo(E), SETTLED, "U", id="unchanged"),
        pytest.param(Photo(E), REFUSED, "u", id="refused: unchanged, and nothing of ours is shown"),
        pytest.param(Photo(E), {**REFUSED, "settled_etag": OTHER}, "U", id="refused: an older one is shown"),
        pytest.param(Photo(OTHER), SETTLED, "C", id="changed"),
        pytest.param(Photo(E), {}, "c", id="new"),
        pytest.param(Photo(E), {"dirty": True}, "C", id="half written: something of ours may be shown"),
        pytest.param(Photo(E), {"queued_at": EARLIER}, "c", id="changed, and queued by the sweep before"),
        pytest.param(
            Photo(OTHER), {**SETTLED, "queued_at": EARLIER}, "C", id="changed, queued, another shown"
        ),
        pytest.param(NoPhoto(), {}, "n", id="no photo, none shown"),
        pytest.param(
            NoPhoto(), {"outcome": "kept", "settled_sha256": "ab"}, "n", id="kept: not ours any more"
        ),
        pytest.param(NoPhoto(), SETTLED, "M", id="missing from now on"),
        pytest.param(
            NoPhoto(), {**SETTLED, "missing_since": NOW - HOUR + 1}, "M", id="missing, a second too soon"
        ),
        pytest.param(NoPhoto(), {**SETTLED, "missing_since": NOW - HOUR}, "R", id="missing for an hour"),
        pytest.param(
            NoPhoto(), {"dirty": True, "missing_since": NOW - HOUR}, "R", id="half written, missing"
        ),
        pytest.param(UserGone(), {}, "g", id="gone"),
        pytest.param(UserGone(), {**SETTLED, "missing_since": NOW - HOUR}, "G", id="gone, with a picture"),
        pytest.param(NoMailbox("no mailbox"), {}, "s", id="skipped"),
        pytest.param(NoMailbox("no mailbox"), SETTLED, "S", id="skipped, with a picture"),
        pytest.param(Unavailable(), SETTLED, Letter.UNANSWERED, id="busy"),
        pytest.param(PhotoDenied(), SETTLED, Letter.UNANSWERED, id="denied"),
        pytest.param(PhotoFailed(410), SETTLED, Letter.UNANSWERED, id="odd"),
    ],
)
def test_a_letter_encodes_what_was_found_and_a_capital_that_a_picture_of_ours_is_shown(
    source: PhotoSource, columns: dict[str, Any], expected: str
) -> None:
    assert found(source, a_row(**columns)) == expected


def test_a_forced_sweep_counts_all_users_with_a_photo_as_changed() -> None:
    assert found(Photo(E), a_row(**SETTLED), force=True) == "C"
    assert found(Photo(E), a_row(**REFUSED), force=True) == "c"


def test_a_photo_is_removable_as_soon_as_the_settings_say() -> None:
    row = a_row(**SETTLED, missing_since=EARLIER)

    assert found(NoPhoto(), row, remove_after=60.0) == "R"
    assert found(NoPhoto(), row, remove_after=60.1) == "M"


@pytest.mark.parametrize(("columns", "letter"), [({}, "f"), (SETTLED, "F"), ({"dirty": True}, "F")])
def test_a_user_that_is_given_up_or_was_never_answered_has_failed(columns, letter) -> None:
    row = a_row(**columns)

    assert Letter.FAILED.of(row) == letter
    assert letter_of(Unavailable(), GiveUp("odd"), row, now=NOW, remove_after=HOUR) == letter


MOMENTS = st.sampled_from([0.0, NOW - 2 * HOUR, EARLIER, NOW, LATER])
ROWS = st.builds(
    Row,
    user=st.just(ANNA),
    version=st.sampled_from(["", "v1"]),
    settled_etag=st.sampled_from(["", E, OTHER]),
    dirty=st.booleans(),
    refused_etag=st.sampled_from(["", E]),
    missing_since=MOMENTS,
    queued_at=MOMENTS,
    outcome=st.sampled_from(["", "synced", "skipped", "failed", "kept"]),
)
SOURCES = st.sampled_from(
    [Photo(E), NoPhoto(), UserGone(), NoMailbox("x"), Unavailable(), PhotoDenied(), PhotoFailed(410)]
)


@PROPERTY
@given(source=SOURCES, row=ROWS, force=st.booleans())
def test_a_letter_is_a_capital_exactly_where_a_picture_may_be_shown_and_only_such_a_one_is_removable(
    source: PhotoSource, row: Row, force: bool
) -> None:
    answer = found(source, row, force=force)

    assert answer in "UCNMRGSFucnmrgsf?"
    assert answer == Letter.UNANSWERED or answer.isupper() == row.shows_a_photo
    assert answer.lower() not in "mr" or (answer.isupper() and source == NoPhoto())
    assert answer != "R" or 0 < row.missing_since <= NOW - HOUR


# --- parts ---

PEOPLE = tuple(f"{n:08x}-0000-4000-8000-000000000000" for n in range(20))
ANSWERS = st.dictionaries(st.sampled_from([*PEOPLE, ANNA]), st.sampled_from("UCMRGSFucngsf"))
KNOWN = st.sampled_from("UCMRGSFucngsf?")


def a_part(letters: str) -> SweepPart:
    return SweepPart(PEOPLE[: len(letters)], letters)


def test_a_part_knows_who_was_not_answered_and_whose_picture_may_be_removed() -> None:
    part = a_part("uR?MrR?")

    assert part.unanswered == (PEOPLE[2], PEOPLE[6])
    assert part.removable == (PEOPLE[1], PEOPLE[5])  # and not 4, who shows nothing of ours


def test_an_answer_fills_its_gap_and_no_other() -> None:
    part = a_part("?u??")

    assert part.answered({PEOPLE[0]: "C", PEOPLE[3]: "n"}) == "Cu?n"
    assert part.answered({}) == "?u??"
    assert part.answered({ANNA: "C"}) == "?u??"  # no user of this part


@PROPERTY
@given(letters=st.text(KNOWN, min_size=1, max_size=20), answers=st.lists(ANSWERS, max_size=8))
def test_an_answered_letter_never_changes_however_often_and_late_answers_come(letters, answers) -> None:
    part = a_part(letters)
    for some in answers:
        after = part.answered(some)
        assert len(after) == len(part.letters)
        assert all(now == before for before, now in zip(part.letters, after, strict=True) if before != "?")
        part = a_part(after)
    assert set(part.unanswered) <= set(a_part(letters).unanswered) - {
        user for some in answers for user in some
    }


@PROPERTY
@given(st.lists(st.tuples(st.integers(0, 99_999), st.integers(0, 999)), max_size=50))
def test_keys_are_in_the_order_of_their_numbers(places: list[tuple[int, int]]) -> None:
    assert part_key(3, 49) == "00003-049"
    assert sorted(part_key(*place) for place in places) == [part_key(*place) for place in sorted(places)]


# --- sums ---


def test_sums_are_sums_over_the_letters_of_all_parts() -> None:
    assert sum_letters(["uU?", "CcnMRgGsSfF", ""]) == Totals(
        seen=14,
        unanswered=1,
        unchanged=2,
        changed=2,
        empty=1,
        missing=1,
        removable=1,
        gone=2,
        skipped=2,
        failed=2,
        shown=7,
        gone_shown=1,
    )
    assert sum_letters([]) == Totals()


@PROPERTY
@given(st.lists(st.text(KNOWN, max_size=20)))
def test_all_users_are_counted_exactly_once(letters: list[str]) -> None:
    sums = sum_letters(letters)

    counts = asdict(sums)
    seen, shown, _ = (counts.pop(name) for name in ("seen", "shown", "gone_shown"))
    assert sum(counts.values()) == seen == sum(map(len, letters))
    assert sums == sum_letters(["".join(letters)])
    assert shown <= seen


# --- the brake ---


def a_tenant(shown: int, *, removable: int = 0, missing: int = 0, gone: int = 0) -> Totals:
    """Totals of a tenant in which SharePoint shows so many pictures of ours, and these have no photo."""
    there = shown - removable - missing - gone
    letters = "U" * there + "R" * removable + "M" * missing + "G" * gone
    return sum_letters([letters, "n" * 7, "g" * 30])  # and users without a picture, who do not count


@pytest.mark.parametrize(
    ("shown", "lost", "braked"),
    [
        # Two users may always remove their photos, and so may twenty where they are less than half of all.
        (0, {}, False),
        (2, {"removable": 2}, False),
        (3, {"removable": 2}, False),
        (3, {"removable": 3}, True),
        (6, {"removable": 3}, False),
        (15, {"removable": 7}, False),
        (15, {"removable": 8}, True),
        (399, {"removable": 20}, False),
        # More than twenty may be 5 %.
        (420, {"removable": 21}, False),
        (419, {"removable": 21}, True),
        (15_000, {"removable": 750}, False),
        (15_000, {"removable": 751}, True),
        # Users who are missing, but not for long enough, count: notifications reveal the first few of them.
        (15, {"removable": 2, "missing": 13}, True),
        (15_000, {"removable": 20, "missing": 14_980}, True),
        (15_000, {"removable": 20, "missing": 700}, False),
        # Where nothing would be removed there is nothing to stop, and nothing to look at.
        (15, {"missing": 15}, False),
        (15, {"gone": 15}, False),
        # Users who are gone with a picture count as missing.
        (15, {"removable": 1, "gone": 7}, True),
        (15, {"removable": 1, "gone": 6}, False),
        (15_000, {"removable": 1, "gone": 750}, True),
    ],
    ids=str,
)
def test_many_photos_that_go_missing_at_once_stop_a_sweep(shown, lost, braked) -> None:
    assert brakes(a_tenant(shown, **lost), 5) is braked


@pytest.mark.parametrize(
    ("percent", "removable", "braked"),
    [
        pytest.param(0, 20, False, id="0 %: twenty may always go"),
        pytest.param(0, 21, True, id="0 %: no more than twenty"),
        pytest.param(50, 500, False, id="50 %"),
        pytest.param(50, 501, True, id="50 % and one"),
        pytest.param(100, 500, False, id="100 %: half"),
        pytest.param(100, 501, True, id="100 %: more than half stops it whatever the setting"),
    ],
)
def test_the_brake_is_set_in_per_cent(percent: int, removable: int, braked: bool) -> None:
    assert brakes(a_tenant(1000, removable=removable), percent) is braked


@PROPERTY
@given(shown=st.integers(3, 20_000), early=st.floats(0, 1), percent=st.integers(0, 100))
def test_a_photo_service_that_loses_all_photos_clears_no_picture(shown, early, percent) -> None:
    """In a tenant of any size, however many of its users hints have named before the sweep comes."""
    removable = round(shown * early)
    totals = a_tenant(shown, removable=removable, missing=shown - removable)

    assert brakes(totals, percent) or not totals.removable


@PROPERTY
@given(
    shown=st.integers(0, 2000),
    removable=st.integers(0, 2000),
    more=st.integers(0, 50),
    percent=st.integers(0, 99),
)
def test_a_brake_that_holds_is_not_released_by_one_more_missing_photo(
    shown: int, removable: int, more: int, percent: int
) -> None:
    removable = min(shown, removable)
    fewer, many = a_tenant(shown, removable=removable), a_tenant(shown + more, removable=removable + more)

    assert not brakes(fewer, percent) or brakes(many, percent)


# --- after the end ---


@PROPERTY
@given(st.lists(st.floats(60.0, 40 * 86_400.0), min_size=1, max_size=60), st.floats(0, 2e9))
def test_each_partition_of_the_ledger_comes_up_once_a_month_whatever_the_schedule(
    waits: list[float], began: float
) -> None:
    times = list(accumulate(waits, initial=began))
    spans = list(pairwise(times))
    seen = [name for since, until in spans for name in partitions_due(since, until)]

    for since, until in spans:
        assert len(partitions_due(since, until)) <= PARTITIONS
        if until - since >= LOOK_AFTER + 1:
            assert len(set(partitions_due(since, until))) == PARTITIONS
    for first, again in pairwise(position for position, name in enumerate(seen) if name == seen[0]):
        assert len(set(seen[first:again])) == min(PARTITIONS, again - first)
    assert partitions_due(began, began) == []
