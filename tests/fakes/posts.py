"""Random webhook posts: Graph's own, and forged ones that differ from them in one place.

Most random JSON fails at the first check. So a post begins as Graph's own, in one of its many spellings, and
each item gets at most one invalid member. The prefix of an id tells whether it comes from a valid item.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.fakes.near_misses import (
    CANARY,
    FOREIGN,
    NOISE,
    NUMBERS,
    TEXTS,
    Json,
    draw_forged_state,
    draw_invalid_data,
    draw_invalid_id,
    draw_invalid_resource,
    draw_invalid_tenant,
    invalid_events,
    write_name,
    write_value,
)

OURS = "600d600d"  # the prefix of ids in items that are Graph's
SUBSCRIPTION = "5ab5c12b-0000-4000-8000-000000000000"  # may be logged where the signature is valid
EVENTS = ("reauthorizationRequired", "subscriptionRemoved", "missed")

UNKNOWN_MEMBERS = st.dictionaries(TEXTS, NOISE, max_size=2)

type Members = dict[str, Any]


@dataclass(frozen=True)
class Credentials:
    """The client state and tenant that make an item Graph's."""

    proof: str
    tenant: str


@dataclass(frozen=True)
class Item:
    """One item as JSON text, and what it names: an object id, an event and a subscription, or nothing."""

    text: str
    names: Any = None


@dataclass(frozen=True)
class Post:
    """A body, the status of its response, and everything that its valid items name."""

    body: bytes
    status: int
    names: frozenset[Any]


@cache
def _ids(prefix: str) -> SearchStrategy[str]:
    return st.integers(0, 99).map(lambda n: f"{prefix}-0000-4000-8000-{n:012x}")


# --- items ---


@st.composite
def changes(draw: DrawFn, origin: Credentials) -> Item:
    """Draw an item for `notifications`; half of them are valid."""
    invalid = draw(st.sampled_from(["", "", "", "", "clientState", "tenantId", "resource", "resourceData"]))
    user = draw(_ids(FOREIGN if invalid else OURS))
    spelt = _spelt(user)
    item = {
        **draw(UNKNOWN_MEMBERS),
        **draw(_tenants(origin)),
        "changeType": draw(st.sampled_from(["updated", "created", "deleted"]) | NOISE),
        "clientState": origin.proof,
        "resource": draw(st.sampled_from(["Users/", "users/", "USERS/", "/users/"]))
        + draw(spelt)
        + draw(st.sampled_from(["", "/"])),
        "resourceData": draw(_data(user)),
        "subscriptionId": draw(st.sampled_from([SUBSCRIPTION, SUBSCRIPTION.upper(), ...]) | NOISE),
    }
    invalid_values = _invalid_values(origin) | {
        "resource": draw_invalid_resource(user),
        "resourceData": draw_invalid_data(user),
    }
    return Item(draw(_written(item, invalid, invalid_values)), None if invalid else user)


@st.composite
def events(draw: DrawFn, origin: Credentials) -> Item:
    """Draw an item for `lifecycle`; half of them are valid."""
    invalid = draw(
        st.sampled_from(["", "", "", "", "clientState", "tenantId", "lifecycleEvent", "subscriptionId"])
    )
    event, subscription = draw(st.sampled_from(EVENTS)), draw(_ids(FOREIGN if invalid else OURS))
    # As seen in 2023, unlike its documentation: microsoftgraph/microsoft-graph-docs-contrib, issue 84.
    observed = {"resource": "", "sequence": None, "resourceData": {"id": ""}, "encryptedContent": None}
    item = {
        **draw(st.sampled_from([{}, observed]) | UNKNOWN_MEMBERS),
        **draw(_tenants(origin)),
        "clientState": origin.proof,
        "lifecycleEvent": event,
        "subscriptionId": draw(st.sampled_from([subscription, subscription.upper()])),
    }
    invalid_values = _invalid_values(origin) | {
        "lifecycleEvent": st.sampled_from(invalid_events(event)) | NOISE | NUMBERS,
        "subscriptionId": st.sampled_from([..., None]) | draw_invalid_id(subscription),
    }
    return Item(draw(_written(item, invalid, invalid_values)), None if invalid else (event, subscription))


@cache
def non_items() -> SearchStrategy[Item]:
    """Draw JSON values that are not items."""
    return NOISE.map(lambda noise: Item(json.dumps(noise)))


@cache
def _tenants(origin: Credentials) -> SearchStrategy[Members]:
    one, other, tenant = "tenantId", "organizationId", origin.tenant
    alone = [{one: tenant}, {one: tenant.upper()}, {other: tenant}]
    return st.sampled_from([*alone, {one: None, other: tenant}, {one: tenant, other: None}])


@cache
def _spelt(user: str) -> SearchStrategy[str]:
    return st.sampled_from([user, user.upper()])


@cache
def _data(user: str) -> Json:
    """Draw a `resourceData` that names the same user as the resource, or no user."""
    named = st.builds(lambda more, spelt: {**more, "id": spelt}, UNKNOWN_MEMBERS, _spelt(user))
    silent = st.sampled_from([..., {}, {"id": None}, 7, [{"id": FOREIGN}]]) | NOISE
    return named | silent


@cache
def _invalid_values(origin: Credentials) -> dict[str, Json]:
    return {"clientState": draw_forged_state(origin.proof), "tenantId": draw_invalid_tenant(origin.tenant)}


@st.composite
def _written(draw: DrawFn, item: Members, invalid: str, invalid_values: Mapping[str, Json]) -> str:
    """Write an item with its members in any order, escaped or not, some twice: the last one counts."""
    first, last = dict(item), {}
    for name in draw(st.sets(st.sampled_from(sorted(invalid_values)), max_size=2)):
        if name in item:
            first[name], last[name] = draw(invalid_values[name]), item[name]  # overridden by the second
    if invalid:
        value, twice = draw(invalid_values[invalid]), draw(st.booleans())
        if invalid == "tenantId":
            last |= {"tenantId": value} if twice else {"tenantId": value, "organizationId": ...}
        elif twice and value is not ...:
            last[invalid] = value  # the first is valid, and does not count
        else:
            first[invalid] = last[invalid] = value
    names = draw(st.permutations(list(first)))
    members = [(name, first[name]) for name in names] + list(last.items())
    absent = {name for name, value in last.items() if value is ...}
    written = [
        f"{write_name(name, escaped=draw(st.booleans()))}: {write_value(value, escaped=draw(st.booleans()))}"
        for name, value in members
        if value is not ... and name not in absent
    ]
    return "{" + ",".join(written) + "}"


# --- envelopes ---

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32")


def posts(items: SearchStrategy[Item]) -> SearchStrategy[Post]:
    """Draw a post of such items and other values; most are accepted, the others are malformed as a whole."""
    some = st.lists(items | items | items | non_items(), max_size=6)
    accepted = some.flatmap(_accepted)
    return accepted | accepted | accepted | some.flatmap(_malformed)


@st.composite
def _accepted(draw: DrawFn, items: list[Item]) -> Post:
    before, after = draw(_surroundings()), draw(_surroundings())
    decoy = draw(st.sampled_from(["", '"value": {}, ', '"value": null, ', f'"value": ["{CANARY}"], ']))
    text = f"{{{before}{decoy}{_list(items)}, {after}{write_name(CANARY, escaped=True)}: 0}}"
    body = text.encode(draw(st.sampled_from(ENCODINGS)), "surrogatepass")
    return Post(body, 202, frozenset(item.names for item in items if item.names))


@st.composite
def _malformed(draw: DrawFn, items: list[Item]) -> Post:
    """Draw a body with items that is malformed as a whole, so that no item of it counts."""
    right = f"{{{_list(items)}}}"
    wrong: list[Callable[[], str]] = [
        lambda: right[: draw(st.integers(0, len(right) - 1))],
        lambda: right + draw(st.sampled_from([CANARY, "}", ",", "{}", "\x00", right])),
        lambda: f"[{right}]",
        lambda: f'{{"value": {right}}}',
        lambda: json.dumps(right),
        lambda: right.replace('"value"', '"Value"', 1),
        lambda: right.replace(":", "=", 1),
        lambda: right.replace('"', "'", 2),
        lambda: f'{right[:-1]}, "value": null}}',
        lambda: f'{right[:-1]}, "{CANARY}": {"9" * 5000}}}',
        lambda: f'{right[:-1]}, "{CANARY}": {"[" * 100_000}{"]" * 100_000}}}',
        lambda: f'{right[:-1]}, "{CANARY}": {'{"":' * 100_000}0{"}" * 100_000}}}',
    ]
    body = draw(st.sampled_from(wrong))().encode(errors="surrogatepass")
    return Post(draw(st.sampled_from([b"", b"", b"\xff"])) + body, 400, frozenset())


def _list(items: list[Item]) -> str:
    return '"value": [' + ",".join(item.text for item in items) + "]"


@cache
def _surroundings() -> SearchStrategy[str]:
    """Draw members beside the list, each followed by a comma."""
    tokens = ['"validationTokens": null, ', f'"validationTokens": ["{CANARY}.a.b"], ']
    odd = [f'"{CANARY}": {"[" * 500}{"]" * 500}, ', f'"{CANARY}": 1e999, "{CANARY}": -0, ']
    return st.just("") | st.sampled_from([*tokens, *odd, '"clientState": "", ', " \r\n\t "])
