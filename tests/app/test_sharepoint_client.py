"""SharePoint Online's answers, usual and unusual."""

import json
from typing import Any

import pytest

from local.tenant.traffic.faults import Fault
from shared.attempt import Attempt
from shared.errors import Denied, Gone, Refused, ServiceError, TryLater
from shared.sharepoint.client import Profile, SharePoint, account_of, picture_url
from tests.fakes.world import World, draw

ADMIN, MY = "contoso-admin.sharepoint.com", "contoso-my.sharepoint.com"
UPN = "anna@contoso.com"


def answer(world: World, body: object, status: int = 200) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    world.fault(Fault(service="sharepoint", status=status, body=text))


def profile(**facts: object) -> dict[str, Any]:
    properties = [{"Key": "msOnline-ObjectId", "Value": "ABC"}, {"Key": "PictureURL", "Value": ""}]
    return {
        "AccountName": f"i:0#.f|membership|{UPN}",
        "PersonalSiteHostUrl": f"https://{MY}:443/",
        "UserProfileProperties": properties,
        **facts,
    }


# --- profiles ---


@pytest.mark.parametrize(
    "upn", ["o'hara+x@contoso.com", "ines_fabrikam.com#EXT#@contoso.onmicrosoft.com", "a&b|c@contoso.com"]
)
def test_a_profile_is_found_whatever_characters_the_name_has(
    world: World, sharepoint: SharePoint, upn: str
) -> None:
    user = world.add(upn=upn, guest="#" in upn)
    found = sharepoint.profile(ADMIN, upn, Attempt())
    assert (found.account, found.object_id, found.my_host) == (account_of(upn), user, MY)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"odata.null": True}, 200, id="null in SharePoint's form"),
        pytest.param(None, 200, id="null in JSON"),
        pytest.param({"AccountName": None}, 200, id="without an account"),
        pytest.param("<html>", 404, id="not found, in HTML"),
    ],
)
def test_every_answer_for_a_missing_profile_is_understood(
    world: World, sharepoint: SharePoint, body, status
) -> None:
    answer(world, body, status)
    assert sharepoint.profile(ADMIN, UPN, Attempt()) is None


@pytest.mark.parametrize("properties", [None, 7, {}], ids=str)
def test_a_profile_without_properties_is_requested_again_later(
    world: World, sharepoint: SharePoint, properties
) -> None:
    answer(world, profile(UserProfileProperties=properties))
    with pytest.raises(TryLater):
        sharepoint.profile(ADMIN, UPN, Attempt())


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        pytest.param({}, ("abc", MY, ""), id="as usual"),
        pytest.param({"PersonalSiteHostUrl": None}, ("abc", "", ""), id="no my site"),
        pytest.param({"PersonalSiteHostUrl": "https://[evil"}, ("abc", "", ""), id="no URL"),
        pytest.param({"PersonalSiteHostUrl": "https://X-MY.example"}, ("abc", "x-my.example", ""), id="case"),
        pytest.param({"UserProfileProperties": []}, ("", MY, ""), id="nothing set"),
        pytest.param({"UserProfileProperties": [7, {}, {"Key": "PictureURL"}]}, ("", MY, ""), id="unusual"),
        pytest.param(
            {"UserProfileProperties": [{"Key": "PictureURL", "Value": "https://[evil"}]},
            ("", MY, ""),
            id="a picture at no URL",
        ),
        pytest.param(
            {"UserProfileProperties": [{"Key": "PictureURL", "Value": f"https://{MY}:443/U%20P/f%C3%A9/x.jpg?t=1"}]},
            ("", MY, "/U P/fé/x.jpg"),
            id="a picture",
        ),
    ],
)  # fmt: skip
def test_the_valid_part_of_an_unusual_profile_is_read(
    world: World, sharepoint: SharePoint, facts: dict[str, object], found: tuple[str, ...]
) -> None:
    answer(world, profile(**facts))
    got = sharepoint.profile(ADMIN, UPN, Attempt())
    assert got == Profile(f"i:0#.f|membership|{UPN}", *found)


# --- folders ---


def test_the_folders_of_pictures_are_listed_without_the_librarys_own(
    world: World, sharepoint: SharePoint
) -> None:
    world.tenant.sharepoint.add_folder("Profilbilder")
    found = sharepoint.folders(MY, Attempt())
    assert sorted(found) == ["/User Photos/Profilbilder", "/User Photos/Profile Pictures"]


NO_LIBRARY = {"odata.error": {"code": "-2147024894, System.IO.FileNotFoundException"}}


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        pytest.param(404, NO_LIBRARY, [], id="no library"),
        pytest.param(200, {"value": []}, [], id="none"),
        pytest.param(200, {"value": [7, {}, {"Name": "x"}, {"Name": "Forms"}]}, [], id="none with a path"),
        pytest.param(200, {"value": [{"ServerRelativeUrl": "/a"}]}, ["/a"], id="one without a name"),
    ],
)
def test_only_valid_folders_are_listed(world: World, sharepoint: SharePoint, status, body, found) -> None:
    answer(world, body, status)
    assert sharepoint.folders(MY, Attempt()) == found


@pytest.mark.parametrize("body", [{}, [], {"value": None}], ids=str)
def test_an_invalid_folder_list_is_requested_again_later(world: World, sharepoint: SharePoint, body) -> None:
    answer(world, body)
    with pytest.raises(TryLater):
        sharepoint.folders(MY, Attempt())


# --- writing ---


@pytest.mark.parametrize("folder", ["Profile Pictures", "Images d'été", "Фото", "a#b%c+d&e", "100%25"])
def test_a_file_can_be_written_to_any_folder(world: World, sharepoint: SharePoint, folder: str) -> None:
    user = world.add()
    world.tenant.sharepoint.set_folder(folder)
    path = next(each for each in sharepoint.folders(MY, Attempt()) if each.endswith(folder))
    name = f"{user}_MThumb.jpg"
    sharepoint.upload(MY, path, name, world.person(user).photo.data, Attempt())
    (file,) = world.tenant.sharepoint.describe(user)["files"]
    assert (file["folder"], file["name"]) == (folder, name)
    shown = picture_url(MY, path, name)
    sharepoint.set_properties(ADMIN, world.person(user).upn, [("PictureURL", shown)], Attempt())
    world.tenant.sharepoint.configure(user, properties={"SPS-PicturePlaceholderState": "0"})
    assert world.tenant.sharepoint.describe(user)["userphoto"]["M"] == file["sha256"]


def test_a_file_without_its_folder_is_gone(sharepoint: SharePoint) -> None:
    with pytest.raises(Gone):
        sharepoint.upload(MY, "/User Photos/Nowhere", "x_MThumb.jpg", draw(1), Attempt())


def test_properties_are_set_in_order_whatever_their_values(world: World, sharepoint: SharePoint) -> None:
    user = world.add(upn="o'hara&x@contoso.com")
    values = [
        ("PictureURL", f"https://{MY}:443/User%20Photos/a&b%3C/x_MThumb.jpg"),
        ("SPS-PictureTimestamp", "63605901091"),
    ]
    sharepoint.set_properties(ADMIN, "O'Hara&X@contoso.com", values, Attempt())
    assert {name: world.properties(user)[name] for name, _ in values} == dict(values)


def failed(kind: object, message: object = "no", **facts: object) -> list[object]:
    error = {"ErrorTypeName": kind, "ErrorMessage": message, "ErrorCode": -1, "ErrorValue": None, **facts}
    return [{"SchemaVersion": "15.0.0.0", "ErrorInfo": error, "TraceCorrelationId": "trace"}]


SERVER = "Microsoft.SharePoint.Client.ServerException"
NO_PROFILE = "User Profile Error 1000: User Not Found: Could not load profile data."
NO_TYPE = "Microsoft.Office.Server.UserProfiles.UserNotFoundException"
NOT_ALLOWED = "This operation requires you to be managing your own data or have administrator privileges."


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(failed(SERVER, NO_PROFILE), Gone, id="no such profile, by its text"),
        pytest.param(failed(NO_TYPE), Gone, id="no such profile, by its type"),
        pytest.param(failed("System.UnauthorizedAccessException"), Denied, id="denied, by its type"),
        pytest.param(failed(SERVER, NOT_ALLOWED), Denied, id="denied, by its text"),
        pytest.param(failed(SERVER, "Property Not Editable"), Refused, id="anything else"),
        pytest.param(failed(None, None), Refused, id="an error without words"),
        pytest.param([{"ErrorInfo": "broken"}], TryLater, id="an error that is not an object"),
        pytest.param([{}], TryLater, id="nothing about errors"),
        pytest.param({"ErrorInfo": None}, TryLater, id="not a list"),
        pytest.param(["ErrorInfo"], TryLater, id="not an object"),
        pytest.param("<html>sign in</html>", TryLater, id="a page"),
    ],
)
def test_the_body_of_a_200_tells_whether_it_failed(world: World, sharepoint: SharePoint, body, kind) -> None:
    answer(world, body)
    with pytest.raises(ServiceError) as caught:
        sharepoint.set_properties(ADMIN, UPN, [("PictureURL", "")], Attempt())
    assert type(caught.value) is kind


def test_a_failure_is_named_by_its_type_and_not_by_its_text(world: World, sharepoint: SharePoint) -> None:
    answer(world, failed(SERVER, "anna@contoso.com said so\nand more"))
    with pytest.raises(Refused, match=SERVER) as caught:
        sharepoint.set_properties(ADMIN, UPN, [("PictureURL", "")], Attempt())
    assert "anna" not in str(caught.value)
