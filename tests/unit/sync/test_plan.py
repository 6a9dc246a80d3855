"""The plan for one user: upload, finish, come back or clear; the scope; a picture without a photo."""

import hashlib
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.checks.decision import Leave, Queue, decide
from shared.graph.photo import Gathered, NoMailbox, NoPhoto, Photo, UserGone
from shared.ledger.row import RETRY_MARGIN, Row, recently_queued
from shared.sharepoint.client import picture_timestamp, thumbnail_name
from shared.sync.plan import Clear, ComeBack, Finish, Removal, SyncPlan, Upload, plan_sync, unreadable
from shared.users import Scope, User, out_of_scope
from tests.unit.ledger.row_strategies import (
    ANNA,
    EARLIER,
    ETAGS,
    LATER,
    NOW,
    OTHER,
    PROPERTY,
    ROWS,
    UNREADABLE,
    E,
    a_row,
)

# --- the scope ---


def a_user(**changed: Any) -> User:
    return replace(User(ANNA, "anna@contoso.com", enabled=True, guest=False), **changed)


MEMBERS, GUESTS = Scope(), Scope(guests=True)
TEAM, SHY = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"
GROUP = Scope(group=TEAM)


def within(*groups: str, **changed: Any) -> User:
    return a_user(groups=frozenset(groups), **changed)


@pytest.mark.parametrize(
    ("user", "scope", "reason"),
    [
        pytest.param(a_user(), MEMBERS, "", id="a member"),
        pytest.param(a_user(guest=True), MEMBERS, "guest is out of scope", id="a guest"),
        pytest.param(a_user(guest=True), GUESTS, "", id="a guest who is wanted"),
        pytest.param(a_user(enabled=False), MEMBERS, "account is disabled", id="disabled"),
        pytest.param(a_user(enabled=False, guest=True), GUESTS, "account is disabled", id="both"),
        pytest.param(within(TEAM), GROUP, "", id="in the group"),
        pytest.param(within(), GROUP, "is not in the group", id="in no group"),
        pytest.param(within(SHY), GROUP, "is not in the group", id="in another group"),
        pytest.param(within(TEAM, guest=True), GROUP, "", id="a guest in the group counts as named"),
        pytest.param(within(guest=True), GROUP, "is not in the group", id="a guest outside the group"),
        pytest.param(within(TEAM, enabled=False), GROUP, "account is disabled", id="disabled, in the group"),
        pytest.param(within(SHY), Scope(excluded=SHY), "is in the excluded group", id="left out"),
        pytest.param(
            within(SHY, TEAM), replace(GROUP, excluded=SHY), "is in the excluded group", id="in and left out"
        ),
    ],
)
def test_the_scope_leaves_out_disabled_accounts_unwanted_guests_and_users_by_their_groups(
    user: User, scope: Scope, reason: str
) -> None:
    assert out_of_scope(user, scope) == reason


@pytest.mark.parametrize(
    ("scope", "groups"),
    [
        pytest.param(MEMBERS, (), id="members: nothing to ask"),
        pytest.param(GROUP, (TEAM,), id="a group"),
        pytest.param(Scope(excluded=SHY), (SHY,), id="a group left out"),
        pytest.param(Scope(group=TEAM, excluded=SHY), (TEAM, SHY), id="both"),
    ],
)
def test_only_the_groups_that_decide_are_asked_for(scope: Scope, groups: tuple[str, ...]) -> None:
    assert scope.groups == groups


# --- plan ---

BYTES = b"anna"
SHA = hashlib.sha256(BYTES).hexdigest()
AT_REST = {"missing_since": 0.0, "gone_since": 0.0, "queued_at": 0.0}
UNASKED = Removal()


def gathered(source: Any = None, content: bytes = BYTES, label: str = E, **user: Any) -> Gathered:
    return Gathered(a_user(**user), source or Photo(E), content, label)


def planned(
    found: Gathered, *, force: bool = False, tries: int = 0, removal: Removal = UNASKED, **columns: Any
) -> SyncPlan:
    row = a_row(**columns)
    return plan_sync(found, row, scope=MEMBERS, force=force, tries=tries, now=NOW, removal=removal)


UPLOAD = Upload(a_user(), E, SHA, BYTES)
REMOVALS = st.builds(
    Removal,
    asked=st.booleans(),
    swept=st.booleans(),
    after=st.sampled_from([1.0, 3600.0]),
    keep=st.booleans(),
)


@settings(PROPERTY, max_examples=1000)
@given(row=ROWS, force=st.booleans(), removal=REMOVALS)
def test_a_photo_is_uploaded_unless_sharepoint_shows_it_or_it_was_unreadable(row, force, removal) -> None:
    unreadable = row.refused_etag == E and (row.outcome, row.reason) == ("failed", UNREADABLE)
    certain = not row.dirty and row.unsure_until <= NOW
    expected: SyncPlan = UPLOAD
    if not force and unreadable:
        expected = Finish("failed", UNREADABLE, AT_REST, E)
    elif not force and certain and row.settled_etag == E:
        expected = Finish("unchanged", "SharePoint has this photo", AT_REST, E)
    elif not force and certain and row.settled_sha256 == SHA:
        columns = {**AT_REST, "settled_etag": E, "refused_etag": ""}
        expected = Finish("unchanged", "the same picture under a new ETag", columns, E)

    step = plan_sync(gathered(), row, scope=MEMBERS, force=force, tries=0, now=NOW, removal=removal)
    assert step == expected


@pytest.mark.parametrize("force", [False, True], ids=["", "forced"])
@pytest.mark.parametrize(
    ("label", "tries", "step"),
    [
        pytest.param(OTHER, 0, ComeBack, id="torn: later"),
        pytest.param(OTHER, 1, Upload, id="still torn: the bytes' own label is true"),
        pytest.param(OTHER, 2, Upload, id="torn after an unreadable read"),
        pytest.param("", 0, ComeBack, id="bytes without a label: later"),
        pytest.param("", 1, Finish, id="still no bytes: left to the next check"),
        pytest.param(E, 1, Upload, id="whole the second time"),
    ],
)
def test_a_photo_that_changes_while_it_is_read_is_read_once_more(label, tries, step, force) -> None:
    planned_step = planned(gathered(label=label), tries=tries, force=force)

    assert isinstance(planned_step, step)
    assert not isinstance(planned_step, ComeBack) or planned_step.after == 30.0
    assert not isinstance(planned_step, Upload) or planned_step.etag == label
    assert not isinstance(planned_step, Finish) or planned_step.outcome == "deferred"


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(Gathered(None, UserGone()), id="not in the directory"),
        pytest.param(Gathered(None, Photo(E), BYTES, E), id="not in the directory, whatever the photo"),
    ],
)
def test_a_user_who_is_gone_is_gone_since_the_first_time_that_was_noted(found: Gathered) -> None:
    reason = "the directory does not know this user"

    assert planned(found) == Finish("gone", reason, {"gone_since": NOW, "queued_at": 0.0})
    assert planned(found, gone_since=EARLIER) == Finish(
        "gone", reason, {"gone_since": EARLIER, "queued_at": 0.0}
    )


@pytest.mark.parametrize(
    ("found", "refused"),
    [
        pytest.param(gathered(enabled=False), E, id="disabled"),
        pytest.param(gathered(Photo(OTHER), enabled=False), E, id="disabled, and torn: the bytes' own label"),
        pytest.param(gathered(enabled=False, label=""), E, id="disabled, bytes without a label"),
        pytest.param(gathered(NoPhoto(), b"", "", enabled=False), "", id="disabled and photoless"),
        pytest.param(
            gathered(NoMailbox("no mailbox"), b"", "", guest=True), "", id="a guest without mailbox"
        ),
    ],
)
def test_a_user_outside_the_scope_is_skipped_and_keeps_the_photo(found: Gathered, refused: str) -> None:
    step = planned(found, gone_since=EARLIER, settled_etag=OTHER, dirty=True)

    assert isinstance(step, Finish)
    assert step.outcome == "skipped"
    assert step.columns == {"refused_etag": refused, "gone_since": 0.0, "queued_at": 0.0}


def test_a_user_whom_only_the_photo_service_does_not_know_is_skipped_and_not_gone() -> None:
    step = planned(Gathered(a_user(), UserGone()), gone_since=EARLIER)

    assert step == Finish(
        "skipped", "the photo service does not know this user", {"gone_since": 0.0, "queued_at": 0.0}
    )


def test_a_user_without_mailbox_is_skipped_with_the_reason_and_known_to_the_directory() -> None:
    step = planned(gathered(NoMailbox("mailbox is on premises"), b"", ""), gone_since=EARLIER)

    assert step == Finish("skipped", "mailbox is on premises", {"gone_since": 0.0, "queued_at": 0.0})


# --- plan: what becomes of a picture whose photo is gone ---

OVERDUE = NOW - 3600.0
CLEAR = Clear(a_user())
SHOWN = {"settled_etag": E, "settled_sha256": SHA}
ASKED, SWEPT = Removal(asked=True), Removal(swept=True)
KEEP = Removal(swept=True, keep=True)
KEPT = {**AT_REST, "settled_etag": "", "dirty": False, "unsure_until": 0.0}


def still_missing(since: float) -> Finish:
    return Finish("unchanged", "no photo in Exchange", {**AT_REST, "missing_since": since})


def kept(sha256: str) -> Finish:
    columns = {**KEPT, "settled_sha256": sha256}
    return Finish("kept", "no photo in Exchange; the picture stays", columns)


OVERDUE_PICTURE = {**SHOWN, "missing_since": OVERDUE}
SOON = {**SHOWN, "missing_since": OVERDUE + 1}
HALF_WRITTEN = {**OVERDUE_PICTURE, "dirty": True, "unsure_until": LATER}


@pytest.mark.parametrize(
    ("removal", "columns", "step"),
    [
        # a hint, a second look, an administrator's plain sync: whatever the row says, it is only noted
        pytest.param(UNASKED, SHOWN, still_missing(NOW), id="unasked: missing from now on"),
        pytest.param(UNASKED, {}, still_missing(0.0), id="unasked: nothing is shown"),
        pytest.param(UNASKED, {"dirty": True}, still_missing(NOW), id="unasked: perhaps shown"),
        pytest.param(UNASKED, OVERDUE_PICTURE, still_missing(OVERDUE), id="unasked, though overdue"),
        pytest.param(Removal(keep=True), OVERDUE_PICTURE, still_missing(OVERDUE), id="unasked, keeping"),
        # a sweep: only what has been missing for long enough, by the row and not by the message
        pytest.param(SWEPT, OVERDUE_PICTURE, CLEAR, id="swept: missing for an hour"),
        pytest.param(SWEPT, SOON, still_missing(OVERDUE + 1), id="swept: a second too soon"),
        pytest.param(SWEPT, SHOWN, still_missing(NOW), id="swept, but it was there in between"),
        pytest.param(SWEPT, HALF_WRITTEN, CLEAR, id="swept, half written"),
        pytest.param(SWEPT, {}, still_missing(0.0), id="swept, but cleared since: nothing is shown"),
        pytest.param(Removal(swept=True, after=3599.0), SOON, CLEAR, id="swept, by another setting"),
        # keep: settled as kept, once a sweep would have removed it
        pytest.param(KEEP, OVERDUE_PICTURE, kept(SHA), id="keep: it stays, and is no longer ours"),
        pytest.param(KEEP, HALF_WRITTEN, kept(""), id="keep, half written: a later photo is uploaded"),
        pytest.param(KEEP, SOON, still_missing(OVERDUE + 1), id="keep, but too soon"),
        # an administrator: now, and whatever the row says
        pytest.param(ASKED, {}, CLEAR, id="asked: of an unknown user"),
        pytest.param(ASKED, SHOWN, CLEAR, id="asked: missing from now on"),
        pytest.param(replace(KEEP, asked=True), OVERDUE_PICTURE, CLEAR, id="asked, although sweeps keep"),
    ],
)
def test_a_picture_is_removed_when_a_sweep_missed_its_photo_for_long_enough_or_a_person_asks(
    removal: Removal, columns: dict[str, Any], step: SyncPlan
) -> None:
    assert planned(gathered(NoPhoto(), b"", ""), removal=removal, gone_since=EARLIER, **columns) == step


@pytest.mark.parametrize("removal", [UNASKED, SWEPT, KEEP, ASKED, replace(SWEPT, asked=True)], ids=str)
def test_an_answer_that_does_not_prove_that_there_is_no_photo_removes_nothing(removal: Removal) -> None:
    step = planned(gathered(NoPhoto(proven=False), b"", ""), removal=removal, **OVERDUE_PICTURE)

    assert isinstance(step, Finish)
    assert (step.outcome, step.columns) == ("unchanged", AT_REST)


def test_a_kept_picture_is_not_missed_again() -> None:
    row = a_row(**{**SHOWN, **columns_of(kept(SHA))})

    assert not row.shows_a_photo
    assert decide(NoPhoto(), row, force=False, sweep=True, now=LATER) == Leave()


# --- plan: the laws ---

GATHERED = st.builds(
    Gathered,
    user=st.none()
    | st.builds(
        a_user, enabled=st.booleans(), guest=st.booleans(), groups=st.frozensets(st.sampled_from([TEAM, SHY]))
    ),
    source=st.sampled_from(
        [Photo(E), Photo(OTHER), NoPhoto(), NoPhoto(proven=False), NoMailbox("no mailbox"), UserGone()]
    ),
    content=st.sampled_from([b"", BYTES, b"other"]),
    content_etag=ETAGS,
)


@dataclass(frozen=True)
class Case:
    """The arguments of a plan."""

    found: Gathered
    row: Row
    scope: Scope
    force: bool
    tries: int
    removal: Removal

    def plan(self) -> SyncPlan:
        facts = {"scope": self.scope, "force": self.force, "tries": self.tries, "removal": self.removal}
        return plan_sync(self.found, self.row, now=NOW, **facts)


CASES = st.builds(
    Case,
    found=GATHERED,
    row=ROWS,
    scope=st.builds(
        Scope, st.booleans(), group=st.sampled_from(["", TEAM]), excluded=st.sampled_from(["", SHY])
    ),
    force=st.booleans(),
    tries=st.integers(0, 2),
    removal=REMOVALS,
)


def columns_of(step: Finish) -> dict[str, Any]:
    return {**step.columns, "outcome": step.outcome, "reason": step.reason}


@PROPERTY
@given(case=CASES)
def test_a_plan_settles_only_what_the_bytes_themselves_are_called(case: Case) -> None:
    found, row = case.found, case.row
    match case.plan():
        case Upload(user, etag, sha256, content):
            assert not out_of_scope(user, case.scope)
            assert isinstance(found.source, Photo)
            assert etag == found.content_etag != ""
            assert (content, sha256) == (found.content, hashlib.sha256(found.content).hexdigest())
        case Finish(outcome, columns=columns) if "settled_etag" in columns and outcome != "kept":
            assert columns["settled_etag"] == found.content_etag != ""
            assert row.settled_sha256 == hashlib.sha256(found.content).hexdigest()
            assert not case.force
            assert not row.dirty
            assert row.unsure_until <= NOW


@PROPERTY
@given(case=CASES)
def test_a_plan_that_writes_nothing_notes_only_columns_that_a_merge_keeps(case: Case) -> None:
    step = case.plan()
    if not isinstance(step, Finish):
        return

    kinds = {field.name: type(getattr(Row(ANNA), field.name)) for field in fields(Row)}
    assert all(type(value) is kinds[name] for name, value in columns_of(step).items())
    # What was written to SharePoint, or may have been, is for an upload alone to forget, or for a picture
    # that is left to itself.
    protected = {"dirty", "unsure_until", "settled_sha256"} if step.outcome != "kept" else set()
    assert not {*protected, "claim_token"} & step.columns.keys()
    assert step.columns["queued_at"] == 0.0


@PROPERTY
@given(case=CASES)
def test_a_plan_removes_or_gives_up_a_picture_only_of_a_user_in_scope_without_a_photo(case: Case) -> None:
    step = case.plan()
    removes = isinstance(step, Clear) or (isinstance(step, Finish) and step.outcome == "kept")
    if not removes:
        return

    removal, user = case.removal, case.found.user
    assert user
    assert not out_of_scope(user, case.scope)
    assert case.found.source == NoPhoto()
    assert removal.asked or (removal.swept and 0 < case.row.missing_since <= NOW - removal.after)
    assert isinstance(step, Clear) or removal.keep


@PROPERTY
@given(case=CASES)
def test_a_job_comes_back_for_itself_a_bounded_number_of_times(case: Case) -> None:
    for _ in range(3):
        step = case.plan()
        if not isinstance(step, ComeBack):
            return
        assert step.tries > case.tries
        case = replace(case, tries=step.tries)
    pytest.fail("it would come back for ever")


@PROPERTY
@given(case=CASES)
def test_a_check_after_a_finished_sync_queues_nothing(case: Case) -> None:
    step = case.plan()
    if not isinstance(step, Finish) or step.outcome in ("deferred", "gone"):
        return

    # A check sees the bytes' label only where the photo held still while the sync read it.
    held_still = not isinstance(case.found.source, Photo) or case.found.content_etag in (
        "",
        case.found.source.etag,
    )
    after = replace(case.row, version="v2", **columns_of(step))
    if held_still:
        assert not isinstance(decide(case.found.source, after, force=False, sweep=False, now=NOW), Queue)


@PROPERTY
@given(row=ROWS, sweep=st.booleans())
def test_a_sync_writes_no_photo_that_a_check_had_left_alone(row: Row, sweep: bool) -> None:
    decision = decide(Photo(E), row, force=False, sweep=sweep, now=NOW)
    if isinstance(decision, Queue) or row.outcome == "skipped":
        return
    if sweep and recently_queued(row, NOW):  # left alone because that very sync is queued
        return

    step = plan_sync(gathered(), row, scope=MEMBERS, force=False, tries=0, now=NOW, removal=Removal())
    assert isinstance(step, Finish)


# --- unreadable images, names and timestamps ---


def test_an_unreadable_image_is_read_once_more_and_then_refused() -> None:
    first = unreadable(UPLOAD, a_row(), tries=0, first_look=120.0, now=NOW)
    assert isinstance(first, ComeBack)
    assert first.after == 120.0

    second = unreadable(UPLOAD, a_row(), tries=first.tries, first_look=120.0, now=NOW)
    assert second == Finish("failed", UNREADABLE, {**AT_REST, "refused_etag": E}, E)


def test_a_torn_read_does_not_use_up_the_second_read_of_an_unreadable_image() -> None:
    torn = planned(gathered(label=OTHER))
    assert isinstance(torn, ComeBack)

    assert isinstance(unreadable(UPLOAD, a_row(), tries=torn.tries, first_look=120.0, now=NOW), ComeBack)


@pytest.mark.parametrize("sweep", [False, True])
def test_an_image_refused_as_unreadable_is_not_queued_again(sweep: bool) -> None:
    refused = unreadable(UPLOAD, a_row(), tries=2, first_look=120.0, now=NOW)
    assert isinstance(refused, Finish)
    row = a_row(**columns_of(refused))

    assert decide(Photo(E), row, force=False, sweep=sweep, now=NOW) == Leave()
    assert decide(Photo(OTHER), row, force=False, sweep=sweep, now=NOW) == Queue()


@pytest.mark.parametrize(
    ("columns", "after", "queued"),
    [
        pytest.param({}, 120.0, False, id="the first look"),
        pytest.param({"retry_at": NOW + 50}, 50.0, True, id="another job has looked: when its next is due"),
        pytest.param({"retry_at": NOW - 50}, None, False, id="its next is due: this is the second look"),
        pytest.param({"retry_at": NOW}, None, False, id="due now"),
        pytest.param({"retry_at": NOW - 86_400.0}, 120.0, False, id="a day ago: a first look again"),
        pytest.param({"retry_at": NOW + 50, "tried_etag": OTHER}, 120.0, False, id="of another photo"),
        pytest.param({"retry_at": NOW - 50, "tried_etag": OTHER}, 120.0, False, id="of another, and due"),
        pytest.param({"retry_at": NOW + 50, "tries": 1.0}, 120.0, False, id="it was torn then"),
        pytest.param({"retry_at": NOW - 50, "tries": 1.0}, 120.0, False, id="it was torn before"),
    ],
)
def test_a_look_counts_the_looks_of_other_jobs_at_the_same_photo(columns, after, queued) -> None:
    row = a_row(**{"tried_etag": E, "tries": 2.0} | columns if columns else {})

    step = unreadable(UPLOAD, row, tries=0, first_look=120.0, now=NOW)
    if after is None:
        assert isinstance(step, Finish)
    else:
        assert step == ComeBack(after, UNREADABLE, 2, E, queued)
    # The job whose time it is does not wait for itself.
    assert isinstance(unreadable(UPLOAD, row, tries=2, first_look=120.0, now=NOW), Finish)


@pytest.mark.parametrize(
    ("retry_at", "step"),
    [(NOW + 10, ComeBack(10.0, "the photo changed while it was read", 1, OTHER, True)), (NOW - 1, Upload)],
    ids=["too early", "due"],
)
def test_a_torn_photo_is_written_by_whichever_job_comes_after_the_wait(retry_at: float, step: Any) -> None:
    row = a_row(tried_etag=OTHER, tries=1.0, retry_at=retry_at)
    asked = {"scope": MEMBERS, "force": False, "tries": 0, "now": NOW, "removal": UNASKED}
    found = plan_sync(gathered(label=OTHER), row, **asked)

    assert found == step if isinstance(step, ComeBack) else isinstance(found, step)


def test_a_check_leaves_a_photo_alone_that_a_queued_job_reads_again_and_no_other() -> None:
    row = a_row(tried_etag=E, tries=2.0, retry_at=NOW + 50)

    def check(etag: str, now: float, **how: bool) -> object:
        return decide(Photo(etag), row, **{"force": False, "sweep": True, **how}, now=now)

    assert check(E, NOW) == Leave()
    assert check(E, row.retry_at + RETRY_MARGIN - 1) == Leave()
    assert check(E, row.retry_at + RETRY_MARGIN) == Queue()  # it was lost
    assert check(OTHER, NOW) == check(E, NOW, force=True) == Queue()


def test_thumbnails_are_named_by_object_id_so_that_a_rename_moves_none() -> None:
    assert [thumbnail_name(ANNA, size) for size in "SML"] == [
        f"{ANNA}_SThumb.jpg",
        f"{ANNA}_MThumb.jpg",
        f"{ANNA}_LThumb.jpg",
    ]


@pytest.mark.parametrize(
    ("moment", "stamp"),
    [
        # Read from real profiles, and one computed.
        pytest.param(datetime(2015, 9, 4, 2, 0, 22, tzinfo=UTC), 63576928822, id="2015"),
        pytest.param(datetime(2022, 9, 22, 11, 20, 36, tzinfo=UTC), 63799442436, id="September 2022"),
        pytest.param(datetime(2026, 1, 1, tzinfo=UTC), 63902822400, id="2026"),
    ],
)
def test_a_picture_timestamp_counts_seconds_since_the_year_one(moment: datetime, stamp: int) -> None:
    assert picture_timestamp(moment.timestamp(), 0.0) == stamp
    assert picture_timestamp(moment.timestamp() + 0.999, 0.0) == stamp


@PROPERTY
@given(now=st.floats(0, 4e9), newest=st.floats(0, 1e11))
def test_a_picture_timestamp_never_goes_back(now: float, newest: float) -> None:
    stamp = picture_timestamp(now, newest)

    assert stamp >= int(newest)
    assert picture_timestamp(now, float(stamp)) == stamp
    assert picture_timestamp(now + 1.0, float(stamp)) >= stamp
