"""Posts of strangers and Graph to the two webhooks. No function reads the queues: every message shows."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests

from local.azurite import Azurite
from tests.e2e.story import Story, playing, quiet_stage

FACES = [pytest.param("notifications", id="notifications"), pytest.param("lifecycle", id="lifecycle")]
CANARY = "canary-4711"

type Json = dict[str, Any]
type Spoil = Callable[[Json], object]


@pytest.fixture(scope="module")
def shared_story(storage: Azurite) -> Iterator[Story]:
    off = {f"AzureWebJobs.{name}.Disabled": "true" for name in ("check_photos", "tend_subscription")}
    with playing(quiet_stage(storage=storage, settings=off)) as story:
        yield story


@pytest.fixture
def genuine(story: Story) -> Callable[[str], Json]:
    """Make an item about a user as Graph sends it for our subscription."""
    subscription = story.subscribed()
    story.people.clear_history()
    graph = story.stage.tenant.graph
    return lambda user: graph.notification(subscription["id"], user)


@pytest.fixture
def event(story: Story) -> Json:
    """A lifecycle event as Graph sends it for our subscription."""
    subscription = story.subscribed()
    story.people.clear_history()
    return {
        "subscriptionId": subscription["id"],
        "clientState": subscription["clientState"],
        "lifecycleEvent": "missed",
        "tenantId": story.stage.tenant.world.tenant_id,
    }


def _post(story: Story, face: str, body: object, **how: Any) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return story.stage.call("POST", face, key="", data=data, **how)


def _nothing_came_of_it(story: Story, answer: requests.Response) -> None:
    assert answer.status_code < 500
    assert CANARY not in answer.text + str(answer.headers)
    assert [story.waiting(queue) for queue in ("photo-checks", "photo-subscription")] == [0, 0]
    assert story.history() == []


# --- bodies that are not notifications ---


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"canary-4711", 400, id="not JSON"),
        pytest.param(b'{"value": ["canary-4711"', 400, id="half a body"),
        pytest.param(b"\xff\xfe\x00canary-4711", 400, id="not a text"),
        pytest.param(b'["canary-4711"]', 400, id="a list"),
        pytest.param(b"null", 400, id="null"),
        pytest.param(b'{"value": {"canary-4711": 1}}', 400, id="value is an object"),
        pytest.param(b'{"value": "canary-4711"}', 400, id="value is a text"),
        pytest.param(b'{"canary-4711": []}', 400, id="no value"),
        pytest.param(b"[" * 200_000, 400, id="deep lists"),
        pytest.param(b'{"value":' * 100_000 + b"1" + b"}" * 100_000, 400, id="deep objects"),
        pytest.param(b'{"value": [' + b"9" * 10_000 + b"]}", 400, id="a number too long for Python"),
        pytest.param(b" " * 5_000_000, 413, id="five megabytes"),
        pytest.param(b'{"value": []}', 202, id="no items"),
        pytest.param(b'{"value": [null, 1, "canary-4711", [], {}]}', 202, id="items that are not objects"),
    ],
)
def test_a_body_that_is_not_a_notification_has_no_effect(
    story: Story, face: str, body: bytes, status: int
) -> None:
    answer = _post(story, face, body)

    assert answer.status_code == status
    _nothing_came_of_it(story, answer)


# --- items that Graph did not send ---


def _forge(client_state: str) -> str:
    """The same signature under another nonce."""
    nonce, dot, signature = client_state.partition(".")
    return nonce[::-1] + dot + signature


SPOILS = [
    pytest.param(lambda item: item.update(clientState=_forge(item["clientState"])), id="a forged nonce"),
    pytest.param(lambda item: item.update(clientState=CANARY), id="another client state"),
    pytest.param(lambda item: item.update(clientState=item["clientState"][:-1]), id="a cut client state"),
    pytest.param(lambda item: item.update(clientState=item["clientState"].swapcase()), id="case"),
    pytest.param(lambda item: item.update(clientState=[item["clientState"]]), id="a list for a client state"),
    pytest.param(lambda item: item.pop("clientState"), id="no client state"),
    pytest.param(lambda item: item.update(tenantId=str(uuid4())), id="another tenant"),
    pytest.param(lambda item: item.pop("tenantId"), id="no tenant"),
    pytest.param(lambda item: item.update(tenantId=7), id="a number for a tenant"),
]


@pytest.mark.parametrize(
    "spoil",
    [
        *SPOILS,
        pytest.param(lambda item: item.update(resource=f"Groups/{uuid4()}"), id="a group"),
        pytest.param(lambda item: item.update(resource=f"Users/{CANARY}"), id="no object id"),
        pytest.param(lambda item: item.update(resource=f"Users/{uuid4()}/photo"), id="a part of a user"),
        pytest.param(lambda item: item.update(resource={CANARY: 1}), id="an object for a resource"),
        pytest.param(lambda item: item.pop("resource"), id="no resource"),
        pytest.param(lambda item: item["resourceData"].update(id=CANARY), id="an id that is not an id"),
    ],
)
def test_an_invalid_item_is_answered_like_a_genuine_one_and_dropped(
    story: Story, genuine: Callable[[str], Json], spoil: Spoil
) -> None:
    item = genuine(str(uuid4()))
    spoil(item)

    answer = _post(story, "notifications", {"value": [item]})

    assert (answer.status_code, answer.text) == (202, "")
    _nothing_came_of_it(story, answer)


@pytest.mark.parametrize(
    "spoil",
    [
        *SPOILS,
        pytest.param(lambda item: item.update(lifecycleEvent=CANARY), id="an unknown event"),
        pytest.param(lambda item: item.update(lifecycleEvent=[]), id="a list for an event"),
        pytest.param(lambda item: item.update(subscriptionId=CANARY), id="no subscription's id"),
    ],
)
def test_an_invalid_lifecycle_event_is_answered_like_a_genuine_one_and_dropped(
    story: Story, event: Json, spoil: Spoil
) -> None:
    spoil(event)

    answer = _post(story, "lifecycle", {"value": [event]})

    assert (answer.status_code, answer.text) == (202, "")
    _nothing_came_of_it(story, answer)


# --- items that Graph sent ---


@pytest.mark.parametrize(
    "turn",
    [
        pytest.param(lambda item: item.update(), id="as it is"),
        pytest.param(lambda item: item.pop("resourceData"), id="without resourceData"),
        pytest.param(lambda item: item.update(resource=f"users/{item['resource'][6:].upper()}"), id="case"),
        pytest.param(lambda item: item.update(changeType="deleted"), id="a deletion"),
        pytest.param(lambda item: item.update(organizationId=item.pop("tenantId")), id="organizationId"),
        pytest.param(
            lambda item: item.update(tenantId=item["tenantId"].upper()), id="the tenant in capitals"
        ),
        pytest.param(lambda item: item.update(surprise={"new": [CANARY]}), id="with something new"),
    ],
)
def test_a_genuine_item_queues_a_check_of_its_user(
    story: Story, genuine: Callable[[str], Json], turn: Spoil
) -> None:
    user = str(uuid4())
    item = genuine(user)
    turn(item)

    answer = _post(story, "notifications", {"value": [item]})

    assert (answer.status_code, answer.text) == (202, "")
    (message,) = story.peek("photo-checks")
    assert message["job"].pop("seen") == message["job"].pop("born") == pytest.approx(time.time(), abs=10)
    job = {"users": [user], "why": "notified", "tries": 0, "force": False, "part": None, "letters": ""}
    assert message == {"v": 1, "job": job}
    assert story.history() == []


@pytest.mark.parametrize("tenant", ["tenantId", "organizationId"])
def test_a_lifecycle_event_is_queued(story: Story, event: Json, tenant: str) -> None:
    event[tenant] = event.pop("tenantId")

    answer = _post(story, "lifecycle", {"value": [event, event]})

    assert (answer.status_code, answer.text) == (202, "")
    (message,) = story.peek("photo-subscription")
    assert message["job"].pop("born") == pytest.approx(time.time(), abs=10)
    assert message == {"v": 1, "job": {"event": "missed", "subscription": event["subscriptionId"]}}
    assert story.history() == []


def test_valid_items_are_accepted_among_invalid_ones(story: Story, genuine: Callable[[str], Json]) -> None:
    good, foreign = str(uuid4()), genuine(str(uuid4())) | {"clientState": CANARY}

    answer = _post(story, "notifications", {"value": [None, foreign, genuine(good), 7, {"value": []}]})

    assert answer.status_code == 202
    (message,) = story.peek("photo-checks")
    assert message["job"]["users"] == [good]


def test_two_hundred_users_in_one_post_make_ten_messages_within_a_second(
    story: Story, genuine: Callable[[str], Json]
) -> None:
    users = [str(uuid4()) for _ in range(200)]
    items = [genuine(user) for user in [*users, *users]]

    began = time.monotonic()
    answer = _post(story, "notifications", {"value": items})
    took = time.monotonic() - began

    assert (answer.status_code, answer.text) == (202, "")
    assert took < 1.0
    messages = story.peek("photo-checks")
    assert len(messages) == story.waiting("photo-checks") == 10
    assert sorted(user for each in messages for user in each["job"]["users"]) == sorted(users)
    assert story.history() == []
