"""Whether a photo must be synced: the table of checks row by row, and its properties."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.checks.decision import MOST_TRIES, AskAgain, GiveUp, Leave, Note, Queue, decide, letter_of
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
from shared.ledger.row import RECHECK_MARGIN, Row
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


@settings(PROPERTY, max_examples=1000)
@given(row=ROWS, force=st.booleans(), sweep=st.booleans())
def test_a_photo_is_queued_unless_it_is_settled_refused_or_queued_by_a_sweep(row, force, sweep) -> None:
    settled = row.settled_etag == E and not row.dirty and row.unsure_until <= NOW
    # A refusal holds while the outcome that refused stands; a sweep looks again at the users out of scope.
    unreadable = row.refused_etag == E and (row.outcome, row.reason) == ("failed", UNREADABLE)
    skipped = row.refused_etag == E and row.outcome == "skipped" and not sweep
    queued = sweep and row.queued_at > NOW - 24 * 3600.0  # a live change does not wait for a sweep's sync
    nowhere = row.outcome == "deferred" and row.no_profile_etag == E and row.no_profile_until > NOW
    decision = decide(Photo(E), row, force=force, sweep=sweep, now=NOW)

    ours = settled or unreadable or skipped or queued or nowhere
    assert isinstance(decision, Queue) is (force or not ours)
    assert isinstance(decision, Queue | Note | Leave)


@settings(PROPERTY, max_examples=1000)
@given(row=ROWS, force=st.booleans(), sweep=st.booleans())
def test_only_the_same_photo_waits_for_a_profile_and_never_against_force(row, force, sweep) -> None:
    noted = {"no_profile_until": LATER, "no_profile_etag": E, "outcome": "deferred", "reason": ""}
    waiting, free = replace(row, **noted), replace(row, **noted | {"no_profile_until": 0.0})
    how = {"force": force, "sweep": sweep, "now": NOW}

    queued = decide(Photo(E), free, **how) == Queue()
    assert (decide(Photo(E), waiting, **how) == Queue()) is (force and queued)
    assert decide(Photo(OTHER), waiting, **how) == decide(Photo(OTHER), free, **how)
    assert decide(NoPhoto(), waiting, **how) == decide(NoPhoto(), free, **how)
    skipped = {"outcome": "skipped"}
    assert decide(Photo(E), replace(waiting, **skipped), **how) == decide(
        Photo(E), replace(free, **skipped), **how
    )


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
def test_a_failure_ends_where_nothing_is_left_to_sync(source, columns, sweep, decision) -> None:
    assert decide(source, a_row(**columns), force=False, sweep=sweep, now=NOW) == decision


@pytest.mark.parametrize("columns", [SETTLED, REFUSED, SKIPPED], ids=["settled", "refused", "skipped"])
@pytest.mark.parametrize("stale", ["missing_since", "gone_since"])
def test_a_known_photo_that_was_missing_is_no_longer_missing(columns: dict[str, Any], stale: str) -> None:
    row = a_row(**columns, **{stale: EARLIER})

    assert decide(Photo(E), row, force=False, sweep=False, now=NOW) == Note({stale: 0.0})


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("sweep", [False, True])
@pytest.mark.parametrize(
    ("columns", "noted"),
    [
        pytest.param({"settled_etag": E}, {"missing_since": NOW}, id="a photo is settled"),
        pytest.param({"dirty": True}, {"missing_since": NOW}, id="one may be shown"),
        pytest.param({"settled_etag": E, "missing_since": EARLIER}, None, id="noted before: since then"),
        pytest.param({}, None, id="nothing is shown"),
    ],
)
def test_a_missing_photo_is_noted_and_never_cleared_by_a_check(columns, noted, sweep, force) -> None:
    decision = decide(NoPhoto(), a_row(**columns), force=force, sweep=sweep, now=NOW)

    assert decision == (Note(noted) if noted else Leave())


@pytest.mark.parametrize(
    ("row", "noted"),
    [
        pytest.param(a_row(), {"gone_since": NOW}, id="known"),
        pytest.param(a_row(gone_since=EARLIER), None, id="noted before: since then"),
        pytest.param(Row(ANNA), None, id="never known: no row to update"),
    ],
)
def test_a_user_who_is_gone_is_noted_once(row: Row, noted: dict[str, float] | None) -> None:
    decision = decide(UserGone(), row, force=False, sweep=True, now=NOW)

    assert decision == (Note(noted) if noted else Leave())


UNPROVEN = NoPhoto(proven=False)
BACK = {"gone_since": 0.0}


@pytest.mark.parametrize(
    ("source", "columns", "decision"),
    [
        pytest.param(Photo(E), SETTLED, Note(BACK), id="a known photo"),
        pytest.param(Photo(OTHER), SETTLED, Queue(BACK), id="a new photo"),
        pytest.param(NoPhoto(), SETTLED, Note({"missing_since": NOW, **BACK}), id="no photo any more"),
        pytest.param(NoPhoto(), {}, Note(BACK), id="no photo, and none shown"),
        pytest.param(UNPROVEN, SETTLED, Note(BACK), id="perhaps no photo"),
        pytest.param(
            NoMailbox("no mailbox"),
            SETTLED,
            Note({"outcome": "skipped", "reason": "no mailbox", **BACK}),
            id="no mailbox",
        ),
        pytest.param(
            NoMailbox("no mailbox"),
            {"outcome": "skipped", "reason": "no mailbox"},
            Note(BACK),
            id="no mailbox, noted before",
        ),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_every_answer_that_knows_the_user_ends_that_they_are_gone(source, columns, decision, listed) -> None:
    row = a_row(**columns, gone_since=EARLIER)

    assert decide(source, row, force=False, sweep=listed, now=NOW, listed=listed) == decision


@pytest.mark.parametrize(
    "source", [Unavailable(5.0), PhotoDenied(), PhotoFailed(410)], ids=["busy", "denied", "odd"]
)
@pytest.mark.parametrize("tries", [0, MOST_TRIES])
def test_a_page_knows_its_users_whatever_the_answer_about_their_photos(source, tries) -> None:
    row = a_row(**SETTLED, gone_since=EARLIER)

    for listed, columns in ((False, {}), (True, BACK)):
        found = decide(source, row, force=False, sweep=True, now=NOW, tries=tries, listed=listed)
        assert found.columns == columns


def test_a_user_who_left_since_the_page_was_read_is_gone() -> None:
    row = a_row(**SETTLED, gone_since=EARLIER)

    assert decide(UserGone(), row, force=False, sweep=True, now=NOW, listed=True) == Leave()


def test_a_user_who_came_back_is_not_called_gone_any_more() -> None:
    row = a_row(**SETTLED | GONE, gone_since=EARLIER)

    assert decide(Photo(E), row, force=False, sweep=True, now=NOW) == Note({**SHOWN, **BACK})


@pytest.mark.parametrize(
    ("columns", "decision"),
    [
        pytest.param(SETTLED, Leave(), id="shown: the time of a removal does not begin"),
        pytest.param({**SETTLED, "missing_since": EARLIER}, Note({"missing_since": 0.0}), id="it ends"),
        pytest.param({"dirty": True, "missing_since": EARLIER}, Note({"missing_since": 0.0}), id="dirty"),
        pytest.param({}, Leave(), id="nothing shown"),
        pytest.param(
            GAVE_UP,
            Note(
                {
                    "outcome": "unchanged",
                    "reason": "Graph shows no photo, with an answer that does not prove that there is none",
                }
            ),
            id="what failed is over",
        ),
    ],
)
def test_an_unproven_answer_is_no_photo_and_no_reason_to_remove(columns, decision) -> None:
    assert decide(UNPROVEN, a_row(**columns), force=False, sweep=True, now=NOW, listed=True) == decision


@pytest.mark.parametrize(
    ("source", "letter"), [(NoPhoto(), "R"), (UNPROVEN, "M")], ids=["proven", "unproven"]
)
def test_only_a_proven_answer_makes_a_picture_removable(source: NoPhoto, letter: str) -> None:
    row = a_row(**SETTLED, missing_since=NOW - 7200)

    assert letter_of(source, Leave(), row, now=NOW, remove_after=3600.0) == letter


def test_a_user_without_mailbox_is_noted_once_with_the_reason() -> None:
    row = Row(ANNA)

    decision = decide(NoMailbox("no mailbox"), row, force=False, sweep=False, now=NOW)
    assert decision == Note({"outcome": "skipped", "reason": "no mailbox"})

    noted = replace(row, version="v1", **decision.columns)
    assert decide(NoMailbox("no mailbox"), noted, force=False, sweep=True, now=NOW) == Leave()
    assert isinstance(
        decide(NoMailbox("mailbox is on premises"), noted, force=False, sweep=True, now=NOW), Note
    )


SILENT = "Graph does not answer for this user's photo"


@pytest.mark.parametrize(
    ("source", "decision"),
    [
        pytest.param(Unavailable(), AskAgain(SILENT), id="unavailable, without Retry-After"),
        pytest.param(Unavailable(12.5), AskAgain(SILENT, 12.5), id="unavailable for a while"),
        pytest.param(
            PhotoDenied("ErrorAccessDenied"),
            AskAgain("Graph denies access to this user's photo ErrorAccessDenied"),
            id="denied",
        ),
        pytest.param(PhotoFailed(410, "Odd"), AskAgain("Graph answered 410 Odd"), id="odd"),
        pytest.param(PhotoFailed(404), AskAgain("Graph answered 404"), id="odd, without a code"),
    ],
)
def test_a_user_without_an_answer_is_checked_again(source, decision) -> None:
    assert decide(source, a_row(), force=False, sweep=False, now=NOW) == decision


def test_an_unexpected_answer_is_tried_five_times() -> None:
    source = PhotoFailed(410, "Odd")

    looks = [
        decide(source, a_row(), force=False, sweep=False, now=NOW, tries=tries)
        for tries in range(MOST_TRIES + 1)
    ]
    assert looks == [AskAgain("Graph answered 410 Odd")] * MOST_TRIES + [GiveUp("Graph answered 410 Odd")]


@pytest.mark.parametrize("sweep", [False, True], ids=["a hint", "a sweep"])
def test_a_picture_in_doubt_is_left_to_a_later_check_that_is_queued(sweep: bool) -> None:
    doubt = {"dirty": True, "unsure_until": NOW + 400, "recheck_at": NOW + RECHECK_MARGIN + 0.1}

    assert decide(Photo(E), a_row(**SETTLED, **doubt), force=False, sweep=sweep, now=NOW) == Leave()
    assert decide(Photo(OTHER), a_row(**SETTLED, **doubt), force=False, sweep=sweep, now=NOW) == Queue()
    assert decide(Photo(E), a_row(**SETTLED, **doubt), force=True, sweep=sweep, now=NOW) == Queue()
    due = {**doubt, "recheck_at": NOW + RECHECK_MARGIN}
    assert decide(Photo(E), a_row(**SETTLED, **due), force=False, sweep=sweep, now=NOW) == Queue()


def test_a_doubtful_row_keeps_the_failure_that_its_repair_will_replace() -> None:
    row = a_row(**SETTLED | GAVE_UP, dirty=True, recheck_at=NOW + 400)

    assert decide(Photo(E), row, force=False, sweep=True, now=NOW) == Leave()


# --- properties ---

SOURCES = (
    st.sampled_from([E, OTHER]).map(Photo)
    | st.sampled_from(
        [
            NoPhoto(),
            NoPhoto(proven=False),
            UserGone(),
            NoMailbox("no mailbox"),
            PhotoDenied(),
            PhotoFailed(410),
        ]
    )
    | (st.none() | st.floats(0, 900)).map(Unavailable)
)


@PROPERTY
@given(source=SOURCES, row=ROWS, force=st.booleans(), sweep=st.booleans())
def test_only_users_with_a_photo_are_queued(source: PhotoSource, row: Row, force: bool, sweep: bool) -> None:
    decision = decide(source, row, force=force, sweep=sweep, now=NOW)

    assert isinstance(source, Photo) or not isinstance(decision, Queue)


@PROPERTY
@given(source=SOURCES, row=ROWS, sweep=st.booleans())
def test_what_was_noted_is_not_noted_again(source: PhotoSource, row: Row, sweep: bool) -> None:
    decision = decide(source, row, force=False, sweep=sweep, now=NOW)
    if not isinstance(decision, Note):
        return

    noted = replace(row, version="v2", **decision.columns)
    assert not isinstance(decide(source, noted, force=False, sweep=sweep, now=NOW), Note)
    later = decide(source, noted, force=False, sweep=sweep, now=LATER)  # a doubt may have ended meanwhile
    assert not (isinstance(later, Note) and later.columns.keys() & decision.columns.keys())
