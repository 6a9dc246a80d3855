"""The directory: one user, pages of users, and what a permission shows."""

from urllib.parse import quote

import pytest

from local.tenant.graph.users import BASIC, DEFAULT
from tests.tenant.graph_client import GraphClient


@pytest.fixture(scope="module")
def shared_client() -> GraphClient:
    return GraphClient()


@pytest.fixture
def client(shared_client: GraphClient) -> GraphClient:
    return shared_client.clear()


def names(page: dict) -> list[str]:
    return [user["userPrincipalName"] for user in page["value"]]


def walk(client: GraphClient, path: str) -> list[list[str]]:
    """The UPNs of every page."""
    page = client.get(path).get_json()
    pages = [names(page)]
    while "@odata.nextLink" in page:
        page = client.follow(page["@odata.nextLink"]).get_json()
        pages.append(names(page))
    return pages


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(lambda person: person.id, id="object id"),
        pytest.param(lambda person: person.id.upper(), id="object id in capitals"),
        pytest.param(lambda person: quote(person.upn), id="UPN"),
        pytest.param(lambda person: quote(person.upn.upper()), id="UPN in capitals"),
    ],
)
def test_a_user_is_found_by_id_and_by_upn_in_any_case(client: GraphClient, key) -> None:
    person = client.person("ada_example.org#EXT#@contoso.com", guest=True)
    answer = client.get(f"/users/{key(person)}?$select=id,userPrincipalName,userType")
    body = answer.get_json()
    assert body.pop("@odata.context") == (
        "https://graph.microsoft.com/v1.0/$metadata#users(id,userPrincipalName,userType)/$entity"
    )
    assert body == {"id": person.id, "userPrincipalName": person.upn, "userType": "Guest"}


def test_an_unencoded_hash_cuts_a_upn_short_and_finds_no_user(client: GraphClient) -> None:
    person = client.person("ada_example.org#EXT#@contoso.com", guest=True)
    assert client.get(f"/users/{person.upn}").status_code == 404


def test_without_select_only_the_default_properties_come(client: GraphClient) -> None:
    person = client.person()
    body = client.get(f"/users/{person.id}").get_json()
    assert body.keys() - {"@odata.context"} == set(DEFAULT)
    assert "accountEnabled" not in body


def test_select_shows_exactly_what_it_names(client: GraphClient) -> None:
    person = client.person(enabled=False, mailbox=False, geo="eur")
    wanted = "accountEnabled,userType,mail,proxyAddresses,assignedLicenses,preferredDataLocation"
    body = client.get(f"/users/{person.id}?$select={wanted}").get_json()
    del body["@odata.context"]
    assert body == {
        "accountEnabled": False,
        "userType": "Member",
        "mail": None,
        "proxyAddresses": [],
        "assignedLicenses": [],
        "preferredDataLocation": "EUR",
    }


def test_a_mailbox_shows_in_mail_and_in_the_primary_proxy_address(client: GraphClient) -> None:
    person = client.person("ada@contoso.com")
    body = client.get(f"/users/{person.id}?$select=mail,proxyAddresses").get_json()
    assert (body["mail"], body["proxyAddresses"]) == ("ada@contoso.com", ["SMTP:ada@contoso.com"])


def test_a_photo_can_be_selected_and_never_shows(client: GraphClient) -> None:
    client.person(photo=client.photo())
    page = client.get("/users?$select=id,photo").get_json()
    assert [user.keys() for user in page["value"]] == [{"id"}]


@pytest.mark.parametrize("select", ["id,shoeSize", "ID", "", "id,"])
def test_select_of_an_unknown_property_is_400(client: GraphClient, select: str) -> None:
    answer = client.get(f"/users?$select={select}")
    assert answer.status_code == 400
    assert "Could not find a property named" in answer.get_json()["error"]["message"]


def test_a_deleted_user_is_404_and_not_listed(client: GraphClient) -> None:
    person = client.person()
    client.world.remove(person)
    answer = client.get(f"/users/{person.id}")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "Request_ResourceNotFound")
    assert names(client.get("/users").get_json()) == []


def test_pages_hold_a_hundred_unless_top_says_otherwise(client: GraphClient) -> None:
    people = [client.person(f"{n}@contoso.com").upn for n in range(205)]
    assert [len(page) for page in walk(client, "/users")] == [100, 100, 5]
    pages = walk(client, "/users?$top=90&$select=id,userPrincipalName")
    assert [len(page) for page in pages] == [90, 90, 25]
    assert [name for page in pages for name in page] == people


def test_a_last_page_that_is_just_full_has_no_next_link(client: GraphClient) -> None:
    for n in range(4):
        client.person(f"{n}@contoso.com")
    assert [len(page) for page in walk(client, "/users?$top=2")] == [2, 2]


def test_no_user_is_missed_or_repeated_when_users_change_between_pages(client: GraphClient) -> None:
    people = [client.person(f"{n}@contoso.com") for n in range(4)]
    page = client.get("/users?$top=2").get_json()
    client.world.remove(people[0])
    client.world.remove(people[2])
    client.person("new@contoso.com")
    rest = client.follow(page["@odata.nextLink"]).get_json()
    assert names(rest) == ["3@contoso.com", "new@contoso.com"]


def test_a_next_link_can_be_followed_again(client: GraphClient) -> None:
    for n in range(3):
        client.person(f"{n}@contoso.com")
    link = client.get("/users?$top=2").get_json()["@odata.nextLink"]
    assert names(client.follow(link).get_json()) == names(client.follow(link).get_json()) == ["2@contoso.com"]


def test_a_next_link_that_was_tampered_with_or_is_too_old_is_refused(client: GraphClient) -> None:
    for n in range(3):
        client.person(f"{n}@contoso.com")
    link = client.get("/users?$top=2").get_json()["@odata.nextLink"]
    for wrong in (f"{link}x", link.replace("$top=2", "$top=1"), link.replace("users", "subscriptions")):
        assert client.follow(wrong).status_code == 400, wrong
    client.world.clock.advance(client.world.knobs.page_token_life - 1)
    assert client.follow(link).status_code == 200
    client.world.clock.advance(2)
    answer = client.follow(link)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "Directory_ExpiredPageToken")


def test_a_reset_forgets_page_tokens(client: GraphClient) -> None:
    for n in range(3):
        client.person(f"{n}@contoso.com")
    link = client.get("/users?$top=2").get_json()["@odata.nextLink"]
    client.clear()
    assert client.follow(link).status_code == 400


def test_a_page_token_is_good_for_its_own_collection_only(client: GraphClient) -> None:
    for n in range(101):
        client.person(f"{n}@contoso.com")
    link = client.get("/users").get_json()["@odata.nextLink"]
    assert client.follow(link).status_code == 200
    assert client.follow(link.replace("/users", "/subscriptions")).status_code == 400


@pytest.mark.parametrize("top", ["0", "1000", "-1", "ten", ""])
def test_a_page_size_out_of_bounds_is_400(client: GraphClient, top: str) -> None:
    answer = client.get(f"/users?$top={top}")
    assert answer.status_code == 400
    assert f"Invalid page size specified: '{top}'" in answer.get_json()["error"]["message"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param("accountEnabled eq true", ["member", "guest"], id="enabled"),
        pytest.param("accountEnabled eq false", ["leaver"], id="disabled"),
        pytest.param("userType eq 'Guest'", ["guest"], id="guests"),
        pytest.param("accountEnabled eq true and userType eq 'member'", ["member"], id="both, any case"),
        pytest.param("userPrincipalName eq 'GUEST@contoso.com'", ["guest"], id="by UPN"),
        pytest.param("displayName eq 'Mia O''Hara'", ["member"], id="a quoted quote"),
        pytest.param("displayName eq 'a and b eq c'", [], id="an and within quotes"),
    ],
)
def test_a_filter_passes_users_that_satisfy_every_clause(
    client: GraphClient, wanted: str, found: list[str]
) -> None:
    client.person("member@contoso.com", name="Mia O'Hara")
    client.person("guest@contoso.com", guest=True)
    client.person("leaver@contoso.com", enabled=False)
    page = client.get(f"/users?$filter={quote(wanted)}").get_json()
    assert names(page) == [f"{name}@contoso.com" for name in found]


def test_a_filter_holds_on_every_page(client: GraphClient) -> None:
    for n in range(7):
        client.person(f"{n}@contoso.com", enabled=n % 2 == 0)
    pages = walk(client, f"/users?$top=2&$filter={quote('accountEnabled eq true')}")
    assert pages == [["0@contoso.com", "2@contoso.com"], ["4@contoso.com", "6@contoso.com"]]


@pytest.mark.parametrize(
    "wanted",
    [
        "accountEnabled eq 'true'",
        "userType eq true",
        "userType ne 'Guest'",
        "accountEnabled eq true or userType eq 'Guest'",
        "accountEnabled eq true and accountEnabled eq false",
        "shoeSize eq '42'",
        "accountEnabled",
        "",
    ],
)
def test_a_filter_that_is_not_understood_is_400(client: GraphClient, wanted: str) -> None:
    answer = client.get(f"/users?$filter={quote(wanted)}")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "Request_UnsupportedQuery")


def test_the_basic_permission_shows_basic_properties_only(client: GraphClient) -> None:
    person = client.person()
    basic = ["User.ReadBasic.All"]
    body = client.get(f"/users/{person.id}", roles=basic).get_json()
    assert body.keys() - {"@odata.context"} == BASIC & set(DEFAULT)
    assert client.get("/users?$select=id,surname", roles=basic).status_code == 200
    for more in ("$select=id,accountEnabled", f"$filter={quote('accountEnabled eq true')}"):
        assert client.get(f"/users?{more}", roles=basic).status_code == 403, more
    assert client.get(f"/users/{person.id}?$select=userType", roles=basic).status_code == 403


@pytest.mark.parametrize(
    ("path", "units"),
    [
        pytest.param("/users", "2", id="a list"),
        pytest.param("/users?$select=id&$top=999", "1", id="a list of ids"),
        pytest.param("/users?$top=19", "1", id="a short page"),
        pytest.param("/users?$select=id&$top=5", "1", id="never below one"),
        pytest.param("/users/{}", "1", id="one user"),
    ],
)
def test_answers_have_their_cost_in_resource_units(client: GraphClient, path: str, units: str) -> None:
    person = client.person()
    assert client.get(path.format(person.id)).headers["x-ms-resource-unit"] == units
