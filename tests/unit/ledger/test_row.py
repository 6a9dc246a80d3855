"""A ledger row: how it is read from a table's columns."""

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ledger.row import Row

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
