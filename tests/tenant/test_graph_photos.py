"""Photos: what there is, in which sizes, and the many ways of there being none."""

import io
import json

import pytest
from PIL import Image

from local.tenant.directory.world import Photo
from tests.tenant.graph_client import GraphClient, jpeg


@pytest.fixture(scope="module")
def shared_client() -> GraphClient:
    return GraphClient()


@pytest.fixture
def client(shared_client: GraphClient) -> GraphClient:
    return shared_client.clear()


def test_metadata_names_the_largest_photo_and_its_etag(client: GraphClient) -> None:
    person = client.person(photo=client.photo(504))
    assert client.get(f"/users/{person.id}/photo").get_json() == {
        "@odata.context": f"https://graph.microsoft.com/v1.0/$metadata#users('{person.id}')/photo/$entity",
        "@odata.id": (
            f"https://graph.microsoft.com/v1.0/users('{person.id}@{client.world.tenant_id}')/photo"
        ),
        "@odata.mediaContentType": "image/jpeg",
        "@odata.mediaEtag": person.photo.etag,
        "id": "504x504",
        "width": 504,
        "height": 504,
    }


def test_the_bytes_come_as_they_are_with_the_etag_of_the_metadata(client: GraphClient) -> None:
    person = client.person(photo=client.photo(504))
    answer = client.get(f"/users/{person.upn}/photo/$value")
    assert answer.data == jpeg(504)
    assert (answer.content_type, answer.headers["ETag"]) == ("image/jpeg", person.photo.etag)
    assert person.photo.etag.startswith('"')


def test_a_conditional_request_is_answered_in_full(client: GraphClient) -> None:
    person = client.person(photo=client.photo())
    answer = client.get(f"/users/{person.id}/photo/$value", If_None_Match=person.photo.etag)
    assert (answer.status_code, answer.data) == (200, jpeg())


def test_bytes_that_are_no_picture_are_passed_on_and_have_no_sizes(client: GraphClient) -> None:
    person = client.person(photo=Photo(b"no picture", '"1"', 648, 648, "image/png"))
    answer = client.get(f"/users/{person.id}/photo/$value")
    assert (answer.data, answer.content_type) == (b"no picture", "image/png")
    assert client.get(f"/users/{person.id}/photos/48x48/$value").status_code == 404


def test_every_size_up_to_the_upload_exists(client: GraphClient) -> None:
    person = client.person(photo=client.photo(504))
    sizes = client.get(f"/users/{person.id}/photos").get_json()["value"]
    small = [48, 64, 96, 120, 240, 360, 432, 504]
    assert [size["id"] for size in sizes] == [f"{edge}x{edge}" for edge in small]
    assert client.get(f"/users/{person.id}/photos/648x648").status_code == 404
    assert client.get(f"/users/{person.id}/photos/50x50/$value").status_code == 404


@pytest.mark.parametrize("edge", [48, 240])
def test_a_size_is_a_jpeg_of_that_size_with_an_etag_of_its_own(client: GraphClient, edge: int) -> None:
    person = client.person(photo=client.photo(504, "crimson"))
    path = f"/users/{person.id}/photos/{edge}X{edge}"
    metadata, value = client.get(path).get_json(), client.get(f"{path}/$value")
    with Image.open(io.BytesIO(value.data)) as image:
        assert (image.format, image.size) == ("JPEG", (edge, edge))
        red, green, _ = image.getpixel((edge // 2, edge // 2))
        assert red > 200 > 50 > green
    assert (metadata["width"], metadata["height"]) == (edge, edge)
    assert metadata["@odata.mediaEtag"] == value.headers["ETag"] != person.photo.etag


def test_the_largest_size_by_name_is_the_upload_itself(client: GraphClient) -> None:
    person = client.person(photo=client.photo(504))
    answer = client.get(f"/users/{person.id}/photos/504x504/$value")
    assert (answer.data, answer.headers["ETag"]) == (jpeg(504), person.photo.etag)


def test_an_oblong_photo_keeps_its_shape_and_its_sizes_are_square(client: GraphClient) -> None:
    out = io.BytesIO()
    Image.new("RGB", (300, 240)).save(out, "PNG")
    person = client.person(photo=Photo(out.getvalue(), '"1"', 300, 240, "image/png"))
    assert client.get(f"/users/{person.id}/photo").get_json()["id"] == "300x240"
    sizes = client.get(f"/users/{person.id}/photos").get_json()["value"]
    assert [size["id"] for size in sizes] == ["48x48", "64x64", "96x96", "120x120", "240x240", "300x240"]
    kinds = {size["@odata.mediaContentType"] for size in sizes}
    assert kinds == {"image/jpeg", "image/png"}


def test_a_new_photo_has_another_etag_in_every_size(client: GraphClient) -> None:
    person = client.person(photo=client.photo())
    before = client.get(f"/users/{person.id}/photos").get_json()["value"]
    client.world.set_photo(person, client.photo(504, "gold"))
    after = client.get(f"/users/{person.id}/photos").get_json()["value"]
    tags = [size["@odata.mediaEtag"] for size in before + after]
    assert len(set(tags)) == len(tags) == 16
    path = f"/users/{person.id}/photos/48x48/$value"
    with Image.open(io.BytesIO(client.get(path).data)) as image:
        assert image.getpixel((24, 24))[2] < 50


PATHS = ["photo", "photo/$value", "photos", "photos/48x48", "photos/48x48/$value"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("code", ["ImageNotFound", "ErrorItemNotFound", "ErrorEntityNotFound"])
def test_no_photo_is_404_with_the_code_of_the_knob(client: GraphClient, path: str, code: str) -> None:
    person = client.person()
    client.world.knobs.no_photo_code = code
    answer = client.get(f"/users/{person.id}/{path}")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, code)
    assert "ImageNotFoundException" in answer.get_json()["error"]["message"]


@pytest.mark.parametrize("path", ["photo", "photos/48x48"])
def test_by_knob_a_missing_photo_is_a_dot_without_an_etag(client: GraphClient, path: str) -> None:
    person = client.person()
    client.world.knobs.no_photo = "1x1"
    metadata = client.get(f"/users/{person.id}/{path}").get_json()
    assert {key: metadata[key] for key in ("id", "width", "height")} == {"id": "1x1", "width": 1, "height": 1}
    assert (metadata["@odata.mediaEtag"], metadata["@odata.mediaContentType"]) == ("", "image/gif")
    value = client.get(f"/users/{person.id}/{path}/$value")
    assert "ETag" not in value.headers
    with Image.open(io.BytesIO(value.data)) as image:
        assert (image.format, image.size) == ("GIF", (1, 1))


@pytest.mark.parametrize("path", PATHS)
def test_a_missing_user_and_a_missing_photo_have_different_answers(client: GraphClient, path: str) -> None:
    gone = client.person("gone@contoso.com", photo=client.photo())
    client.world.remove(gone)
    for user in (gone.id, gone.upn, "absent@contoso.com"):
        answer = client.get(f"/users/{user}/{path}")
        assert answer.status_code == 404
        assert answer.get_json()["error"]["code"] == "Request_ResourceNotFound"


@pytest.mark.parametrize("knob", ["photo_user_gone", "no_mailbox"])
def test_by_knob_the_message_contains_json(client: GraphClient, knob: str) -> None:
    person = client.person(mailbox=False)
    if knob == "photo_user_gone":
        client.world.remove(person)
        client.world.knobs.photo_user_gone = "UnknownError"
    else:
        client.world.knobs.no_mailbox = "unresolved"
    error = client.get(f"/users/{person.id}/photo").get_json()["error"]
    assert error["code"] == "UnknownError"
    inner = json.loads(error["message"])
    assert inner["errorCode"] == "ErrorUserResolutionFailedUserDoesNotExist"


@pytest.mark.parametrize(
    ("knob", "status", "code"),
    [
        pytest.param("404", 404, "ErrorNonExistentMailbox", id="404"),
        pytest.param("400", 400, "AuthenticationError", id="400"),
    ],
)
def test_a_user_without_a_mailbox_has_no_photo_even_if_entra_has_one(
    client: GraphClient, knob: str, status: int, code: str
) -> None:
    person = client.person(mailbox=False, photo=client.photo(300))
    client.world.knobs.no_mailbox = knob
    answer = client.get(f"/users/{person.id}/photo")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (status, code)


def test_the_code_for_a_missing_mailbox_is_a_knob(client: GraphClient) -> None:
    person = client.person(mailbox=False)
    client.world.knobs.no_mailbox_code = "MailboxNotEnabledForRESTAPI"
    answer = client.get(f"/users/{person.id}/photo")
    assert answer.get_json()["error"]["code"] == "MailboxNotEnabledForRESTAPI"


def test_by_knob_a_user_without_a_mailbox_has_the_photo_in_entra(client: GraphClient) -> None:
    client.world.knobs.no_mailbox, client.world.knobs.no_photo = "entra-photo", "1x1"
    person = client.person(mailbox=False, photo=client.photo(300))
    other = client.person("bob@contoso.com", mailbox=False)
    assert client.get(f"/users/{person.id}/photo").get_json()["id"] == "300x300"
    assert client.get(f"/users/{person.id}/photo/$value").data == jpeg(300)
    assert client.get(f"/users/{other.id}/photo").status_code == 404


def test_photos_cannot_be_written_here(client: GraphClient) -> None:
    person = client.person()
    assert client.call("PUT", f"/users/{person.id}/photo/$value", b"x").status_code == 405
