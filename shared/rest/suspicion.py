"""Which refusals are the same, and what a gate's row says of the users who met them. Pure."""

from collections.abc import Mapping
from typing import Any

from shared import backoff
from shared.errors import DENIED_AFTER, Denied, Refused, ServiceError, TryLater

FEW_SUSPECTS = 3  # users; more who meet the same refusal, and nothing else, are an outage
SUSPECTED_FOR = 3600.0  # seconds after which a refusal says nothing about the next one
MOST_APART = 20  # users told apart from an outage, the last ones; while they fail, they say nothing about it
APART_FOR = 86_400.0  # seconds; as long as a job lives


def kind_of(error: ServiceError) -> str:
    """Return which refusals count as the same: an outage has many statuses, a rejection is exact."""
    if isinstance(error, Refused):
        return f"{error.status} {error.code}"
    return "denied" if isinstance(error, Denied) else "unavailable"


def users_in(columns: Mapping[str, Any], name: str) -> list[str]:
    """Return the users in a column of a gate's row."""
    return [user for user in str(columns.get(name, "")).split(",") if user]


def apart(columns: Mapping[str, Any], now: float) -> list[str]:
    """Return the users who were refused while the service worked for others."""
    return users_in(columns, "apart") if now - float(columns.get("apart_at", 0.0)) < APART_FOR else []


def told_apart(columns: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Return what a success says of a few suspects whose refusals closed the gate."""
    suspects = users_in(columns, "suspects")
    if not 1 < len(suspects) <= FEW_SUSPECTS:
        return {}
    earlier = [user for user in apart(columns, now) if user not in suspects]
    return {"apart": ",".join([*earlier, *suspects][-MOST_APART:]), "apart_at": now}


def pause_after(error: ServiceError, *, few: bool) -> float:
    """Return for how many seconds a service is left alone after a refusal that several users met.

    A time that it named for each of a `few` users is theirs.
    """
    if isinstance(error, Denied):
        return DENIED_AFTER
    asked = error.after if isinstance(error, TryLater) and not few else None
    return max(asked or 0.0, backoff.SHORTEST)
