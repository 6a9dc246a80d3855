"""Whether a photo must be synced: the table of checks row by row, and its properties."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.checks.decision import (
    MOST_TRIES,
    AskAgain,
    Decision,
    GiveUp,
    Leave,
    Note,
    Queue,
    TryAlone,
    decide,
)
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
from shared.ledger.row import QUEUED_FOR, RECHECK_MARGIN, Row, recently_queued
from tests.unit.ledger.row_strategies import (
    ANNA,
    EARLIER,
    LATER,
    NOW,
    OTHER,
    PROPERTY,
    REFUSED,
    ROWS,
    SKIPPED,
    UNREADABLE,
    E,
    a_row,
)

SETTLED = {"settled_etag": E, "settled_sha256": "ab", "outcome": "synced"}


@pytest.mark.parametrize(
    ("columns", "force", "sweep", "changed"),
    [
        # refused at e, no force: unchanged; a sweep checks users again that only the scope kept out
        pytest.param(REFUSED, False, False, False, id="refused: left alone"),
        pytest.param(REFUSED, False, True, False, id="refused: by a sweep too"),
        pytest.param(REFUSED, True, False, True, id="refused, but forced"),
        pytest.param(REFUSED, True, True, True, id="refused, but forced by a sweep"),
        pytest.param({**REFUSED, "refused_etag": OTHER}, False, False, True, id="another was refused"),
        pytest.param(
            {**REFUSED, "dirty": True}, False, True, False, id="refused after another was half written"
        ),
        pytest.param({**REFUSED, "unsure_until": LATER}, False, True, False, id="refused while unsure"),
        pytest.param(SKIPPED, False, False, False, id="skipped: left alone"),
        pytest.param(SKIPPED, False, True, True, id="skipped: a sweep checks again"),
        pytest.param(SKIPPED, True, False, True, id="skipped, but forced"),
        pytest.param({**SKIPPED, "settled_etag": E}, False, True, False, id="skipped, but settled anyway"),
        pytest.param(
            {**SKIPPED, "settled_etag": E, "dirty": True}, False, True, True, id="skipped and dirty"
        ),
        pytest.param(
            {**SKIPPED, "settled_etag": E, "unsure_until": LATER}, False, True, True, id="skipped and unsure"
        ),
        pytest.param({**SKIPPED, "refused_etag": OTHER}, False, False, True, id="another was skipped"),
        # a refusal holds while the outcome that refused stands
        pytest.param(
            {**SKIPPED, "outcome": "deferred"}, False, False, True, id="skipped once, deferred since"
        ),
        pytest.param(
            {**SKIPPED, "outcome": "unchanged"}, False, True, True, id="skipped once, photoless since"
        ),
        pytest.param({**SKIPPED, "outcome": "gone"}, False, True, True, id="skipped once, gone since"),
        pytest.param(
            {**SKIPPED, "outcome": "failed", "reason": "gave up after repeated failures"},
            False,
            True,
            True,
            id="skipped once, poisoned since",
        ),
        # settled at e, no force, clean and sure: unchanged
        pytest.param(SETTLED, False, False, False, id="settled"),
        pytest.param(SETTLED, False, True, False, id="settled: by a sweep too"),
        pytest.param(SETTLED, True, False, True, id="settled, but forced"),
        pytest.param({**SETTLED, "dirty": True}, False, False, True, id="settled, but dirty"),
        pytest.param({**SETTLED, "unsure_until": LATER}, False, False, True, id="settled, but unsure"),
        pytest.param({**SETTLED, "unsure_until": EARLIER}, False, False, False, id="settled, sure again"),
        pytest.param({**SETTLED, "unsure_until": NOW}, False, False, False, id="settled, sure from now on"),
        pytest.param({**SETTLED, "settled_etag": OTHER}, False, False, True, id="another is settled"),
        pytest.param({**SETTLED, "settled_etag": E.strip('"')}, False, False, True, id="without its quotes"),
        # anything else: sync
        pytest.param({}, False, False, True, id="nothing known"),
        pytest.param(
            {"outcome": "kept", "settled_sha256": "ab"}, False, False, True, id="kept, and back again"
        ),
        pytest.param({"dirty": True}, False, False, True, id="a first upload never ended"),
        pytest.param(
            {"claim_until": LATER, "claim_token": "x"}, False, False, True, id="another attempt is running"
        ),
    ],
)
def test_a_photo_is_synced_unless_it_is_settled_or_refused(
    columns: dict[str, Any], force: bool, sweep: bool, changed: bool
) -> None:
    decision = decide(Photo(E), a_row(**columns), force=force, sweep=sweep, now=NOW)

    assert decision == (Queue() if changed else Leave())


@pytest.mark.parametrize(
    ("queued_at", "force", "sweep", "queued"),
    [
        pytest.param(EARLIER, False, True, False, id="a minute ago: the sync is still to come"),
        pytest.param(NOW, False, True, False, id="just now"),
        pytest.param(NOW - QUEUED_FOR + 1, False, True, False, id="a day ago but for a second"),
        pytest.param(NOW - QUEUED_FOR, False, True, True, id="a day ago: whatever became of it"),
        pytest.param(0.0, False, True, True, id="never, or the sync has ended"),
        pytest.param(EARLIER, True, True, True, id="a minute ago, but forced"),
        pytest.param(
            EARLIER,
            False,
            False,
            True,
            id="a minute ago, but a notification came: a live change does not wait",
        ),
        pytest.param(EARLIER, True, False, True, id="a forced hint"),
    ],
)
@pytest.mark.parametrize(
    "columns", [{}, {"settled_etag": OTHER}, {"dirty": True}], ids=["unknown", "another", "dirty"]
)
def test_a_changed_user_that_one_sweep_queued_is_not_queued_by_the_next(
    columns: dict[str, Any], queued_at: float, force: bool, sweep: bool, queued: bool
) -> None:
    row = a_row(queued_at=queued_at, **columns)

    assert decide(Photo(E), row, force=force, sweep=sweep, now=NOW) == (Queue() if queued else Leave())


def test_a_user_counts_as_queued_for_a_day() -> None:
    assert QUEUED_FOR == 24 * 3600.0
    assert recently_queued(a_row(queued_at=NOW - QUEUED_FOR + 1), NOW)
    assert not recently_queued(a_row(queued_at=NOW - QUEUED_FOR), NOW)
    assert not recently_queued(a_row(), NOW)
    assert not recently_queued(a_row(), 7.0)  # not even at the beginning of the clock


def test_a_settled_photo_is_known_although_its_user_is_queued() -> None:
    row = a_row(**SETTLED, queued_at=EARLIER, missing_since=EARLIER)

    assert decide(Photo(E), row, force=False, sweep=True, now=NOW) == Note({"missing_since": 0.0})


GAVE_UP = {"outcome": "failed", "reason": "gave up after repeated failures"}
SHOWN = {"outcome": "unchanged", "reason": "SharePoint has this photo"}
EMPTY = {"outcome": "unchanged", "reason": "no photo in Exchange"}
GONE = {"outcome": "gone", "reason": "the directory does not know this user"}


@pytest.mark.parametrize("sweep", [False, True], ids=["hint", "sweep"])
@pytest.mark.parametrize(
    ("source", "columns", "decision"),
    [
        pytest.param(Photo(E), {**SETTLED, **GAVE_UP}, Note(SHOWN), id="settled"),
        pytest.param(Photo(E), {**SETTLED, "outcome": "deferred"}, Note(SHOWN), id="given up after a day"),
        pytest.param(
            Photo(E),
            {**SETTLED, **GAVE_UP, "missing_since": EARLIER},
            Note({"missing_since": 0.0, **SHOWN}),
            id="settled, and missing once",
        ),
        pytest.param(Photo(E), {**SETTLED, **GAVE_UP, "dirty": True}, Queue(), id="dirty"),
        pytest.param(Photo(E), {**SETTLED, **GAVE_UP, "settled_etag": OTHER}, Queue(), id="another"),
        pytest.param(Photo(E), GAVE_UP, Queue(), id="never settled"),
        pytest.param(Photo(E), {**SETTLED, **REFUSED}, Leave(), id="settled once, unreadable now"),
        pytest.param(NoPhoto(), GAVE_UP, Note(EMPTY), id="no photo, and no picture shown"),
        pytest.param(
            NoPhoto(), {**SETTLED, **GAVE_UP}, Note({"missing_since": NOW, **EMPTY}), id="no photo any more"
        ),
        pytest.param(
            NoPhoto(), {**GAVE_UP, "dirty": True}, Note({"missing_since": NOW}), id="no photo, half written"
        ),
        pytest.param(
            NoPhoto(), {**SETTLED, **GAVE_UP, "missing_since": EARLIER}, Leave(), id="its removal failed"
        ),
        pytest.param(UserGone(), GAVE_UP, Note({"gone_since": NOW, **GONE}), id="gone"),
        pytest.param(UserGone(), {**GAVE_UP, "gone_since": EARLIER}, Note(GONE), id="gone long ago"),
    ],
)
def test_a_failure_ends_where_nothing_is_left_to_sync(
    source: PhotoSource, columns: dict[str, Any], sweep: bool, decision: Decision
) -> None:
    assert decide(source, a_row(**columns), force=False, sweep=sweep, now=NOW) == decision


@pytest.mark.parametrize("columns", [SETTLED, REFUSED, SKIPPED], ids=["settled", "refused", "skipped"])
@pytest.mark.parametrize(
    ("stale", "emptied"),
    [
        pytest.param({"missing_since": EARLIER}, {"missing_since": 0.0}, id="missing"),
        pytest.param({"gone_since": EARLIER}, {"gone_since": 0.0}, id="gone"),
        pytest.param(
            {"missing_since": EARLIER, "gone_since": EARLIER},
            {"missing_since": 0.0, "gone_since": 0.0},
            id="both",
        ),
    ],
)
def test_a_known_photo_that_was_missing_is_no_longer_missing(
    columns: dict[str, Any], stale: dict[str, float], emptied: dict[str, float]
) -> None:
    row = a_row(**columns, **stale)

    assert decide(Photo(E), row, force=False, sweep=False, now=NOW) == Note(emptied)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("sweep", [False, True])
@pytest.mark.parametrize(
    ("columns", "noted"),
    [
        pytest.param({"settled_etag": E}, {"missing_since": NOW}, id="a photo is settled"),
        pytest.param({"dirty": True}, {"missing_since": NOW}, id="one may be shown"),
        pytest.param({"settled_etag": E, "missing_since": EARLIER}, None, id="noted before: since then"),
        pytest.param({}, None, id="nothing is shown"),
        pytest.param({"settled_sha256": "ab", "outcome": "kept"}, None, id="kept on purpose"),
        pytest.param(SKIPPED, None, id="skipped, nothing shown"),
    ],
)
def test_a_missing_photo_is_noted_and_never_cleared_by_a_check(
    columns: dict[str, Any], noted: dict[str, float] | None, sweep: bool, force: bool
) -> None:
    decision = decide(NoPhoto(), a_row(**columns), force=force, sweep=sweep, now=NOW)

    assert decision == (Note(noted) if noted else Leave())


@pytest.mark.parametrize(
    ("row", "noted"),
    [
        pytest.param(a_row(), {"gone_since": NOW}, id="known"),
        pytest.param(a_row(settled_etag=E, dirty=True), {"gone_since": NOW}, id="known, with a photo"),
        pytest.param(a_row(gone_since=EARLIER), None, id="noted before: since then"),
        pytest.param(Row(ANNA), None, id="never known: no row to update"),
    ],
)
def test_a_user_who_is_gone_is_noted_once(row: Row, noted: dict[str, float] | None) -> None:
    decision = decide(UserGone(), row, force=False, sweep=True, now=NOW)

    assert decision == (Note(noted) if noted else Leave())


def test_a_user_without_mailbox_is_noted_once_with_the_reason() -> None:
    row = Row(ANNA)

    decision = decide(NoMailbox("no mailbox"), row, force=False, sweep=False, now=NOW)
    assert decision == Note({"outcome": "skipped", "reason": "no mailbox"})

    noted = replace(row, version="v1", **decision.columns)
    assert decide(NoMailbox("no mailbox"), noted, force=False, sweep=True, now=NOW) == Leave()
    assert isinstance(
        decide(NoMailbox("mailbox is on premises"), noted, force=False, sweep=True, now=NOW), Note
    )


def test_a_skipped_user_who_gets_a_mailbox_is_synced() -> None:
    row = a_row(outcome="skipped", reason="no mailbox")

    assert decide(Photo(E), row, force=False, sweep=False, now=NOW) == Queue()


@pytest.mark.parametrize(
    ("source", "decision"),
    [
        pytest.param(Unavailable(), AskAgain(None, denied=False), id="unavailable, without Retry-After"),
        pytest.param(Unavailable(12.5), AskAgain(12.5, denied=False), id="unavailable for a while"),
        pytest.param(Unavailable(0.0), AskAgain(0.0), id="unavailable just now"),
        pytest.param(PhotoDenied("ErrorAccessDenied"), AskAgain(None, denied=True), id="denied"),
        pytest.param(PhotoFailed(410, "Odd"), TryAlone("Graph answered 410 Odd"), id="odd"),
        pytest.param(PhotoFailed(404), TryAlone("Graph answered 404"), id="odd, without a code"),
    ],
)
@pytest.mark.parametrize("columns", [{}, SETTLED, REFUSED], ids=["unknown", "settled", "refused"])
def test_a_user_without_an_answer_is_checked_again(
    source: PhotoSource, decision: AskAgain | TryAlone, columns: dict[str, Any]
) -> None:
    assert decide(source, a_row(**columns), force=False, sweep=False, now=NOW) == decision


def test_an_unexpected_answer_is_tried_five_times() -> None:
    source = PhotoFailed(410, "Odd")

    looks = [
        decide(source, a_row(), force=False, sweep=False, now=NOW, tries=tries)
        for tries in range(MOST_TRIES + 1)
    ]
    assert looks == [TryAlone("Graph answered 410 Odd")] * MOST_TRIES + [GiveUp("Graph answered 410 Odd")]


@pytest.mark.parametrize("sweep", [False, True], ids=["a hint", "a sweep"])
def test_a_picture_in_doubt_is_left_to_a_later_check_that_is_queued(sweep: bool) -> None:
    doubt = {"dirty": True, "unsure_until": NOW + 400, "recheck_at": NOW + RECHECK_MARGIN + 0.1}

    assert decide(Photo(E), a_row(**SETTLED, **doubt), force=False, sweep=sweep, now=NOW) == Leave()
    assert decide(Photo(OTHER), a_row(**SETTLED, **doubt), force=False, sweep=sweep, now=NOW) == Queue()
    assert decide(Photo(E), a_row(**SETTLED, **doubt), force=True, sweep=sweep, now=NOW) == Queue()
    due = {**doubt, "recheck_at": NOW + RECHECK_MARGIN}
    assert decide(Photo(E), a_row(**SETTLED, **due), force=False, sweep=sweep, now=NOW) == Queue()


def test_a_doubtful_row_keeps_the_failure_that_its_repair_will_replace() -> None:
    doubt = {"dirty": True, "recheck_at": NOW + 400, "outcome": "failed", "reason": "poison"}

    assert decide(Photo(E), a_row(**{**SETTLED, **doubt}), force=False, sweep=True, now=NOW) == Leave()


# --- properties ---

SOURCES = (
    st.sampled_from([E, OTHER]).map(Photo)
    | st.sampled_from([NoPhoto(), UserGone(), NoMailbox("no mailbox"), PhotoDenied(), PhotoFailed(410)])
    | (st.none() | st.floats(0, 900)).map(Unavailable)
)


@PROPERTY
@given(row=ROWS, sweep=st.booleans())
def test_a_settled_clean_and_sure_photo_is_never_synced_unforced(row: Row, sweep: bool) -> None:
    settled = replace(row, settled_etag=E, dirty=False, unsure_until=EARLIER)

    assert isinstance(decide(Photo(E), settled, force=False, sweep=sweep, now=NOW), Leave | Note)


@PROPERTY
@given(row=ROWS, sweep=st.booleans())
def test_a_forced_check_syncs_every_photo(row: Row, sweep: bool) -> None:
    assert decide(Photo(E), row, force=True, sweep=sweep, now=NOW) == Queue()


@PROPERTY
@given(row=ROWS)
def test_a_sweep_queues_every_photo_that_is_not_settled_unreadable_or_queued(row: Row) -> None:
    if decide(Photo(E), row, force=False, sweep=True, now=NOW) == Queue():
        return

    settled = row.settled_etag == E and not row.dirty and row.unsure_until <= NOW
    refused = (row.refused_etag, row.outcome, row.reason) == (E, "failed", UNREADABLE)
    queued = row.queued_at > NOW - QUEUED_FOR
    assert settled or refused or queued


@PROPERTY
@given(source=SOURCES, row=ROWS, force=st.booleans(), sweep=st.booleans())
def test_only_users_with_a_photo_are_queued(source: PhotoSource, row: Row, force: bool, sweep: bool) -> None:
    decision = decide(source, row, force=force, sweep=sweep, now=NOW)

    assert isinstance(source, Photo) or decision != Queue()


@PROPERTY
@given(source=SOURCES, row=ROWS, sweep=st.booleans())
def test_what_was_noted_is_not_noted_again(source: PhotoSource, row: Row, sweep: bool) -> None:
    decision = decide(source, row, force=False, sweep=sweep, now=NOW)
    if not isinstance(decision, Note):
        return

    noted = replace(row, version="v2", **decision.columns)
    assert not isinstance(decide(source, noted, force=False, sweep=sweep, now=LATER), Note)
