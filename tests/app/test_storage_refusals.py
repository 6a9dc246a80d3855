"""Storage refuses what this app asks for: that is the app's own fault, which shows, and no outage."""

from typing import NoReturn

import pytest

from shared.errors import Refused
from shared.jobs import Check, Sync, write
from shared.triggers import Triggers
from tests.app.sweeps_seen import ended
from tests.fakes import bulk
from tests.fakes.world import World


def refuse() -> NoReturn:
    raise Refused("storage", "400 PropertyValueTooLarge", status=400, code="PropertyValueTooLarge")


def test_a_refused_row_makes_the_sync_poison_and_the_user_failed(world: World) -> None:
    user = world.add()
    world.steps.on("write photoledger", refuse, times=5)
    world.ask(user)

    world.drain()

    assert (world.row(user).outcome, world.outbox.messages) == ("failed", [])
    assert world.app.status_report.status()["failed"]["users"] == 1


@pytest.mark.parametrize("settling", [False, True], ids=["mark", "settle"])
def test_a_refused_row_of_a_claimed_user_is_tried_five_times(world: World, settling: bool) -> None:
    user, refused = world.add(), set[str]()

    def refuse_once_a_claim() -> None:
        row = world.row(user)
        if row.claim_until and row.dirty is settling and row.claim_token not in refused:
            refused.add(row.claim_token)
            refuse()

    world.steps.on("write photoledger", refuse_once_a_claim, times=None)
    world.ask(user)
    world.run(3600)

    assert (world.row(user).outcome, len(refused), world.outbox.messages) == ("failed", 5, [])
    assert "PropertyValueTooLarge" in world.row(user).reason


def test_a_refused_row_makes_the_page_poison_and_the_sweep_failed(world: World) -> None:
    bulk.add_users(world, 3)
    world.steps.on("write photoparts", refuse, times=5)
    sweep = world.open_sweep()

    world.drain()

    assert [(each["id"], each["state"]) for each in ended(world)] == [(sweep, "failed")]
    assert [each["queue"] for each in world.app.status_report.status()["poison"]] == ["photo-sweeps"]


def test_a_refused_note_of_one_user_concerns_no_other_user_of_the_check(world: World) -> None:
    missing = bulk.add_users(world, 3, photo=False)
    world.steps.on("write photoledger", refuse)
    world.hint(*missing, why="rechecked")

    world.drain()

    assert [bool(world.row(user).missing_since) for user in missing] == [False, True, True]


@pytest.mark.parametrize("kind", [Check, Sync])
def test_poison_that_storage_refuses_is_not_queued_for_ever(world: World, kind: type) -> None:
    world.steps.on("write photostate", refuse, times=None)
    body = b"not ours" if kind is Check else write(Sync("x", "asked", seen=0.0, born=0.0)).encode()

    with pytest.raises(Refused):
        Triggers(world.app).record(kind, body)

    assert world.outbox.messages == []
