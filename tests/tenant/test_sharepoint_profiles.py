"""Profiles as PeopleManager shows them."""

import pytest

from tests.tenant.sharepoint_client import ADMIN, PEOPLE

ANNA = "anna@contoso.com"


def test_a_profile_is_shown_in_sharepoints_own_order(sharepoint) -> None:
    anna = sharepoint.add()
    profile = sharepoint.profile(ANNA).json
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
    assert sharepoint.properties(ANNA)["msOnline-ObjectId"] == anna.id


@pytest.mark.parametrize(
    ("placeholder", "stamp", "shown"),
    [
        pytest.param("0", "63799442436", "https://x/a_MThumb.jpg?t=63799442436", id="a picture"),
        pytest.param("", "63799442436", "https://x/a_MThumb.jpg?t=63799442436", id="never evaluated"),
        pytest.param("0", "", "https://x/a_MThumb.jpg", id="no timestamp"),
        pytest.param("1", "63799442436", None, id="a placeholder, though the property holds a URL"),
    ],
)
def test_the_picture_url_is_derived_from_three_properties(sharepoint, placeholder, stamp, shown) -> None:
    anna = sharepoint.add()
    values = {"PictureURL": "https://x/a_MThumb.jpg", "SPS-PictureTimestamp": stamp}
    sharepoint.service.configure(anna.id, properties=values | {"SPS-PicturePlaceholderState": placeholder})
    assert sharepoint.profile(ANNA).json["PictureUrl"] == shown
    assert sharepoint.properties(ANNA)["PictureURL"] == "https://x/a_MThumb.jpg"


@pytest.mark.parametrize("account", ["absent@contoso.com", "o''clock@contoso.com"])
def test_an_unknown_account_is_null_and_not_an_error(sharepoint, account) -> None:
    answer = sharepoint.profile(account)
    assert (answer.status_code, answer.json) == (200, {"odata.null": True})


def test_a_plain_upn_is_not_an_account_name(sharepoint) -> None:
    sharepoint.add()
    answer = sharepoint.get(ADMIN, f"{PEOPLE}/GetPropertiesFor(accountName=@v)?@v='{ANNA}'")
    assert answer.json == {"odata.null": True}


@pytest.mark.parametrize(
    "upn", ["Anna@Contoso.com", "o'hara@contoso.com", "p_ext.com#EXT#@contoso.com", "a+b@x.com"]
)
def test_odd_characters_survive_the_alias(sharepoint, upn) -> None:
    sharepoint.add(upn)
    answer = sharepoint.profile(upn.replace("+", "%2B"))
    assert answer.json["AccountName"] == f"i:0#.f|membership|{upn.lower()}"


def test_some_properties_of_a_profile_can_be_selected(sharepoint) -> None:
    sharepoint.add()
    assert sharepoint.profile(ANNA, query="&$select=PictureUrl,AccountName").json == {
        "AccountName": "i:0#.f|membership|anna@contoso.com",
        "PictureUrl": None,
    }
    assert sharepoint.profile(ANNA, tail="/Nonsense").status_code == 404
    for query in ("&$select=Nonsense", "&$filter=x"):
        assert sharepoint.profile(ANNA, query=query).status_code == 400


def test_the_answer_has_the_requested_form(sharepoint) -> None:
    sharepoint.add()
    verbose = sharepoint.profile(ANNA, accept="application/json;odata=verbose").json["d"]
    assert verbose["__metadata"] == {"type": "SP.UserProfiles.PersonProperties"}
    first = verbose["UserProfileProperties"]["results"][0]
    assert (first["__metadata"], first["Key"]) == ({"type": "SP.KeyValue"}, "UserProfile_GUID")
    assert verbose["DirectReports"] == {"__metadata": {"type": "Collection(Edm.String)"}, "results": []}
    minimal = sharepoint.profile(ANNA, accept="application/json").json
    assert minimal["odata.metadata"].endswith("$metadata#SP.UserProfiles.PersonProperties")
