"""A ledger row: how it is read from a table's columns."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ledger.row import DAY, LONGEST_WAIT, Row, waits_for_profile, with_profile, without_profile

PROPERTY = settings(deadline=None)  # a slow machine is not a counterexample

USER = "11111111-2222-3333-4444-555555555555"


def test_a_user_without_a_row_has_an_empty_row() -> None:
    row = Row(USER)

    assert not row.shows_a_photo
    assert row.version == ""
    assert row == Row.from_columns(USER, {}, "")
    assert not any(getattr(row, field.name) for field in fields(Row) if field.name != "user")


def test_a_table_row_becomes_a_row_under_the_version_it_was_read_with() -> None:
    columns = {"settled_etag": '"A1"', "claim_until": 12.5, "dirty": True}

    row = Row.from_columns(USER, columns, 'W/"7"')

    assert row == Row(USER, version='W/"7"', settled_etag='"A1"', claim_until=12.5, dirty=True)


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param({"PartitionKey": "11", "RowKey": USER, "Timestamp": "now"}, id="the table's own"),
        pytest.param({"favourite_colour": "blue"}, id="another version's"),
        pytest.param({"version": "stolen"}, id="a column called version"),
    ],
)
def test_columns_that_do_not_belong_to_the_row_are_ignored(foreign: dict[str, Any]) -> None:
    row = Row.from_columns(USER, {"upn": "anna@contoso.com", **foreign}, "v1")

    assert row == Row(USER, version="v1", upn="anna@contoso.com")


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        pytest.param(Row(USER), False, id="nothing was ever written"),
        pytest.param(Row(USER, settled_etag='"A1"'), True, id="a photo is settled"),
        pytest.param(Row(USER, dirty=True), True, id="a first upload never ended"),
        pytest.param(Row(USER, settled_etag='"A1"', dirty=True), True, id="an upload over another"),
        # A removed photo that is kept on purpose keeps its hash and does not count.
        pytest.param(Row(USER, settled_sha256="ab", outcome="kept"), False, id="kept"),
        pytest.param(Row(USER, refused_etag='"A1"'), False, id="only ever refused"),
    ],
)
def test_sharepoint_may_show_our_picture_where_one_is_settled_or_being_written(row: Row, shown: bool) -> None:
    assert row.shows_a_photo is shown


COLUMNS = st.fixed_dictionaries(
    {},
    optional={
        "settled_etag": st.text(max_size=3),
        "outcome": st.sampled_from(["", "synced", "skipped"]),
        "claim_until": st.sampled_from([0.0, 1.0]),
        "dirty": st.booleans(),
    },
)


@PROPERTY
@given(written=COLUMNS, asked=COLUMNS)
def test_a_row_holds_columns_only_if_it_has_each_of_them(written, asked) -> None:
    nothing = {"settled_etag": "", "outcome": "", "claim_until": 0.0, "dirty": False}

    held = Row.from_columns(USER, written, "v1").holds(asked)

    assert held is ({**nothing, **written, **asked} == {**nothing, **written})


# --- users without a profile ---

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("missing_for", "wait"),
    [
        pytest.param(None, 0.0, id="the first look"),
        pytest.param(0.99, 0.0, id="within the first day"),
        pytest.param(1, 1, id="a day"),
        pytest.param(5.5, 5.5, id="some days"),
        pytest.param(16, 16, id="16 days"),
        pytest.param(400, 16, id="for ever"),
    ],
)
def test_a_missing_profile_is_looked_for_after_twice_the_time_and_every_16_days(missing_for, wait) -> None:
    since = 0.0 if missing_for is None else NOW - missing_for * DAY
    noted = without_profile(Row(USER, no_profile_since=since), '"A1"', NOW)

    assert noted["no_profile_since"] == (since or NOW)
    assert noted["no_profile_until"] - NOW == pytest.approx(wait * DAY, abs=1e-3)
    assert noted["no_profile_etag"] == '"A1"'


@given(looks=st.lists(st.floats(0, 40 * DAY), max_size=50))
def test_however_irregular_the_looks_no_wait_is_longer_than_what_went_before(looks) -> None:
    row, now = Row(USER, outcome="deferred"), NOW
    for passing in looks:
        row = replace(row, **without_profile(row, "", now))
        wait = row.no_profile_until - now
        assert 0 <= wait <= min(now - row.no_profile_since, LONGEST_WAIT) + 1e-3
        assert waits_for_profile(row, "", now) is (wait > 0)
        assert not waits_for_profile(row, "", now + wait)
        now += passing


def test_a_profile_that_was_found_leaves_nothing_behind() -> None:
    row = Row(USER, outcome="deferred")
    missed = replace(row, **without_profile(row, '"A1"', NOW))

    assert with_profile(row) == {}
    assert replace(missed, **with_profile(missed)) == row
