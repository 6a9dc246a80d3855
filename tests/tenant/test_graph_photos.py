"""Photos: what there is, in which sizes, and the many ways of there being none."""

import io
import json

import pytest
from PIL import Image

from local.tenant.directory.world import Photo
from tests.tenant.graph_client import jpeg, refusal


def test_metadata_names_the_largest_photo_and_its_etag(graph) -> None:
    person = graph.person(photo=graph.photo(504))
    assert graph.get(f"/users/{person.id}/photo").get_json() == {
        "@odata.context": f"https://graph.microsoft.com/v1.0/$metadata#users('{person.id}')/photo/$entity",
        "@odata.id": (f"https://graph.microsoft.com/v1.0/users('{person.id}@{graph.world.tenant_id}')/photo"),
        "@odata.mediaContentType": "image/jpeg",
        "@odata.mediaEtag": person.photo.etag,
        "id": "504x504",
        "width": 504,
        "height": 504,
    }


def test_the_bytes_come_as_they_are_with_the_etag_of_the_metadata(graph) -> None:
    person = graph.person(photo=graph.photo(504))
    answer = graph.get(f"/users/{person.upn}/photo/$value")
    assert answer.data == jpeg(504)
    assert (answer.content_type, answer.headers["ETag"]) == ("image/jpeg", person.photo.etag)
    assert person.photo.etag.startswith('"')


def test_a_conditional_request_is_answered_in_full(graph) -> None:
    person = graph.person(photo=graph.photo())
    answer = graph.get(f"/users/{person.id}/photo/$value", If_None_Match=person.photo.etag)
    assert (answer.status_code, answer.data) == (200, jpeg())


def test_bytes_that_are_no_picture_are_passed_on_and_have_no_sizes(graph) -> None:
    person = graph.person(photo=Photo(b"no picture", '"1"', 648, 648, "image/png"))
    answer = graph.get(f"/users/{person.id}/photo/$value")
    assert (answer.data, answer.content_type) == (b"no picture", "image/png")
    assert graph.get(f"/users/{person.id}/photos/48x48/$value").status_code == 404


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        pytest.param("48X48", ("image/jpeg", "JPEG", (48, 48)), id="a square"),
        pytest.param("240x240", ("image/jpeg", "JPEG", (240, 240)), id="the largest square"),
        pytest.param("300x240", ("image/png", "PNG", (300, 240)), id="the photo's own"),
        pytest.param("50x50", None, id="not one of Microsoft 365's"),
        pytest.param("360x360", None, id="larger than the photo"),
    ],
)
def test_a_size_is_a_square_jpeg_and_the_photos_own_is_as_it_is(graph, size, expected) -> None:
    out = io.BytesIO()
    Image.new("RGB", (300, 240), "crimson").save(out, "PNG")
    person = graph.person(photo=Photo(out.getvalue(), '"1"', 300, 240, "image/png"))
    answers = [graph.get(f"/users/{person.id}/photos/{size}{tail}") for tail in ("", "/$value")]
    if expected is None:
        assert [refusal(answer) for answer in answers] == [(404, "ImageNotFound")] * 2
        return
    metadata, value = answers[0].get_json(), answers[1]
    with Image.open(io.BytesIO(value.data)) as image:
        assert (value.content_type, image.format, image.size) == expected
        red, green, _ = image.getpixel((24, 24))
        assert red > 200 > 50 > green
    assert (metadata["@odata.mediaContentType"], metadata["id"]) == (expected[0], size.lower())
    assert (metadata["width"], metadata["height"]) == expected[2]
    assert metadata["@odata.context"].endswith(f"users('{person.id}')/photos/$entity")
    assert metadata["@odata.mediaEtag"] == value.headers["ETag"]


def test_a_new_photo_has_another_etag_in_every_size(graph) -> None:
    person = graph.person(photo=graph.photo())
    paths = [f"/users/{person.id}/photo", f"/users/{person.id}/photos/48x48"]
    before = [graph.get(path).get_json()["@odata.mediaEtag"] for path in paths]
    graph.world.set_photo(person, graph.photo(504, "gold"))
    after = [graph.get(path).get_json()["@odata.mediaEtag"] for path in paths]
    assert len({*before, *after}) == 4
    with Image.open(io.BytesIO(graph.get(f"{paths[1]}/$value").data)) as image:
        assert image.getpixel((24, 24))[2] < 50


PATHS = ["photo", "photo/$value", "photos/48x48", "photos/48x48/$value"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("code", ["ImageNotFound", "ErrorItemNotFound", "ErrorEntityNotFound"])
def test_no_photo_is_404_with_the_code_of_the_knob(graph, path, code) -> None:
    person = graph.person()
    graph.world.knobs.no_photo_code = code
    answer = graph.get(f"/users/{person.id}/{path}")
    assert refusal(answer) == (404, code)
    assert "ImageNotFoundException" in answer.get_json()["error"]["message"]


@pytest.mark.parametrize("path", ["photo", "photos/48x48"])
def test_by_knob_a_missing_photo_is_a_dot_without_an_etag(graph, path) -> None:
    person = graph.person()
    graph.world.knobs.no_photo = "1x1"
    metadata = graph.get(f"/users/{person.id}/{path}").get_json()
    assert {key: metadata[key] for key in ("id", "width", "height")} == {"id": "1x1", "width": 1, "height": 1}
    assert (metadata["@odata.mediaEtag"], metadata["@odata.mediaContentType"]) == ("", "image/gif")
    value = graph.get(f"/users/{person.id}/{path}/$value")
    assert "ETag" not in value.headers
    with Image.open(io.BytesIO(value.data)) as image:
        assert (image.format, image.size) == ("GIF", (1, 1))


@pytest.mark.parametrize("path", PATHS)
def test_a_missing_user_and_a_missing_photo_have_different_answers(graph, path) -> None:
    gone = graph.person("gone@contoso.com", photo=graph.photo())
    graph.world.remove(gone)
    for user in (gone.id, gone.upn, "absent@contoso.com"):
        answer = graph.get(f"/users/{user}/{path}")
        assert answer.status_code == 404
        assert answer.get_json()["error"]["code"] == "Request_ResourceNotFound"


def test_by_knob_the_metadata_and_the_bytes_have_different_labels(graph) -> None:
    person = graph.person(photo=graph.photo())
    path = f"/users/{person.id}/photo"
    graph.world.knobs.photo_labels = "two"
    metadata, value = graph.get(path).get_json(), graph.get(f"{path}/$value")
    assert value.headers["ETag"] == person.photo.etag != metadata["@odata.mediaEtag"]
    assert graph.get(path).get_json() == metadata


@pytest.mark.parametrize("knob", ["photo_user_gone", "no_mailbox"])
def test_by_knob_the_message_contains_json(graph, knob) -> None:
    user = graph.person(mailbox=False).id if knob == "no_mailbox" else "absent"
    setattr(graph.world.knobs, knob, {"no_mailbox": "unresolved"}.get(knob, "UnknownError"))
    error = graph.get(f"/users/{user}/photo").get_json()["error"]
    assert error["code"] == "UnknownError"
    inner = json.loads(error["message"])
    assert inner["errorCode"] == "ErrorUserResolutionFailedUserDoesNotExist"


@pytest.mark.parametrize(
    ("knobs", "status", "code"),
    [
        pytest.param({}, 404, "ErrorNonExistentMailbox", id="404"),
        pytest.param({"no_mailbox_code": "MailboxNotEnabled"}, 404, "MailboxNotEnabled", id="another code"),
        pytest.param({"no_mailbox": "400"}, 400, "AuthenticationError", id="400"),
    ],
)
def test_a_user_without_a_mailbox_has_no_photo_even_if_entra_has_one(graph, knobs, status, code) -> None:
    person = graph.person(mailbox=False, photo=graph.photo(300))
    for name, value in knobs.items():
        setattr(graph.world.knobs, name, value)
    answer = graph.get(f"/users/{person.id}/photo")
    assert refusal(answer) == (status, code)


def test_by_knob_a_user_without_a_mailbox_has_the_photo_in_entra(graph) -> None:
    graph.world.knobs.no_mailbox, graph.world.knobs.no_photo = "entra-photo", "1x1"
    person = graph.person(mailbox=False, photo=graph.photo(300))
    other = graph.person("bob@contoso.com", mailbox=False)
    assert graph.get(f"/users/{person.id}/photo").get_json()["id"] == "300x300"
    assert graph.get(f"/users/{person.id}/photo/$value").data == jpeg(300)
    assert graph.get(f"/users/{other.id}/photo").status_code == 404
