"""Microsoft Graph's answers, usual and unusual."""

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

from local.tenant.directory.groups import Group
from local.tenant.traffic.faults import Fault
from shared.attempt import Attempt
from shared.errors import Denied, Gone, Refused, TryLater
from shared.graph.client import Graph
from shared.graph.photo import Gathered, NoMailbox, NoPhoto, Photo, Unavailable, UserGone
from shared.rest.client import HttpClient
from tests.fakes.world import World

HOST = "graph.microsoft.com"
SUBSCRIPTIONS = f"https://{HOST}/v1.0/subscriptions"
BATCH = r"\$batch"
BYTES = r"/photo/\$value"
ETAG = '"BA09D118"'


@pytest.fixture
def graph(rest: HttpClient) -> Graph:
    return Graph(rest, HOST)


def answers(world: World, *bodies: object, path: str = BATCH, status: int = 200) -> None:
    """Let Graph give these answers; the last one is repeated."""
    faults = [
        Fault(path=path, status=status, body=json.dumps(body), next=1, service="graph") for body in bodies
    ]
    faults[-1].next = None
    world.fault(*faults)


def part(number: str, status: int = 200, body: object = None, **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"id": number, "status": status, "headers": named, "body": body}


def person(user: str, **facts: object) -> dict[str, Any]:
    body = {"id": user, "userPrincipalName": "Anna@contoso.com", "accountEnabled": True, "userType": "Member"}
    return part("user", 200, {**body, **facts})


def metadata(etag: str = ETAG, **facts: object) -> dict[str, Any]:
    return {"@odata.mediaEtag": etag, "id": "240x240", **facts}


def picture(content: bytes = b"JPEG", **headers: str) -> dict[str, Any]:
    return part("bytes", 200, base64.b64encode(content).decode(), **{"ETag": ETAG, **headers})


# --- photos of several ---


def test_each_user_of_a_batch_gets_their_own_answer(world: World, graph: Graph) -> None:
    with_photo, gone, without = world.add(), world.add(), world.add(photo=False)
    no_mailbox = world.add(mailbox=False)
    world.tenant.world.remove(world.person(gone))
    found = graph.photos([with_photo, without, no_mailbox, gone], Attempt())
    assert found == {
        with_photo: Photo(world.source(with_photo)),
        without: NoPhoto(),
        no_mailbox: NoMailbox("no mailbox"),
        gone: UserGone(),
    }
    assert len(world.requests()) == 2  # one for all, and one for those who may be gone


@pytest.mark.parametrize(
    ("given", "found"),
    [
        pytest.param([], Unavailable(), id="no part about the user"),
        pytest.param([part("a", 404), part("a", 200, metadata())], Photo(ETAG), id="two answers: the last"),
        pytest.param([part("b", 200, metadata())], Unavailable(), id="a part about another user"),
        pytest.param([None, 7, "a", []], Unavailable(), id="no parts at all"),
        pytest.param([part("a", 429, None, Retry_After="17")], Unavailable(17.0), id="throttled"),
    ],
)
@pytest.mark.parametrize("status", [200, 424], ids=["outer 200", "outer 424"])
def test_an_invalid_part_affects_one_user_only(world: World, graph: Graph, given, found, status) -> None:
    answers(world, {"responses": [*given, part("z", 200, metadata())]}, status=status)
    assert graph.photos(["a", "z"], Attempt()) == {"a": found, "z": Photo(ETAG)}


@pytest.mark.parametrize("body", [{}, {"responses": None}, [], "text", None], ids=str)
def test_a_batch_without_responses_is_repeated_later(world: World, graph: Graph, body: object) -> None:
    answers(world, body)
    with pytest.raises(TryLater):
        graph.photos(["a"], Attempt())


@pytest.mark.parametrize("turn", [str.upper, str.lower, str.title], ids=lambda turn: turn.__name__)
def test_the_ids_of_parts_are_matched_whatever_their_case(world: World, graph: Graph, turn: Any) -> None:
    user = "0a0b0c0d-0000-4000-8000-00000000abcd"
    parts = [person(user), part("photo", 200, metadata()), picture()]
    answers(
        world,
        {"responses": [part(turn(user), 200, metadata())]},
        {"responses": [each | {"id": turn(each["id"])} for each in parts]},
    )
    assert graph.photos([user], Attempt()) == {user: Photo(ETAG)}
    assert graph.gather(user, Attempt()).content == b"JPEG"
    assert len(world.requests()) == 2


def test_a_tenant_that_repeats_ids_in_upper_case_is_swept_and_synced(world: World) -> None:
    world.tenant.world.knobs.batch_ids = "upper"
    users = [world.add() for _ in range(21)]
    gone = world.add()
    world.ask(gone)
    world.drain()
    world.tenant.world.remove(world.person(gone))
    world.hint(gone)
    assert world.sweep()["changed"] == 21
    for user in users:
        world.settled(user)
    assert world.row(gone).gone_since


def test_memberships_of_groups_are_found_whatever_the_case_of_ids(new_world: Any) -> None:
    world = new_world(SCOPE="group:0A0B0C0D-0000-4000-8000-00000000ABCD")
    world.tenant.world.knobs.batch_ids = "upper"
    inside, outside = world.add(), world.add()
    group = world.services.settings.scope.group
    world.tenant.world.groups.put(Group(group, "team", (inside,)))
    for user in (inside, outside):
        world.ask(user)
    world.drain()
    assert {user: world.row(user).outcome for user in (inside, outside)} == {
        inside: "synced",
        outside: "skipped",
    }


# --- whether a photo exists ---


@pytest.mark.parametrize("answer", ["404", "1x1"])
def test_both_answers_for_a_missing_photo_are_understood(world: World, graph: Graph, answer: str) -> None:
    world.tenant.world.knobs.no_photo = answer
    without, with_photo, dot = world.add(photo=False), world.add(), world.add(photo=False)
    with Image.new("RGB", (1, 1)) as image, io.BytesIO() as file:
        image.save(file, "JPEG")
        world.change_photo(dot, file.getvalue())
    assert graph.has_no_photo(without, Attempt())
    assert not graph.has_no_photo(with_photo, Attempt())
    assert not graph.has_no_photo(dot, Attempt())


# --- one user, with the bytes ---


def test_a_user_is_gathered_in_one_request(world: World, graph: Graph) -> None:
    user = world.add(guest=True)
    gathered = graph.gather(user, Attempt())
    assert (gathered.user.id, gathered.user.guest, gathered.user.enabled) == (user, True, True)
    assert gathered.content == world.person(user).photo.data
    assert gathered.source == Photo(gathered.content_etag) == Photo(world.source(user))
    assert len(world.requests()) == 1


@pytest.mark.parametrize(
    ("user", "photo", "found"),
    [
        pytest.param(part("user", 404), part("photo", 424), UserGone(), id="gone"),
        pytest.param(None, part("photo", 404), NoPhoto(), id="no photo"),
    ],
)
def test_no_bytes_are_requested_without_a_photo(world: World, graph: Graph, user, photo, found) -> None:
    answers(world, {"responses": [part("bytes", 424), photo, user or person("a")]})
    assert graph.gather("a", Attempt()).source == found
    assert len(world.requests()) == 1


HEAD = [person("a"), part("photo", 200, metadata())]


@pytest.mark.parametrize(
    ("parts", "error", "after"),
    [
        pytest.param([], TryLater, None, id="nothing"),
        pytest.param([part("user", 429, Retry_After="40")], TryLater, 40.0, id="user throttled"),
        pytest.param([part("user", 403)], Denied, 900.0, id="user denied"),
        pytest.param([part("user", 400)], Refused, None, id="user refused"),
        pytest.param([part("user", 200)], TryLater, None, id="a user without a body"),
        pytest.param([person("a", userPrincipalName=None)], TryLater, None, id="a user without a name"),
        pytest.param([person("a")], TryLater, None, id="nothing about the photo"),
        pytest.param([HEAD[0], part("photo", 429, Retry_After="41")], TryLater, 41.0, id="photo throttled"),
        pytest.param([*HEAD, part("bytes", 429, Retry_After="42")], TryLater, 42.0, id="bytes throttled"),
    ],
)
def test_an_incomplete_gather_raises_the_matching_error(
    world: World, graph: Graph, parts, error, after
) -> None:
    answers(world, {"responses": parts})
    with pytest.raises(error) as caught:
        graph.gather("a", Attempt())
    assert (type(caught.value), getattr(caught.value, "after", None)) == (error, after)
    assert len(world.requests()) == 1


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param([], id="missing"),
        pytest.param([part("bytes", 200, "no base64!", ETag=ETAG)], id="not base64"),
        pytest.param([part("bytes", 424, None)], id="a dependency that did not fail"),
    ],
)
def test_bytes_that_a_batch_cannot_carry_are_fetched_alone_with_their_own_label(
    world: World, graph: Graph, odd: list[object]
) -> None:
    user = world.add()
    answers(world, {"responses": [person(user), part("photo", 200, metadata('"OLDER"')), *odd]})
    gathered = graph.gather(user, Attempt())
    assert gathered.content == world.person(user).photo.data
    assert (gathered.source, gathered.content_etag) == (Photo('"OLDER"'), world.source(user))
    assert len(world.requests()) == 2


def test_bytes_that_disappear_meanwhile_are_no_photo(world: World, graph: Graph) -> None:
    user = world.add(photo=False)
    answers(world, {"responses": [person(user), part("photo", 200, metadata())]})
    gathered = graph.gather(user, Attempt())
    assert (gathered.content, gathered.content_etag) == (b"", "")


@pytest.mark.parametrize(
    ("status", "after", "label"),
    [
        pytest.param(200, metadata(), ETAG, id="the same after as before: it is the bytes' label, too"),
        pytest.param(200, metadata('"NEWER"'), "", id="changed meanwhile: the bytes may belong to either"),
        pytest.param(404, None, "", id="gone meanwhile"),
    ],
)
def test_bytes_without_a_label_take_that_of_the_metadata_if_it_did_not_change(
    world: World, graph: Graph, status: int, after: object, label: str
) -> None:
    batch = {"responses": [person("a"), part("photo", 200, metadata()), picture(ETag="")]}
    world.fault(
        Fault(path=BATCH, status=200, body=json.dumps(batch)),
        Fault(path="/photo$", status=status, body=json.dumps(after)),
    )
    gathered = graph.gather("a", Attempt())
    assert gathered == Gathered(gathered.user, Photo(ETAG), b"JPEG", label)
    assert len(world.requests()) == 2


# --- subscriptions ---


def listed(*names: str, **more: str) -> dict[str, Any]:
    items = [
        {
            "id": name,
            "resource": "users",
            "notificationUrl": "https://a/n",
            "lifecycleNotificationUrl": None,
            "expirationDateTime": "2026-11-23T12:00:00.1234567Z",
        }
        for name in names
    ]
    return {"value": items, **more}


def test_every_page_is_read(world: World, graph: Graph) -> None:
    answers(
        world,
        listed("one", **{"@odata.nextLink": f"{SUBSCRIPTIONS}?$skiptoken=2"}),
        listed("two"),
        path="/subscriptions",
    )
    found = graph.subscriptions(Attempt())
    assert [each.id for each in found] == ["one", "two"]
    assert found[0].lifecycle_url == ""
    assert found[0].expires == pytest.approx(1795435200.123456)


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1.0/subscriptions",
        "http://graph.microsoft.com/v1.0/subscriptions",
        "https://graph.microsoft.com@evil.example/v1.0/",
        "https://graph.microsoft.com:444/v1.0/",
        "//evil.example/",
        ["https://graph.microsoft.com/v1.0/"],
        7,
    ],
    ids=str,
)
def test_a_next_page_on_another_host_is_refused(world: World, graph: Graph, link: object) -> None:
    answers(world, listed("one", **{"@odata.nextLink": link}), path="/subscriptions")
    with pytest.raises(Refused):
        graph.subscriptions(Attempt())
    assert len(world.requests()) == 1


@pytest.mark.parametrize("page", [{}, {"value": 7}, [], {"value": [{"resource": "users"}]}], ids=str)
def test_an_invalid_list_is_requested_again_later(world: World, graph: Graph, page: object) -> None:
    answers(world, page, path="/subscriptions")
    with pytest.raises(TryLater):
        graph.subscriptions(Attempt())


def test_a_creation_is_sent_once_whatever_the_answer(world: World, graph: Graph) -> None:
    world.fault(Fault(service="graph", drop=True))
    with pytest.raises(TryLater):
        graph.create_subscription("https://a/n", "https://a/l", "state", world.clock.now() + 60, Attempt())
    assert len(world.requests()) == 1


def test_the_deletion_of_a_lost_subscription_succeeds(graph: Graph) -> None:
    graph.delete_subscription("11111111-1111-4111-8111-111111111111", Attempt())


def test_a_lost_subscription_cannot_be_renewed(world: World, graph: Graph) -> None:
    with pytest.raises(Gone):
        graph.renew_subscription("11111111-1111-4111-8111-111111111111", world.clock.now() + 60, Attempt())
