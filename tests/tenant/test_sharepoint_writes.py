"""Profile properties written, over REST one by one and with CSOM many at once."""

import json

import pytest

from local.tenant.directory.world import Person
from tests.tenant.sharepoint_client import (
    ADMIN,
    PEOPLE,
    PEOPLE_MANAGER,
    PROCESS,
    SharePointClient,
    query,
    set_property,
    wrap,
)

ANNA = "anna@contoso.com"
BERT = "bert@contoso.com"
URL = "https://contoso-my.sharepoint.com:443/User%20Photos/Profile%20Pictures/x_MThumb.jpg"
PICTURE = (
    ("PictureURL", URL),
    ("SPS-PictureTimestamp", "63902822400"),
    ("SPS-PictureExchangeSyncState", "1"),
    ("SPS-PicturePlaceholderState", "0"),
)


@pytest.fixture(autouse=True)
def anna(sharepoint: SharePointClient) -> Person:
    return sharepoint.add()


def write(sharepoint: SharePointClient, body: dict[str, object], **how: object) -> object:
    return sharepoint.send("POST", ADMIN, f"{PEOPLE}/SetSingleValueProfileProperty", body, **how)


def arguments(name: str, value: object, upn: str = ANNA) -> dict[str, object]:
    return {"accountName": f"i:0#.f|membership|{upn}", "propertyName": name, "propertyValue": value}


def ask(sharepoint: SharePointClient, body: str) -> list[object]:
    answer = sharepoint.send("POST", ADMIN, PROCESS, body, Content_Type="text/xml")
    assert answer.status_code == 200, answer.text
    return answer.json


def test_one_property_is_written_over_rest(sharepoint) -> None:
    answer = write(sharepoint, arguments("sps-PicturePlaceholderState", "1"))  # in any case
    assert (answer.status_code, answer.json) == (200, {"odata.null": True})
    assert sharepoint.properties(ANNA)["SPS-PicturePlaceholderState"] == "1"


def test_writing_to_an_unknown_profile_over_rest_is_an_error(sharepoint) -> None:
    answer = write(sharepoint, arguments("AboutMe", "x", "absent@contoso.com"))
    assert answer.status_code == 500
    assert "User Profile Error 1000: User Not Found" in answer.json["odata.error"]["message"]["value"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(arguments("SPS-PicturePlaceholderState", 0), id="a number"),
        pytest.param({"accountName": "x", "propertyName": "AboutMe"}, id="no value"),
        pytest.param({**arguments("AboutMe", "x"), "extra": "y"}, id="an unknown parameter"),
    ],
)
def test_a_rest_write_takes_three_strings(sharepoint, body) -> None:
    assert write(sharepoint, body).status_code == 400
    assert sharepoint.properties(ANNA)["SPS-PicturePlaceholderState"] == ""


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(b"{", "application/json", id="broken JSON"),
        pytest.param(b"[]", "application/json", id="a list"),
        pytest.param(json.dumps(arguments("AboutMe", "x")).encode(), "text/plain", id="not declared as JSON"),
    ],
)
def test_a_rest_write_takes_json(sharepoint, body, kind) -> None:
    assert write(sharepoint, body, Content_Type=kind).status_code == 400
    assert sharepoint.properties(ANNA)["AboutMe"] == ""


def test_a_query_writes_all_four_picture_properties_at_once(sharepoint) -> None:
    header, number, result = ask(sharepoint, query(ANNA, *PICTURE))
    assert (header["SchemaVersion"], header["ErrorInfo"]) == ("15.0.0.0", None)
    assert (number, result) == (2, {"IsNull": False})
    written = sharepoint.properties(ANNA)
    assert {name: written[name] for name, _ in PICTURE} == dict(PICTURE)
    assert sharepoint.profile(ANNA).json["PictureUrl"] == f"{URL}?t=63902822400"


def test_a_query_can_write_to_several_people(sharepoint) -> None:
    sharepoint.add(BERT)
    texts = {ANNA: "a", BERT: "b & <c>"}
    actions = [set_property(n, upn, "AboutMe", text) for n, (upn, text) in enumerate(texts.items(), 3)]
    header, *_ = ask(sharepoint, wrap("".join(actions)))
    assert header["ErrorInfo"] is None
    assert {upn: sharepoint.properties(upn)["AboutMe"] for upn in texts} == texts


def test_a_failing_action_leaves_the_ones_before_it_done_and_the_ones_after_it_undone(sharepoint) -> None:
    actions = (
        set_property(3, ANNA, "AboutMe", "before")
        + set_property(4, "absent@contoso.com", "AboutMe", "x")
        + set_property(5, ANNA, "CellPhone", "after")
    )
    (header,) = ask(sharepoint, wrap(actions))
    assert header["ErrorInfo"]["ErrorMessage"].startswith("User Profile Error 1000: User Not Found")
    assert header["ErrorInfo"]["ErrorTypeName"] == "Microsoft.SharePoint.Client.ServerException"
    assert header["ErrorInfo"]["TraceCorrelationId"] == header["TraceCorrelationId"]
    written = sharepoint.properties(ANNA)
    assert (written["AboutMe"], written["CellPhone"]) == ("before", "")


def test_the_type_of_a_missing_user_is_a_knob(sharepoint) -> None:
    kind = "Microsoft.Office.Server.UserProfiles.UserNotFoundException"
    sharepoint.world.knobs.user_not_found_type = kind
    error = sharepoint.query("absent@contoso.com", ("AboutMe", "x"))
    assert (error["ErrorTypeName"], error["ErrorCode"]) == (kind, -1)


METHOD = set_property(3, ANNA, "AboutMe", "x")
WHOLE = wrap(METHOD)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="nothing"),
        pytest.param("<Request", id="not well-formed"),
        pytest.param(wrap(METHOD).replace("clientquery/2009", "clientquery/2010"), id="another namespace"),
        pytest.param(wrap(METHOD).replace('SchemaVersion="15.0.0.0"', ""), id="no schema version"),
        pytest.param('<!DOCTYPE x [<!ENTITY y "z">]>' + wrap(METHOD), id="a document type"),
        pytest.param(WHOLE.replace(PEOPLE_MANAGER, "{0000}"), id="another type"),
        pytest.param(wrap(METHOD, ""), id="no object path"),
        pytest.param(wrap(METHOD, f'<Method Id="1" TypeId="{PEOPLE_MANAGER}"/>'), id="another object path"),
        pytest.param(WHOLE.replace('Id="3" ObjectPathId="1"', 'Id="3" ObjectPathId="9"'), id="dangling path"),
        pytest.param(wrap(METHOD).replace('Id="3"', 'Id="2"'), id="an id twice"),
        pytest.param(wrap(METHOD).replace('Name="Set', 'Name="Get'), id="another method"),
        pytest.param(wrap(METHOD).replace('Type="String">x', 'Type="Number">1'), id="a number"),
        pytest.param(wrap(METHOD).replace("<ObjectPaths>", "<Extra/><ObjectPaths>"), id="an unknown element"),
        pytest.param(wrap(METHOD + set_property(4, ANNA, "AboutMe", "y" * 2_100_000)), id="above 2 MB"),
    ],
)
def test_a_query_that_cannot_be_read_writes_nothing_at_all(sharepoint, body) -> None:
    (header,) = ask(sharepoint, body)
    assert header["ErrorInfo"]["ErrorTypeName"] == "Microsoft.SharePoint.Client.InvalidClientQueryException"
    assert sharepoint.properties(ANNA)["AboutMe"] == ""


def test_a_query_must_be_declared_as_xml(sharepoint) -> None:
    answer = sharepoint.send("POST", ADMIN, PROCESS, WHOLE, Content_Type="text/plain")
    assert answer.status_code == 400
    assert sharepoint.properties(ANNA)["AboutMe"] == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("PictureURL", URL.replace("https", "http"), id="http url"),
        pytest.param("PictureURL", URL.replace("contoso", "fabrikam"), id="another tenant's url"),
        pytest.param("PictureURL", URL.replace(":443", ":444"), id="another port's url"),
        pytest.param("PictureURL", URL + "?t=1", id="url with a query"),
        pytest.param("PictureURL", URL.replace("User%20Photos", "Documents"), id="url of another library"),
        pytest.param("SPS-PictureTimestamp", "2026-01-01", id="timestamp not in digits"),
        pytest.param("SPS-PicturePlaceholderState", "2", id="state 2"),
        pytest.param("SPS-PictureExchangeSyncState", "true", id="state true"),
        pytest.param("msOnline-ObjectId", "x", id="the directory's"),
        pytest.param("Nonsense", "x", id="no such property"),
    ],
)
def test_an_invalid_value_is_refused_and_leaves_the_property(sharepoint, name, value) -> None:
    before = sharepoint.properties(ANNA)
    error = sharepoint.query(ANNA, (name, value))
    assert error["ErrorTypeName"].rpartition(".")[2] in {"ArgumentException", "InvalidClientQueryException"}
    assert write(sharepoint, arguments(name, value)).status_code == 400
    assert sharepoint.properties(ANNA) == before


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(URL, id="as SharePoint writes it"),
        pytest.param(URL.replace(":443", ""), id="without a port"),
        pytest.param(URL.replace("%20", " "), id="with raw spaces"),
        pytest.param("", id="empty, to take a picture away"),
    ],
)
def test_a_picture_url_may_be_spelled_as_tools_spell_it(sharepoint, url) -> None:
    assert sharepoint.query(ANNA, ("PictureURL", url)) is None
    assert sharepoint.properties(ANNA)["PictureURL"] == url
