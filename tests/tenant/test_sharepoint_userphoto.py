"""What readers see, what SharePoint pulls from Exchange by itself, and what years of use leave behind."""

import hashlib
import io

import pytest
from PIL import Image

from local.tenant.directory.world import Person, Photo
from tests.tenant.sharepoint_client import MY, ROOT, SharePointClient, claim, jpeg, photo

ANNA = "anna@contoso.com"
PAGE = "/_layouts/15/userphoto.aspx"
SIZES = {"S": 48, "M": 72, "L": 300}
DAY = 24 * 3600


@pytest.fixture(scope="module")
def shared_client() -> SharePointClient:
    return SharePointClient()


@pytest.fixture
def client(shared_client: SharePointClient) -> SharePointClient:
    shared_client.clear()
    return shared_client


@pytest.fixture
def anna(client: SharePointClient) -> Person:
    return client.add()


def publish(client: SharePointClient, person: Person, *, upn: str = ANNA, **states: str) -> dict[str, bytes]:
    """Do what a tool does: three files, then the properties."""
    pictures = {size: jpeg((pixels, pixels)) for size, pixels in SIZES.items()}
    for size, data in pictures.items():
        client.upload(f"{person.id}_{size}Thumb.jpg", data)
    url = f"https://{MY}:443/User%20Photos/Profile%20Pictures/{person.id}_MThumb.jpg"
    values = {"SPS-PicturePlaceholderState": "0"} | states
    assert client.query(upn, ("PictureURL", url), *values.items()) is None
    return pictures


def look(client: SharePointClient, size: str, account: str = ANNA, host: str = ROOT, **how: object) -> bytes:
    answer = client.get(host, f"{PAGE}?size={size}&accountname={account}", **how)
    assert (answer.status_code, answer.content_type) == (200, "image/jpeg")
    return answer.data


def pixels(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as image:
        return image.size


def seconds(client: SharePointClient) -> int:
    return int(client.world.clock.now().timestamp()) + 62135596800


@pytest.mark.parametrize("host", [ROOT, MY, "contoso-admin.sharepoint.com"])
def test_a_reader_sees_the_files_beside_the_picture_url(
    client: SharePointClient, anna: Person, host: str
) -> None:
    pictures = publish(client, anna)
    for size in SIZES:
        assert look(client, size, host=host, roles=[]) == pictures[size]
        assert look(client, size, claim(ANNA), host=host) == pictures[size]
    assert client.get(host, f"{PAGE}?SIZE=l&UserName={ANNA}").data == pictures["L"]
    assert client.get(host, f"{PAGE}?accountname={ANNA}").data == pictures["S"]
    assert client.describe(anna)["userphoto"] == {
        size: hashlib.sha256(data).hexdigest() for size, data in pictures.items()
    }


def test_without_a_picture_a_reader_sees_the_silhouette(client: SharePointClient, anna: Person) -> None:
    silhouette = look(client, "L", "absent@contoso.com")
    assert pixels(silhouette) == (200, 200)
    assert look(client, "L") == silhouette

    pictures = publish(client, anna, **{"SPS-PicturePlaceholderState": "1"})
    assert look(client, "L") == silhouette
    assert client.describe(anna)["userphoto"] == dict.fromkeys("SML", "placeholder")

    client.query(ANNA, ("SPS-PicturePlaceholderState", "0"))
    assert look(client, "L") == pictures["L"]
    path = f"/User%20Photos/Profile%20Pictures/{anna.id}_LThumb.jpg"
    client.send("DELETE", MY, f"/_api/web/GetFileByServerRelativePath(decodedUrl='{path}')")
    assert look(client, "L") == silhouette
    assert look(client, "M") == pictures["M"]


@pytest.mark.parametrize("host", [ROOT, "fabrikam-my.sharepoint.com"])
def test_a_picture_url_that_leads_elsewhere_shows_the_silhouette(
    client: SharePointClient, anna: Person, host: str
) -> None:
    publish(client, anna)
    url = client.properties(ANNA)["PictureURL"].replace(MY, host)
    client.sharepoint.configure(anna.id, properties={"PictureURL": url})
    assert client.describe(anna)["userphoto"] == dict.fromkeys("SML", "placeholder")


def test_a_picture_stays_visible_after_its_owner_moved_to_another_geo(
    client: SharePointClient, anna: Person
) -> None:
    pictures = publish(client, anna)
    client.world.move(anna, "eur")
    assert look(client, "M", host="contosoeur.sharepoint.com") == pictures["M"]
    assert {file["geo"] for file in client.describe(anna)["files"]} == {""}
    assert client.describe(anna)["geo"] == "eur"


def test_userphoto_can_redirect_to_an_address_that_needs_no_token_and_expires(
    client: SharePointClient, anna: Person
) -> None:
    pictures = publish(client, anna)
    client.world.knobs.userphoto_redirects = True
    there = client.get(ROOT, f"{PAGE}?size=M&accountname={ANNA}")
    assert there.status_code == 302
    location = there.headers["Location"]
    assert location.startswith("/_vti_bin/afdcache.ashx/_userprofile/userphoto.jpg?_oat_=")
    assert client.get(ROOT, location, Authorization="").data == pictures["M"]
    for bad in (
        location.replace("size=M", "size=L"),
        location.replace("_oat_=", "_oat_=9"),
        location.partition("?")[0],
    ):
        refused = client.get(ROOT, bad)
        assert refused.status_code == 403
        assert refused.json["odata.error"]["message"]["value"] == "Time-Limited URL validation failed"
    client.world.clock.advance(301)
    assert client.get(ROOT, location).status_code == 403


def test_a_photo_changed_in_exchange_alone_changes_nothing_in_sharepoint(
    client: SharePointClient, anna: Person
) -> None:
    before = client.describe(anna)
    client.world.set_photo(anna, photo())
    assert client.describe(anna) == before


def test_the_owners_own_request_pulls_the_photo_from_exchange(client: SharePointClient, anna: Person) -> None:
    client.world.set_photo(anna, photo("red"))
    assert client.sharepoint.own_request(anna.id) == "pulled"
    assert [pixels(look(client, size)) for size in "SML"] == [(48, 48), (72, 72), (200, 200)]
    values = client.properties(ANNA)
    assert values["PictureURL"] == f"https://{MY}:443/User%20Photos/Profile%20Pictures/{anna.id}_MThumb.jpg"
    assert (values["SPS-PicturePlaceholderState"], values["SPS-PictureExchangeSyncState"]) == ("0", "1")
    assert abs(int(values["SPS-PictureTimestamp"]) - seconds(client)) < 60


def test_sharepoint_asks_exchange_at_most_once_a_day(client: SharePointClient, anna: Person) -> None:
    client.world.set_photo(anna, photo("red"))
    client.sharepoint.own_request(anna.id)
    first = look(client, "M")
    client.world.set_photo(anna, photo("blue"))
    client.world.clock.advance(DAY - 60)
    assert client.sharepoint.own_request(anna.id) == "fresh"
    assert look(client, "M") == first
    client.world.clock.advance(120)
    assert client.sharepoint.own_request(anna.id) == "pulled"
    assert look(client, "M") != first


def test_a_tools_fresh_timestamp_delays_the_pull_for_a_day(client: SharePointClient, anna: Person) -> None:
    pictures = publish(client, anna, **{"SPS-PictureTimestamp": str(seconds(client))})
    client.world.set_photo(anna, photo("red"))
    assert client.sharepoint.own_request(anna.id) == "fresh"
    client.world.clock.advance(DAY + 1)
    assert client.sharepoint.own_request(anna.id) == "pulled"
    assert look(client, "L") != pictures["L"]


def test_without_a_photo_in_exchange_the_pull_writes_the_placeholder_over_what_was_there(
    client: SharePointClient, anna: Person
) -> None:
    publish(client, anna)
    assert client.sharepoint.own_request(anna.id) == "placeholder"
    values = client.properties(ANNA)
    assert values["PictureURL"].endswith("_MThumb.jpg")
    assert (values["SPS-PicturePlaceholderState"], values["SPS-PictureExchangeSyncState"]) == ("1", "1")
    assert abs(int(values["SPS-PictureTimestamp"]) - seconds(client)) < 60
    assert client.profile(ANNA).json["PictureUrl"] is None
    assert client.describe(anna)["userphoto"] == dict.fromkeys("SML", "placeholder")


def test_a_photo_in_exchange_that_cannot_be_read_changes_nothing(
    client: SharePointClient, anna: Person
) -> None:
    client.world.set_photo(anna, Photo(b"no picture", '"BA09D118"', 1, 1))
    before = client.describe(anna)
    assert client.sharepoint.own_request(anna.id) == "unreadable"
    assert client.describe(anna) == before


@pytest.mark.parametrize(
    ("facts", "changes", "outcome"),
    [
        pytest.param({}, {"properties": {"SPS-PictureExchangeSyncState": "0"}}, "off", id="switched off"),
        pytest.param({"mailbox": False}, {}, "off", id="no mailbox"),
        pytest.param({}, {"profile": False}, "no profile", id="no profile"),
    ],
)
def test_sharepoint_pulls_nothing(
    client: SharePointClient, facts: dict[str, bool], changes: dict[str, object], outcome: str
) -> None:
    person = client.add("bert@contoso.com", photo=photo(), **facts)
    client.sharepoint.configure(person.id, **changes)
    assert client.sharepoint.own_request(person.id) == outcome
    assert client.describe(person)["files"] == []


@pytest.mark.parametrize(
    ("changes", "stem"),
    [
        pytest.param({"picture": True}, "{id}", id="drawn"),
        pytest.param({"picture": jpeg((100, 50))}, "{id}", id="given"),
        pytest.param({"picture": True, "old_names": True}, "anna_contoso_com", id="named after the UPN"),
    ],
)
def test_a_person_can_have_an_old_picture(
    client: SharePointClient, anna: Person, changes: dict[str, object], stem: str
) -> None:
    client.sharepoint.configure(anna.id, folder="Profilbilder", **changes)
    target = client.describe(anna)
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
    assert target["userphoto"] == {
        size: file["sha256"] for size, file in zip("SML", target["files"], strict=True)
    }


def test_a_picture_can_be_removed_with_all_traces(client: SharePointClient, anna: Person) -> None:
    client.sharepoint.configure(anna.id, picture=True)
    client.sharepoint.configure(anna.id, picture=False)
    assert set(client.describe(anna)["properties"].values()) == {"", anna.id}
    assert client.describe(anna)["files"] == []


def test_a_description_shows_the_old_files_beside_the_new(client: SharePointClient, anna: Person) -> None:
    client.sharepoint.configure(anna.id, picture=True, old_names=True)
    client.world.rename(anna, "anna.lund@contoso.com")
    publish(client, anna, upn=ANNA)
    names = {file["name"] for file in client.describe(anna)["files"]}
    assert names == {f"{stem}_{size}Thumb.jpg" for stem in (anna.id, "anna_contoso_com") for size in "SML"}


def test_a_description_shows_files_that_no_profile_points_to(client: SharePointClient, anna: Person) -> None:
    publish(client, anna)
    client.sharepoint.configure(anna.id, profile=False)
    assert len(client.describe(anna)["files"]) == 3


def test_a_description_needs_no_profile(client: SharePointClient, anna: Person) -> None:
    client.sharepoint.configure(anna.id, profile=False)
    target = client.describe(anna)
    assert (target["account"], target["properties"], target["picture_url"]) == (None, None, None)
    assert target["userphoto"] == dict.fromkeys("SML", "placeholder")
    with pytest.raises(KeyError):
        client.sharepoint.describe("absent")


def test_a_description_shows_the_files_of_a_deleted_person(client: SharePointClient, anna: Person) -> None:
    publish(client, anna)
    client.world.remove(anna)
    assert len(client.describe(anna)["files"]) == 3
    assert client.describe(anna)["userphoto"]["S"] != "placeholder"
