"""Single notifications, and the posts (one POST each) that carry them to a webhook."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Literal

from local.tenant.graph.wire import Json
from local.tenant.knobs import Knobs

DeliveryOutcome = Literal["pending", "retrying", "delivered", "given up", "dropped"]


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification to deliver. Lifecycle events get posts of their own, with `tokens`."""

    url: str
    item: Json
    lifecycle: bool = False
    tokens: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class NotificationPost:
    """One POST and its outcome. `status` is the last answer's, None without an answer."""

    url: str
    items: list[Json]
    tokens: tuple[str, ...]
    born: datetime
    due: datetime
    attempts: int = 0
    status: int | None = None
    outcome: DeliveryOutcome = "pending"

    def body(self) -> bytes:
        """Return the changeNotificationCollection."""
        tokens = {"validationTokens": list(self.tokens)} if self.tokens else {}
        return json.dumps({"value": self.items, **tokens}).encode()


def pack(
    notifications: list[Notification], knobs: Knobs, random: Random, now: datetime
) -> Iterator[NotificationPost]:
    """Yield the posts for these notifications: repeated, reordered and cut to size as the knobs say."""
    notifications = notifications + [
        each for each in notifications if random.random() < knobs.notification_duplicates
    ]
    if knobs.notification_order == "shuffled":
        random.shuffle(notifications)
    piles: dict[tuple[str, bool, tuple[str, ...]], list[Json]] = {}
    for notification in notifications:
        piles.setdefault((notification.url, notification.lifecycle, notification.tokens), []).append(
            notification.item
        )
    size = knobs.notifications_per_post
    for (url, _, tokens), items in piles.items():
        for start in range(0, len(items), size):
            yield NotificationPost(url, items[start : start + size], tokens, born=now, due=now)
