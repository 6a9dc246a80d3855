"""Graph's posts: only signed items are accepted, and each item is judged by itself."""

import json
from typing import Any

import pytest
from hypothesis import given

from shared.jobs import Tend
from shared.notifications import (
    LARGEST_BODY,
    LONGEST_TOKEN,
    MOST_ITEMS,
    SHORTEST_ITEM,
    Changes,
    Lifecycle,
    Malformed,
    read_changes,
    read_handshake,
    read_lifecycle,
)
from shared.subscription.client_state import ClientState
from tests.fakes.near_misses import draw_forged_state, forged_states

OLD, NEW, UNKNOWN_SECRET = "o" * 40, "n" * 40, "s" * 40
STATE = ClientState([NEW])
PROOF = STATE.make()
LONGEST_CLIENT_STATE = 128  # characters: learn.microsoft.com/graph/api/resources/subscription

TENANT = "aaaaaaaa-0000-0000-0000-000000000001"
ELSEWHERE = "bbbbbbbb-0000-0000-0000-000000000002"
SUBSCRIPTION = "cccccccc-0000-0000-0000-000000000003"
ANNA = "01234567-89ab-cdef-0123-456789abcdef"
BERT = "fedcba98-89ab-cdef-0123-456789abcdef"


def a_change(user: str = ANNA, **changed: Any) -> dict[str, Any]:
    """Return an item as Graph sends it for a user, with members changed, or left out where they are `...`."""
    item = {
        "changeType": "updated",
        "clientState": PROOF,
        "resource": f"Users/{user}",
        "resourceData": {"@odata.type": "#Microsoft.Graph.User", "@odata.id": f"Users/{user}", "id": user},
        "subscriptionExpirationDateTime": "2026-11-22T11:00:00-08:00",
        "subscriptionId": SUBSCRIPTION,
        "tenantId": TENANT,
    }
    return {name: value for name, value in {**item, **changed}.items() if value is not ...}


def an_event(name: str = "reauthorizationRequired", **changed: Any) -> dict[str, Any]:
    item = {
        "subscriptionId": SUBSCRIPTION,
        "subscriptionExpirationDateTime": "2026-03-20T11:00:00.0000000Z",
        "tenantId": TENANT,
        "clientState": PROOF,
        "lifecycleEvent": name,
    }
    return {name: value for name, value in {**item, **changed}.items() if value is not ...}


def changes_of(*items: object, state: ClientState = STATE) -> Changes:
    found = read_changes(json.dumps({"value": items}).encode(), state=state, tenant=TENANT)
    assert isinstance(found, Changes)
    return found


def events_of(*items: object) -> Lifecycle:
    found = read_lifecycle(json.dumps({"value": items}).encode(), state=STATE, tenant=TENANT, now=7.0)
    assert isinstance(found, Lifecycle)
    return found


# --- the handshake ---


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(
            "Validation: Testing client application reachability for subscription Request-Id: 5731e5c5",
            id="as Graph has sent it",
        ),
        pytest.param("a+b%20c&d=e", id="what a second decoding would change"),
        pytest.param(" blanks ", id="blanks around it"),
        pytest.param("x" * LONGEST_TOKEN, id="the longest"),
        pytest.param("'\"&;>", id="signs that plain text may hold"),
        pytest.param("Prüfung", id="a letter beyond ASCII"),
    ],
)
def test_a_validation_token_is_returned_unchanged(token: str) -> None:
    assert read_handshake(token) == token


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("<script>alert(1)</script>", id="markup"),
        pytest.param("1 < 2", id="its first sign anywhere"),
        pytest.param("x" * (LONGEST_TOKEN + 1), id="too long"),
        pytest.param("x" * 10_000_000, id="ten megabytes"),
        pytest.param("a\r\nSet-Cookie: b", id="a line break, as for a header"),
        pytest.param("a\x00b", id="a zero"),
        pytest.param("a\tb", id="a tab"),
        pytest.param("a\x1b[31mb", id="an escape, as for a terminal"),
        pytest.param("a\x7fb", id="a delete"),
        pytest.param("a\x85b", id="a control character beyond ASCII"),
        pytest.param("a\u2028b", id="a line separator"),
        pytest.param("a\u202eb", id="a change of direction"),
        pytest.param("a\ud800b", id="half a surrogate pair, which no answer could encode"),
    ],
)
def test_a_token_that_graph_would_not_send_is_refused_and_not_returned(token: str) -> None:
    refusal = read_handshake(token)

    assert refusal == Malformed(400, "this is no validation token")


# --- the proof ---


def test_a_client_state_that_we_signed_is_valid() -> None:
    assert STATE.verifies(STATE.make())


def test_every_client_state_is_different_and_fits_graphs_limit() -> None:
    made = {STATE.make() for _ in range(100)}

    assert len(made) == 100
    assert all(len(state) <= LONGEST_CLIENT_STATE and state.isascii() for state in made)


def test_a_client_state_shows_neither_its_secret_nor_its_keys_name() -> None:
    assert NEW not in PROOF
    assert STATE.key_id not in PROOF
    assert NEW not in repr(STATE)


@pytest.mark.parametrize(
    ("signs", "verifies", "believed"),
    [
        pytest.param([NEW], [NEW], True, id="one secret"),
        pytest.param([OLD], [NEW, OLD], True, id="signed before a rotation"),
        pytest.param([NEW, OLD], [NEW], True, id="signed after it: the first signs"),
        pytest.param([NEW, OLD], [OLD], False, id="and not the second"),
        pytest.param([OLD], [NEW], False, id="signed before, once the old secret is given up"),
        pytest.param([UNKNOWN_SECRET], [NEW, OLD], False, id="signed with a foreign secret"),
    ],
)
def test_two_secrets_rotate(signs: list[str], verifies: list[str], believed: bool) -> None:
    assert ClientState(verifies).verifies(ClientState(signs).make()) is believed


def test_the_keys_name_follows_the_secret_that_signs() -> None:
    assert ClientState([NEW, OLD]).key_id == ClientState([NEW]).key_id
    assert ClientState([OLD, NEW]).key_id != ClientState([NEW]).key_id
    assert NEW not in ClientState([NEW]).key_id
    assert len(ClientState([NEW]).key_id) == 16


def test_a_client_state_that_we_did_not_sign_is_invalid() -> None:
    forged = [state for state in forged_states(PROOF) if state is not ...]
    odd = [".", f"{'0' * 32}.{PROOF.partition('.')[2]}", PROOF + "x" * 10_000_000, PROOF.encode(), 0]

    assert [state for state in forged + odd if STATE.verifies(state)] == []


@given(draw_forged_state(PROOF))
def test_a_client_state_with_any_change_is_invalid(forged: object) -> None:
    assert not STATE.verifies(forged)


# --- the envelope ---


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 400, id="empty"),
        pytest.param(b"nonsense", 400, id="no JSON"),
        pytest.param(b"null", 400, id="null"),
        pytest.param(b"[]", 400, id="a list"),
        pytest.param(b"{}", 400, id="no value"),
        pytest.param(b'{"value": null}', 400, id="null as value"),
        pytest.param(b'{"value": {}}', 400, id="an object as value"),
        pytest.param(b'{"Value": []}', 400, id="value in another case"),
        pytest.param(b"\xff\xff\xff\xff", 400, id="bytes that are no text"),
        pytest.param(b'{"value": [' + b"9" * 5000 + b"]}", 400, id="a number longer than Python reads"),
        pytest.param(b'{"value": ' + b"[" * 1_000_000, 400, id="nested deeper than any parser goes"),
        pytest.param(b'{"a":' * 500_000, 400, id="objects nested as deeply"),
        pytest.param(b'{"value": []}' + b" " * LARGEST_BODY, 413, id="larger than 4 MiB"),
        pytest.param(b'{"value": [' + b"0," * MOST_ITEMS + b"0]}", 413, id="more items than fit"),
        pytest.param(b"x" * (LARGEST_BODY + 1), 413, id="larger than 4 MiB, and no JSON: not even tried"),
    ],
)
def test_a_body_of_another_form_is_malformed(body: bytes, status: int) -> None:
    for found in (
        read_changes(body, state=STATE, tenant=TENANT),
        read_lifecycle(body, state=STATE, tenant=TENANT, now=7.0),
    ):
        assert isinstance(found, Malformed)
        assert found.status == status


def test_the_bounds_are_four_mebibytes_of_body_and_two_kibibytes_of_token() -> None:
    assert (LARGEST_BODY, LONGEST_TOKEN) == (4 * 2**20, 2 * 2**10)


def test_as_many_items_as_could_be_graphs_are_read() -> None:
    body = b'{"value": [' + b"0," * (MOST_ITEMS - 1) + json.dumps(a_change()).encode() + b"]}"

    found = read_changes(body, state=STATE, tenant=TENANT)

    assert found == Changes((ANNA,), {"not an object": MOST_ITEMS - 1}, (SUBSCRIPTION,))


def test_no_item_of_graphs_is_shorter_than_the_shortest() -> None:
    named = {"clientState": PROOF, "tenantId": TENANT, "resource": f"Users/{ANNA}"}

    assert len(json.dumps(named, separators=(",", ":"))) >= SHORTEST_ITEM > 0


def test_a_body_of_exactly_four_mebibytes_is_read() -> None:
    body = json.dumps({"value": [a_change()]}).encode().ljust(LARGEST_BODY)

    assert read_changes(body, state=STATE, tenant=TENANT) == Changes((ANNA,), {}, (SUBSCRIPTION,))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"value": []}', id="no items"),
        pytest.param(b'\xef\xbb\xbf{"value": []}', id="behind a byte order mark"),
        pytest.param(b'{"value": [], "validationTokens": ["a.b.c"]}', id="with unneeded tokens"),
        pytest.param(b'{"value": [1], "value": []}', id="with a member twice: the last counts"),
    ],
)
def test_an_envelope_without_items_is_accepted_and_names_no_user(body: bytes) -> None:
    assert read_changes(body, state=STATE, tenant=TENANT) == Changes((), {})
    assert read_lifecycle(body, state=STATE, tenant=TENANT, now=7.0) == Lifecycle((), {})


# --- change notifications ---


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(a_change(), id="as Graph sends it"),
        pytest.param(a_change(resourceData=...), id="no resourceData: the last segment is the id"),
        pytest.param(a_change(resource=f"Users/{BERT}", resourceData={"id": ANNA}), id="its id comes first"),
        pytest.param(a_change(changeType="deleted"), id="deleted: the check finds the user gone"),
        pytest.param(a_change(sequenceNumber=10**300, surprise=[{}]), id="unknown members"),
    ],
)
def test_an_item_of_graphs_names_its_user(item: dict[str, Any]) -> None:
    assert changes_of(item) == Changes((ANNA,), {}, (SUBSCRIPTION,))


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        pytest.param(None, "not an object", id="null"),
        pytest.param([a_change()], "not an object", id="a list"),
        pytest.param(json.dumps(a_change()), "not an object", id="a text"),
        pytest.param({}, "client state", id="an empty object"),
        pytest.param(
            a_change(clientState=ClientState([UNKNOWN_SECRET]).make()), "client state", id="a foreign secret"
        ),
        pytest.param(a_change(tenantId=ELSEWHERE), "tenant", id="another tenant"),
        pytest.param(a_change(tenantId=...), "tenant", id="no tenant"),
        pytest.param(
            a_change(tenantId=ELSEWHERE, organizationId=TENANT),
            "tenant",
            id="another tenant, our organization",
        ),
        pytest.param(a_change(resource=None), "resource", id="null as resource"),
        pytest.param(a_change(resource=""), "resource", id="an empty resource"),
        pytest.param(a_change(resource="Users/anna@contoso.com"), "resource", id="a UPN"),
        pytest.param(a_change(resource="Users/" + "a" * 1_000_000), "resource", id="a megabyte of resource"),
        pytest.param(a_change(resourceData={"id": 7}), "resource", id="a number as id"),
        pytest.param(an_event(), "resource", id="a lifecycle event at the wrong endpoint"),
    ],
)
def test_an_item_that_is_not_graphs_is_counted_by_reason_and_names_no_user(item: object, reason: str) -> None:
    assert changes_of(item) == Changes((), {reason: 1})


def test_invalid_items_do_not_affect_the_valid_ones() -> None:
    found = changes_of(
        None, a_change(ANNA), a_change(clientState="x"), a_change(BERT), a_change(tenantId=ELSEWHERE), {}
    )

    assert found.users == (ANNA, BERT)
    assert found.refused == {"not an object": 1, "client state": 2, "tenant": 1}


def test_a_user_named_often_is_named_once_in_the_order_of_the_first() -> None:
    found = changes_of(a_change(BERT), a_change(ANNA), a_change(BERT.upper()), a_change(ANNA))

    assert found == Changes((BERT, ANNA), {}, (SUBSCRIPTION,))


# --- lifecycle notifications ---


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        pytest.param("missed", "not an object", id="a text"),
        pytest.param(an_event(clientState=...), "client state", id="no client state"),
        pytest.param(an_event(tenantId=ELSEWHERE), "tenant", id="another tenant"),
        pytest.param(an_event(lifecycleEvent={}), "lifecycle event", id="an object as event"),
        pytest.param(a_change(), "lifecycle event", id="a change at the wrong endpoint"),
    ],
)
def test_an_event_that_is_not_graphs_is_counted_by_reason(item: object, reason: str) -> None:
    assert events_of(item) == Lifecycle((), {reason: 1})


def test_events_come_mixed_and_each_becomes_one_job() -> None:
    events = ("missed", "reauthorizationRequired", "subscriptionRemoved")
    found = events_of(*map(an_event, events), an_event("missed"), None)

    assert found.jobs == tuple(Tend(event, SUBSCRIPTION, born=7.0) for event in events)
    assert found.refused == {"not an object": 1}
