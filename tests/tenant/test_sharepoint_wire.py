"""The emulated SharePoint through the tenant's proxy, as an application meets it."""

from collections.abc import Callable
from urllib.parse import quote

import requests

from local.tenant.directory.world import Person
from tests.tenant.sharepoint_client import ADMIN, JSON, MY, ROOT, jpeg, query

Call = Callable[..., requests.Response]
AGENT = {"User-Agent": "NONISV|Contoso|Test/1.0", "Accept": JSON}
GUEST = "pat_ext.com#EXT#@contoso.onmicrosoft.com"


def test_a_guests_picture_is_synchronised_with_six_requests(tenant, call) -> None:
    pat = tenant.world.add(Person(tenant.world.new_id(), GUEST, "Pat", guest=True))
    claim = quote(f"i:0#.f|membership|{GUEST.lower()}", safe="")
    read = f"https://{ADMIN}/_api/SP.UserProfiles.PeopleManager/GetPropertiesFor(accountName=@v)?@v='{claim}'"
    host = call("GET", read, headers=AGENT).json()["PersonalSiteHostUrl"]
    assert host == f"https://{MY}:443/"

    folders = "_api/web/GetFolderByServerRelativePath(decodedUrl='/User%20Photos')/Folders?$select=Name"
    names = [row["Name"] for row in call("GET", f"https://{MY}/{folders}", headers=AGENT).json()["value"]]
    assert names == ["Forms", "Profile Pictures"]

    pictures = {size: jpeg((pixels, pixels)) for size, pixels in (("S", 48), ("M", 72), ("L", 300))}
    folder = "_api/web/GetFolderByServerRelativePath(decodedUrl='/User%20Photos/Profile%20Pictures')"
    for size, data in pictures.items():
        path = f"{folder}/Files/AddUsingPath(decodedUrl='{pat.id}_{size}Thumb.jpg',overwrite=true)"
        assert call("POST", f"https://{MY}/{path}", headers=AGENT, data=data).status_code == 200

    url = f"https://{MY}:443/User%20Photos/Profile%20Pictures/{pat.id}_MThumb.jpg"
    body = query(GUEST.lower(), ("PictureURL", url), ("SPS-PicturePlaceholderState", "0"))
    headers = AGENT | {"Content-Type": "text/xml"}
    answer = call("POST", f"https://{ADMIN}/_vti_bin/client.svc/ProcessQuery", headers=headers, data=body)
    assert answer.json()[0]["ErrorInfo"] is None

    page = f"https://{ROOT}/_layouts/15/userphoto.aspx"
    for size, data in pictures.items():
        assert call("GET", page, params={"size": size, "accountname": GUEST}).content == data, size


def test_a_new_geo_is_reachable_at_once(tenant, call) -> None:
    tenant.world.add(Person(tenant.world.new_id(), "eva@contoso.com", "Eva", geo="eur"))
    answer = call(
        "POST", "https://contosoeur-admin.sharepoint.com/_api/contextinfo", headers={"Accept": JSON}
    )
    assert answer.json()["WebFullUrl"] == "https://contosoeur-admin.sharepoint.com"
