"""What readers see, what SharePoint pulls from Exchange by itself, and what years of use leave behind."""

import hashlib
import io

import pytest
from PIL import Image

from local.tenant.directory.world import Person, Photo
from tests.tenant.sharepoint_stage import MY, ROOT, Stage, claim, jpeg, photo

ANNA = "anna@contoso.com"
PAGE = "/_layouts/15/userphoto.aspx"
SIZES = {"S": 48, "M": 72, "L": 300}
DAY = 24 * 3600


@pytest.fixture(scope="module")
def whole() -> Stage:
    return Stage()


@pytest.fixture
def stage(whole: Stage) -> Stage:
    whole.clear()
    return whole


@pytest.fixture
def anna(stage: Stage) -> Person:
    return stage.add()


def publish(stage: Stage, person: Person, *, upn: str = ANNA, **states: str) -> dict[str, bytes]:
    """Do what a tool does: three files, then the properties."""
    pictures = {size: jpeg((pixels, pixels)) for size, pixels in SIZES.items()}
    for size, data in pictures.items():
        stage.upload(f"{person.id}_{size}Thumb.jpg", data)
    url = f"https://{MY}:443/User%20Photos/Profile%20Pictures/{person.id}_MThumb.jpg"
    values = {"SPS-PicturePlaceholderState": "0"} | states
    assert stage.query(upn, ("PictureURL", url), *values.items()) is None
    return pictures


def look(stage: Stage, size: str, account: str = ANNA, host: str = ROOT, **how: object) -> bytes:
    answer = stage.get(host, f"{PAGE}?size={size}&accountname={account}", **how)
    assert (answer.status_code, answer.content_type) == (200, "image/jpeg")
    return answer.data


def pixels(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as image:
        return image.size


def seconds(stage: Stage) -> int:
    return int(stage.world.clock.now().timestamp()) + 62135596800


@pytest.mark.parametrize("host", [ROOT, MY, "contoso-admin.sharepoint.com"])
def test_a_reader_sees_the_files_beside_the_picture_url(stage: Stage, anna: Person, host: str) -> None:
    pictures = publish(stage, anna)
    for size in SIZES:
        assert look(stage, size, host=host, roles=[]) == pictures[size]
        assert look(stage, size, claim(ANNA), host=host) == pictures[size]
    assert stage.get(host, f"{PAGE}?SIZE=l&UserName={ANNA}").data == pictures["L"]
    assert stage.get(host, f"{PAGE}?accountname={ANNA}").data == pictures["S"]
    assert stage.describe(anna)["userphoto"] == {
        size: hashlib.sha256(data).hexdigest() for size, data in pictures.items()
    }


def test_a_reader_sees_the_silhouette_where_there_is_no_picture(stage: Stage, anna: Person) -> None:
    silhouette = look(stage, "L", "nobody@contoso.com")
    assert pixels(silhouette) == (200, 200)
    assert look(stage, "L") == silhouette

    pictures = publish(stage, anna, **{"SPS-PicturePlaceholderState": "1"})
    assert look(stage, "L") == silhouette
    assert stage.describe(anna)["userphoto"] == dict.fromkeys("SML", "placeholder")

    stage.query(ANNA, ("SPS-PicturePlaceholderState", "0"))
    assert look(stage, "L") == pictures["L"]
    path = f"/User%20Photos/Profile%20Pictures/{anna.id}_LThumb.jpg"
    stage.send("DELETE", MY, f"/_api/web/GetFileByServerRelativePath(decodedUrl='{path}')")
    assert look(stage, "L") == silhouette
    assert look(stage, "M") == pictures["M"]


@pytest.mark.parametrize("host", [ROOT, "fabrikam-my.sharepoint.com"])
def test_a_picture_url_that_leads_elsewhere_shows_the_silhouette(
    stage: Stage, anna: Person, host: str
) -> None:
    publish(stage, anna)
    url = stage.properties(ANNA)["PictureURL"].replace(MY, host)
    stage.sharepoint.configure(anna.id, properties={"PictureURL": url})
    assert stage.describe(anna)["userphoto"] == dict.fromkeys("SML", "placeholder")


def test_a_picture_stays_visible_after_its_owner_moved_to_another_geo(stage: Stage, anna: Person) -> None:
    pictures = publish(stage, anna)
    stage.world.move(anna, "eur")
    assert look(stage, "M", host="contosoeur.sharepoint.com") == pictures["M"]
    assert {file["geo"] for file in stage.describe(anna)["files"]} == {""}
    assert stage.describe(anna)["geo"] == "eur"


def test_userphoto_can_redirect_to_an_address_that_needs_no_token_and_expires(
    stage: Stage, anna: Person
) -> None:
    pictures = publish(stage, anna)
    stage.world.knobs.userphoto_redirects = True
    there = stage.get(ROOT, f"{PAGE}?size=M&accountname={ANNA}")
    assert there.status_code == 302
    location = there.headers["Location"]
    assert location.startswith("/_vti_bin/afdcache.ashx/_userprofile/userphoto.jpg?_oat_=")
    assert stage.get(ROOT, location, Authorization="").data == pictures["M"]
    for bad in (
        location.replace("size=M", "size=L"),
        location.replace("_oat_=", "_oat_=9"),
        location.partition("?")[0],
    ):
        refused = stage.get(ROOT, bad)
        assert refused.status_code == 403
        assert refused.json["odata.error"]["message"]["value"] == "Time-Limited URL validation failed"
    stage.world.clock.advance(301)
    assert stage.get(ROOT, location).status_code == 403


def test_a_photo_changed_in_exchange_alone_changes_nothing_in_sharepoint(stage: Stage, anna: Person) -> None:
    before = stage.describe(anna)
    stage.world.set_photo(anna, photo())
    assert stage.describe(anna) == before


def test_the_owners_own_request_pulls_the_photo_from_exchange(stage: Stage, anna: Person) -> None:
    stage.world.set_photo(anna, photo("red"))
    assert stage.sharepoint.own_request(anna.id) == "pulled"
    assert [pixels(look(stage, size)) for size in "SML"] == [(48, 48), (72, 72), (200, 200)]
    values = stage.properties(ANNA)
    assert values["PictureURL"] == f"https://{MY}:443/User%20Photos/Profile%20Pictures/{anna.id}_MThumb.jpg"
    assert (values["SPS-PicturePlaceholderState"], values["SPS-PictureExchangeSyncState"]) == ("0", "1")
    assert abs(int(values["SPS-PictureTimestamp"]) - seconds(stage)) < 60


def test_sharepoint_asks_exchange_at_most_once_a_day(stage: Stage, anna: Person) -> None:
    stage.world.set_photo(anna, photo("red"))
    stage.sharepoint.own_request(anna.id)
    first = look(stage, "M")
    stage.world.set_photo(anna, photo("blue"))
    stage.world.clock.advance(DAY - 60)
    assert stage.sharepoint.own_request(anna.id) == "fresh"
    assert look(stage, "M") == first
    stage.world.clock.advance(120)
    assert stage.sharepoint.own_request(anna.id) == "pulled"
    assert look(stage, "M") != first


def test_a_tools_fresh_timestamp_holds_the_pull_off_for_a_day(stage: Stage, anna: Person) -> None:
    pictures = publish(stage, anna, **{"SPS-PictureTimestamp": str(seconds(stage))})
    stage.world.set_photo(anna, photo("red"))
    assert stage.sharepoint.own_request(anna.id) == "fresh"
    stage.world.clock.advance(DAY + 1)
    assert stage.sharepoint.own_request(anna.id) == "pulled"
    assert look(stage, "L") != pictures["L"]


def test_without_a_photo_in_exchange_the_pull_writes_the_placeholder_over_what_was_there(
    stage: Stage, anna: Person
) -> None:
    publish(stage, anna)
    assert stage.sharepoint.own_request(anna.id) == "placeholder"
    values = stage.properties(ANNA)
    assert values["PictureURL"].endswith("_MThumb.jpg")
    assert (values["SPS-PicturePlaceholderState"], values["SPS-PictureExchangeSyncState"]) == ("1", "1")
    assert abs(int(values["SPS-PictureTimestamp"]) - seconds(stage)) < 60
    assert stage.profile(ANNA).json["PictureUrl"] is None
    assert stage.describe(anna)["userphoto"] == dict.fromkeys("SML", "placeholder")


def test_a_photo_in_exchange_that_cannot_be_read_changes_nothing(stage: Stage, anna: Person) -> None:
    stage.world.set_photo(anna, Photo(b"no picture", '"BA09D118"', 1, 1))
    before = stage.describe(anna)
    assert stage.sharepoint.own_request(anna.id) == "unreadable"
    assert stage.describe(anna) == before


@pytest.mark.parametrize(
    ("facts", "odd", "outcome"),
    [
        pytest.param({}, {"properties": {"SPS-PictureExchangeSyncState": "0"}}, "off", id="switched off"),
        pytest.param({"mailbox": False}, {}, "off", id="no mailbox"),
        pytest.param({}, {"profile": False}, "no profile", id="no profile"),
    ],
)
def test_sharepoint_pulls_nothing(
    stage: Stage, facts: dict[str, bool], odd: dict[str, object], outcome: str
) -> None:
    person = stage.add("bert@contoso.com", photo=photo(), **facts)
    stage.sharepoint.configure(person.id, **odd)
    assert stage.sharepoint.own_request(person.id) == outcome
    assert stage.describe(person)["files"] == []


@pytest.mark.parametrize(
    ("odd", "stem"),
    [
        pytest.param({"picture": True}, "{id}", id="drawn"),
        pytest.param({"picture": jpeg((100, 50))}, "{id}", id="given"),
        pytest.param({"picture": True, "old_names": True}, "anna_contoso_com", id="named after the UPN"),
    ],
)
def test_a_person_can_have_an_old_picture(
    stage: Stage, anna: Person, odd: dict[str, object], stem: str
) -> None:
    stage.sharepoint.configure(anna.id, folder="Profilbilder", **odd)
    target = stage.describe(anna)
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


def test_a_person_can_be_made_to_have_never_had_a_picture(stage: Stage, anna: Person) -> None:
    stage.sharepoint.configure(anna.id, picture=True)
    stage.sharepoint.configure(anna.id, picture=False)
    assert set(stage.describe(anna)["properties"].values()) == {"", anna.id}
    assert stage.describe(anna)["files"] == []


def test_a_description_shows_the_old_files_beside_the_new(stage: Stage, anna: Person) -> None:
    stage.sharepoint.configure(anna.id, picture=True, old_names=True)
    stage.world.rename(anna, "anna.lund@contoso.com")
    publish(stage, anna, upn=ANNA)
    names = {file["name"] for file in stage.describe(anna)["files"]}
    assert names == {f"{stem}_{size}Thumb.jpg" for stem in (anna.id, "anna_contoso_com") for size in "SML"}


def test_a_description_shows_files_that_no_profile_points_to(stage: Stage, anna: Person) -> None:
    publish(stage, anna)
    stage.sharepoint.configure(anna.id, profile=False)
    assert len(stage.describe(anna)["files"]) == 3


def test_a_description_needs_no_profile(stage: Stage, anna: Person) -> None:
    stage.sharepoint.configure(anna.id, profile=False)
    target = stage.describe(anna)
    assert (target["account"], target["properties"], target["picture_url"]) == (None, None, None)
    assert target["userphoto"] == dict.fromkeys("SML", "placeholder")
    with pytest.raises(KeyError):
        stage.sharepoint.describe("nobody")


def test_a_description_keeps_showing_what_a_deleted_person_left(stage: Stage, anna: Person) -> None:
    publish(stage, anna)
    stage.world.remove(anna)
    assert len(stage.describe(anna)["files"]) == 3
    assert stage.describe(anna)["userphoto"]["S"] != "placeholder"
