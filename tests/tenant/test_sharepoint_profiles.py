"""Profiles as PeopleManager shows them."""

import tracemalloc

import pytest

from local.tenant.directory.world import Person
from tests.tenant.sharepoint_client import ADMIN, MY, PEOPLE, ROOT, SharePointClient, claim

ANNA = "anna@contoso.com"


@pytest.fixture(scope="module")
def shared_client() -> SharePointClient:
    return SharePointClient()


@pytest.fixture
def client(shared_client: SharePointClient) -> SharePointClient:
    shared_client.clear()
    return shared_client


def test_a_profile_is_shown_in_sharepoints_own_order(client: SharePointClient) -> None:
    anna = client.add()
    profile = client.profile(ANNA).json
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
    assert client.properties(ANNA)["msOnline-ObjectId"] == anna.id


def test_without_a_picture_the_picture_properties_are_empty(client: SharePointClient) -> None:
    client.add()
    values = client.properties(ANNA)
    assert client.profile(ANNA).json["PictureUrl"] is None
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
    client: SharePointClient, placeholder: str, stamp: str, shown: str | None
) -> None:
    anna = client.add()
    values = {"PictureURL": "https://x/a_MThumb.jpg", "SPS-PictureTimestamp": stamp}
    client.sharepoint.configure(anna.id, properties=values | {"SPS-PicturePlaceholderState": placeholder})
    assert client.profile(ANNA).json["PictureUrl"] == shown
    assert client.properties(ANNA)["PictureURL"] == "https://x/a_MThumb.jpg"


def test_an_account_is_found_in_any_case(client: SharePointClient) -> None:
    client.add("Anna.Berg@Contoso.com")
    profile = client.profile("ANNA.BERG@CONTOSO.COM").json
    assert profile["AccountName"] == "i:0#.f|membership|anna.berg@contoso.com"


@pytest.mark.parametrize("account", ["absent@contoso.com", "o''clock@contoso.com"])
def test_an_unknown_account_is_null_and_not_an_error(client: SharePointClient, account: str) -> None:
    answer = client.profile(account)
    assert (answer.status_code, answer.json) == (200, {"odata.null": True})


def test_a_plain_upn_is_not_an_account_name(client: SharePointClient) -> None:
    client.add()
    assert client.get(ADMIN, f"{PEOPLE}/GetPropertiesFor(accountName=@v)?@v='{ANNA}'").json == {
        "odata.null": True
    }


@pytest.mark.parametrize(
    "upn", ["o'hara@contoso.com", "pat_ext.com#EXT#@contoso.onmicrosoft.com", "a+b@contoso.com"]
)
def test_odd_characters_survive_the_alias(client: SharePointClient, upn: str) -> None:
    client.add(upn)
    answer = client.profile(upn.replace("+", "%2B"))
    assert answer.json["AccountName"] == f"i:0#.f|membership|{upn.lower()}"


def test_a_plus_in_a_query_is_a_space_as_everywhere_on_the_web(client: SharePointClient) -> None:
    client.add("a+b@contoso.com")
    assert client.profile("a+b@contoso.com").json == {"odata.null": True}


def test_the_account_may_stand_in_the_path_itself(client: SharePointClient) -> None:
    client.add()
    path = f"{PEOPLE}/GetPropertiesFor(accountName='{claim(ANNA)}')/PersonalSiteHostUrl"
    assert client.get(ROOT, path).json == {"value": "https://contoso-my.sharepoint.com:443/"}


def test_a_guest_is_an_external_member_in_lower_case(client: SharePointClient) -> None:
    client.add("Pat_ext.com#EXT#@contoso.onmicrosoft.com", guest=True)
    profile = client.profile("pat_ext.com#ext#@contoso.onmicrosoft.com").json
    assert profile["AccountName"] == "i:0#.f|membership|pat_ext.com#ext#@contoso.onmicrosoft.com"


def test_parts_of_a_profile_can_be_requested(client: SharePointClient) -> None:
    anna = client.add()
    assert client.profile(ANNA, tail="/personalsitehosturl").json == {
        "value": "https://contoso-my.sharepoint.com:443/"
    }
    assert client.profile(ANNA, tail="/PictureUrl").json == {"odata.null": True}
    rows = client.profile(ANNA, tail="/UserProfileProperties").json["value"]
    assert {"Key": "msOnline-ObjectId", "Value": anna.id, "ValueType": "Edm.String"} in rows
    assert client.profile(ANNA, query="&$select=PictureUrl,AccountName").json == {
        "AccountName": "i:0#.f|membership|anna@contoso.com",
        "PictureUrl": None,
    }
    assert client.profile(ANNA, tail="/Nonsense").status_code == 404
    assert client.profile(ANNA, query="&$select=Nonsense").status_code == 400
    assert client.profile(ANNA, query="&$filter=x").status_code == 400


def test_one_property_can_be_requested(client: SharePointClient) -> None:
    anna = client.add()

    def ask(name: str, upn: str = ANNA) -> object:
        path = f"{PEOPLE}/GetUserProfilePropertyFor(accountName=@v,propertyName='{name}')?@v='{claim(upn)}'"
        return client.get(ADMIN, path).json

    assert ask("msonline-objectid") == {"value": anna.id}
    assert ask("PictureURL") == {"value": ""}
    assert ask("Nonsense") == {"odata.null": True}
    assert ask("PictureURL", "absent@contoso.com") == {"odata.null": True}


def test_the_answer_has_the_requested_form(client: SharePointClient) -> None:
    client.add()
    verbose = client.profile(ANNA, accept="application/json;odata=verbose").json["d"]
    assert verbose["__metadata"] == {"type": "SP.UserProfiles.PersonProperties"}
    first = verbose["UserProfileProperties"]["results"][0]
    assert (first["__metadata"], first["Key"]) == ({"type": "SP.KeyValue"}, "UserProfile_GUID")
    assert verbose["DirectReports"] == {"__metadata": {"type": "Collection(Edm.String)"}, "results": []}
    minimal = client.profile(ANNA, accept="application/json").json
    assert minimal["odata.metadata"].endswith("$metadata#SP.UserProfiles.PersonProperties")
    null = client.profile("absent@contoso.com", accept="application/json;odata=verbose").json
    assert null == {"d": {"GetPropertiesFor": None}}


def test_people_added_before_sharepoint_have_profiles_too(client: SharePointClient) -> None:
    anna = client.add(geo="eur")
    client.sharepoint.reset()
    assert client.properties(ANNA)["msOnline-ObjectId"] == anna.id
    assert client.describe(anna)["host"] == "contosoeur-my.sharepoint.com"


def test_a_profile_without_writes_needs_little_memory(client: SharePointClient) -> None:
    world, count = client.world, 20_000
    people = [Person(world.new_id(), f"user{number}@contoso.com", "A User") for number in range(count)]
    tracemalloc.start()
    for person in people:
        client.sharepoint.person_added(person)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used / count < 600, f"{used / count:.0f} bytes a profile"


def test_the_my_site_host_has_no_profiles(client: SharePointClient) -> None:
    client.add()
    assert client.profile(ANNA, host=MY).status_code == 403


def test_a_second_world_is_a_second_tenant() -> None:
    other = SharePointClient("fabrikam")
    assert other.sharepoint.hosts() == {
        f"fabrikam{suffix}.sharepoint.com" for suffix in ("", "-my", "-admin")
    }
