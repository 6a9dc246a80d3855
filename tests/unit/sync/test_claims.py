"""Claims: one attempt at a time works on a user, whatever a conditional write is answered."""

import itertools

import pytest

from local.tenant.directory.world import Clock as TenantClock
from shared.errors import TryLater
from shared.ledger.failures import Failures
from shared.ledger.ledger import Ledger
from shared.sync.claims import BUSY_AFTER, Busy, Claim, ClaimLost, Claims
from tests.fakes.clock import Clock
from tests.fakes.external_steps import ExternalSteps, drop_connection, fail_precondition
from tests.fakes.table import Table

USER = "0f000000-0000-4000-8000-000000000001"
FOR = 420.0


class ClaimSetup:
    """A ledger in memory, and the claims on its rows."""

    def __init__(self) -> None:
        self.clock = Clock(TenantClock())
        self.steps = ExternalSteps()
        self.table = Table("photoledger", self.steps)
        self.ledger = Ledger(self.table, Failures(self.table, self.clock))
        numbers = itertools.count(1)
        self.claims = Claims(self.ledger, self.clock, FOR, new_token=lambda: f"token-{next(numbers)}")

    def take(self) -> Claim:
        return self.claims.take(USER)

    @property
    def row(self):
        return self.ledger.read(USER)


@pytest.fixture
def setup() -> ClaimSetup:
    return ClaimSetup()


# --- taking ---


def test_the_first_claim_makes_the_row(setup: ClaimSetup) -> None:
    claim = setup.take()
    assert setup.row == claim.row
    assert (setup.row.claim_token, setup.row.claim_until) == ("token-1", setup.clock.now() + FOR)


def test_a_valid_claim_keeps_other_attempts_out_until_it_ends(setup: ClaimSetup) -> None:
    setup.take()
    setup.clock.advance(20)
    with pytest.raises(Busy) as caught:
        setup.take()
    assert caught.value.after == BUSY_AFTER
    setup.clock.advance(FOR - 30)
    with pytest.raises(Busy) as caught:
        setup.take()
    assert caught.value.after == pytest.approx(10)


def test_an_ended_claim_leaves_its_token_and_keeps_no_attempt_out(setup: ClaimSetup) -> None:
    setup.take().end({"outcome": "synced"})
    assert (setup.row.claim_token, setup.row.claim_until, setup.row.outcome) == ("token-1", 0.0, "synced")
    setup.take()
    assert setup.row.claim_token == "token-2"


@pytest.mark.parametrize(
    ("dirty", "ended", "unsure"),
    [
        pytest.param(True, False, True, id="dirty and expired: its owner may still be writing"),
        pytest.param(False, False, False, id="not marked: its owner cannot have written"),
        pytest.param(True, True, False, id="ended: its owner has finished"),
    ],
)
def test_taking_over_knows_whether_the_last_owner_may_still_write(
    setup: ClaimSetup, dirty: bool, ended: bool, unsure: bool
) -> None:
    claim = setup.take()
    claim.write({"dirty": dirty})
    if ended:
        claim.end({})
    setup.clock.advance(FOR)
    row = setup.take().row
    assert row.unsure_until == (setup.clock.now() + FOR if unsure else 0.0)


def test_taking_a_row_keeps_an_older_uncertainty(setup: ClaimSetup) -> None:
    claim = setup.take()
    claim.end({"dirty": True, "unsure_until": 5e9})
    assert setup.take().row.unsure_until == 5e9


def test_a_claim_whose_answer_was_lost_and_repeated_is_ours(setup: ClaimSetup) -> None:
    setup.steps.on("write photoledger", fail_precondition, after=True)
    claim = setup.take()
    assert claim.row == setup.row
    claim.end({})


def test_a_claim_that_could_not_be_written_leaves_nothing(setup: ClaimSetup) -> None:
    setup.steps.on("write photoledger", drop_connection)
    with pytest.raises(TryLater):
        setup.take()
    assert setup.row.version == ""
    setup.take()


def test_of_two_attempts_that_read_the_same_row_one_gets_the_claim(setup: ClaimSetup) -> None:
    others: list[Claim] = []
    setup.steps.on("write photoledger", lambda: others.append(setup.take()))
    with pytest.raises(Busy):
        setup.take()
    assert others[0].row == setup.row


def test_a_note_between_reading_and_claiming_is_kept(setup: ClaimSetup) -> None:
    setup.steps.on("write photoledger", lambda: setup.ledger.overwrite(USER, {"missing_since": 7.0}))
    claim = setup.take()
    assert (claim.row.missing_since, claim.row.claim_token) == (7.0, "token-1")


@pytest.mark.parametrize("claimed", [False, True], ids=["claim", "write"])
def test_a_row_that_changes_under_every_write_is_left_for_later(setup: ClaimSetup, claimed: bool) -> None:
    claim, notes = (setup.take() if claimed else None), itertools.count(1)

    def note() -> None:
        setup.ledger.overwrite(USER, {"missing_since": float(next(notes))})

    # Each note is a write itself, so only every second write is the claim's.
    for number in range(1, 30, 2):
        setup.steps.on("write photoledger", note, nth=number)
    with pytest.raises(TryLater):
        claim.write({"dirty": True}) if claim else setup.take()
    assert not setup.row.dirty


# --- writing under a claim ---


@pytest.mark.parametrize("write", [Claim.write, Claim.end], ids=["write", "end"])
def test_a_write_whose_answer_was_lost_is_our_own_success(setup: ClaimSetup, write) -> None:
    claim = setup.take()
    setup.steps.on("write photoledger", fail_precondition, after=True)
    write(claim, {"dirty": True})
    assert claim.row == setup.row
    assert setup.row.dirty


@pytest.mark.parametrize("lost", [False, True], ids=["", "and the answer is lost"])
def test_another_attempts_note_under_our_claim_is_kept_and_ours_written(setup: ClaimSetup, lost) -> None:
    claim = setup.take()
    setup.ledger.overwrite(USER, {"gone_since": 9.0})
    if lost:
        setup.steps.on("write photoledger", fail_precondition, after=True)
    claim.write({"dirty": True})
    assert (setup.row.dirty, setup.row.gone_since) == (True, 9.0)
    assert claim.row == setup.row


@pytest.mark.parametrize("ended", [False, True], ids=["at work", "done"])
def test_a_claim_that_was_taken_over_is_lost(setup: ClaimSetup, ended: bool) -> None:
    ours = setup.take()
    setup.clock.advance(FOR)
    theirs = setup.take()
    if ended:
        theirs.end({})
    before = setup.row
    with pytest.raises(ClaimLost):
        ours.write({"dirty": True})
    assert setup.row == before


def test_an_expired_claim_that_was_not_taken_over_is_still_ours(setup: ClaimSetup) -> None:
    claim = setup.take()
    setup.clock.advance(FOR + 60)
    claim.end({"outcome": "synced"})
    assert setup.row.outcome == "synced"


def test_a_row_that_was_deleted_takes_the_claim_with_it(setup: ClaimSetup) -> None:
    claim = setup.take()
    setup.table.delete(USER[:2], USER)
    with pytest.raises(ClaimLost):
        claim.write({"dirty": True})


def test_a_write_that_fails_changes_nothing(setup: ClaimSetup) -> None:
    claim = setup.take()
    setup.steps.on("write photoledger", drop_connection)
    with pytest.raises(TryLater):
        claim.write({"dirty": True})
    assert setup.row == claim.row
