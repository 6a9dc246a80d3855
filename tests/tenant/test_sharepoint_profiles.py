"""Profiles as PeopleManager shows them, and what renames, moves and deletions do to them."""

import tracemalloc

import pytest

from local.tenant.world import Person
from tests.tenant.sharepoint_stage import ADMIN, MY, PEOPLE, ROOT, Stage, claim

ANNA = "anna@contoso.com"
EUR_ADMIN = "contosoeur-admin.sharepoint.com"


@pytest.fixture(scope="module")
def whole() -> Stage:
    return Stage()


@pytest.fixture
def stage(whole: Stage) -> Stage:
    whole.clear()
    return whole


def test_a_profile_is_shown_in_sharepoints_own_order(stage: Stage) -> None:
    anna = stage.add()
    profile = stage.profile(ANNA).json
    assert list(profile) == [
        "AccountName", "DirectReports", "DisplayName", "Email", "ExtendedManagers", "ExtendedReports",
        "IsFollowed", "LatestPost", "Peers", "PersonalSiteHostUrl", "PersonalUrl", "PictureUrl", "Title",
        "UserProfileProperties", "UserUrl",
    ]  # fmt: skip
    assert profile["AccountName"] == "i:0#.f|membership|anna@contoso.com"
    assert profile["PersonalSiteHostUrl"] == "https://contoso-my.sharepoint.com:443/"
    assert profile["PersonalUrl"] == "https://contoso-my.sharepoint.com/personal/anna_contoso_com/"
    assert profile["UserUrl"].endswith("?accountname=i%3A0%23%2Ef%7Cmembership%7Canna%40contoso%2Ecom")
    rows = profile["UserProfileProperties"]
    assert all(set(row) == {"Key", "Value", "ValueType"} and isinstance(row["Value"], str) for row in rows)
    keys = [row["Key"] for row in rows]
    assert keys.index("PictureURL") < keys.index("SPS-PictureTimestamp") < keys.index("msOnline-ObjectId")
    assert stage.properties(ANNA)["msOnline-ObjectId"] == anna.id


def test_a_person_who_never_had_a_picture_has_empty_picture_properties(stage: Stage) -> None:
    stage.add()
    values = stage.properties(ANNA)
    assert stage.profile(ANNA).json["PictureUrl"] is None
    for name in (
        "PictureURL",
        "SPS-PictureTimestamp",
        "SPS-PicturePlaceholderState",
        "SPS-PictureExchangeSyncState",
    ):
        assert values[name] == "", name


@pytest.mark.parametrize(
    ("placeholder", "stamp", "shown"),
    [
        pytest.param("0", "63799442436", "https://x/a_MThumb.jpg?t=63799442436", id="a picture"),
        pytest.param("", "63799442436", "https://x/a_MThumb.jpg?t=63799442436", id="never evaluated"),
        pytest.param("0", "", "https://x/a_MThumb.jpg", id="no timestamp"),
        pytest.param("1", "63799442436", None, id="a placeholder, though the property holds a URL"),
    ],
)
def test_the_picture_url_is_derived_from_three_properties(
    stage: Stage, placeholder: str, stamp: str, shown: str | None
) -> None:
    anna = stage.add()
    values = {"PictureURL": "https://x/a_MThumb.jpg", "SPS-PictureTimestamp": stamp}
    stage.sharepoint.configure(anna.id, properties=values | {"SPS-PicturePlaceholderState": placeholder})
    assert stage.profile(ANNA).json["PictureUrl"] == shown
    assert stage.properties(ANNA)["PictureURL"] == "https://x/a_MThumb.jpg"


def test_an_account_is_found_in_any_case(stage: Stage) -> None:
    stage.add("Anna.Berg@Contoso.com")
    profile = stage.profile("ANNA.BERG@CONTOSO.COM").json
    assert profile["AccountName"] == "i:0#.f|membership|anna.berg@contoso.com"


@pytest.mark.parametrize("account", ["nobody@contoso.com", "o''clock@contoso.com"])
def test_an_unknown_account_is_null_and_no_error(stage: Stage, account: str) -> None:
    answer = stage.profile(account)
    assert (answer.status_code, answer.json) == (200, {"odata.null": True})


def test_a_plain_upn_is_no_account_name(stage: Stage) -> None:
    stage.add()
    assert stage.get(ADMIN, f"{PEOPLE}/GetPropertiesFor(accountName=@v)?@v='{ANNA}'").json == {
        "odata.null": True
    }


@pytest.mark.parametrize(
    "upn", ["o'hara@contoso.com", "pat_ext.com#EXT#@contoso.onmicrosoft.com", "a+b@contoso.com"]
)
def test_odd_characters_survive_the_alias(stage: Stage, upn: str) -> None:
    stage.add(upn)
    answer = stage.profile(upn.replace("+", "%2B"))
    assert answer.json["AccountName"] == f"i:0#.f|membership|{upn.lower()}"


def test_a_plus_in_a_query_is_a_space_as_everywhere_on_the_web(stage: Stage) -> None:
    stage.add("a+b@contoso.com")
    assert stage.profile("a+b@contoso.com").json == {"odata.null": True}


def test_the_account_may_stand_in_the_path_itself(stage: Stage) -> None:
    stage.add()
    path = f"{PEOPLE}/GetPropertiesFor(accountName='{claim(ANNA)}')/PersonalSiteHostUrl"
    assert stage.get(ROOT, path).json == {"value": "https://contoso-my.sharepoint.com:443/"}


def test_a_guest_is_an_external_member_in_lower_case(stage: Stage) -> None:
    stage.add("Pat_ext.com#EXT#@contoso.onmicrosoft.com", guest=True)
    profile = stage.profile("pat_ext.com#ext#@contoso.onmicrosoft.com").json
    assert profile["AccountName"] == "i:0#.f|membership|pat_ext.com#ext#@contoso.onmicrosoft.com"


def test_parts_of_a_profile_can_be_asked_for(stage: Stage) -> None:
    anna = stage.add()
    assert stage.profile(ANNA, tail="/personalsitehosturl").json == {
        "value": "https://contoso-my.sharepoint.com:443/"
    }
    assert stage.profile(ANNA, tail="/PictureUrl").json == {"odata.null": True}
    rows = stage.profile(ANNA, tail="/UserProfileProperties").json["value"]
    assert {"Key": "msOnline-ObjectId", "Value": anna.id, "ValueType": "Edm.String"} in rows
    assert stage.profile(ANNA, query="&$select=PictureUrl,AccountName").json == {
        "AccountName": "i:0#.f|membership|anna@contoso.com",
        "PictureUrl": None,
    }
    assert stage.profile(ANNA, tail="/Nonsense").status_code == 404
    assert stage.profile(ANNA, query="&$select=Nonsense").status_code == 400
    assert stage.profile(ANNA, query="&$filter=x").status_code == 400


def test_one_property_can_be_asked_for(stage: Stage) -> None:
    anna = stage.add()

    def ask(name: str, upn: str = ANNA) -> object:
        path = f"{PEOPLE}/GetUserProfilePropertyFor(accountName=@v,propertyName='{name}')?@v='{claim(upn)}'"
        return stage.get(ADMIN, path).json

    assert ask("msonline-objectid") == {"value": anna.id}
    assert ask("PictureURL") == {"value": ""}
    assert ask("Nonsense") == {"odata.null": True}
    assert ask("PictureURL", "nobody@contoso.com") == {"odata.null": True}


def test_the_answer_takes_the_form_that_was_asked_for(stage: Stage) -> None:
    stage.add()
    verbose = stage.profile(ANNA, accept="application/json;odata=verbose").json["d"]
    assert verbose["__metadata"] == {"type": "SP.UserProfiles.PersonProperties"}
    first = verbose["UserProfileProperties"]["results"][0]
    assert (first["__metadata"], first["Key"]) == ({"type": "SP.KeyValue"}, "UserProfile_GUID")
    assert verbose["DirectReports"] == {"__metadata": {"type": "Collection(Edm.String)"}, "results": []}
    minimal = stage.profile(ANNA, accept="application/json").json
    assert minimal["odata.metadata"].endswith("$metadata#SP.UserProfiles.PersonProperties")
    null = stage.profile("nobody@contoso.com", accept="application/json;odata=verbose").json
    assert null == {"d": {"GetPropertiesFor": None}}


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


def test_people_who_were_there_before_sharepoint_have_profiles_too(stage: Stage) -> None:
    anna = stage.add(geo="eur")
    stage.sharepoint.reset()
    assert stage.properties(ANNA)["msOnline-ObjectId"] == anna.id
    assert stage.describe(anna)["host"] == "contosoeur-my.sharepoint.com"


def test_a_profile_that_nobody_wrote_to_costs_little_memory(stage: Stage) -> None:
    world, count = stage.world, 20_000
    people = [Person(world.new_id(), f"user{number}@contoso.com", "A User") for number in range(count)]
    tracemalloc.start()
    for person in people:
        stage.sharepoint.person_added(person)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used / count < 600, f"{used / count:.0f} bytes a profile"


def test_profiles_have_no_my_site_face(stage: Stage) -> None:
    stage.add()
    assert stage.profile(ANNA, host=MY).status_code == 403


def test_a_second_world_is_a_second_tenant() -> None:
    other = Stage("fabrikam")
    assert other.sharepoint.hosts() == {
        f"fabrikam{suffix}.sharepoint.com" for suffix in ("", "-my", "-admin")
    }
