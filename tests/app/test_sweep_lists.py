"""A list that Graph pages through comes to an end, or its sweep does."""

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from local.tenant.directory.groups import Group
from local.tenant.traffic.faults import Fault
from shared.attempt import Attempt
from shared.errors import Endless, Refused, TryLater
from shared.graph.client import Graph
from shared.jobs import SweepPage
from shared.sweeps.lists import ListStore
from shared.sweeps.state import MOST_PAGES
from tests.app.sweeps_seen import ended, parts, record
from tests.fakes import bulk
from tests.fakes.external_steps import drop_connection, fail_precondition, kill
from tests.fakes.world import World

HOUR = 3600.0
DAY = 24 * HOUR
BASE = "https://graph.microsoft.com/v1.0"
GROUP = "0a0a0a0a-0000-4000-8000-000000000003"
MEMBERS = f"/groups/{GROUP}/transitiveMembers/microsoft.graph.user"
# Each list is a chain of pages by name; the last one's successor was read before.
CYCLES = {
    "the first page itself": ["A", "A"],
    "the page before": ["A", "B", "A"],
    "a page in the middle": ["A", "B", "C", "D", "B"],
}


def chain(path: str, names: Sequence[str], users: Sequence[str]) -> list[Fault]:
    """Return the answers of a list that begins with a page whose successor is the first name, and so on.

    There is one user on each page. A page that is read once more has the same successor.
    """
    pages: dict[str, Fault] = {}
    for this, following, user in zip(["", *names], names, users, strict=False):
        link = f"{BASE}{path}?$skiptoken={following}"
        body = json.dumps({"value": [{"id": user, "accountEnabled": True}], "@odata.nextLink": link})
        where = re.escape(path) + (rf"\?\$skiptoken={this}$" if this else r"(\?\$select.*)?$")
        pages.setdefault(this, Fault(service="graph", path=where, status=200, body=body.encode()))
    return list(pages.values())


@pytest.mark.parametrize("names", CYCLES.values(), ids=CYCLES)
@pytest.mark.parametrize("scope", ["members", f"group:{GROUP}"])
def test_a_list_of_users_that_comes_back_fails_its_sweep_and_their_photos_are_checked_nevertheless(
    new_world: Callable[..., World], names: list[str], scope: str
) -> None:
    world = new_world(SCOPE=scope)
    users = bulk.add_users(world, len(names))
    path = "/users" if scope == "members" else MEMBERS
    world.fault(*chain(path, names, users))

    sweep = world.open_sweep()
    world.drain()

    (figures,) = ended(world)
    assert (figures["id"], figures["state"]) == (sweep, "failed")
    assert "the list of users comes back from page" in figures["reason"]
    asked = [user for part in parts(world, sweep) for user in part]
    assert asked == users
    assert sum("GET /v1.0" in request for request in world.requests("graph")) == len(names)
    assert (world.outbox.messages, world.outbox.poisoned) == ([], [])


@pytest.mark.parametrize("names", CYCLES.values(), ids=CYCLES)
def test_an_excluded_group_that_comes_back_fails_its_sweep(
    new_world: Callable[..., World], names: list[str]
) -> None:
    world = new_world(EXCLUDE_GROUP=GROUP)
    users = bulk.add_users(world, len(names))
    world.fault(*chain(MEMBERS, names, users))

    world.open_sweep()
    world.drain()

    assert [each["state"] for each in ended(world)] == ["failed"]
    assert "the list of excluded users comes back" in ended(world)[0]["reason"]
    assert len(world.requests("graph")) == len(names)


@pytest.mark.parametrize("names", CYCLES.values(), ids=CYCLES)
def test_a_list_of_subscriptions_that_comes_back_is_refused(world: World, names: list[str]) -> None:
    world.fault(*chain("/subscriptions", names, ["one"] * len(names)))
    graph: Graph = world.services.renewal.graph

    with pytest.raises(Endless):
        graph.subscriptions(Attempt())

    assert len(world.requests("graph")) == len(names)


@pytest.mark.parametrize(
    ("status", "code"), [(404, "Request_ResourceNotFound"), (400, "Request_BadRequest")], ids=str
)
def test_a_list_that_graph_refuses_fails_its_sweep_at_once_and_says_why(
    new_world: Callable[..., World], status: int, code: str
) -> None:
    world = new_world(SCOPE=f"group:{GROUP}")
    world.fault(Fault(service="graph", path="transitiveMembers", status=status, code=code))
    world.open_sweep()
    world.drain()
    assert [(each["state"], each["reason"]) for each in ended(world)] == [
        ("failed", f"graph: {status} {code}")
    ]
    assert len(world.requests("graph")) == 1


def test_an_address_that_no_row_can_hold_fails_the_sweep(world: World) -> None:
    (user,) = bulk.add_users(world, 1)
    world.fault(*chain("/users", ["x" * 20_000], [user]))
    world.open_sweep()
    world.drain()
    assert [each["reason"] for each in ended(world)] == [
        "graph: the next page's address is too long to be kept"
    ]


# --- the addresses that were read ---


@pytest.fixture
def lists(world: World) -> ListStore:
    return ListStore(world.parts)


@pytest.mark.parametrize("mishap", [fail_precondition, drop_connection, kill])
def test_a_page_that_is_read_again_has_the_same_successor_and_is_no_cycle(
    world: World, lists: ListStore, mishap: Callable[[], object]
) -> None:
    def follow() -> None:
        lists.follow("sweep", "users", 1, "A")

    world.steps.on("write photoparts", mishap, after=True)
    with suppress(TryLater):  # then the message is delivered again
        world.steps.survive(follow)
    follow()
    lists.follow("sweep", "users", 1, "another successor, after it was read again")
    lists.follow("sweep", "users", 2, "B")
    lists.follow("sweep", "excluded users", 3, "A")
    lists.follow("the next sweep", "users", 2, "A")
    with pytest.raises(Endless):
        lists.follow("sweep", "users", 3, "A")


def test_a_list_with_an_address_of_its_own_for_every_page_ends_as_well(lists: ListStore) -> None:
    lists.follow("sweep", "users", MOST_PAGES - 1, "A")
    with pytest.raises(Refused):
        lists.follow("sweep", "users", MOST_PAGES, "B")


# --- the excluded group ---


def read(world: World, sweep: str, page: int) -> None:
    world.services.sweeper.step(SweepPage(sweep, page, born=world.clock.now()))


IN_THE_GROUP = 2500  # three pages; more than a row holds on each


def test_a_slow_excluded_group_is_never_begun_again(new_world: Callable[..., World]) -> None:
    """Every page of it fails a few times, in an instance that starts anew each time."""
    world = new_world(direct=True, EXCLUDE_GROUP=GROUP)
    world.tenant.permissions.consent("graph", ["User.Read.All", "GroupMember.ReadBasic.All"])
    users = bulk.add_users(world, IN_THE_GROUP + 10, photo=False, settled=False)
    with world.tenant.world.lock:
        world.tenant.world.groups.put(Group(GROUP, "no photos", users[:IN_THE_GROUP]))
    sweep = world.open_sweep()
    for page in range(3):
        world.fault(Fault(service="graph", path="transitiveMembers", status=503))
        world.run(HOUR / 6)
        assert (record(world).reading, record(world).page) == ("excluded users" if page else "", page)
        world.restart(EXCLUDE_GROUP=GROUP)
        world.fault(Fault(service="graph", path="transitiveMembers", skip=1, status=503))
        while record(world).page == page:
            world.run(60)
    world.fault()
    world.drain(deliveries=2000)

    (figures,) = ended(world)
    assert (figures["id"], figures["state"], figures["seen"]) == (sweep, "finished", 10)
    assert sorted(user for part in parts(world, sweep) for user in part) == sorted(users[IN_THE_GROUP:])
    answered = [each for each in world.requests("graph") if "transitiveMembers" in each and "→ 200" in each]
    assert len(answered) == 3


@pytest.mark.parametrize("now", ["", "0a0a0a0a-0000-4000-8000-00000000000f"], ids=["none", "another"])
def test_a_change_of_the_excluded_group_within_a_sweep_takes_no_member_for_a_user(
    new_world: Callable[..., World], now: str
) -> None:
    world = new_world(direct=True, EXCLUDE_GROUP=GROUP)
    world.tenant.permissions.consent("graph", ["User.Read.All", "GroupMember.ReadBasic.All"])
    users = bulk.add_users(world, 1500, photo=False, settled=False)
    with world.tenant.world.lock:
        world.tenant.world.groups.put(Group(GROUP, "no photos", users[:1200]))
        world.tenant.world.groups.put(Group("0a0a0a0a-0000-4000-8000-00000000000f", "others", ()))
    read(world, world.open_sweep(), 0)
    world.restart(EXCLUDE_GROUP=now)
    world.drain(deliveries=5000)
    (figures,) = ended(world)
    assert (figures["state"], figures["seen"]) == ("finished", 1500 if not now else 300)


def test_a_sweep_that_an_older_release_began_reads_on_where_it_was(new_world: Callable[..., World]) -> None:
    world = new_world(direct=True, EXCLUDE_GROUP=GROUP)
    world.tenant.permissions.consent("graph", ["User.Read.All", "GroupMember.ReadBasic.All"])
    bulk.add_users(world, 1200, photo=False, settled=False)
    with world.tenant.world.lock:
        world.tenant.world.groups.put(Group(GROUP, "no photos", ()))
    sweep = world.open_sweep()
    read(world, sweep, 0)
    read(world, sweep, 1)
    columns, version = world.state.rows["sweep", "record"]
    del columns["reading"]
    world.state.rows["sweep", "record"] = (columns, version)
    world.drain(deliveries=5000)
    assert [(each["state"], each["seen"]) for each in ended(world)] == [("finished", 1200)]
