"""Whose profile an account name leads to: renames, moves, deletions, recycled names, changes profiles."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tenant.sharepoint_client import ADMIN, ROOT

ANNA = "anna@contoso.com"
EUR_ADMIN = "contosoeur-admin.sharepoint.com"
UPNS = [f"{name}@contoso.com" for name in "abc"]


def test_a_renamed_person_keeps_the_old_account_name_until_the_rename_arrives(sharepoint) -> None:
    anna = sharepoint.add()
    sharepoint.query(ANNA, ("AboutMe", "hello"))
    sharepoint.world.rename(anna, "anna.lund@contoso.com")
    assert sharepoint.properties(ANNA)["msOnline-ObjectId"] == anna.id
    assert sharepoint.profile("anna.lund@contoso.com").json == {"odata.null": True}

    sharepoint.service.settle_renames()
    assert sharepoint.profile(ANNA).json == {"odata.null": True}
    assert sharepoint.properties("anna.lund@contoso.com")["AboutMe"] == "hello"


def test_a_rename_arrives_after_the_knobs_delay(sharepoint) -> None:
    sharepoint.world.knobs.profile_rename_after = 3600
    sharepoint.world.rename(sharepoint.add(), "anna.lund@contoso.com")
    sharepoint.world.clock.advance(3500)
    assert sharepoint.profile("anna.lund@contoso.com").json == {"odata.null": True}
    sharepoint.world.clock.advance(101)
    assert sharepoint.profile("anna.lund@contoso.com").json["Email"] == "anna.lund@contoso.com"


def test_a_deleted_persons_profile_keeps_the_name_it_had(sharepoint) -> None:
    anna = sharepoint.add()
    sharepoint.world.rename(anna, "anna.lund@contoso.com")
    sharepoint.world.remove(anna)
    sharepoint.service.settle_renames()
    assert sharepoint.properties(ANNA)["msOnline-ObjectId"] == anna.id
    assert sharepoint.profile("anna.lund@contoso.com").json == {"odata.null": True}


def test_a_removed_profile_does_not_return_with_a_rename(sharepoint) -> None:
    anna = sharepoint.add()
    sharepoint.world.rename(anna, "anna.lund@contoso.com")
    sharepoint.service.configure(anna.id, profile=False)
    sharepoint.service.settle_renames()
    assert sharepoint.describe(anna)["account"] is None


def test_a_recycled_upn_meets_the_former_owners_profile_until_it_is_settled(sharepoint) -> None:
    former = sharepoint.add()
    sharepoint.query(ANNA, ("AboutMe", "the former"))
    sharepoint.world.remove(former)
    assert sharepoint.properties(ANNA)["msOnline-ObjectId"] == former.id

    heir = sharepoint.add(ANNA, name="Another Anna")
    assert sharepoint.properties(ANNA)["msOnline-ObjectId"] == former.id
    assert sharepoint.describe(heir)["account"] is None

    sharepoint.service.settle_renames()
    assert sharepoint.properties(ANNA)["msOnline-ObjectId"] == heir.id
    assert sharepoint.properties(ANNA)["AboutMe"] == ""
    assert sharepoint.describe(former)["account"] is None


def test_a_moved_person_has_a_profile_in_the_new_geo(sharepoint) -> None:
    anna = sharepoint.add()
    sharepoint.query(ANNA, ("AboutMe", "hello"))
    sharepoint.world.move(anna, "eur")
    for host in (ADMIN, EUR_ADMIN, ROOT):
        found = sharepoint.profile(ANNA, host=host).json["PersonalSiteHostUrl"]
        assert found == "https://contosoeur-my.sharepoint.com:443/", host
    assert "User Not Found" in sharepoint.query(ANNA, ("AboutMe", "bye"))["ErrorMessage"]
    assert sharepoint.query(ANNA, ("AboutMe", "there"), host=EUR_ADMIN) is None
    assert sharepoint.properties(ANNA)["AboutMe"] == "there"


def test_an_absent_profile_can_be_added_later(sharepoint) -> None:
    anna = sharepoint.add()
    sharepoint.service.configure(anna.id, profile=False)
    assert sharepoint.profile(ANNA).json == {"odata.null": True}
    assert "User Not Found" in sharepoint.query(ANNA, ("AboutMe", "x"))["ErrorMessage"]
    with pytest.raises(ValueError, match="no profile"):
        sharepoint.service.configure(anna.id, object_id="")
    sharepoint.service.configure(anna.id, profile=True)
    assert sharepoint.properties(ANNA)["msOnline-ObjectId"] == anna.id


VERBS = st.sampled_from(["add", "rename", "remove", "settle"])
STEP = st.tuples(VERBS, st.sampled_from(UPNS), st.sampled_from(UPNS))


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(STEP, max_size=12))
def test_after_settling_every_person_is_found_under_their_own_upn(shared_sharepoint, steps) -> None:
    shared_sharepoint.clear()
    for verb, upn, other in steps:
        person = shared_sharepoint.world.find(upn)
        if verb == "settle":
            shared_sharepoint.service.settle_renames()
        elif verb == "add" and person is None:
            shared_sharepoint.add(upn)
        elif verb == "remove" and person:
            shared_sharepoint.world.remove(person)
        elif verb == "rename" and person and shared_sharepoint.world.find(other) is None:
            shared_sharepoint.world.rename(person, other)
    shared_sharepoint.service.settle_renames()
    for person in shared_sharepoint.world.living():
        assert shared_sharepoint.describe(person)["account"] == f"i:0#.f|membership|{person.upn}"
        assert shared_sharepoint.properties(person.upn)["msOnline-ObjectId"] == person.id
