"""The status: what runs, what ran, how long it will take, and what needs an administrator."""

import json

import pytest

from shared.app import App
from shared.jobs import Tend, write
from shared.rest.gates import GRAPH, Gates
from shared.sweeps.state import LAST_PAGE_READ, SWEEP_LEASE, SweepRecord
from shared.sweeps.store import PartStore, SweepStore
from shared.sweeps.tally import Totals
from tests.fakes.external_steps import drop_connection
from tests.fakes.world import World

HOUR = 3600.0
THIS, LAST = "20270115T140000-2c3d", "20270115T080000-0a1b"
PEOPLE = tuple(f"{n:08x}-0000-4000-8000-000000000000" for n in range(20))


def status(world: World) -> dict:
    found = world.app.status_report.status()
    assert json.loads(json.dumps(found)) == found  # the answer is JSON
    return found


def running(world: World, *letters: str, **columns: object) -> None:
    """Let a sweep run whose parts have these letters."""
    now = world.clock.now()
    facts = {"id": THIS, "state": "running", "why": "the timer", "page": 1.0}
    times = {"lease_until": now + SWEEP_LEASE, "opened_at": now - 100.0}
    book = SweepStore(world.state)
    book.write(book.record(), {**facts, **times, **columns})
    parts = PartStore(world.parts)
    for number, some in enumerate(letters):
        key = f"00000-{number:03}"
        users = PEOPLE[: len(some)]
        parts.add(THIS, key, users)
        parts.answer(THIS, key, dict(zip(users, some, strict=True)))


def ended(world: World, sweep: str = LAST, state: str = "finished", **figures: int) -> None:
    now = world.clock.now()
    record = SweepRecord(id=sweep, why="the timer", opened_at=now - 300, page=1.0)
    SweepStore(world.state).keep(record, state, "", Totals(**figures), now - 200)


def test_an_app_that_has_done_nothing_yet_reports_nothing(world: World) -> None:
    assert status(world) == {
        "now": world.clock.now(),
        "problems": [],
        "warnings": [],
        "sweep": None,
        "sweeps": [],
        "sweep_wanted": "",
        "subscription": {
            "state": "none",
            "id": "",
            "expires": 0.0,
            "renewed_at": 0.0,
            "trouble": "",
            "owner": "",
        },
        "gates": {},
        "failed": {"users": 0, "more": False, "since": None, "newest": []},
        "poison": [],
        "queues": {},
    }


def test_a_request_for_the_status_changes_nothing(world: World) -> None:
    running(world, "Uc?")
    SweepStore(world.state).request_again("Graph announced missed")
    world.steps.taken.clear()
    assert status(world)["sweep_wanted"] == "Graph announced missed"
    assert {step.partition(" ")[0] for step in world.steps.taken} <= {"read", "scan"}
    assert world.outbox.messages == []


# --- what needs an administrator ---


def test_every_invalid_setting_is_named_beside_the_known_figures(world: World) -> None:
    ended(world, seen=7)
    world.restart(CLIENT_ID="", SCOPE="everyone")
    shown = status(world)

    assert [problem.partition(" ")[0] for problem in shown["problems"]] == ["CLIENT_ID", "SCOPE"]
    assert shown["sweeps"][0]["seen"] == 7


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        pytest.param({"CLAIM_FOR": "PT1S"}, ["CLAIM_FOR"], id="a short claim"),
        pytest.param({"REMOVE_AFTER": "P10D"}, ["REMOVE_AFTER"], id="a long wait"),
        pytest.param({"SWEEP_SCHEDULE": "0 * * * * *"}, ["SWEEP_SCHEDULE"], id="a sweep a minute"),
        pytest.param(
            {"NOTIFICATION_URL": "https://a.example/b", "RENEWAL_SCHEDULE": "0 0 0 * * 1"},
            ["NOTIFICATION_URL", "RENEWAL_SCHEDULE"],
            id="two",
        ),
    ],
)
def test_a_setting_that_is_allowed_but_odd_is_a_warning(
    world: World, changed: dict[str, str], named: list[str]
) -> None:
    world.restart(**changed)
    shown = status(world)

    assert shown["problems"] == []
    assert [warning.partition(" ")[0] for warning in shown["warnings"]] == named


@pytest.mark.parametrize("schedule", ["", "06:00:00", "0 0 25 * * *"])
def test_a_schedule_that_the_host_refuses_is_a_problem_and_the_app_works(world: World, schedule: str) -> None:
    world.restart(SWEEP_SCHEDULE=schedule)

    assert [problem.partition(" ")[0] for problem in status(world)["problems"]] == ["SWEEP_SCHEDULE"]
    assert world.app.services.settings.tenant_id


def test_storage_out_of_reach_is_reported_as_a_problem_and_does_not_fail(world: World) -> None:
    world.restart(CLIENT_ID="")
    world.steps.on("read photostate", drop_connection, times=None)
    shown = status(world)

    assert shown.keys() == {"now", "problems", "warnings"}
    assert [problem.partition(" ")[0] for problem in shown["problems"]] == ["CLIENT_ID", "storage:"]


def test_an_account_that_is_not_set_is_named_once() -> None:
    shown = App({}).status_report.status()["problems"]

    assert len(shown) == len(set(shown))
    assert sum("AzureWebJobsStorage is missing" in problem for problem in shown) == 1


@pytest.mark.parametrize("queue", ["photo-checks", "photo-syncs", "photo-sweeps", "photo-subscription"])
def test_poison_that_no_function_can_read_is_a_problem(world: World, queue: str) -> None:
    world.outbox.put(f"{queue}-poison", "not base64", 600)  # the host hides it again and again
    shown = status(world)

    assert shown["queues"] == {f"{queue}-poison": 1}
    (problem,) = shown["problems"]
    assert problem.startswith(f"{queue}-poison has a message, or several (1): ")
    assert "not base64" in problem


def test_messages_that_wait_are_counted_and_are_no_problem(world: World) -> None:
    for hidden in (0, 30):
        world.outbox.put("photo-syncs", "{}", hidden)
    shown = status(world)

    assert (shown["queues"], shown["problems"]) == ({"photo-syncs": 2}, [])


def test_queues_out_of_reach_leave_the_rest_of_the_report(world: World) -> None:
    ended(world, seen=7)
    world.steps.on("read photo-.*", drop_connection, times=None)
    shown = status(world)

    assert shown["sweeps"][0]["seen"] == 7
    assert shown["queues"] == {}
    assert [problem.rpartition(": ")[2] for problem in shown["problems"]] == [
        "what waits in the queues cannot be told"
    ]


# --- sweeps that need an administrator ---


@pytest.mark.parametrize(
    ("idle", "columns", "named"),
    [
        pytest.param(HOUR, {}, False, id="for an hour"),
        pytest.param(HOUR + 1, {}, True, id="for longer"),
        pytest.param(HOUR + 1, {"next": LAST_PAGE_READ}, True, id="while it waits for answers"),
        pytest.param(9 * HOUR, {"lease_until": 1.0}, True, id="and its lease ended"),
        pytest.param(9 * HOUR, {"state": "finished"}, False, id="because it ended"),
    ],
)
def test_a_sweep_without_progress_is_named(world: World, idle: float, columns: dict, named: bool) -> None:
    running(world, "U?", progress_at=world.clock.now() - idle, **columns)
    found = [problem for problem in status(world)["problems"] if THIS in problem]
    assert found == ([f"sweep {THIS} has made no progress for {idle / HOUR:.0f} h: {ENDS}"] if named else [])


ENDS = "DELETE /api/sweeps ends it"
DAY = 24 * HOUR


def test_a_day_without_a_complete_sweep_is_named_with_the_last_one(world: World) -> None:
    ended(world)
    world.clock.advance(DAY - 201)
    ended(world, THIS, "failed")
    assert status(world)["problems"] == []
    world.clock.advance(202)
    (problem,) = status(world)["problems"]
    assert problem == f"no sweep was completed for 24 h; the last one, {THIS}, is failed"


def test_sweeps_that_always_fail_are_named_although_each_of_the_last_ten_is_recent(world: World) -> None:
    for number in range(10):
        ended(world, f"20270115T08000{number}-0a1b", "incomplete")
    (problem,) = status(world)["problems"]
    assert problem.startswith("no sweep was completed for 0 h; the last one, 20270115T080009-0a1b, is incomp")


def test_a_first_sweep_that_never_ends_is_named_after_a_day(world: World) -> None:
    running(world, "U?", progress_at=world.clock.now(), opened_at=world.clock.now() - DAY - HOUR)
    assert status(world)["problems"] == ["no sweep was completed for 25 h"]


def test_a_braked_sweep_is_named_until_the_next_one_is_complete(world: World) -> None:
    ended(world, "20270115T080000-0000", "braked")
    ended(world, "20270115T080001-0000", "failed")
    assert status(world)["problems"] == ["sweep 20270115T080000-0000 is braked: "]
    ended(world, "20270115T080002-0000", "finished")
    assert status(world)["problems"] == []


# --- the running sweep ---


def test_a_running_sweep_is_shown_with_its_figures(world: World) -> None:
    running(world, "UUcn", "MRG?", force=True)
    facts = {"id": THIS, "why": "the timer", "force": True, "pages": 1, "opened_at": world.clock.now() - 100}
    users = {"users_answered": 7, "unanswered": 1, "seen": 8}
    counted = {"unchanged": 2, "changed": 1, "empty": 1, "missing": 1, "removable": 1, "gone": 1}
    assert (facts | users | counted).items() <= status(world)["sweep"].items()


@pytest.mark.parametrize(
    ("columns", "before", "expected", "left"),
    [
        pytest.param({"next": LAST_PAGE_READ}, 40, 8, 100, id="every page was read: as many as were checked"),
        pytest.param(
            {"next": "https://..."}, 40, 40, 900, id="pages are left: as many as the last sweep saw"
        ),
        pytest.param({"next": "https://..."}, 0, 8, 100, id="pages are left, and their number is unknown"),
        pytest.param({"next": "https://..."}, 5, 8, 100, id="more than last time already"),
    ],
)
def test_the_remaining_time_is_estimated_from_the_answers_so_far(
    world: World, columns: dict[str, str], before: int, expected: int, left: int
) -> None:
    if before:
        ended(world, seen=before)
    running(world, "UUUU", "????", **columns)
    sweep = status(world)["sweep"]

    assert (sweep["users_expected"], sweep["seconds_left"]) == (expected, left)
    assert sweep["every_page_read"] is (columns["next"] == LAST_PAGE_READ)


@pytest.mark.parametrize("state", ["failed", "incomplete"])
def test_an_aborted_sweep_is_not_used_to_estimate_the_number_of_users(world: World, state: str) -> None:
    ended(world, "20270114T080000-0a1b", seen=40)
    ended(world, state=state, seen=3)
    running(world, "UUUU", next="https://...")
    assert status(world)["sweep"]["users_expected"] == 40


@pytest.mark.parametrize(("letters", "expected"), [(["????"], 4), ([], 0)], ids=["no answer yet", "no users"])
def test_the_remaining_time_is_unknown_without_an_answer(world: World, letters, expected) -> None:
    running(world, *letters, next=LAST_PAGE_READ)
    sweep = status(world)["sweep"]
    assert (sweep["users_expected"], sweep["seconds_left"]) == (expected, None)


@pytest.mark.parametrize("columns", [{"lease_until": 1.0}, {"state": "braked"}], ids=["dead", "braked"])
def test_a_sweep_that_is_not_running_is_not_shown_as_running(world: World, columns) -> None:
    running(world, "UU", **columns)
    assert status(world)["sweep"] is None


# --- what ran ---


def test_the_last_ten_sweeps_are_shown_the_latest_first_in_whole_numbers(world: World) -> None:
    ids = [f"202701{day:02}T080000-0a1b" for day in range(1, 14)]
    for number, sweep in enumerate(ids):
        ended(world, sweep, seen=100 + number, shown=90)
    shown = status(world)["sweeps"]

    assert [each["id"] for each in shown] == ids[:2:-1]
    assert shown[0]["seen"] == 112
    assert type(shown[0]["seen"]) is int
    assert (shown[0]["state"], shown[0]["why"], shown[0]["shown"]) == ("finished", "the timer", 90)
    assert not {"PartitionKey", "RowKey", "page"} & shown[0].keys()


# --- the rest ---


def test_a_closed_gate_is_shown_with_the_reason_and_the_seconds_it_stays_closed(world: World) -> None:
    Gates(world.state, world.clock).close(GRAPH, 119.6, "graph: 429")
    assert status(world)["gates"][GRAPH] == {"closed": True, "for": 120, "why": "graph: 429"}
    world.clock.advance(120)
    assert status(world)["gates"][GRAPH] == {"closed": False, "for": 0, "why": ""}


def test_the_subscription_is_shown_without_its_key(world: World) -> None:
    record = {"state": "active", "id": PEOPLE[0], "key": "horse", "expires": 7.0, "renewed_at": 5.0}
    more = {"owner": "https://a.example/api/notifications?code=staple", "trouble": "graph: 400"}
    world.state.merge("subscription", "users", {**record, **more, "lease_token": "battery"}, None)
    shown = status(world)["subscription"]

    facts = {"state": "active", "id": PEOPLE[0], "expires": 7.0, "renewed_at": 5.0}
    assert shown == {**facts, "owner": "a.example", "trouble": "graph: 400"}


def test_poison_is_shown_without_its_content(world: World) -> None:
    body = write(Tend("missed", PEOPLE[0], 1.0))
    world.app.recorder.record(Tend, body.encode())
    (poison,) = status(world)["poison"]

    assert (poison["queue"], poison["at"]) == ("photo-subscription", world.clock.now())
    assert poison["id"]
    assert poison["why"]
    assert body not in json.dumps(poison)


def test_only_the_newest_of_many_poison_messages_are_shown(world: World) -> None:
    for number in range(30):
        world.app.recorder.record(Tend, f"hello {number}".encode())
        world.clock.advance(1)

    now = world.clock.now()
    assert [now - each["at"] for each in status(world)["poison"]] == [1.0 + number for number in range(20)]
