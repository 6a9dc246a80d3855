"""Values that are almost valid: client states, ids and resources with one defect; odd numbers and texts."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

CANARY = "canary4711"  # in every text that may not appear in logs, responses or messages
FOREIGN = "0bad0bad"  # the prefix of ids in items that are not Graph's

type Json = SearchStrategy[Any]


@dataclass(frozen=True)
class Raw:
    """JSON text that is written unchanged."""

    text: str


# Lone surrogates, control and direction characters, other planes, look-alikes, and JSON and URL syntax.
ODD_SIGNS = (
    "\x00", "\t", "\n", "\r", "\x1b", "\x7f", "\x85", " ", "\xa0", "\u200b", "\u2028", "\u202e", "\ufeff",
    "\ufffe", "\ud800", "\udfff", "\U0001f600", "\U000e0041", "\u0301", "\u017f", "\u212a", "\uff10", "%00",
    "\\", '"', "'", "/", "<", "{", "}", "=", ".", "-", "_", "+",
)  # fmt: skip
SIGNS = st.sampled_from(ODD_SIGNS) | st.characters()
TEXTS = st.lists(SIGNS, max_size=8).map(lambda signs: CANARY + "".join(signs))
NUMBERS = (
    st.sampled_from(["1e999", "-1e-999", "NaN", "-Infinity", "-0", "9" * 4300, "0." + "1" * 9999]).map(Raw)
    | st.integers()
    | st.floats()
)
NOISE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def forged_states(proof: str) -> list[Any]:
    """Return client states that are almost ours; `...` stands for an absent member."""
    nonce, _, signature = proof.partition(".")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters.index(proof[-1]) // 4 * 4  # two of its bits are unused: four letters decode to the same
    edges = [
        edge
        for sign in (" ", "\n", "\x00", "=", ".", "\ufeff", "\u202e")
        for edge in (sign + proof, proof + sign)
    ]
    forged = [
        proof.upper(), f"{nonce}.{signature.swapcase()}", f"{nonce}.{signature.lower()}", nonce, signature,
        f"{nonce}.{signature[::-1]}", f"{nonce[::-1]}.{signature}", f"{nonce}.", f".{signature}",
        f"{signature}.{nonce}", *(proof[:-1] + letters[last + n] for n in range(4)),
        proof.replace("-", "+").replace("_", "/"),
        proof + proof, json.dumps(proof), [proof], {"clientState": proof}, True, None, "", ..., *edges,
    ]  # fmt: skip
    return [state for state in forged if state != proof]


@cache
def draw_forged_state(proof: str) -> Json:
    """Draw a client state that is almost ours."""
    nonce, _, signature = proof.partition(".")
    other_nonce = st.from_regex(r"[0-9a-f]{32}", fullmatch=True).map(lambda n: f"{n}.{signature}")
    other_signature = st.from_regex(r"[A-Za-z0-9_-]{43}", fullmatch=True).map(lambda s: f"{nonce}.{s}")
    places = st.integers(0, len(proof) - 1)
    changed = st.builds(lambda at, sign: proof[:at] + sign + proof[at + 1 :], places, SIGNS)
    longer = st.builds(lambda at, sign: proof[:at] + sign + proof[at:], places | st.just(len(proof)), SIGNS)
    cut = places.map(lambda at: proof[:at]) | places.map(lambda at: proof[at + 1 :])
    forged = st.sampled_from(forged_states(proof))
    drawn = changed | longer | cut | other_nonce | other_signature | forged | forged | NOISE | NUMBERS
    return drawn.filter(lambda state: state != proof)


def invalid_ids(right: str) -> list[Any]:
    """Return values that are almost an object id, and not null; an id without a zero has one less."""
    almost = [
        f"{{{right}}}", f"{right}/", f"/{right}", f"{right}\n", right[:-1], right + "0", f"{right[:-1]}\x00",
        f"urn:uuid:{right}", f"Users/{right}", [right], {"id": right}, "", 0, False, CANARY, f" {right}",
        right.replace("0", "\uff10", 1), right.replace("-", "\u2010"), right.replace("-", ""),
        "\u202e" + right[1:], f"{FOREIGN}-0000-4000-8000-00000000000g",
    ]  # fmt: skip
    return [value for value in almost if value != right]


@cache
def draw_invalid_id(right: str) -> Json:
    """Draw a value that is almost an object id, and not null."""
    some = st.sampled_from(invalid_ids(right))
    return some | some | some | NOISE.filter(lambda noise: noise is not None) | NUMBERS


@cache
def draw_invalid_data(user: str) -> Json:
    """Draw a `resourceData` whose id is not valid."""
    return draw_invalid_id(user).map(lambda value: Raw(f'{{"id": {write_value(value)}}}'))


@cache
def draw_invalid_tenant(tenant: str) -> Json:
    """Draw a value that is almost a tenant's id, and that does not count as absent."""
    return draw_invalid_id(tenant).filter(lambda value: json.loads(write_value(value)))


def invalid_resources(user: str) -> list[Any]:
    """Return values that are almost the resource of a user; `...` stands for an absent member."""
    return [
        "Users", "Users/", f"Groups/{user}", f"Users/{user}/photo", f"Users('{user}')", f"Users/{{{user}}}",
        f"Users%2F{user}", f"Users%2f{user}", f"Users/%20{user}", f"Users//{user}", f"Users\\{user}", user,
        f"Users/{user}?x=1", f"Users/{user}#x", f"Users/{user}\n", f" Users/{user}", f"me/Users/{user}",
        f"https://{CANARY}.example/Users/{user}", f"Users/../Users/{user}", f"U\u017fers/{user}",
        f"\u202eUsers/{user}", f"Users/{user[:-1]}", f"Users/{user}\x00", [f"Users/{user}"], {"id": user},
        ...,
    ]  # fmt: skip


@cache
def draw_invalid_resource(user: str) -> Json:
    """Draw a value that is almost the resource of a user."""
    some = st.sampled_from(invalid_resources(user))
    return some | some | some | NOISE | NUMBERS


def invalid_events(event: str) -> list[Any]:
    """Return values that are almost the name of a lifecycle event; `...` stands for an absent member."""
    blanks = [f"{event} ", f" {event}"]
    return [event.upper(), *blanks, [event], {event: event}, f"{event}\x00", "renewed", "", ...]


def write_name(name: str, *, escaped: bool) -> str:
    if not escaped:
        return json.dumps(name)
    units = name.encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return '"' + "".join(f"\\u{high:02x}{low:02X}" for high, low in pairs) + '"'


def write_value(value: object, *, escaped: bool = True) -> str:
    return value.text if isinstance(value, Raw) else json.dumps(value, ensure_ascii=escaped)
