"""Graph's notifications over the webhooks: of users who may have changed, and of the subscription."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shared.jobs import Check, Tend
from shared.triggers import Triggers
from tests.simulation.instance import TENANT, Instance
from tests.simulation.judge import Violation

if TYPE_CHECKING:
    from tests.simulation.run import Run


def notify(run: "Run", users: list[str]) -> None:
    """Let Graph notify the app of these users: once, twice, late, or never without a subscription."""
    facts = {"changeType": "updated"}
    items = [{**facts, "resource": f"Users/{user}", "resourceData": {"id": user}} for user in users]
    for _ in range(run.chooser.pick((1, 2), (0.9, 0.1))):
        _post(run, "notifications", items)


def announce(run: "Run") -> None:
    """Let Graph send a lifecycle notification about the subscription."""
    event = run.chooser.pick(("missed", "reauthorizationRequired", "subscriptionRemoved"))
    _post(run, "lifecycle", [{"lifecycleEvent": event, "resource": "Users"}])
    if event == "subscriptionRemoved":
        run.endpoints.subscriptions.clear()


WEBHOOKS = {
    "notifications": (Triggers.notifications, Check.queue),
    "lifecycle": (Triggers.lifecycle, Tend.queue),
}


def _post(run: "Run", webhook: str, items: Sequence[Mapping[str, Any]]) -> None:
    """Deliver notifications with the subscription's secret to a webhook; none without a subscription."""
    for subscription in list(run.endpoints.subscriptions.values())[:1]:
        secret = subscription["clientState"]
        signed = {"subscriptionId": subscription["id"], "clientState": secret, "tenantId": TENANT}
        body = json.dumps({"value": [{**signed, **item} for item in items]}).encode()
        _deliver(run, webhook, body, run.chooser.pick(run.instances), tries=3)


def _deliver(run: "Run", webhook: str, body: bytes, instance: Instance, tries: int) -> None:
    """Do as the host does: run the function, then put its output into the queue, message by message."""
    take, queue = WEBHOOKS[webhook]

    def work() -> None:
        taken = take(instance.triggers, None, body)
        if taken.status != 202:
            raise Violation(f"Graph's own notification is answered {taken.status} {taken.text}")
        for message in taken.messages:
            run.outbox.put(queue, message, 0)

    def again(worker: Any) -> None:
        if worker.error is not None and tries:  # the host answers 500, and Graph repeats the request
            _deliver(run, webhook, body, instance, tries - 1)

    run.start(webhook, instance, None, work, on_end=again)
