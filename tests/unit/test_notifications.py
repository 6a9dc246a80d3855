"""Graph's posts: only signed items are accepted, and each item is judged by itself."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.jobs import Tend
from shared.notifications import (
    LARGEST_BODY,
    LONGEST_TOKEN,
    MOST_ITEMS,
    SHORTEST_ITEM,
    Changes,
    Handshake,
    Lifecycle,
    Malformed,
    read_changes,
    read_handshake,
    read_lifecycle,
)
from shared.subscription.client_state import ClientState
from shared.users import object_id

PROPERTY = settings(deadline=None)  # a slow machine is not a counterexample

OLD, NEW, UNKNOWN_SECRET = "o" * 40, "n" * 40, "s" * 40
STATE = ClientState([NEW])
PROOF = STATE.make()
LONGEST_CLIENT_STATE = 128  # characters: learn.microsoft.com/graph/api/resources/subscription

TENANT = "aaaaaaaa-0000-0000-0000-000000000001"
ELSEWHERE = "bbbbbbbb-0000-0000-0000-000000000002"
SUBSCRIPTION = "cccccccc-0000-0000-0000-000000000003"
ANNA = "01234567-89ab-cdef-0123-456789abcdef"
BERT = "fedcba98-89ab-cdef-0123-456789abcdef"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


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


def test_a_request_without_a_token_is_no_handshake() -> None:
    assert read_handshake(None) is None


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
    assert read_handshake(token) == Handshake(token)


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


@PROPERTY
@given(st.text())
def test_every_returned_token_can_be_sent_as_text(token: str) -> None:
    match read_handshake(token):
        case Handshake(given_back):
            assert given_back == token
            assert given_back.encode().decode() == token
        case refusal:
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


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(None, id="none at all"),
        pytest.param("", id="empty"),
        pytest.param(".", id="only the dot"),
        pytest.param(PROOF.partition(".")[0], id="only the nonce"),
        pytest.param(f"{PROOF.partition('.')[0]}.", id="an empty signature"),
        pytest.param(f".{PROOF.partition('.')[2]}", id="an empty nonce"),
        pytest.param(f"{'0' * 32}.{PROOF.partition('.')[2]}", id="another's signature"),
        pytest.param(f" {PROOF}", id="a blank before"),
        pytest.param(f"{PROOF}\n", id="a line break after"),
        pytest.param(f"{PROOF}=", id="padded, which base64 decodes to the same"),
        pytest.param(f"{PROOF}!", id="a sign that base64 leaves out"),
        pytest.param(PROOF.upper(), id="in capitals"),
        pytest.param(PROOF.encode().decode("utf-16-be", "replace"), id="in another encoding"),
        pytest.param(f"{PROOF}.{PROOF}", id="twice"),
        pytest.param(PROOF + "x" * 10_000_000, id="ten megabytes"),
        pytest.param("\ud800" + PROOF[1:], id="half a surrogate pair"),
        pytest.param("\uff10" + PROOF[1:], id="a full-width digit"),
        pytest.param([PROOF], id="in a list"),
        pytest.param({"clientState": PROOF}, id="in an object"),
        pytest.param(PROOF.encode(), id="as bytes"),
        pytest.param(True, id="a boolean"),
        pytest.param(0, id="a number"),
        pytest.param(float("nan"), id="not a number"),
    ],
)
def test_a_client_state_that_we_did_not_sign_is_invalid(forged: object) -> None:
    assert not STATE.verifies(forged)


@PROPERTY
@given(at=st.integers(0, len(PROOF) - 1), sign=st.characters())
def test_a_client_state_with_one_character_changed_is_invalid(at: int, sign: str) -> None:
    tampered = PROOF[:at] + sign + PROOF[at + 1 :]

    assert STATE.verifies(tampered) is (tampered == PROOF)


@PROPERTY
@given(at=st.integers(0, len(PROOF)), more=st.text(min_size=1))
def test_a_client_state_with_anything_inserted_is_invalid(at: int, more: str) -> None:
    assert not STATE.verifies(PROOF[:at] + more + PROOF[at:])


def test_a_signature_has_one_spelling_only() -> None:
    # 32 bytes leave two bits of the 43rd letter unused: three other letters decode to the same signature.
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    signature = PROOF.partition(".")[2]
    alike = [
        PROOF[:-1] + letter
        for letter in letters
        if base64.urlsafe_b64decode(signature[:-1] + letter + "=")
        == base64.urlsafe_b64decode(signature + "=")
    ]

    assert len(alike) == 4
    assert [state for state in alike if STATE.verifies(state)] == [PROOF]


@PROPERTY
@given(st.text() | JSON | st.from_regex(r"[0-9a-f]{32}\.[A-Za-z0-9_-]{43}", fullmatch=True))
def test_no_random_text_is_a_valid_client_state(guess: object) -> None:
    assert not STATE.verifies(guess)


# --- the envelope ---


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 400, id="empty"),
        pytest.param(b"nonsense", 400, id="no JSON"),
        pytest.param(b"null", 400, id="null"),
        pytest.param(b"[]", 400, id="a list"),
        pytest.param(b'"value"', 400, id="a text"),
        pytest.param(b"{}", 400, id="no value"),
        pytest.param(b'{"value": null}', 400, id="null as value"),
        pytest.param(b'{"value": {}}', 400, id="an object as value"),
        pytest.param(b'{"value": "[]"}', 400, id="a text as value"),
        pytest.param(b'{"Value": []}', 400, id="value in another case"),
        pytest.param(b'{"value": []} x', 400, id="something after it"),
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


@PROPERTY
@given(st.lists(JSON) | JSON)
def test_no_unsigned_json_raises_an_error_or_names_a_user(posted: object) -> None:
    for body in (json.dumps(posted).encode(), json.dumps({"value": posted}).encode()):
        changes = read_changes(body, state=STATE, tenant=TENANT)
        events = read_lifecycle(body, state=STATE, tenant=TENANT, now=7.0)

        assert isinstance(changes, Malformed) or not changes.users
        assert isinstance(events, Malformed) or not events.jobs


@PROPERTY
@given(st.binary())
def test_random_bytes_are_malformed(body: bytes) -> None:
    assert isinstance(read_changes(body, state=STATE, tenant=TENANT), Malformed | Changes)


# --- change notifications ---


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(a_change(), id="as Graph sends it"),
        pytest.param(a_change(resource=f"users/{ANNA}"), id="users in lower case"),
        pytest.param(a_change(resource=f"USERS/{ANNA}"), id="users in capitals"),
        pytest.param(a_change(resource=f"/users/{ANNA}"), id="a slash before"),
        pytest.param(a_change(resource=f"Users/{ANNA.upper()}", resourceData=...), id="an id in capitals"),
        pytest.param(a_change(resourceData=...), id="no resourceData: the last segment is the id"),
        pytest.param(a_change(resourceData=None), id="resourceData spelled out as null"),
        pytest.param(a_change(resourceData={}), id="resourceData without id"),
        pytest.param(a_change(resourceData={"id": None}), id="its id spelled out as null"),
        pytest.param(a_change(resourceData=[ANNA]), id="resourceData that is not an object"),
        pytest.param(a_change(resource=f"Users/{BERT}", resourceData={"id": ANNA}), id="its id comes first"),
        pytest.param(a_change(changeType="deleted"), id="deleted: the check finds the user gone"),
        pytest.param(a_change(changeType="somethingNew"), id="a change type that Graph may invent"),
        pytest.param(a_change(changeType=...), id="no change type"),
        pytest.param(a_change(tenantId=TENANT.upper()), id="our tenant in capitals"),
        pytest.param(a_change(tenantId=..., organizationId=TENANT), id="organizationId for tenantId"),
        pytest.param(a_change(tenantId=None, organizationId=TENANT), id="tenantId spelled out as null"),
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
        pytest.param(a_change(clientState=...), "client state", id="no client state"),
        pytest.param(a_change(clientState=None), "client state", id="null as client state"),
        pytest.param(a_change(clientState=PROOF[:-2]), "client state", id="a cut client state"),
        pytest.param(
            a_change(clientState=ClientState([UNKNOWN_SECRET]).make()),
            "client state",
            id="a signature with a foreign secret",
        ),
        pytest.param(a_change(tenantId=ELSEWHERE), "tenant", id="another tenant"),
        pytest.param(a_change(tenantId=...), "tenant", id="no tenant"),
        pytest.param(a_change(tenantId=True), "tenant", id="a boolean as tenant"),
        pytest.param(a_change(tenantId=[TENANT]), "tenant", id="a list as tenant"),
        pytest.param(
            a_change(tenantId=ELSEWHERE, organizationId=TENANT),
            "tenant",
            id="another tenant, our organization",
        ),
        pytest.param(a_change(resource=...), "resource", id="no resource"),
        pytest.param(a_change(resource=None), "resource", id="null as resource"),
        pytest.param(a_change(resource=""), "resource", id="an empty resource"),
        pytest.param(a_change(resource="Users"), "resource", id="no user"),
        pytest.param(a_change(resource="Users/"), "resource", id="an empty user"),
        pytest.param(a_change(resource=f"Groups/{ANNA}"), "resource", id="a group"),
        pytest.param(a_change(resource=f"Users/{ANNA}/photo"), "resource", id="something under a user"),
        pytest.param(a_change(resource=f"Users('{ANNA}')"), "resource", id="another way to write it"),
        pytest.param(a_change(resource="Users/anna@contoso.com"), "resource", id="a UPN"),
        pytest.param(a_change(resource=f"Users/../Users/{ANNA}"), "resource", id="a way around"),
        pytest.param(a_change(resource=f"https://evil.example/Users/{ANNA}"), "resource", id="a URL"),
        pytest.param(a_change(resource=[f"Users/{ANNA}"]), "resource", id="a list as resource"),
        pytest.param(a_change(resource="Users/" + "a" * 1_000_000), "resource", id="a megabyte of resource"),
        pytest.param(a_change(resourceData={"id": "me"}), "resource", id="an invalid id"),
        pytest.param(a_change(resourceData={"id": ""}), "resource", id="an empty id"),
        pytest.param(a_change(resourceData={"id": 7}), "resource", id="a number as id"),
        pytest.param(a_change(resourceData={"id": [ANNA]}), "resource", id="a list as id"),
        pytest.param(an_event(), "resource", id="a lifecycle event at the wrong endpoint"),
    ],
)
def test_an_item_that_is_not_graphs_is_counted_by_reason_and_names_no_user(item: object, reason: str) -> None:
    assert changes_of(item) == Changes((), {reason: 1})


@pytest.mark.parametrize(
    "subscription",
    [..., None, "", "not an id", 7, [SUBSCRIPTION]],
    ids=["absent", "null", "empty", "no id", "a number", "a list"],
)
def test_a_subscription_id_is_only_for_the_log(subscription: object) -> None:
    assert changes_of(a_change(subscriptionId=subscription)) == Changes((ANNA,), {})


def test_invalid_items_do_not_affect_the_valid_ones() -> None:
    found = changes_of(
        None, a_change(ANNA), a_change(clientState="x"), a_change(BERT), a_change(tenantId=ELSEWHERE), {}
    )

    assert found.users == (ANNA, BERT)
    assert found.refused == {"not an object": 1, "client state": 2, "tenant": 1}


def test_a_user_named_often_is_named_once_in_the_order_of_the_first() -> None:
    found = changes_of(a_change(BERT), a_change(ANNA), a_change(BERT.upper()), a_change(ANNA))

    assert found == Changes((BERT, ANNA), {}, (SUBSCRIPTION,))


def test_items_signed_before_and_after_a_rotation_come_in_one_post() -> None:
    both = ClientState([NEW, OLD])
    before, after = ClientState([OLD]).make(), both.make()

    found = changes_of(a_change(ANNA, clientState=before), a_change(BERT, clientState=after), state=both)

    assert found.users == (ANNA, BERT)


def test_the_result_repeats_nothing_of_what_was_sent() -> None:
    words = "secret words"
    found = changes_of(
        a_change(clientState=words),
        a_change(tenantId=words),
        a_change(resource=words),
        a_change(resourceData={"id": words}),
        {words: words},
        words,
    )
    events = events_of(an_event(words), an_event(subscriptionId=words))

    assert words not in repr((found, events))


@PROPERTY
@given(
    changed=st.dictionaries(
        st.sampled_from([name for name in a_change() if name not in ("clientState", "tenantId")]), JSON
    )
)
def test_a_signed_item_with_anything_in_it_names_a_user_or_is_refused(changed: dict[str, Any]) -> None:
    found = changes_of(a_change(**changed))

    assert len(found.users) + sum(found.refused.values()) == 1
    assert all(object_id(user) == user for user in found.users)


# --- lifecycle notifications ---


@pytest.mark.parametrize("event", ["reauthorizationRequired", "subscriptionRemoved", "missed"])
def test_an_event_of_graphs_becomes_a_job(event: str) -> None:
    found = events_of(an_event(event))

    assert [(job.event, job.subscription, job.born) for job in found.jobs] == [(event, SUBSCRIPTION, 7.0)]
    assert found.refused == {}


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(an_event("missed", subscriptionId=SUBSCRIPTION.upper()), id="an id in capitals"),
        pytest.param(
            # As seen in microsoftgraph/microsoft-graph-docs-contrib, issue 84.
            an_event(
                "missed",
                tenantId=...,
                organizationId=TENANT,
                resource="",
                sequence=None,
                resourceData={"id": "x"},
                encryptedContent=None,
            ),
            id="as it was seen in 2023, unlike its documentation",
        ),
    ],
)
def test_an_events_other_forms_are_read_too(item: dict[str, Any]) -> None:
    assert events_of(item) == Lifecycle((Tend("missed", SUBSCRIPTION, born=7.0),), {})


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        pytest.param("missed", "not an object", id="a text"),
        pytest.param(an_event(clientState=...), "client state", id="no client state"),
        pytest.param(
            an_event(clientState=ClientState([UNKNOWN_SECRET]).make()),
            "client state",
            id="a signature with a foreign secret",
        ),
        pytest.param(an_event(tenantId=ELSEWHERE), "tenant", id="another tenant"),
        pytest.param(an_event("exploded"), "lifecycle event", id="an unknown event"),
        pytest.param(an_event("Missed"), "lifecycle event", id="in another case"),
        pytest.param(an_event(lifecycleEvent=...), "lifecycle event", id="no event"),
        pytest.param(an_event(lifecycleEvent=["missed"]), "lifecycle event", id="a list as event"),
        pytest.param(an_event(lifecycleEvent={}), "lifecycle event", id="an object as event"),
        pytest.param(an_event(subscriptionId=...), "subscription", id="no subscription"),
        pytest.param(an_event(subscriptionId="all"), "subscription", id="no id of one"),
        pytest.param(a_change(), "lifecycle event", id="a change at the wrong endpoint"),
    ],
)
def test_an_event_that_is_not_graphs_is_counted_by_reason(item: object, reason: str) -> None:
    assert events_of(item) == Lifecycle((), {reason: 1})


def test_events_come_mixed_and_each_becomes_one_job() -> None:
    found = events_of(an_event("missed"), an_event("reauthorizationRequired"), an_event("missed"), None)

    assert [job.event for job in found.jobs] == ["missed", "reauthorizationRequired"]
    assert found.refused == {"not an object": 1}
