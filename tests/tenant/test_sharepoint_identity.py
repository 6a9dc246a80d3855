"""Whose profile an account name leads to: renames, moves, deletions, recycled names, changes profiles."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tenant.sharepoint_client import ADMIN, ROOT, SharePointClient

ANNA = "anna@contoso.com"
EUR_ADMIN = "contosoeur-admin.sharepoint.com"
UPNS = [f"{name}@contoso.com" for name in "abc"]


@pytest.fixture(scope="module")
def shared_client() -> SharePointClient:
    return SharePointClient()


@pytest.fixture
def client(shared_client: SharePointClient) -> SharePointClient:
    shared_client.clear()
    return shared_client


def test_a_renamed_person_keeps_the_old_account_name_until_the_rename_arrives(
    client: SharePointClient,
) -> None:
    anna = client.add()
    client.query(ANNA, ("AboutMe", "hello"))
    client.world.rename(anna, "anna.lund@contoso.com")
    assert client.properties(ANNA)["msOnline-ObjectId"] == anna.id
    assert client.profile("anna.lund@contoso.com").json == {"odata.null": True}

    client.sharepoint.settle_renames()
    assert client.profile(ANNA).json == {"odata.null": True}
    assert client.properties("anna.lund@contoso.com")["AboutMe"] == "hello"


def test_a_rename_arrives_after_the_knobs_delay(client: SharePointClient) -> None:
    client.world.knobs.profile_rename_after = 3600
    client.world.rename(client.add(), "anna.lund@contoso.com")
    client.world.clock.advance(3500)
    assert client.profile("anna.lund@contoso.com").json == {"odata.null": True}
    client.world.clock.advance(101)
    assert client.profile("anna.lund@contoso.com").json["Email"] == "anna.lund@contoso.com"


def test_a_rename_taken_back_changes_nothing(client: SharePointClient) -> None:
    anna = client.add()
    client.world.rename(anna, "anna.lund@contoso.com")
    client.world.rename(anna, "ANNA@contoso.com")
    client.sharepoint.settle_renames()
    assert client.properties(ANNA)["msOnline-ObjectId"] == anna.id


def test_a_deleted_persons_profile_keeps_the_name_it_had(client: SharePointClient) -> None:
    anna = client.add()
    client.world.rename(anna, "anna.lund@contoso.com")
    client.world.remove(anna)
    client.sharepoint.settle_renames()
    assert client.properties(ANNA)["msOnline-ObjectId"] == anna.id
    assert client.profile("anna.lund@contoso.com").json == {"odata.null": True}


def test_a_removed_profile_does_not_return_with_a_rename(client: SharePointClient) -> None:
    anna = client.add()
    client.world.rename(anna, "anna.lund@contoso.com")
    client.sharepoint.configure(anna.id, profile=False)
    client.sharepoint.settle_renames()
    assert client.describe(anna)["account"] is None


def test_two_people_can_exchange_their_names(client: SharePointClient) -> None:
    anna, bert = client.add(), client.add("bert@contoso.com")
    client.world.rename(anna, "moving@contoso.com")
    client.world.rename(bert, ANNA)
    client.world.rename(anna, "bert@contoso.com")
    assert client.properties(ANNA)["msOnline-ObjectId"] == anna.id
    client.sharepoint.settle_renames()
    assert client.properties(ANNA)["msOnline-ObjectId"] == bert.id
    assert client.properties("bert@contoso.com")["msOnline-ObjectId"] == anna.id


def test_a_recycled_upn_meets_the_former_owners_profile_until_it_is_settled(client: SharePointClient) -> None:
    former = client.add()
    client.query(ANNA, ("AboutMe", "the former"))
    client.world.remove(former)
    assert client.properties(ANNA)["msOnline-ObjectId"] == former.id

    heir = client.add(ANNA, name="Another Anna")
    assert client.properties(ANNA)["msOnline-ObjectId"] == former.id
    assert client.describe(heir)["account"] is None

    client.sharepoint.settle_renames()
    assert client.properties(ANNA)["msOnline-ObjectId"] == heir.id
    assert client.properties(ANNA)["AboutMe"] == ""
    assert client.describe(former)["account"] is None


def test_a_rename_to_a_deleted_persons_upn_displaces_that_profile(client: SharePointClient) -> None:
    former, bert = client.add(), client.add("bert@contoso.com")
    client.world.remove(former)
    client.world.rename(bert, ANNA)
    assert client.properties(ANNA)["msOnline-ObjectId"] == former.id
    client.sharepoint.settle_renames()
    assert client.properties(ANNA)["msOnline-ObjectId"] == bert.id


def test_a_moved_person_has_a_profile_in_the_new_geo(client: SharePointClient) -> None:
    anna = client.add()
    client.query(ANNA, ("AboutMe", "hello"))
    client.world.move(anna, "eur")
    for host in (ADMIN, EUR_ADMIN, ROOT):
        found = client.profile(ANNA, host=host, tail="/personalsitehosturl")
        assert found.json == {"value": "https://contosoeur-my.sharepoint.com:443/"}, host
    assert "User Not Found" in client.query(ANNA, ("AboutMe", "bye"))["ErrorMessage"]
    assert client.query(ANNA, ("AboutMe", "there"), host=EUR_ADMIN) is None
    assert client.properties(ANNA)["AboutMe"] == "there"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        pytest.param(
            {"object_id": "11111111-1111-4111-8111-111111111111"},
            "11111111-1111-4111-8111-111111111111",
            id="other",
        ),
        pytest.param({"object_id": ""}, "", id="absent"),
    ],
)
def test_a_profile_can_carry_an_odd_object_id(
    client: SharePointClient, changes: dict[str, str], found: str
) -> None:
    client.sharepoint.configure(client.add().id, **changes)
    assert client.properties(ANNA)["msOnline-ObjectId"] == found


def test_an_absent_profile_can_be_added_later(client: SharePointClient) -> None:
    anna = client.add()
    client.sharepoint.configure(anna.id, profile=False)
    assert client.profile(ANNA).json == {"odata.null": True}
    assert "User Not Found" in client.query(ANNA, ("AboutMe", "x"))["ErrorMessage"]
    with pytest.raises(ValueError, match="no profile"):
        client.sharepoint.configure(anna.id, object_id="")
    client.sharepoint.configure(anna.id, profile=True)
    assert client.properties(ANNA)["msOnline-ObjectId"] == anna.id


STEP = st.tuples(
    st.sampled_from(["add", "rename", "remove", "settle"]), st.sampled_from(UPNS), st.sampled_from(UPNS)
)


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(STEP, max_size=12))
def test_after_settling_every_person_is_found_under_their_own_upn(
    shared_client: SharePointClient, steps: list[tuple[str, str, str]]
) -> None:
    shared_client.clear()
    for verb, upn, other in steps:
        person = shared_client.world.find(upn)
        if verb == "settle":
            shared_client.sharepoint.settle_renames()
        elif verb == "add" and person is None:
            shared_client.add(upn)
        elif verb == "remove" and person:
            shared_client.world.remove(person)
        elif verb == "rename" and person and shared_client.world.find(other) is None:
            shared_client.world.rename(person, other)
    shared_client.sharepoint.settle_renames()
    for person in shared_client.world.living():
        assert shared_client.describe(person)["account"] == f"i:0#.f|membership|{person.upn}"
        assert shared_client.properties(person.upn)["msOnline-ObjectId"] == person.id
