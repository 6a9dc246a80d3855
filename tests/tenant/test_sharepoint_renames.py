"""A tenant with another domain name: which hosts answer, which redirect, and what profiles name."""

import pytest

from tests.tenant.sharepoint_client import ADMIN, FOLDER, MY, PROCESS, ROOT, SharePointClient, photo

NEW_MY, NEW_ADMIN = "fabrikam-my.sharepoint.com", "fabrikam-admin.sharepoint.com"
UPN = "anna@contoso.com"


@pytest.fixture
def sharepoint() -> SharePointClient:
    client = SharePointClient()
    client.add(UPN, photo=photo())
    return client


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("token", [None, "nonsense"], ids=["with a token", "with no valid token"])
def test_a_former_host_redirects_every_request_with_its_path(
    sharepoint: SharePointClient, status: int, token: str | None
) -> None:
    sharepoint.world.knobs.renamed_status = status
    sharepoint.service.rename("fabrikam")
    answer = sharepoint.send("POST", ADMIN, f"{PROCESS}?a=%23", b"", token=token)
    assert (answer.status_code, answer.data) == (status, b"")
    assert answer.headers["Location"] == f"https://{NEW_ADMIN}{PROCESS}?a=%23"


def test_the_new_hosts_serve_what_the_old_ones_served(sharepoint: SharePointClient) -> None:
    before = sharepoint.get(MY, f"{FOLDER}/Files").json
    sharepoint.service.rename("fabrikam")
    assert sharepoint.get(NEW_MY, f"{FOLDER}/Files").json == before
    assert sharepoint.get(MY, f"{FOLDER}/Files").status_code == 302


@pytest.mark.parametrize("profiles", [True, False])
def test_profiles_name_the_new_host_once_they_follow(sharepoint: SharePointClient, profiles: bool) -> None:
    sharepoint.service.rename("fabrikam", profiles=profiles)
    named = sharepoint.profile(UPN, host=NEW_ADMIN).json["PersonalSiteHostUrl"]
    assert named == f"https://{NEW_MY if profiles else MY}:443/"


def test_only_the_kinds_of_sites_that_were_renamed_redirect(sharepoint: SharePointClient) -> None:
    sharepoint.service.rename("fabrikam", ("my",))
    assert sharepoint.get(MY, f"{FOLDER}/Files").status_code == 302
    assert sharepoint.profile(UPN).status_code == 200
    sharepoint.service.rename("fabrikam", ("my", "admin"))
    assert sharepoint.profile(UPN).status_code == 302
    assert sharepoint.get(ROOT, "/_layouts/15/userphoto.aspx?accountname=x").status_code == 200


def test_a_picture_under_the_old_name_is_still_shown(sharepoint: SharePointClient) -> None:
    (anna,) = sharepoint.world.people
    sharepoint.service.configure(anna, picture=True)
    before = sharepoint.service.describe(anna)["userphoto"]
    sharepoint.service.rename("fabrikam")
    assert sharepoint.service.describe(anna)["userphoto"] == before
    assert set(before.values()) != {"placeholder"}


def test_a_second_rename_redirects_from_both_names_to_the_last(sharepoint: SharePointClient) -> None:
    sharepoint.service.rename("fabrikam")
    sharepoint.service.rename("tailspin")
    for host in (MY, NEW_MY):
        assert sharepoint.get(host, "/x").headers["Location"] == "https://tailspin-my.sharepoint.com/x"


def test_each_geo_is_renamed(sharepoint: SharePointClient) -> None:
    sharepoint.add("eve@contoso.com", geo="eur")
    sharepoint.service.rename("fabrikam")
    answer = sharepoint.get("contosoeur-my.sharepoint.com", "/x")
    assert answer.headers["Location"] == "https://fabrikameur-my.sharepoint.com/x"
    assert (
        sharepoint.profile("eve@contoso.com", host=NEW_ADMIN)
        .json["PersonalSiteHostUrl"]
        .startswith("https://fabrikameur-my.")
    )
