"""What Graph posts, and what strangers make of it, drawn at random and nearly right on purpose.

Most random JSON dies at the first check. So a post begins as Graph's own, in one of its many spellings, and
is spoiled in at most one place. Whoever draws it knows whom it names, because ids tell where they come from.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.fakes.nearly import (
    CANARY,
    FOREIGN,
    NOISE,
    NUMBERS,
    TEXTS,
    Json,
    false_events,
    forgeries,
    no_data,
    no_ids,
    no_resources,
    no_tenants,
    write_name,
    write_value,
)

OURS = "600d600d"  # begins the ids in items that are Graph's
SUBSCRIPTION = "5ab5c12b-0000-4000-8000-000000000000"  # what may be logged, once a signature vouches for it
EVENTS = ("reauthorizationRequired", "subscriptionRemoved", "missed")

SURPRISES = st.dictionaries(TEXTS, NOISE, max_size=2)

type Members = dict[str, Any]


@dataclass(frozen=True)
class Terms:
    """What makes an item Graph's."""

    proof: str
    tenant: str


@dataclass(frozen=True)
class Item:
    """One item as JSON text, and what it names: an object id, or an event and a subscription; or nothing."""

    text: str
    names: Any = None


@dataclass(frozen=True)
class Post:
    """A body, how it must be answered, and everything that it names."""

    body: bytes
    status: int
    names: frozenset[Any]


@cache
def _ids(beginning: str) -> SearchStrategy[str]:
    return st.integers(0, 99).map(lambda n: f"{beginning}-0000-4000-8000-{n:012x}")


# --- items ---


@st.composite
def changes(draw: DrawFn, terms: Terms) -> Item:
    """Draw an item for `notifications`; half of them are Graph's."""
    spoiled = draw(st.sampled_from(["", "", "", "", "clientState", "tenantId", "resource", "resourceData"]))
    user = draw(_ids(FOREIGN if spoiled else OURS))
    spelt = _spelt(user)
    item = {
        **draw(SURPRISES),
        **draw(_tenants(terms)),
        "changeType": draw(st.sampled_from(["updated", "created", "deleted"]) | NOISE),
        "clientState": terms.proof,
        "resource": draw(st.sampled_from(["Users/", "users/", "USERS/", "/users/"]))
        + draw(spelt)
        + draw(st.sampled_from(["", "/"])),
        "resourceData": draw(_data(user)),
        "subscriptionId": draw(st.sampled_from([SUBSCRIPTION, SUBSCRIPTION.upper(), ...]) | NOISE),
    }
    spoils = _spoils(terms) | {
        "resource": no_resources(user),
        "resourceData": no_data(user),
    }
    return Item(draw(_written(item, spoiled, spoils)), None if spoiled else user)


@st.composite
def events(draw: DrawFn, terms: Terms) -> Item:
    """Draw an item for `lifecycle`; half of them are Graph's."""
    spoiled = draw(
        st.sampled_from(["", "", "", "", "clientState", "tenantId", "lifecycleEvent", "subscriptionId"])
    )
    event, subscription = draw(st.sampled_from(EVENTS)), draw(_ids(FOREIGN if spoiled else OURS))
    observed = {"resource": "", "sequence": None, "resourceData": {"id": ""}, "encryptedContent": None}
    item = {
        **draw(st.sampled_from([{}, observed]) | SURPRISES),
        **draw(_tenants(terms)),
        "clientState": terms.proof,
        "lifecycleEvent": event,
        "subscriptionId": draw(st.sampled_from([subscription, subscription.upper()])),
    }
    spoils = _spoils(terms) | {
        "lifecycleEvent": st.sampled_from(false_events(event)) | NOISE | NUMBERS,
        "subscriptionId": st.sampled_from([..., None]) | no_ids(subscription),
    }
    return Item(draw(_written(item, spoiled, spoils)), None if spoiled else (event, subscription))


@cache
def strangers() -> SearchStrategy[Item]:
    """Draw what is no item at all."""
    return NOISE.map(lambda noise: Item(json.dumps(noise)))


@cache
def _tenants(terms: Terms) -> SearchStrategy[Members]:
    tenant = terms.tenant
    return st.sampled_from(
        [
            {"tenantId": tenant},
            {"tenantId": tenant.upper()},
            {"organizationId": tenant},
            {"tenantId": None, "organizationId": tenant},
            {"tenantId": tenant, "organizationId": None},
        ]
    )


@cache
def _spelt(user: str) -> SearchStrategy[str]:
    return st.sampled_from([user, user.upper()])


@cache
def _data(user: str) -> Json:
    """Draw a `resourceData` that goes with the resource, or tells nothing."""
    named = st.builds(lambda more, spelt: {**more, "id": spelt}, SURPRISES, _spelt(user))
    silent = st.sampled_from([..., {}, {"id": None}, 7, [{"id": FOREIGN}]]) | NOISE
    return named | silent


@cache
def _spoils(terms: Terms) -> dict[str, Json]:
    return {"clientState": forgeries(terms.proof), "tenantId": no_tenants(terms.tenant)}


@st.composite
def _written(draw: DrawFn, item: Members, spoiled: str, spoils: Mapping[str, Json]) -> str:
    """Write an item in any order and any escapes, members twice among them: of two, the last counts."""
    first, last = dict(item), {}
    for name in draw(st.sets(st.sampled_from(sorted(spoils)), max_size=2)):
        if name in item:
            first[name], last[name] = draw(spoils[name]), item[name]  # put right by the second
    if spoiled:
        spoil, twice = draw(spoils[spoiled]), draw(st.booleans())
        if spoiled == "tenantId":
            last |= {"tenantId": spoil} if twice else {"tenantId": spoil, "organizationId": ...}
        elif twice and spoil is not ...:
            last[spoiled] = spoil  # the first is right, and does not count
        else:
            first[spoiled] = last[spoiled] = spoil
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
    """Draw a post of such items among what is none; most are taken, the others are malformed as a whole."""
    some = st.lists(items | items | items | strangers(), max_size=6)
    taken = some.flatmap(_taken)
    return taken | taken | taken | some.flatmap(_malformed)


@st.composite
def _taken(draw: DrawFn, items: list[Item]) -> Post:
    before, after = draw(_surroundings()), draw(_surroundings())
    decoy = draw(st.sampled_from(["", '"value": {}, ', '"value": null, ', f'"value": ["{CANARY}"], ']))
    text = f"{{{before}{decoy}{_list(items)}, {after}{write_name(CANARY, escaped=True)}: 0}}"
    body = text.encode(draw(st.sampled_from(ENCODINGS)), "surrogatepass")
    return Post(body, 202, frozenset(item.names for item in items if item.names))


@st.composite
def _malformed(draw: DrawFn, items: list[Item]) -> Post:
    """Draw a body with items in it that is none as a whole, so that nothing of it may count."""
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
    more = st.sampled_from(
        [
            '"validationTokens": null, ',
            f'"validationTokens": ["{CANARY}.a.b"], ',
            f'"{CANARY}": {"[" * 500}{"]" * 500}, ',
            f'"{CANARY}": 1e999, "{CANARY}": -0, ',
            '"clientState": "", ',
            " \r\n\t ",
        ]
    )
    return st.just("") | more
