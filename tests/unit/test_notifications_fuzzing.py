"""Random posts that are almost Graph's: exactly the users and events of signed items are accepted.

`FIRE=100000` in the environment draws so many posts instead.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.notifications import (
    LARGEST_BODY,
    MOST_ITEMS,
    Changes,
    Lifecycle,
    Malformed,
    read_changes,
    read_lifecycle,
)
from shared.subscription.client_state import ClientState
from tests.fakes.near_misses import (
    CANARY,
    FOREIGN,
    forged_states,
    invalid_events,
    invalid_ids,
    invalid_resources,
)
from tests.fakes.posts import SUBSCRIPTION, Credentials, Post, changes, events, posts

STATE = ClientState(["n" * 40, "o" * 40])
TENANT = "aaaaaaaa-0000-0000-0000-000000000001"
ORIGIN = Credentials(STATE.make(), TENANT)
CHANGES, EVENTS = posts(changes(ORIGIN)), posts(events(ORIGIN))
GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FIRE = settings(
    max_examples=int(os.environ.get("FIRE", "100")),
    deadline=None,
    derandomize="FIRE" not in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
AT_MOST = 1.5  # seconds of CPU; Graph counts an answer after three as slow


def _assert_nothing_revealed(found: object) -> None:
    assert CANARY not in repr(found)
    assert FOREIGN not in repr(found)


USER = f"{FOREIGN}-0000-4000-8000-000000000000"
RIGHT = {
    "clientState": ORIGIN.proof,
    "tenantId": TENANT,
    "resource": f"Users/{USER}",
    "resourceData": {"id": USER},
    "subscriptionId": USER,
    "lifecycleEvent": "missed",
}
NEAR_MISSES = {
    "clientState": forged_states(ORIGIN.proof),
    "tenantId": invalid_ids(TENANT),
    "resource": invalid_resources(USER),
    "resourceData": [{"id": each} for each in invalid_ids(USER)],
    "subscriptionId": [..., None, *invalid_ids(USER)],
    "lifecycleEvent": invalid_events("missed"),
}
REASONS = {
    "clientState": "client state",
    "tenantId": "tenant",
    "resource": "resource",
    "resourceData": "resource",
    "subscriptionId": "subscription",
    "lifecycleEvent": "lifecycle event",
}
ONLY_CHANGES, ONLY_EVENTS = ("resource", "resourceData"), ("subscriptionId", "lifecycleEvent")


def _refusals(item: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the reasons for which an item is refused as a change and as an event, with their counts."""
    body = json.dumps({"value": [{name: value for name, value in item.items() if value is not ...}]}).encode()
    found = read_changes(body, state=STATE, tenant=TENANT)
    announced = read_lifecycle(body, state=STATE, tenant=TENANT, now=7.0)
    assert isinstance(found, Changes)
    assert isinstance(announced, Lifecycle)
    assert len(found.users) + sum(found.refused.values()) == 1
    assert len(announced.jobs) + sum(announced.refused.values()) == 1
    return found.refused, announced.refused


def test_an_item_is_accepted_when_all_its_members_are_valid() -> None:
    assert _refusals(RIGHT) == ({}, {})


@pytest.mark.parametrize("member", NEAR_MISSES)
def test_every_near_miss_is_refused_for_its_reason(member: str) -> None:
    reason = {REASONS[member]: 1}
    refusals = ({} if member in ONLY_EVENTS else reason, {} if member in ONLY_CHANGES else reason)

    wrong = [value for value in NEAR_MISSES[member] if _refusals(RIGHT | {member: value}) != refusals]
    assert wrong == []


@FIRE
@given(CHANGES)
def test_exactly_the_users_of_signed_items_are_read_from_a_post(post: Post) -> None:
    found = read_changes(post.body, state=STATE, tenant=TENANT)

    _assert_nothing_revealed(found)
    if isinstance(found, Malformed):
        assert found.status == post.status
    else:
        assert (202, sorted(found.users)) == (post.status, sorted(post.names))
        assert set(found.subscriptions) <= {SUBSCRIPTION}


@FIRE
@given(EVENTS)
def test_exactly_the_events_of_signed_items_are_read_from_a_post(post: Post) -> None:
    found = read_lifecycle(post.body, state=STATE, tenant=TENANT, now=7.0)

    _assert_nothing_revealed(found)
    if isinstance(found, Malformed):
        assert found.status == post.status
    else:
        taken = [(job.event, job.subscription) for job in found.jobs]
        assert (202, sorted(taken)) == (post.status, sorted(post.names))


@FIRE
@given(
    CHANGES | EVENTS, st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=3)
)
def test_after_changed_bytes_only_signed_items_name_users(post: Post, flips: list[tuple[int, int]]) -> None:
    body = bytearray(post.body)
    for at, byte in flips:
        if body:
            body[at % len(body)] = byte

    found = read_changes(bytes(body), state=STATE, tenant=TENANT)
    read_lifecycle(bytes(body), state=STATE, tenant=TENANT, now=7.0)

    if isinstance(found, Changes) and found.users:
        signed = [each for each in json.loads(bytes(body))["value"] if _is_signed(each)]
        assert set(found.users) <= set(GUID.findall(json.dumps(signed).lower()))


def _is_signed(item: Any) -> bool:
    return isinstance(item, dict) and item.get("clientState") == ORIGIN.proof


def _list_of(items: Iterable[bytes]) -> bytes:
    return b'{"value":[' + b",".join(items) + b"]}"


def _object(members: Iterable[bytes]) -> bytes:
    return b"{" + b",".join(members) + b"}"


def _filled(item: bytes) -> bytes:
    """Return four mebibytes of one item, repeated."""
    return _list_of([item] * ((LARGEST_BODY - 12) // (len(item) + 1)))


SIGNED = json.dumps({"clientState": ORIGIN.proof, "tenantId": TENANT, "resource": f"Users/{TENANT}"}).encode()
FORGED = json.dumps({"clientState": f"{'0' * 32}.{'A' * 43}"}, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "fill",
    [
        pytest.param(lambda: _filled(FORGED), id="signatures that look like ours"),
        pytest.param(lambda: _list_of([FORGED] * MOST_ITEMS), id="as many of them as are looked at"),
        pytest.param(lambda: _filled(SIGNED), id="a signed item again and again"),
        pytest.param(lambda: _filled(b"0"), id="the smallest items"),
        pytest.param(lambda: _filled(b"{}"), id="empty objects"),
        pytest.param(lambda: _filled(b"[]"), id="empty lists"),
        pytest.param(lambda: _filled(b'{"":0}'), id="tiny objects"),
        pytest.param(lambda: _filled(b"9" * 4300), id="the longest numbers"),
        pytest.param(lambda: _filled(b"0." + b"9" * (LARGEST_BODY - 100)), id="a number of four megabytes"),
        pytest.param(lambda: _filled(b"1e" + b"9" * 4300), id="the longest exponents"),
        pytest.param(lambda: _list_of([b'"' + b"\\u0041" * 600_000 + b'"']), id="nothing but escapes"),
        pytest.param(lambda: _filled(b"[" * 500 + b"]" * 500), id="deep lists"),
        pytest.param(lambda: b"[" * LARGEST_BODY, id="deeper than can be"),
        pytest.param(lambda: _list_of([_object(b'"%d":0' % n for n in range(370_000))]), id="many members"),
        pytest.param(lambda: _list_of([_object([b'"a":0'] * 600_000)]), id="one member again and again"),
    ],
)
def test_the_most_expensive_posts_are_read_before_graph_counts_them_as_slow(
    fill: Callable[[], bytes],
) -> None:
    body = fill()
    assert len(body) <= LARGEST_BODY

    began = time.thread_time()
    read_changes(body, state=STATE, tenant=TENANT)

    assert time.thread_time() - began < AT_MOST
