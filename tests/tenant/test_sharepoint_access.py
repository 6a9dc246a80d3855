"""Who may ask which SharePoint host for what, and how it says no."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.tenant.sharepoint_client import ADMIN, FILE, FOLDER, MY, PEOPLE, PROCESS, ROOT, claim, jpeg, query

READ = f"{PEOPLE}/GetPropertiesFor(accountName=@v)?@v='{claim('anna@contoso.com')}'"
GET_FOLDER = "/_api/web/GetFolderByServerRelativePath"
SET = f"{PEOPLE}/SetSingleValueProfileProperty"
VALUE = {"accountName": "i:0#.f|membership|anna@contoso.com", "propertyName": "AboutMe", "propertyValue": "x"}
UPLOAD = f"{FOLDER}/Files/AddUsingPath(decodedUrl='a.jpg',overwrite=true)"
TO_FORMS = UPLOAD.replace("Profile Pictures", "Forms")


@pytest.mark.parametrize(
    ("host", "how", "says"),
    [
        pytest.param("graph.microsoft.com", {}, "Invalid issuer or signature.", id="graph's token"),
        pytest.param(MY, {"appidacr": "1"}, "Unsupported app only token.", id="a client secret"),
        pytest.param(MY, {"lifetime": -1}, "Invalid JWT token. The token is expired.", id="expired"),
    ],
)
def test_an_invalid_token_is_a_401_with_the_reason(sharepoint, host, how, says) -> None:
    token = sharepoint.tokens.issue(f"https://{host}", ["Sites.FullControl.All"], **how)
    answer = sharepoint.get(MY, FOLDER, token=token)
    assert (answer.status_code, answer.json) == (401, {"error_description": says})
    assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")


@pytest.mark.parametrize("header", ["", "Basic YTpi", "Bearer x.y.z"])
def test_a_header_without_a_token_is_a_401(sharepoint, header) -> None:
    assert sharepoint.get(MY, FOLDER, Authorization=header).status_code == 401


@pytest.mark.parametrize(
    ("host", "path", "body", "role"),
    [
        pytest.param(ADMIN, READ, None, "Sites.FullControl.All", id="read a profile without User.Read.All"),
        pytest.param(ADMIN, SET, VALUE, "User.Read.All", id="write a profile without User.ReadWrite.All"),
        pytest.param(MY, f"{FOLDER}/Files", None, "User.ReadWrite.All", id="list files without Sites"),
        pytest.param(MY, UPLOAD, jpeg(), "Sites.Read.All", id="upload without Sites.FullControl.All"),
        pytest.param(MY, TO_FORMS, jpeg(), "Sites.FullControl.All", id="upload to Forms"),
        pytest.param(MY, READ, None, "User.Read.All", id="read a profile on the my-site host"),
        pytest.param(MY, SET, VALUE, "User.ReadWrite.All", id="write a profile on the my-site host"),
        pytest.param(ROOT, SET, VALUE, "User.ReadWrite.All", id="write a profile on the root host"),
    ],
)
def test_a_missing_permission_is_a_403(sharepoint, host, path, body, role) -> None:
    anna = sharepoint.add()
    answer = sharepoint.send("POST" if body else "GET", host, path, body, roles=[role])
    assert answer.status_code == 403
    assert answer.json["odata.error"]["code"] == "-2147024891, System.UnauthorizedAccessException"
    assert sharepoint.describe(anna)["files"] == []
    assert sharepoint.properties("anna@contoso.com")["AboutMe"] == ""


@pytest.mark.parametrize("roles", [["User.Read.All"], ["User.ReadWrite.All"]])
@pytest.mark.parametrize("host", [ROOT, ADMIN])
def test_profiles_are_read_on_the_root_and_the_admin_host(sharepoint, host, roles) -> None:
    sharepoint.add()
    how = {"host": host, "roles": roles, "accept": "text/html, application/json; odata=NoMetadata;q=0.9"}
    assert sharepoint.profile("anna@contoso.com", **how).json["DisplayName"] == "Anna Berg"


@pytest.mark.parametrize("host", [ROOT, ADMIN])
def test_only_the_my_site_host_has_the_library(sharepoint, host) -> None:
    answer = sharepoint.get(host, FOLDER)
    assert answer.status_code == 404
    assert answer.json["odata.error"]["code"] == "-2147024894, System.IO.FileNotFoundException"


def test_a_query_that_is_not_allowed_is_a_200_with_error_info(sharepoint) -> None:
    sharepoint.add()
    for how in ({"roles": ["User.Read.All"]}, {"host": ROOT}, {"host": MY}):
        error = sharepoint.query("anna@contoso.com", ("AboutMe", "x"), **how)
        assert error["ErrorTypeName"] == "System.UnauthorizedAccessException", how
        assert error["ErrorCode"] == -2147024891
    assert sharepoint.properties("anna@contoso.com")["AboutMe"] == ""


def test_every_answer_carries_its_request_guid(sharepoint) -> None:
    sharepoint.add()
    answers = [
        sharepoint.profile("anna@contoso.com"),
        sharepoint.get(MY, "/nowhere"),
        sharepoint.get(MY, FOLDER, token="x"),
        sharepoint.get(MY, "/_layouts/15/userphoto.aspx"),
    ]
    guids = {answer.headers["sprequestguid"] for answer in answers}
    assert len(guids) == len(answers)
    assert all(answer.headers["request-id"] == answer.headers["SPRequestGuid"] for answer in answers)


def test_a_form_digest_is_given_and_never_required(sharepoint) -> None:
    sharepoint.add()
    given_ = sharepoint.send("POST", ADMIN, "/_api/contextinfo").json
    assert given_["FormDigestTimeoutSeconds"] == 1800
    assert given_["WebFullUrl"] == f"https://{ADMIN}"
    assert given_["FormDigestValue"].startswith("0x")
    for digest in ({}, {"X_RequestDigest": given_["FormDigestValue"]}, {"X_RequestDigest": "rubbish"}):
        assert sharepoint.send("POST", ADMIN, SET, VALUE, **digest).status_code == 200, digest


@pytest.mark.parametrize("accept", ["", "*/*", "application/atom+xml", "application/json;odata=other"])
def test_a_write_that_does_not_accept_json_is_refused_and_writes_nothing(sharepoint, accept) -> None:
    anna = sharepoint.add()
    assert sharepoint.send("POST", ADMIN, SET, VALUE, accept=accept).status_code == 406
    assert sharepoint.send("POST", MY, UPLOAD, jpeg(), accept=accept).status_code == 406
    assert sharepoint.properties("anna@contoso.com")["AboutMe"] == ""
    assert sharepoint.get(MY, FILE.format("a.jpg")).status_code == 404
    assert sharepoint.describe(anna)["files"] == []


@pytest.mark.parametrize(
    ("method", "host", "path", "shown"),
    [
        pytest.param("GET", MY, "/_api/web/lists", ("error", "code"), id="an error"),
        pytest.param("POST", ADMIN, "/_api/contextinfo", ("d", "GetContextWebInformation"), id="a digest"),
        pytest.param("GET", MY, FOLDER, ("d", "__metadata"), id="an object"),
        pytest.param("GET", ADMIN, READ, ("d", "GetPropertiesFor"), id="null"),
    ],
)
def test_the_verbose_form_has_its_own_envelopes(sharepoint, method, host, path, shown) -> None:
    envelope, member = shown
    answer = sharepoint.send(method, host, path, accept="application/json;odata=verbose")
    assert answer.content_type == "application/json;odata=verbose;charset=utf-8"
    assert set(answer.json) == {envelope}
    assert member in answer.json[envelope]


@pytest.mark.parametrize(
    ("method", "host", "path", "status"),
    [
        pytest.param("GET", MY, "/", 404, id="start page"),
        pytest.param("GET", MY, "/_api/web", 404, id="the web itself is not played"),
        pytest.param("GET", MY, f"{GET_FOLDER}(decodedUrl='/x", 400, id="open quote"),
        pytest.param("GET", MY, f"{GET_FOLDER}()", 400, id="no argument"),
        pytest.param("GET", MY, f"{FOLDER}/Lists", 404, id="no such resource below a folder"),
        pytest.param("POST", MY, f"{FOLDER}/Files", 400, id="wrong verb for a list"),
        pytest.param("GET", MY, UPLOAD, 400, id="wrong verb for an upload"),
        pytest.param("GET", ADMIN, f"{PEOPLE}/GetMyProperties", 404, id="method not played"),
        pytest.param("GET", ADMIN, READ.partition("?")[0], 400, id="alias without value"),
        pytest.param("DELETE", ADMIN, READ, 400, id="wrong verb for a profile"),
        pytest.param("GET", ADMIN, SET, 400, id="wrong verb for a write"),
        pytest.param("POST", MY, "/_layouts/15/userphoto.aspx", 400, id="wrong verb for a photo"),
        pytest.param("GET", "fabrikam.sharepoint.com", "/_api/web", 404, id="another tenant's host"),
    ],
)
def test_an_invalid_request_is_answered_in_sharepoints_error_envelope(
    sharepoint, method, host, path, status
) -> None:
    answer = sharepoint.send(method, host, path)
    assert answer.status_code == status, answer.text
    assert set(answer.json["odata.error"]) == {"code", "message"}


@settings(max_examples=150, deadline=None)
@given(tail=st.text("()'/@%$,=.aé# \\", max_size=30), host=st.sampled_from([MY, ADMIN]))
@example(tail="///.", host=MY)
def test_any_path_gets_an_answer(shared_sharepoint, tail, host) -> None:
    for start in ("/", "/_api/", f"{PEOPLE}/", f"{GET_FOLDER}("):
        answer = shared_sharepoint.get(host, (start + tail).replace("%", "%25").replace("?", "%3F"))
        assert answer.status_code in {200, 400, 403, 404}, start + tail


@settings(max_examples=100, deadline=None)
@given(
    body=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: query(text, (text, text)).encode())
)
def test_any_query_body_gets_an_answer(shared_sharepoint, body) -> None:
    answer = shared_sharepoint.send("POST", ADMIN, PROCESS, body, Content_Type="text/xml")
    assert answer.status_code == 200
    assert answer.json[0]["ErrorInfo"]["ErrorCode"] == -1


@pytest.mark.parametrize(
    ("least", "role", "status"),
    [
        ("Sites.ReadWrite.All", "Sites.ReadWrite.All", 200),
        ("Sites.ReadWrite.All", "Sites.Selected", 403),
        ("Lists.SelectedOperations.Selected", "Sites.Selected", 200),
    ],
)
def test_a_knob_says_which_role_is_enough_for_files(sharepoint, least, role, status) -> None:
    sharepoint.world.knobs.files_least_role = least
    assert sharepoint.send("POST", MY, UPLOAD, jpeg(), roles=[role]).status_code == status
