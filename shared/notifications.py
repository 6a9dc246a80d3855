"""What a POST of Microsoft Graph means, and whether Graph sent it. Pure, apart from drawing a nonce.

The proof is the `clientState`: this app signed it when it created the subscription, so verifying it needs no
look-up within the three seconds that Graph allows. Everything else in the body is untrusted.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from shared.jobs import LifecycleEvent, Tend
from shared.subscription.client_state import ClientState
from shared.users import object_id

LARGEST_BODY = 4 * 1024 * 1024  # bytes
SHORTEST_ITEM = 200  # bytes; the required fields of a Graph item take more
MOST_ITEMS = LARGEST_BODY // SHORTEST_ITEM
LONGEST_TOKEN = 2048  # characters


@dataclass(frozen=True, slots=True)
class Malformed:
    """Not a request of Graph: answer `status` and `reason`, which repeat nothing of the request."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Changes:
    """Users that may have changed, without duplicates, and how many items were refused, by reason."""

    users: tuple[str, ...]
    refused: Mapping[str, int]
    subscriptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What Graph announced about subscriptions, without duplicates, and the refused items by reason."""

    jobs: tuple[Tend, ...]
    refused: Mapping[str, int]


def read_handshake(token: str) -> str | Malformed:
    """Return the text to answer, as 200 `text/plain`, to a `validationToken`: the token as it was decoded."""
    if len(token) > LONGEST_TOKEN or "<" in token or not token.isprintable():
        return Malformed(400, "this is no validation token")
    return token


def read_changes(body: bytes, *, state: ClientState, tenant: str) -> Changes | Malformed:
    """Return the users named by the items that Graph sent for the directory `tenant`.

    Each item is verified separately by its `clientState`.
    """
    items = _items(body)
    if isinstance(items, Malformed):
        return items
    users, subscriptions, refused = dict[str, None](), dict[str, None](), Counter[str]()
    for item in items:
        reason = _refusal_of(item, state, tenant)
        user = None if reason else _user(item)
        if user is None:
            refused[reason or "resource"] += 1
            continue
        users[user] = None
        if subscription := object_id(item.get("subscriptionId")):
            subscriptions[subscription] = None
    return Changes(tuple(users), dict(refused), tuple(subscriptions))


def read_lifecycle(body: bytes, *, state: ClientState, tenant: str, now: float) -> Lifecycle | Malformed:
    """Return what Graph announced about subscriptions at `now`, in Unix seconds; verified as changes are."""
    items = _items(body)
    if isinstance(items, Malformed):
        return items
    jobs, refused = dict[Tend, None](), Counter[str]()
    for item in items:
        if reason := _refusal_of(item, state, tenant) or _unknown_event(item):
            refused[reason] += 1
        else:
            jobs[Tend(item["lifecycleEvent"], item["subscriptionId"].lower(), born=now)] = None
    return Lifecycle(tuple(jobs), dict(refused))


def _items(body: bytes) -> list[Any] | Malformed:
    if len(body) > LARGEST_BODY:
        return Malformed(413, "the body is larger than 4 MiB")
    try:
        collection = json.loads(body)
    except (ValueError, RecursionError):
        return Malformed(400, "the body is not JSON")
    items = collection.get("value") if isinstance(collection, dict) else None
    if not isinstance(items, list):
        return Malformed(400, "the body has no list called value")
    # A million of the shortest items would take seconds; as many of Graph's would exceed 4 MiB.
    return items if len(items) <= MOST_ITEMS else Malformed(413, f"more than {MOST_ITEMS} items")


def _refusal_of(item: Any, state: ClientState, tenant: str) -> str:
    """Return why an item is refused, "" if Graph sent it."""
    if not isinstance(item, dict):
        return "not an object"
    if not state.verifies(item.get("clientState")):
        return "client state"
    # Lifecycle items have been seen with organizationId in its place (microsoft-graph-docs-contrib issue 84).
    if object_id(item.get("tenantId") or item.get("organizationId")) != tenant:
        return "tenant"
    return ""


def _user(item: Mapping[str, Any]) -> str | None:
    resource, data = item.get("resource"), item.get("resourceData")
    collection, _, last = resource.strip("/").partition("/") if isinstance(resource, str) else ("", "", "")
    if collection.lower() != "users" or object_id(last) is None:
        return None
    named = data.get("id") if isinstance(data, dict) else None
    return object_id(last if named is None else named)


def _unknown_event(item: Mapping[str, Any]) -> str:
    if item.get("lifecycleEvent") not in get_args(LifecycleEvent):
        return "lifecycle event"
    return "" if object_id(item.get("subscriptionId")) else "subscription"
