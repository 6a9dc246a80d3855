"""Profiles as PeopleManager shows them."""

import tracemalloc

import pytest

from local.tenant.directory.world import Person
from tests.tenant.sharepoint_stage import ADMIN, MY, PEOPLE, ROOT, Stage, claim

ANNA = "anna@contoso.com"


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
