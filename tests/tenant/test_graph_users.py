"""The directory: one user, pages of users, and what a permission shows."""

from urllib.parse import quote

import pytest

from local.tenant.graph.users import BASIC, DEFAULT
from tests.tenant.graph_client import GraphClient, refusal


def names(page: dict) -> list[str]:
    return [user["userPrincipalName"] for user in page["value"]]


def walk(graph: GraphClient, path: str) -> list[list[str]]:
    """The UPNs of every page."""
    page = graph.get(path).get_json()
    pages = [names(page)]
    while "@odata.nextLink" in page:
        page = graph.follow(page["@odata.nextLink"]).get_json()
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
def test_a_user_is_found_by_id_and_by_upn_in_any_case(graph, key) -> None:
    person = graph.person("ada_example.org#EXT#@contoso.com", guest=True)
    answer = graph.get(f"/users/{key(person)}?$select=id,userPrincipalName,userType")
    body = answer.get_json()
    assert body.pop("@odata.context") == (
        "https://graph.microsoft.com/v1.0/$metadata#users(id,userPrincipalName,userType)/$entity"
    )
    assert body == {"id": person.id, "userPrincipalName": person.upn, "userType": "Guest"}


def test_without_select_only_the_default_properties_come(graph) -> None:
    person = graph.person()
    body = graph.get(f"/users/{person.id}").get_json()
    assert body.keys() - {"@odata.context"} == set(DEFAULT)
    assert "accountEnabled" not in body


def test_select_shows_exactly_what_it_names_but_a_photo(graph) -> None:
    person = graph.person(enabled=False, mailbox=False, geo="eur")
    wanted = "photo,accountEnabled,userType,mail,proxyAddresses,assignedLicenses,preferredDataLocation"
    body = graph.get(f"/users/{person.id}?$select={wanted}").get_json()
    del body["@odata.context"]
    assert body == {
        "accountEnabled": False,
        "userType": "Member",
        "mail": None,
        "proxyAddresses": [],
        "assignedLicenses": [],
        "preferredDataLocation": "EUR",
    }


@pytest.mark.parametrize("select", ["id,shoeSize", "ID", "", "id,"])
def test_select_of_an_unknown_property_is_400(graph, select) -> None:
    answer = graph.get(f"/users?$select={select}")
    assert answer.status_code == 400
    assert "Could not find a property named" in answer.get_json()["error"]["message"]


def test_pages_hold_a_hundred_unless_top_says_otherwise(graph) -> None:
    people = [graph.person(f"{n}@contoso.com").upn for n in range(205)]
    assert [len(page) for page in walk(graph, "/users")] == [100, 100, 5]
    pages = walk(graph, "/users?$top=90&$select=id,userPrincipalName")
    assert [len(page) for page in pages] == [90, 90, 25]
    assert [name for page in pages for name in page] == people


def test_a_last_page_that_is_just_full_has_no_next_link(graph) -> None:
    for n in range(4):
        graph.person(f"{n}@contoso.com")
    assert [len(page) for page in walk(graph, "/users?$top=2")] == [2, 2]


def test_no_user_is_missed_or_repeated_when_users_change_between_pages(graph) -> None:
    people = [graph.person(f"{n}@contoso.com") for n in range(4)]
    page = graph.get("/users?$top=2").get_json()
    graph.world.remove(people[0])
    graph.world.remove(people[2])
    graph.person("new@contoso.com")
    rest = graph.follow(page["@odata.nextLink"]).get_json()
    assert names(rest) == ["3@contoso.com", "new@contoso.com"]


def test_a_next_link_that_was_tampered_with_or_is_too_old_is_refused(graph) -> None:
    for n in range(3):
        graph.person(f"{n}@contoso.com")
    link = graph.get("/users?$top=2").get_json()["@odata.nextLink"]
    for wrong in (f"{link}x", link.replace("$top=2", "$top=1"), link.replace("users", "subscriptions")):
        assert graph.follow(wrong).status_code == 400, wrong
    graph.world.clock.advance(graph.world.knobs.page_token_life - 1)
    assert names(graph.follow(link).get_json()) == names(graph.follow(link).get_json()) == ["2@contoso.com"]
    graph.world.clock.advance(2)
    answer = graph.follow(link)
    assert refusal(answer) == (400, "Directory_ExpiredPageToken")


@pytest.mark.parametrize("top", ["0", "1000", "-1", "ten", ""])
def test_a_page_size_out_of_bounds_is_400(graph, top) -> None:
    answer = graph.get(f"/users?$top={top}")
    assert answer.status_code == 400
    assert f"Invalid page size specified: '{top}'" in answer.get_json()["error"]["message"]


def test_a_filter_holds_on_every_page(graph) -> None:
    for n in range(7):
        graph.person(f"{n}@contoso.com", enabled=n % 2 == 0)
    pages = walk(graph, f"/users?$top=2&$filter={quote('accountEnabled eq true')}")
    assert pages == [["0@contoso.com", "2@contoso.com"], ["4@contoso.com", "6@contoso.com"]]
    blocked = walk(graph, f"/users?$filter={quote('accountEnabled eq false')}")
    assert blocked == [["1@contoso.com", "3@contoso.com", "5@contoso.com"]]


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
def test_a_filter_that_is_not_understood_is_400(graph, wanted) -> None:
    answer = graph.get(f"/users?$filter={quote(wanted)}")
    assert refusal(answer) == (400, "Request_UnsupportedQuery")


def test_the_basic_permission_shows_basic_properties_only(graph) -> None:
    person = graph.person()
    basic = ["User.ReadBasic.All"]
    body = graph.get(f"/users/{person.id}", roles=basic).get_json()
    assert body.keys() - {"@odata.context"} == BASIC & set(DEFAULT)
    assert graph.get("/users?$select=id,surname", roles=basic).status_code == 200
    for more in ("$select=id,accountEnabled", f"$filter={quote('accountEnabled eq true')}"):
        assert graph.get(f"/users?{more}", roles=basic).status_code == 403, more
    assert graph.get(f"/users/{person.id}?$select=userType", roles=basic).status_code == 403


@pytest.mark.parametrize(
    ("knob", "expected"), [("next", "01 23 4"), ("same", "01 01"), ("first", "01 23 01")]
)
def test_a_knob_lets_a_list_come_back_to_a_page(graph, knob: str, expected: str) -> None:
    for n in range(5):
        graph.person(f"{n}@contoso.com")
    graph.world.knobs.next_page = knob
    page, links, read = graph.get("/users?$top=2").get_json(), set(), []
    while True:
        read.append("".join(name[0] for name in names(page)))
        link = page.get("@odata.nextLink")
        if link is None or link in links:
            break
        links.add(link)
        page = graph.follow(link).get_json()
    assert " ".join(read) == expected
