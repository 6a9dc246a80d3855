"""What readers see, what SharePoint pulls from Exchange by itself, and what years of use leave behind."""

import hashlib
import io

import pytest
from PIL import Image

from local.tenant.directory.world import Person
from tests.tenant.sharepoint_client import MY, ROOT, SharePointClient, claim, jpeg, photo

ANNA = "anna@contoso.com"
PAGE = "/_layouts/15/userphoto.aspx"
SIZES = {"S": 48, "M": 72, "L": 300}
DAY = 24 * 3600


@pytest.fixture
def anna(sharepoint: SharePointClient) -> Person:
    return sharepoint.add()


def publish(sharepoint, person: Person, *, upn: str = ANNA, **states: str) -> dict[str, bytes]:
    """Do what a tool does: three files, then the properties."""
    pictures = {size: jpeg((pixels, pixels)) for size, pixels in SIZES.items()}
    for size, data in pictures.items():
        sharepoint.upload(f"{person.id}_{size}Thumb.jpg", data)
    url = f"https://{MY}:443/User%20Photos/Profile%20Pictures/{person.id}_MThumb.jpg"
    values = {"SPS-PicturePlaceholderState": "0"} | states
    assert sharepoint.query(upn, ("PictureURL", url), *values.items()) is None
    return pictures


def look(sharepoint, size: str, account: str = ANNA, host: str = ROOT, **how: object) -> bytes:
    answer = sharepoint.get(host, f"{PAGE}?size={size}&accountname={account}", **how)
    assert (answer.status_code, answer.content_type) == (200, "image/jpeg")
    return answer.data


def pixels(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as image:
        return image.size


@pytest.mark.parametrize("host", [ROOT, MY, "contoso-admin.sharepoint.com"])
def test_a_reader_sees_the_files_beside_the_picture_url(sharepoint, anna, host) -> None:
    pictures = publish(sharepoint, anna)
    for size in SIZES:
        assert look(sharepoint, size, host=host, roles=[]) == pictures[size]
        assert look(sharepoint, size, claim(ANNA), host=host) == pictures[size]
    assert sharepoint.get(host, f"{PAGE}?SIZE=l&UserName={ANNA}").data == pictures["L"]
    assert sharepoint.get(host, f"{PAGE}?accountname={ANNA}").data == pictures["S"]
    hashes = {size: hashlib.sha256(data).hexdigest() for size, data in pictures.items()}
    assert sharepoint.describe(anna)["userphoto"] == hashes


def test_without_a_picture_a_reader_sees_the_silhouette(sharepoint, anna) -> None:
    silhouette = look(sharepoint, "L", "absent@contoso.com")
    assert pixels(silhouette) == (200, 200)
    assert look(sharepoint, "L") == silhouette

    pictures = publish(sharepoint, anna, **{"SPS-PicturePlaceholderState": "1"})
    assert look(sharepoint, "L") == silhouette
    assert sharepoint.describe(anna)["userphoto"] == dict.fromkeys("SML", "placeholder")

    sharepoint.query(ANNA, ("SPS-PicturePlaceholderState", "0"))
    assert look(sharepoint, "L") == pictures["L"]
    path = f"/User%20Photos/Profile%20Pictures/{anna.id}_LThumb.jpg"
    sharepoint.send("DELETE", MY, f"/_api/web/GetFileByServerRelativePath(decodedUrl='{path}')")
    assert look(sharepoint, "L") == silhouette
    assert look(sharepoint, "M") == pictures["M"]


@pytest.mark.parametrize("host", [ROOT, "fabrikam-my.sharepoint.com"])
def test_a_picture_url_that_leads_elsewhere_shows_the_silhouette(sharepoint, anna, host) -> None:
    publish(sharepoint, anna)
    url = sharepoint.properties(ANNA)["PictureURL"].replace(MY, host)
    sharepoint.service.configure(anna.id, properties={"PictureURL": url})
    assert sharepoint.describe(anna)["userphoto"] == dict.fromkeys("SML", "placeholder")


def test_a_picture_stays_visible_after_its_owner_moved_to_another_geo(sharepoint, anna) -> None:
    pictures = publish(sharepoint, anna)
    sharepoint.world.move(anna, "eur")
    assert look(sharepoint, "M", host="contosoeur.sharepoint.com") == pictures["M"]
    assert {file["geo"] for file in sharepoint.describe(anna)["files"]} == {""}
    assert sharepoint.describe(anna)["geo"] == "eur"


def test_userphoto_can_redirect_to_an_address_that_needs_no_token_and_expires(sharepoint, anna) -> None:
    pictures = publish(sharepoint, anna)
    sharepoint.world.knobs.userphoto_redirects = True
    there = sharepoint.get(ROOT, f"{PAGE}?size=M&accountname={ANNA}")
    assert there.status_code == 302
    location = there.headers["Location"]
    assert location.startswith("/_vti_bin/afdcache.ashx/_userprofile/userphoto.jpg?_oat_=")
    assert sharepoint.get(ROOT, location, Authorization="").data == pictures["M"]
    for bad in (
        location.replace("size=M", "size=L"),
        location.replace("_oat_=", "_oat_=9"),
        location.partition("?")[0],
    ):
        refused = sharepoint.get(ROOT, bad)
        assert refused.status_code == 403
        assert refused.json["odata.error"]["message"]["value"] == "Time-Limited URL validation failed"
    sharepoint.world.clock.advance(301)
    assert sharepoint.get(ROOT, location).status_code == 403


@pytest.mark.parametrize(
    ("changes", "stem"),
    [
        pytest.param({"picture": True}, "{id}", id="drawn"),
        pytest.param({"picture": jpeg((100, 50))}, "{id}", id="given"),
        pytest.param({"picture": True, "old_names": True}, "anna_contoso_com", id="named after the UPN"),
    ],
)
def test_a_person_can_have_an_old_picture(sharepoint, anna, changes, stem) -> None:
    sharepoint.service.configure(anna.id, folder="Profilbilder", **changes)
    target = sharepoint.describe(anna)
    stem = stem.format(id=anna.id)
    assert [file["name"] for file in target["files"]] == [f"{stem}_{size}Thumb.jpg" for size in "SML"]
    assert target["folder"] == "Profilbilder"
    assert target["folders"] == ["Profile Pictures", "Profilbilder"]
    assert target["properties"] == {
        "PictureURL": f"https://{MY}:443/User%20Photos/Profilbilder/{stem}_MThumb.jpg",
        "SPS-PictureTimestamp": "63605901091",
        "SPS-PicturePlaceholderState": "0",
        "SPS-PictureExchangeSyncState": "1",
        "msOnline-ObjectId": anna.id,
    }
    assert target["picture_url"].endswith("_MThumb.jpg?t=63605901091")
    assert [*target["userphoto"].values()] == [file["sha256"] for file in target["files"]]


def test_a_picture_can_be_removed_with_all_traces(sharepoint, anna) -> None:
    sharepoint.service.configure(anna.id, picture=True)
    sharepoint.service.configure(anna.id, picture=False)
    assert set(sharepoint.describe(anna)["properties"].values()) == {"", anna.id}
    assert sharepoint.describe(anna)["files"] == []


def test_a_description_shows_the_old_files_beside_the_new(sharepoint, anna) -> None:
    sharepoint.service.configure(anna.id, picture=True, old_names=True)
    sharepoint.world.rename(anna, "anna.lund@contoso.com")
    publish(sharepoint, anna, upn=ANNA)
    names = {file["name"] for file in sharepoint.describe(anna)["files"]}
    assert names == {f"{stem}_{size}Thumb.jpg" for stem in (anna.id, "anna_contoso_com") for size in "SML"}


def test_a_description_needs_no_profile_and_no_living_person(sharepoint, anna) -> None:
    publish(sharepoint, anna)
    sharepoint.world.remove(anna)
    assert sharepoint.describe(anna)["userphoto"]["S"] != "placeholder"
    sharepoint.world.set_photo(anna, photo())  # SharePoint is not notified
    sharepoint.service.configure(anna.id, profile=False)
    target = sharepoint.describe(anna)
    assert len(target["files"]) == 3
    assert (target["account"], target["properties"], target["picture_url"]) == (None, None, None)
    assert target["userphoto"] == dict.fromkeys("SML", "placeholder")
    with pytest.raises(KeyError):
        sharepoint.service.describe("absent")
