"""Whose profile an account name leads to: renames, moves, deletions, recycled names, odd profiles."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tenant.sharepoint_stage import ADMIN, ROOT, Stage

ANNA = "anna@contoso.com"
EUR_ADMIN = "contosoeur-admin.sharepoint.com"
UPNS = [f"{name}@contoso.com" for name in "abc"]


@pytest.fixture(scope="module")
def whole() -> Stage:
    return Stage()


@pytest.fixture
def stage(whole: Stage) -> Stage:
    whole.clear()
    return whole


def test_a_renamed_person_keeps_the_old_account_name_until_the_rename_arrives(stage: Stage) -> None:
    anna = stage.add()
    stage.query(ANNA, ("AboutMe", "hello"))
    stage.world.rename(anna, "anna.lund@contoso.com")
    assert stage.properties(ANNA)["msOnline-ObjectId"] == anna.id
    assert stage.profile("anna.lund@contoso.com").json == {"odata.null": True}

    stage.sharepoint.settle_renames()
    assert stage.profile(ANNA).json == {"odata.null": True}
    assert stage.properties("anna.lund@contoso.com")["AboutMe"] == "hello"


def test_a_rename_arrives_by_itself_after_the_knobs_delay(stage: Stage) -> None:
    stage.world.knobs.profile_rename_after = 3600
    stage.world.rename(stage.add(), "anna.lund@contoso.com")
    stage.world.clock.advance(3500)
    assert stage.profile("anna.lund@contoso.com").json == {"odata.null": True}
    stage.world.clock.advance(101)
    assert stage.profile("anna.lund@contoso.com").json["Email"] == "anna.lund@contoso.com"


def test_a_rename_taken_back_changes_nothing(stage: Stage) -> None:
    anna = stage.add()
    stage.world.rename(anna, "anna.lund@contoso.com")
    stage.world.rename(anna, "ANNA@contoso.com")
    stage.sharepoint.settle_renames()
    assert stage.properties(ANNA)["msOnline-ObjectId"] == anna.id


def test_a_deleted_persons_profile_keeps_the_name_it_had(stage: Stage) -> None:
    anna = stage.add()
    stage.world.rename(anna, "anna.lund@contoso.com")
    stage.world.remove(anna)
    stage.sharepoint.settle_renames()
    assert stage.properties(ANNA)["msOnline-ObjectId"] == anna.id
    assert stage.profile("anna.lund@contoso.com").json == {"odata.null": True}


def test_a_profile_taken_away_does_not_come_back_with_a_rename(stage: Stage) -> None:
    anna = stage.add()
    stage.world.rename(anna, "anna.lund@contoso.com")
    stage.sharepoint.configure(anna.id, profile=False)
    stage.sharepoint.settle_renames()
    assert stage.describe(anna)["account"] is None


def test_two_people_can_exchange_their_names(stage: Stage) -> None:
    anna, bert = stage.add(), stage.add("bert@contoso.com")
    stage.world.rename(anna, "moving@contoso.com")
    stage.world.rename(bert, ANNA)
    stage.world.rename(anna, "bert@contoso.com")
    assert stage.properties(ANNA)["msOnline-ObjectId"] == anna.id
    stage.sharepoint.settle_renames()
    assert stage.properties(ANNA)["msOnline-ObjectId"] == bert.id
    assert stage.properties("bert@contoso.com")["msOnline-ObjectId"] == anna.id


def test_a_recycled_upn_meets_the_former_owners_profile_until_it_is_settled(stage: Stage) -> None:
    former = stage.add()
    stage.query(ANNA, ("AboutMe", "the former"))
    stage.world.remove(former)
    assert stage.properties(ANNA)["msOnline-ObjectId"] == former.id

    heir = stage.add(ANNA, name="Another Anna")
    assert stage.properties(ANNA)["msOnline-ObjectId"] == former.id
    assert stage.describe(heir)["account"] is None

    stage.sharepoint.settle_renames()
    assert stage.properties(ANNA)["msOnline-ObjectId"] == heir.id
    assert stage.properties(ANNA)["AboutMe"] == ""
    assert stage.describe(former)["account"] is None


def test_a_person_renamed_to_a_left_name_takes_its_place_when_it_arrives(stage: Stage) -> None:
    former, bert = stage.add(), stage.add("bert@contoso.com")
    stage.world.remove(former)
    stage.world.rename(bert, ANNA)
    assert stage.properties(ANNA)["msOnline-ObjectId"] == former.id
    stage.sharepoint.settle_renames()
    assert stage.properties(ANNA)["msOnline-ObjectId"] == bert.id


def test_a_moved_person_has_a_profile_in_the_new_geo(stage: Stage) -> None:
    anna = stage.add()
    stage.query(ANNA, ("AboutMe", "hello"))
    stage.world.move(anna, "eur")
    for host in (ADMIN, EUR_ADMIN, ROOT):
        found = stage.profile(ANNA, host=host, tail="/personalsitehosturl")
        assert found.json == {"value": "https://contosoeur-my.sharepoint.com:443/"}, host
    assert "User Not Found" in stage.query(ANNA, ("AboutMe", "bye"))["ErrorMessage"]
    assert stage.query(ANNA, ("AboutMe", "there"), host=EUR_ADMIN) is None
    assert stage.properties(ANNA)["AboutMe"] == "there"


@pytest.mark.parametrize(
    ("odd", "found"),
    [
        pytest.param(
            {"object_id": "11111111-1111-4111-8111-111111111111"},
            "11111111-1111-4111-8111-111111111111",
            id="other",
        ),
        pytest.param({"object_id": ""}, "", id="absent"),
    ],
)
def test_a_profile_can_carry_an_odd_object_id(stage: Stage, odd: dict[str, str], found: str) -> None:
    stage.sharepoint.configure(stage.add().id, **odd)
    assert stage.properties(ANNA)["msOnline-ObjectId"] == found


def test_a_profile_that_is_not_there_yet_can_come_later(stage: Stage) -> None:
    anna = stage.add()
    stage.sharepoint.configure(anna.id, profile=False)
    assert stage.profile(ANNA).json == {"odata.null": True}
    assert "User Not Found" in stage.query(ANNA, ("AboutMe", "x"))["ErrorMessage"]
    with pytest.raises(ValueError, match="no profile"):
        stage.sharepoint.configure(anna.id, object_id="")
    stage.sharepoint.configure(anna.id, profile=True)
    assert stage.properties(ANNA)["msOnline-ObjectId"] == anna.id


STEP = st.tuples(
    st.sampled_from(["add", "rename", "remove", "settle"]), st.sampled_from(UPNS), st.sampled_from(UPNS)
)


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(STEP, max_size=12))
def test_once_settled_everybody_living_is_found_under_their_own_name(
    whole: Stage, steps: list[tuple[str, str, str]]
) -> None:
    whole.clear()
    for verb, upn, other in steps:
        person = whole.world.find(upn)
        if verb == "settle":
            whole.sharepoint.settle_renames()
        elif verb == "add" and person is None:
            whole.add(upn)
        elif verb == "remove" and person:
            whole.world.remove(person)
        elif verb == "rename" and person and whole.world.find(other) is None:
            whole.world.rename(person, other)
    whole.sharepoint.settle_renames()
    for person in whole.world.living():
        assert whole.describe(person)["account"] == f"i:0#.f|membership|{person.upn}"
        assert whole.properties(person.upn)["msOnline-ObjectId"] == person.id
