"""Rows in the storage account: the real table and its fake behave alike."""

import dataclasses
import uuid

import pytest
from azure.data.tables import TableServiceClient

from local.azurite import Azurite
from shared.clock import SystemClock
from shared.errors import Refused, Stale
from shared.ledger.failures import Failures
from shared.ledger.ledger import Ledger
from shared.ledger.row import Row
from shared.poison import LONGEST_TEXT, PoisonStore
from shared.storage.account import Storage
from shared.storage.tables import ANY, AzureTable, Table
from shared.subscription.record import SubscriptionRecord, SubscriptionStore
from tests.fakes.external_steps import ExternalSteps
from tests.fakes.table import Table as TableInMemory

USER = "0f000000-0000-4000-8000-000000000001"


@pytest.fixture(params=["azurite", "in memory"])
def table(request: pytest.FixtureRequest) -> Table:
    """Each test runs against Azure's table and against the fake that other tests use."""
    if request.param == "in memory":
        return TableInMemory("photoledger", ExternalSteps())
    storage = Storage({"AzureWebJobsStorage": request.getfixturevalue("azurite").connection_string})
    return AzureTable(storage, f"t{uuid.uuid4().hex}")


@pytest.fixture
def ledger(table: Table) -> Ledger:
    return Ledger(table, Failures(table, SystemClock()))


# --- a table ---


@pytest.mark.parametrize("version", ["", ANY], ids=["if absent", "unconditionally"])
def test_the_first_write_makes_row_and_table(table: Table, version: str | None) -> None:
    written = table.merge("0f", "key", {"dirty": True}, version)
    columns, read = table.read("0f", "key")
    assert (columns["dirty"], read) == (True, written)


@pytest.mark.parametrize("version", ["as read", ANY])
def test_a_write_leaves_other_columns_alone_and_gives_another_version(table: Table, version) -> None:
    first = table.merge("0f", "key", {"outcome": "synced", "stamp": 1.5}, "")
    second = table.merge("0f", "key", {"outcome": "gone"}, first if version == "as read" else ANY)
    columns, read = table.read("0f", "key")
    assert (columns["outcome"], columns["stamp"]) == ("gone", 1.5)
    assert read == second != first


OLD = "W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\""


@pytest.mark.parametrize(("key", "version"), [("key", ""), ("key", OLD), ("another", OLD)])
def test_a_write_with_a_stale_version_changes_nothing(table: Table, key: str, version: str) -> None:
    table.merge("0f", "key", {"outcome": "synced"}, "")
    before = table.read("0f", key)
    with pytest.raises(Stale):
        table.merge("0f", key, {"outcome": "gone"}, version)
    assert table.read("0f", key) == before
    assert (before is None) is (key == "another")


def test_a_partition_is_read_from_any_key_on(table: Table) -> None:
    for key in ("00002-000", "00000-001", "00010-000", "00000-000"):
        table.merge("sweep", key, {"letters": "R"}, "")
    table.merge("another", "00005-000", {"letters": "R"}, "")

    def keys(after: str) -> list[str]:
        return [key for key, _, _ in table.scan("sweep", ["letters"], after=after)]

    assert keys("") == ["00000-000", "00000-001", "00002-000", "00010-000"]
    assert keys("00000-001") == ["00002-000", "00010-000"]
    assert keys("00001-999") == ["00002-000", "00010-000"]
    assert keys("00010-000") == []


def test_a_partition_is_read_up_to_any_key(table: Table) -> None:
    for key in ("00000-000", "00001-000", "link-1", "member-1"):
        table.merge("sweep", key, {"letters": "R"}, "")

    def keys(after: str, before: str) -> list[str]:
        return [key for key, _, _ in table.scan("sweep", after=after, before=before)]

    assert keys("", ":") == ["00000-000", "00001-000"]
    assert keys("00000-000", ":") == ["00001-000"]
    assert keys("member-", "member.") == ["member-1"]
    assert keys("x", ":") == []


@pytest.mark.parametrize("rows", [0, 1, 100, 101, 250])
def test_rows_are_deleted_a_hundred_at_a_time_and_no_others(table: Table, rows: int) -> None:
    for number in range(rows):
        table.merge("sweep", f"{number:05}", {"letters": "R"}, ANY)
    table.merge("sweep", "stays", {"letters": "R"}, ANY)
    table.merge("another", "00000", {"letters": "R"}, ANY)

    table.delete_all("sweep", (f"{number:05}" for number in range(rows)))

    assert [key for key, _, _ in table.scan("sweep")] == ["stays"]
    assert [key for key, _, _ in table.scan("another")] == ["00000"]


def test_rows_are_deleted_although_some_of_them_do_not_exist(table: Table) -> None:
    """Another instance that tidies may be faster, and Azure fails a transaction as a whole."""
    table.delete_all("sweep", ["the table does not exist yet"])
    for number in range(0, 120, 2):
        table.merge("sweep", f"{number:05}", {"letters": "R"}, ANY)

    table.delete_all("sweep", [f"{number:05}" for number in range(120)])

    assert list(table.scan("sweep")) == []


def test_a_value_that_no_column_holds_is_refused_and_is_no_outage(azurite: Azurite) -> None:
    storage = Storage({"AzureWebJobsStorage": azurite.connection_string})
    table = AzureTable(storage, f"t{uuid.uuid4().hex}")
    with pytest.raises(Refused) as caught:
        table.merge("0f", "key", {"reason": "x" * 40_000}, ANY)
    assert caught.value.status == 400


def test_a_merge_leaves_out_columns_that_are_none(table: Table) -> None:
    version = table.merge("0f", "key", {"outcome": "synced"}, "")
    table.merge("0f", "key", {"outcome": None, "reason": "x"}, version)
    columns, _ = table.read("0f", "key")
    assert (columns["outcome"], columns["reason"]) == ("synced", "x")


# --- the ledger ---

FULL = Row(
    USER,
    settled_etag='"BA09D118"',
    settled_sha256="ab" * 32,
    upn="o'hara_fabrikam.com#EXT#@contoso.com",
    geo="contoso-my.sharepoint.com",
    folder="/User Photos/Profielafbeeldingen é",
    claim_token="0123456789abcdef",
    claim_until=1795392000.123456,
    dirty=True,
    unsure_until=1795392420.0,
    stamp=63930988800.0,
    refused_etag='"1E8FD63F"',
    missing_since=1795392000.5,
    gone_since=1795392000.25,
    queued_at=1.0,
    outcome="synced",
    reason="identity unconfirmed",
    lag_ms=2500.0,
    settled_at=1795392000.000001,
)


def test_a_row_is_read_as_it_was_written_to_the_last_digit(ledger: Ledger) -> None:
    columns = dataclasses.asdict(FULL)
    del columns["user"], columns["version"]
    written = ledger.write(ledger.read(USER), columns)
    assert ledger.read(USER) == written
    assert dataclasses.replace(written, version="") == FULL
    emptied = {name: type(value)() for name, value in columns.items()}
    assert dataclasses.replace(ledger.write(written, emptied), version="") == Row(USER)


def test_users_are_spread_over_partitions_by_their_first_two_digits(azurite: Azurite) -> None:
    name = f"t{uuid.uuid4().hex}"
    table = AzureTable(Storage({"AzureWebJobsStorage": azurite.connection_string}), name)
    Ledger(table, Failures(table, SystemClock())).overwrite(USER, {})
    with TableServiceClient.from_connection_string(azurite.connection_string) as service:
        (entity,) = service.get_table_client(name).list_entities()
    assert (entity["PartitionKey"], entity["RowKey"]) == ("0f", USER)


# --- the rest ---


def test_the_subscriptions_record_is_read_as_it_was_written(table: Table) -> None:
    store = SubscriptionStore(table)
    assert store.read() == SubscriptionRecord()
    written = store.write(SubscriptionRecord(), {"state": "creating", "key": "k", "lease_until": 5.5})
    assert store.read() == written
    with pytest.raises(Stale):
        store.write(SubscriptionRecord(), {"state": "active"})


@pytest.mark.parametrize(
    "body", ["x" * 100_000, "\U0001f600" * 40_000, "\x00\x07"], ids=["long", "wide", "odd"]
)
def test_poison_is_kept_as_far_as_a_column_reaches(table: Table, body: str) -> None:
    PoisonStore(table).note("4c5b0b3e-0000-4000-8000-000000000000", "photo-syncs", body, "why", 7.0)
    columns, _ = table.read("poison", "4c5b0b3e-0000-4000-8000-000000000000")
    assert columns["queue"] == "photo-syncs"
    assert body.startswith(columns["body"])
    assert len(columns["body"]) == min(len(body), LONGEST_TEXT)
