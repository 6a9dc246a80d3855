"""Who may work on a user, whatever a conditional write is answered."""

import itertools

import pytest

from local.tenant.directory.world import Clock as TenantClock
from shared.errors import TryLater
from shared.ledger.ledger import Ledger
from shared.sync.claims import Busy, Claim, ClaimLost, Claims
from tests.fakes.clock import Clock
from tests.fakes.external_steps import ExternalSteps, drop_connection, fail_precondition
from tests.fakes.table import Table

USER = "0f000000-0000-4000-8000-000000000001"
FOR = 420.0


class Office:
    """A ledger and who takes claims in it."""

    def __init__(self) -> None:
        self.clock = Clock(TenantClock())
        self.steps = ExternalSteps()
        self.table = Table("photoledger", self.steps)
        self.ledger = Ledger(self.table)
        numbers = itertools.count(1)
        self.claims = Claims(self.ledger, self.clock, FOR, new_token=lambda: f"token-{next(numbers)}")

    def take(self) -> Claim:
        return self.claims.take(USER)

    @property
    def row(self):
        return self.ledger.read(USER)


@pytest.fixture
def office() -> Office:
    return Office()


# --- taking ---


def test_the_first_claim_makes_the_row(office: Office) -> None:
    claim = office.take()
    assert office.row == claim.row
    assert (office.row.claim_token, office.row.claim_until) == ("token-1", office.clock.now() + FOR)


def test_a_valid_claim_keeps_everybody_else_out_until_it_ends(office: Office) -> None:
    office.take()
    office.clock.advance(20)
    with pytest.raises(Busy) as caught:
        office.take()
    assert caught.value.after == pytest.approx(FOR - 20)


def test_an_ended_claim_leaves_its_token_and_nobody_out(office: Office) -> None:
    office.take().end({"outcome": "synced"})
    assert (office.row.claim_token, office.row.claim_until, office.row.outcome) == ("token-1", 0.0, "synced")
    office.take()
    assert office.row.claim_token == "token-2"


def test_an_expired_claim_is_taken_over(office: Office) -> None:
    office.take()
    office.clock.advance(FOR)
    assert office.take().row.claim_token == "token-2"


@pytest.mark.parametrize(
    ("dirty", "ended", "unsure"),
    [
        pytest.param(True, False, True, id="dirty and expired: its owner may still be writing"),
        pytest.param(False, False, False, id="not marked: its owner cannot have written"),
        pytest.param(True, True, False, id="ended: its owner said all there is to say"),
    ],
)
def test_taking_over_knows_whether_the_last_owner_may_still_write(
    office: Office, dirty: bool, ended: bool, unsure: bool
) -> None:
    claim = office.take()
    claim.write({"dirty": dirty})
    if ended:
        claim.end({})
    office.clock.advance(FOR)
    row = office.take().row
    assert row.unsure_until == (office.clock.now() + FOR if unsure else 0.0)


def test_taking_a_row_keeps_an_older_doubt(office: Office) -> None:
    claim = office.take()
    claim.end({"dirty": True, "unsure_until": 5e9})
    assert office.take().row.unsure_until == 5e9


def test_a_claim_whose_answer_was_lost_and_repeated_is_ours(office: Office) -> None:
    office.steps.on("write photoledger", fail_precondition, after=True)
    claim = office.take()
    assert claim.row == office.row
    claim.end({})


def test_a_claim_that_could_not_be_written_leaves_nothing(office: Office) -> None:
    office.steps.on("write photoledger", drop_connection)
    with pytest.raises(TryLater):
        office.take()
    assert office.row.version == ""
    office.take()


def test_of_two_who_read_the_same_row_one_gets_it(office: Office) -> None:
    others: list[Claim] = []
    office.steps.on("write photoledger", lambda: others.append(office.take()))
    with pytest.raises(Busy):
        office.take()
    assert others[0].row == office.row


def test_a_note_between_reading_and_claiming_is_kept(office: Office) -> None:
    office.steps.on("write photoledger", lambda: office.ledger.overwrite(USER, {"missing_since": 7.0}))
    claim = office.take()
    assert (claim.row.missing_since, claim.row.claim_token) == (7.0, "token-1")


def test_a_row_that_never_holds_still_is_left_for_later(office: Office) -> None:
    notes = itertools.count(1)

    def note() -> None:
        office.ledger.overwrite(USER, {"missing_since": float(next(notes))})

    # Each note is a write itself, so only every second write is the claim's.
    for number in range(1, 30, 2):
        office.steps.on("write photoledger", note, nth=number)
    with pytest.raises(TryLater):
        office.take()


# --- writing under a claim ---


@pytest.mark.parametrize("write", [Claim.write, Claim.end], ids=["write", "end"])
def test_a_write_whose_answer_was_lost_is_our_own_success(office: Office, write) -> None:
    claim = office.take()
    office.steps.on("write photoledger", fail_precondition, after=True)
    write(claim, {"dirty": True})
    assert claim.row == office.row
    assert office.row.dirty


def test_another_ones_note_under_our_claim_is_kept_and_ours_written(office: Office) -> None:
    claim = office.take()
    office.ledger.overwrite(USER, {"gone_since": 9.0})
    claim.write({"dirty": True})
    assert (office.row.dirty, office.row.gone_since) == (True, 9.0)
    assert claim.row == office.row


def test_a_note_and_a_lost_answer_together_are_still_our_own_success(office: Office) -> None:
    claim = office.take()
    office.ledger.overwrite(USER, {"gone_since": 9.0})
    office.steps.on("write photoledger", fail_precondition, after=True, nth=1)
    claim.write({"dirty": True})
    assert claim.row == office.row


@pytest.mark.parametrize("ended", [False, True], ids=["at work", "done"])
def test_a_claim_that_was_taken_over_is_lost(office: Office, ended: bool) -> None:
    ours = office.take()
    office.clock.advance(FOR)
    theirs = office.take()
    if ended:
        theirs.end({})
    before = office.row
    with pytest.raises(ClaimLost):
        ours.write({"dirty": True})
    assert office.row == before


def test_an_expired_claim_that_nobody_took_is_still_ours(office: Office) -> None:
    claim = office.take()
    office.clock.advance(FOR + 60)
    claim.end({"outcome": "synced"})
    assert office.row.outcome == "synced"


def test_a_row_that_was_deleted_takes_the_claim_with_it(office: Office) -> None:
    claim = office.take()
    office.table.delete(USER[:2], USER)
    with pytest.raises(ClaimLost):
        claim.write({"dirty": True})


def test_a_write_that_fails_changes_nothing(office: Office) -> None:
    claim = office.take()
    office.steps.on("write photoledger", drop_connection)
    with pytest.raises(TryLater):
        claim.write({"dirty": True})
    assert office.row == claim.row


def test_a_row_that_changes_under_every_write_is_left_for_later(office: Office) -> None:
    claim, notes = office.take(), itertools.count(1)

    def note() -> None:
        office.ledger.overwrite(USER, {"missing_since": float(next(notes))})

    for number in range(1, 30, 2):
        office.steps.on("write photoledger", note, nth=number)
    with pytest.raises(TryLater):
        claim.write({"dirty": True})
    assert not office.row.dirty
