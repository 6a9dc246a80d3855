"""What Graph posts, and what strangers make of it, drawn at random and nearly right on purpose.

Most random JSON dies at the first check. So a post begins as Graph's own, in one of its many spellings, and
is spoiled in at most one place. Whoever draws it knows whom it names, because ids tell where they come from.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

CANARY = "canary4711"  # in every text that nobody may hear again
OURS = "600d600d"  # begins the ids in items that are Graph's
FOREIGN = "0bad0bad"  # begins the ids in items that are not
SUBSCRIPTION = "5ab5c12b-0000-4000-8000-000000000000"  # what may be logged, once a signature vouches for it
EVENTS = ("reauthorizationRequired", "subscriptionRemoved", "missed")

type Members = dict[str, Any]
type Json = SearchStrategy[Any]


@dataclass(frozen=True)
class Terms:
    """What makes an item Graph's."""

    proof: str
    tenant: str


@dataclass(frozen=True)
class Raw:
    """A value that is written as it stands."""

    text: str


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


def _ids(beginning: str) -> SearchStrategy[str]:
    return st.integers(0, 99).map(lambda n: f"{beginning}-0000-4000-8000-{n:012x}")


# Lone surrogates, controls, directions, letters beyond the first plane, and what looks like something else.
ODD_SIGNS = (
    "\x00", "\t", "\n", "\r", "\x1b", "\x7f", "\x85", " ", "\xa0", "\u200b", "\u2028", "\u202e", "\ufeff",
    "\ufffe", "\ud800", "\udfff", "\U0001f600", "\U000e0041", "\u0301", "\u017f", "\u212a", "\uff10", "%00",
    "\\", '"', "'", "/", "<", "{", "}", "=", ".", "-", "_", "+",
)  # fmt: skip
SIGNS = st.sampled_from(ODD_SIGNS) | st.characters()
TEXTS = st.lists(SIGNS, max_size=8).map(lambda signs: CANARY + "".join(signs))
NUMBERS = st.sampled_from(
    [
        Raw("1e999"),
        Raw("-1e-999"),
        Raw("NaN"),
        Raw("-Infinity"),
        Raw("-0"),
        Raw("9" * 4300),
        Raw("0." + "1" * 9999),
    ]
) | (st.integers() | st.floats())
NOISE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


# --- items ---


@st.composite
def changes(draw: DrawFn, terms: Terms) -> Item:
    """Draw an item for `notifications`; half of them are Graph's."""
    spoiled = draw(st.sampled_from(["", "", "", "", "clientState", "tenantId", "resource", "resourceData"]))
    user = draw(_ids(FOREIGN if spoiled else OURS))
    spelt = st.sampled_from([user, user.upper()])
    item = {
        **draw(st.dictionaries(TEXTS, NOISE, max_size=2)),
        **draw(_tenants(terms)),
        "changeType": draw(st.sampled_from(["updated", "created", "deleted"]) | NOISE),
        "clientState": terms.proof,
        "resource": draw(st.sampled_from(["Users/", "users/", "USERS/", "/users/"]))
        + draw(spelt)
        + draw(st.sampled_from(["", "/"])),
        "resourceData": draw(_data(spelt)),
        "subscriptionId": draw(st.sampled_from([SUBSCRIPTION, SUBSCRIPTION.upper(), ...]) | NOISE),
    }
    spoils = _spoils(terms) | {
        "resource": _no_resources(user),
        "resourceData": _no_ids(user).map(lambda value: Raw(f'{{"id": {_value(value)}}}')),
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
        **draw(st.sampled_from([{}, observed]) | st.dictionaries(TEXTS, NOISE, max_size=2)),
        **draw(_tenants(terms)),
        "clientState": terms.proof,
        "lifecycleEvent": event,
        "subscriptionId": draw(st.sampled_from([subscription, subscription.upper()])),
    }
    no_events = [
        event.upper(),
        f"{event} ",
        f" {event}",
        [event],
        {event: event},
        f"{event}\x00",
        "renewed",
        ...,
    ]
    spoils = _spoils(terms) | {
        "lifecycleEvent": st.sampled_from(no_events) | NOISE | NUMBERS,
        "subscriptionId": st.sampled_from([..., None]) | _no_ids(subscription),
    }
    return Item(draw(_written(item, spoiled, spoils)), None if spoiled else (event, subscription))


def strangers() -> SearchStrategy[Item]:
    """Draw what is no item at all."""
    return NOISE.map(lambda noise: Item(json.dumps(noise)))


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


def _data(spelt: SearchStrategy[str]) -> Json:
    """Draw a `resourceData` that goes with the resource, or tells nothing."""
    named = st.builds(
        lambda more, user: {**more, "id": user}, st.dictionaries(TEXTS, NOISE, max_size=2), spelt
    )
    silent = st.sampled_from([..., {}, {"id": None}, 7, [{"id": FOREIGN}]]) | NOISE
    return named | silent


def _spoils(terms: Terms) -> dict[str, Json]:
    return {"clientState": _forgeries(terms.proof), "tenantId": _no_ids(terms.tenant).filter(_counts)}


def _counts(tenant: object) -> bool:
    """Whether this is read as a tenant, and not as none at all."""
    return bool(json.loads(_value(tenant)))


def _forgeries(proof: str) -> Json:
    """Draw what is nearly a client state of ours."""
    nonce, _, signature = proof.partition(".")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters.index(proof[-1]) // 4 * 4  # two of its bits are unused: four letters decode to the same
    alike = [proof[:-1] + letters[last + n] for n in range(4)]
    other_nonce = st.from_regex(r"[0-9a-f]{32}", fullmatch=True).map(lambda n: f"{n}.{signature}")
    other_signature = st.from_regex(r"[A-Za-z0-9_-]{43}", fullmatch=True).map(lambda s: f"{nonce}.{s}")
    places = st.integers(0, len(proof) - 1)
    changed = st.builds(lambda at, sign: proof[:at] + sign + proof[at + 1 :], places, SIGNS)
    longer = st.builds(lambda at, sign: proof[:at] + sign + proof[at:], places | st.just(len(proof)), SIGNS)
    cut = places.map(lambda at: proof[:at]) | places.map(lambda at: proof[at + 1 :])
    others = [
        proof.upper(), proof.swapcase(), proof + proof, json.dumps(proof), [proof], {"clientState": proof},
        *alike, proof.replace("-", "+").replace("_", "/"), f"{signature}.{nonce}", True, ...,
    ]  # fmt: skip
    drawn = changed | longer | cut | other_nonce | other_signature | st.sampled_from(others) | NOISE | NUMBERS
    return drawn.filter(lambda state: state != proof)


def _no_ids(right: str) -> Json:
    """Draw what is nearly an object id, and not null."""
    others = [
        f"{{{right}}}", f"{right}/", f"/{right}", f"{right}\n", right[:-1], right + "0", f"{right[:-1]}\x00",
        f"urn:uuid:{right}", f"Users/{right}", [right], {"id": right}, "", 0, False, CANARY,
        right.replace("0", "\uff10", 1), right.replace("-", "\u2010"), right.replace("-", ""),
        "\u202e" + right[1:], f"{FOREIGN}-0000-4000-8000-00000000000g",
    ]  # fmt: skip
    return st.sampled_from(others) | NOISE.filter(lambda noise: noise is not None) | NUMBERS


def _no_resources(user: str) -> Json:
    """Draw what is nearly the resource of a user."""
    others = [
        "Users", "Users/", f"Groups/{user}", f"Users/{user}/photo", f"Users('{user}')", f"Users/{{{user}}}",
        f"Users%2F{user}", f"Users%2f{user}", f"Users/%20{user}", f"Users//{user}", f"Users\\{user}", user,
        f"Users/{user}?x=1", f"Users/{user}#x", f"Users/{user}\n", f" Users/{user}", f"me/Users/{user}",
        f"https://{CANARY}.example/Users/{user}", f"Users/../Users/{user}", f"U\u017fers/{user}",
        f"\u202eUsers/{user}", f"Users/{user[:-1]}", f"Users/{user}\x00", [f"Users/{user}"], {"id": user},
        ...,
    ]  # fmt: skip
    return st.sampled_from(others) | NOISE | NUMBERS


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
    return (
        "{"
        + ",".join(
            f"{_name(name, escaped=draw(st.booleans()))}: {_value(value, escaped=draw(st.booleans()))}"
            for name, value in members
            if value is not ... and name not in absent
        )
        + "}"
    )


def _name(name: str, *, escaped: bool) -> str:
    if not escaped:
        return json.dumps(name)
    units = name.encode("utf-16-be", "surrogatepass")
    return (
        '"'
        + "".join(f"\\u{high:02x}{low:02X}" for high, low in zip(units[::2], units[1::2], strict=True))
        + '"'
    )


def _value(value: object, *, escaped: bool = True) -> str:
    return value.text if isinstance(value, Raw) else json.dumps(value, ensure_ascii=escaped)


# --- envelopes ---

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32")


def posts(items: SearchStrategy[Item]) -> SearchStrategy[Post]:
    """Draw a post of such items among what is none; most are taken, the others are malformed as a whole."""
    some = st.lists(items | items | items | strangers(), max_size=8)
    taken = some.flatmap(_taken)
    return taken | taken | taken | some.flatmap(_malformed)


@st.composite
def _taken(draw: DrawFn, items: list[Item]) -> Post:
    before, after = draw(_surroundings()), draw(_surroundings())
    decoy = draw(st.sampled_from(["", '"value": {}, ', '"value": null, ', f'"value": ["{CANARY}"], ']))
    text = f"{{{before}{decoy}{_list(items)}, {after}{_name(CANARY, escaped=True)}: 0}}"
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
