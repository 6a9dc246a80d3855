"""The library of pictures: folders, uploads, what is refused, what remains."""

import hashlib
from urllib.parse import quote

import pytest

from tests.tenant.sharepoint_client import FILE, FOLDER, MY, SharePointClient, jpeg

LIBRARY = "/_api/web/GetFolderByServerRelativePath(decodedUrl='/User Photos')"
NAMES = "/Folders?$select=Name,ServerRelativeUrl"


def folders(sharepoint: SharePointClient, host: str = MY) -> list[str]:
    return [folder["Name"] for folder in sharepoint.get(host, LIBRARY + NAMES).json["value"]]


def test_the_library_has_a_folder_of_pictures_and_one_of_forms(sharepoint) -> None:
    assert sharepoint.get(MY, LIBRARY + NAMES).json == {
        "value": [
            {"Name": "Forms", "ServerRelativeUrl": "/User Photos/Forms"},
            {"Name": "Profile Pictures", "ServerRelativeUrl": "/User Photos/Profile Pictures"},
        ]
    }
    assert sharepoint.get(MY, FOLDER).json["ItemCount"] == 0


def test_folders_are_named_in_the_sites_language_and_several_can_coexist(sharepoint) -> None:
    sharepoint.service.set_folder("Profilbilder")
    assert folders(sharepoint) == ["Forms", "Profilbilder"]
    sharepoint.service.add_folder("Images du profil")
    assert folders(sharepoint) == ["Forms", "Images du profil", "Profilbilder"]
    sharepoint.service.set_folder("Profielafbeeldingen", "eur")
    assert folders(sharepoint, "contosoeur-my.sharepoint.com") == ["Forms", "Profielafbeeldingen"]
    assert folders(sharepoint) == ["Forms", "Images du profil", "Profilbilder"]


@pytest.mark.parametrize("name", ["", " ", "forms", "a/b"])
def test_an_invalid_folder_name_is_refused(sharepoint, name) -> None:
    with pytest.raises(ValueError, match="not a valid name"):
        sharepoint.service.add_folder(name)


def test_an_upload_returns_the_file_and_can_be_read_back(sharepoint) -> None:
    data = jpeg()
    file = sharepoint.upload("x_MThumb.jpg", data).json
    guid = file["UniqueId"].upper()
    assert file["ETag"] == f'"{{{guid}}},1"'
    assert (file["Name"], file["Length"]) == ("x_MThumb.jpg", str(len(data)))
    assert file["ServerRelativeUrl"] == "/User Photos/Profile Pictures/x_MThumb.jpg"
    content = sharepoint.get(MY, FILE.format("x_MThumb.jpg") + "/$value", accept="*/*")
    assert (content.data, content.content_type, content.headers["ETag"]) == (data, "image/jpeg", file["ETag"])
    assert sharepoint.get(MY, FILE.format("x_MThumb.jpg")).json == file


def test_overwriting_keeps_the_file_and_raises_its_version(sharepoint) -> None:
    first = sharepoint.upload("x_MThumb.jpg", jpeg()).json
    second = sharepoint.upload("X_MTHUMB.jpg", jpeg(colour="red")).json
    assert (second["UniqueId"], second["Name"]) == (first["UniqueId"], "x_MThumb.jpg")
    assert (first["ETag"][-2], second["ETag"][-2]) == ("1", "2")
    assert len(sharepoint.get(MY, f"{FOLDER}/Files").json["value"]) == 1


def test_without_overwrite_a_file_is_written_once(sharepoint) -> None:
    path = f"{FOLDER}/Files/Add(url='x.jpg',overwrite=false)"
    assert sharepoint.send("POST", MY, path, jpeg()).status_code == 200
    again = sharepoint.send("POST", MY, path, jpeg(colour="red"))
    assert again.status_code == 400
    assert again.json["odata.error"]["code"] == "-2130575257, Microsoft.SharePoint.SPException"
    assert sharepoint.get(MY, FILE.format("x.jpg") + "/$value").data == jpeg()


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("Path(decodedUrl='/User Photos/Profile Pictures')", id="plain"),
        pytest.param("path(DecodedUrl='%2FUser%20Photos%2FProfile%20Pictures')", id="encoded"),
        pytest.param("Path(decodedUrl=%27/user photos/PROFILE pictures/%27)", id="any case"),
        pytest.param("Path(decodedUrl='User Photos/Profile Pictures')", id="site-relative"),
        pytest.param("Path(decodedUrl=@f)", id="alias"),
        pytest.param("Url('/User Photos/Profile Pictures')", id="the older function"),
    ],
)
@pytest.mark.parametrize(
    "add",
    [
        pytest.param("Add(url='a.jpg',overwrite=true)", id="Add"),
        pytest.param("addusingpath(DecodedUrl='a.jpg', Overwrite=true)", id="AddUsingPath in any case"),
    ],
)
def test_an_upload_can_be_spelled_in_every_documented_way(sharepoint, path, add) -> None:
    path = f"/_api/web/GetFolderByServerRelative{path}/Files/{add}?@f='/User Photos/Profile Pictures'"
    answer = sharepoint.send("POST", MY, path, jpeg())
    assert answer.json["ServerRelativeUrl"] == "/User Photos/Profile Pictures/a.jpg"


@pytest.mark.parametrize("name", ["o'hara_MThumb.jpg", "pat#ext#_M%20Thumb.jpg", "Jürgen (alt)_MThumb.jpg"])
def test_odd_file_names_survive_the_resource_path_functions(sharepoint, name) -> None:
    spelled = quote(name.replace("'", "''"))
    assert sharepoint.upload(spelled, jpeg()).json["Name"] == name
    assert sharepoint.get(MY, FILE.format(spelled) + "/$value").data == jpeg()


def test_the_string_functions_refuse_ambiguous_names(sharepoint) -> None:
    for name in ("a%23b.jpg", "a%25b.jpg"):
        path = f"{FOLDER}/Files/Add(url='{name}',overwrite=true)"
        assert sharepoint.send("POST", MY, path, jpeg()).status_code == 400


def test_listed_files_can_be_limited_to_some_properties(sharepoint) -> None:
    data = jpeg()
    etag = sharepoint.upload("a.jpg", data).json["ETag"]
    listed = sharepoint.get(MY, f"{FOLDER}/Files?$select=Name,Length,ETag").json
    assert listed == {"value": [{"ETag": etag, "Length": str(len(data)), "Name": "a.jpg"}]}
    assert sharepoint.get(MY, f"{FOLDER}/Files?$select=Nonsense").status_code == 400
    assert sharepoint.get(MY, f"{FOLDER}/Files?$expand=Author").status_code == 400
    verbose = sharepoint.get(MY, f"{FOLDER}/Files?$select=Name", accept="application/json;odata=verbose").json
    assert verbose["d"]["results"] == [{"__metadata": {"type": "SP.File"}, "Name": "a.jpg"}]


def test_a_missing_file_is_a_404_that_names_it(sharepoint) -> None:
    for tail, method in (("", "GET"), ("/$value", "GET"), ("", "DELETE")):
        error = sharepoint.send(method, MY, FILE.format("none.jpg") + tail)
        assert error.status_code == 404
        text = "The file /User Photos/Profile Pictures/none.jpg does not exist."
        message = {"lang": "en-US", "value": text}
        code = "-2130575338, Microsoft.SharePoint.SPException"
        assert error.json["odata.error"] == {"code": code, "message": message}


def test_a_file_can_be_deleted(sharepoint) -> None:
    for method, headers in (("DELETE", {}), ("POST", {"X_HTTP_Method": "DELETE", "If_Match": "*"})):
        sharepoint.upload("a.jpg", jpeg())
        assert sharepoint.send(method, MY, FILE.format("a.jpg"), **headers).status_code == 200
        assert sharepoint.get(MY, FILE.format("a.jpg")).status_code == 404


def test_a_deletion_checks_its_if_match(sharepoint) -> None:
    first = sharepoint.upload("a.jpg", jpeg()).json["ETag"]
    second = sharepoint.upload("a.jpg", jpeg()).json["ETag"]
    tunnelled = {"X_HTTP_Method": "DELETE"}
    assert sharepoint.send("POST", MY, FILE.format("a.jpg"), **tunnelled).status_code == 400
    assert sharepoint.send("POST", MY, FILE.format("a.jpg"), **tunnelled, If_Match=first).status_code == 412
    assert sharepoint.get(MY, FILE.format("a.jpg")).status_code == 200
    assert sharepoint.send("POST", MY, FILE.format("a.jpg"), **tunnelled, If_Match=second).status_code == 200


@pytest.mark.parametrize(
    ("name", "data", "status"),
    [
        pytest.param("a.jpg", b"\x89PNG\r\n\x1a\n", 400, id="a PNG in a jpg"),
        pytest.param("a.jpg", jpeg((300, 300))[:-400], 400, id="a truncated JPEG"),
        pytest.param("a.jpg", jpeg() + bytes(5_000_000), 413, id="above 5 000 000 bytes"),
        pytest.param("a%7Cb.jpg", jpeg(), 400, id="a pipe, as in a claim"),
        pytest.param("a" * 252 + ".jpg", jpeg(), 400, id="a name of 256 characters"),
    ],
)
def test_an_invalid_picture_is_refused_and_not_stored(sharepoint, name, data, status) -> None:
    answer = sharepoint.upload(name, data)
    assert (answer.status_code, set(answer.json)) == (status, {"odata.error"})
    assert sharepoint.get(MY, f"{FOLDER}/Files").json == {"value": []}


@pytest.mark.parametrize(
    ("options", "baseline", "metadata"),
    [
        pytest.param({}, True, False, id="baseline without metadata"),
        pytest.param({"progressive": True}, False, False, id="progressive"),
        pytest.param({"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}, True, True, id="EXIF"),
        pytest.param({"comment": b"taken at home"}, True, True, id="a comment"),
    ],
)
def test_a_description_has_the_properties_of_the_uploaded_bytes(
    sharepoint, options, *, baseline, metadata
) -> None:
    anna = sharepoint.add()
    data = jpeg((300, 200), **options)
    etag = sharepoint.upload(f"{anna.id}_LThumb.jpg", data).json["ETag"]
    (file,) = sharepoint.describe(anna)["files"]
    assert file.pop("modified")
    assert file == {
        "geo": "", "folder": "Profile Pictures", "name": f"{anna.id}_LThumb.jpg", "size": len(data),
        "width": 300, "height": 200, "baseline": baseline, "metadata": metadata,
        "sha256": hashlib.sha256(data).hexdigest(), "etag": etag,
    }  # fmt: skip
