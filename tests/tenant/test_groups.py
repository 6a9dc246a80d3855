"""Groups: founded by the administrator, read through Graph by an application that may."""

import pytest

from local.tenant.admin.client import AdminError, TenantClient
from local.tenant.directory.groups import Group
from tests.tenant.graph_desk import USER_READ, Desk

MEMBER_READ = ("User.Read.All", "GroupMember.Read.All")
ABSENT = "00000000-0000-4000-8000-000000000000"
EVENTUAL = {"ConsistencyLevel": "eventual"}


@pytest.fixture(scope="module")
def one() -> Desk:
    return Desk()


@pytest.fixture
def desk(one: Desk) -> Desk:
    return one.clear()


def found(desk: Desk, *members: str) -> str:
    group = Group(desk.world.new_id(), "", members)
    desk.world.groups.put(group)
    return group.id


def people(desk: Desk, count: int) -> list[str]:
    return [desk.person(f"{n}@contoso.com").id for n in range(count)]


def cast(group: str, query: str = "$count=true&$select=id") -> str:
    return f"/groups/{group}/transitiveMembers/microsoft.graph.user?{query}"


def ask(desk: Desk, path: str, *, roles: tuple[str, ...] = MEMBER_READ, **headers: str):
    return desk.get(path, roles=roles, **(headers or EVENTUAL))


def ids(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [user["id"] for user in answer.get_json()["value"]]


def refusal(answer) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["error"]["code"]


class TestMembers:
    def test_everybody_in_a_group_and_in_the_groups_in_it_is_listed_once(self, desk: Desk) -> None:
        anna, bert, carl, *others = people(desk, 5)
        inner = found(desk, bert, carl)
        outer = found(desk, anna, carl, found(desk, inner))
        assert ids(ask(desk, cast(outer))) == [anna, bert, carl]
        assert ids(ask(desk, cast(inner))) == [bert, carl]
        assert len(others) == 2

    def test_groups_in_a_circle_have_an_end(self, desk: Desk) -> None:
        anna, bert = people(desk, 2)
        inner = found(desk, anna)
        outer = found(desk, bert, inner)
        desk.world.groups.put(Group(inner, "", (anna, outer, inner)))
        assert ids(ask(desk, cast(inner))) == ids(ask(desk, cast(outer))) == [anna, bert]

    def test_who_was_deleted_is_listed_no_more(self, desk: Desk) -> None:
        anna, bert = people(desk, 2)
        group = found(desk, anna, bert)
        desk.world.remove(desk.world.people[anna])
        answer = ask(desk, cast(group))
        assert (ids(answer), answer.get_json()["@odata.count"]) == ([bert], 1)

    def test_a_change_of_members_shows_at_once_in_every_group_around(self, desk: Desk) -> None:
        anna, bert = people(desk, 2)
        inner = found(desk, anna)
        outer = found(desk, inner)
        assert ids(ask(desk, cast(outer))) == [anna]
        desk.world.groups.put(Group(inner, "", (bert,)))
        assert ids(ask(desk, cast(outer))) == [bert]

    def test_a_user_is_shown_as_in_a_list_of_users(self, desk: Desk) -> None:
        person = desk.person(guest=True)
        answer = ask(desk, cast(found(desk, person.id), "$count=true&$select=id,userType,accountEnabled"))
        body = answer.get_json()
        assert body["@odata.context"].endswith("$metadata#users(id,userType,accountEnabled)")
        assert body["value"] == [{"id": person.id, "userType": "Guest", "accountEnabled": True}]
        assert answer.headers["x-ms-resource-unit"] == "4"  # five, less one for $select

    def test_a_filter_passes_some(self, desk: Desk) -> None:
        anna, _ = people(desk, 2)
        bert = desk.person("bert@contoso.com", enabled=False).id
        group = found(desk, anna, bert)
        answer = ask(desk, cast(group, "$count=true&$select=id&$filter=accountEnabled eq true"))
        assert (ids(answer), answer.get_json()["@odata.count"]) == ([anna], 1)

    def test_an_empty_group_has_an_empty_page(self, desk: Desk) -> None:
        body = ask(desk, cast(found(desk))).get_json()
        assert (body["value"], body["@odata.count"], "@odata.nextLink" in body) == ([], 0, False)

    def test_the_groups_id_may_be_in_capitals(self, desk: Desk) -> None:
        (anna,) = people(desk, 1)
        assert ids(ask(desk, cast(found(desk, anna).upper()))) == [anna]


class TestPages:
    def test_pages_follow_each_other_and_only_the_first_tells_the_count(self, desk: Desk) -> None:
        strangers, members = people(desk, 3), [desk.person(f"m{n}@contoso.com").id for n in range(250)]
        group = found(desk, *reversed(members))
        answer = ask(desk, cast(group))
        counts, seen = [answer.get_json().get("@odata.count")], ids(answer)
        while link := answer.get_json().get("@odata.nextLink"):
            answer = ask(desk, link.removeprefix("https://graph.microsoft.com/v1.0"))
            counts.append(answer.get_json().get("@odata.count"))
            seen += ids(answer)
        assert counts == [250, None, None]
        assert seen == members
        assert not {*strangers} & {*seen}

    def test_a_link_leads_to_graph_and_keeps_the_query(self, desk: Desk) -> None:
        group = found(desk, *people(desk, 3))
        link = ask(desk, cast(group, "$count=true&$select=id&$top=2")).get_json()["@odata.nextLink"]
        assert link.startswith(f"https://graph.microsoft.com/v1.0{cast(group, '')}")
        assert "$count=true&$select=id&$top=2&$skiptoken=" in link

    def test_the_next_page_needs_the_header_again(self, desk: Desk) -> None:
        group = found(desk, *people(desk, 3))
        link = ask(desk, cast(group, "$count=true&$top=2")).get_json()["@odata.nextLink"]
        path = link.removeprefix("https://graph.microsoft.com/v1.0")
        assert refusal(desk.get(path, roles=MEMBER_READ)) == (400, "Request_UnsupportedQuery")
        assert len(ids(ask(desk, path))) == 1

    def test_a_page_token_gets_old(self, desk: Desk) -> None:
        group = found(desk, *people(desk, 3))
        link = ask(desk, cast(group, "$count=true&$top=2")).get_json()["@odata.nextLink"]
        desk.world.clock.advance(desk.world.knobs.page_token_life + 1)
        path = link.removeprefix("https://graph.microsoft.com/v1.0")
        assert refusal(ask(desk, path)) == (400, "Directory_ExpiredPageToken")

    def test_a_page_token_is_one_groups_alone(self, desk: Desk) -> None:
        members = people(desk, 3)
        group, other = found(desk, *members), found(desk, *members)
        link = ask(desk, cast(group, "$count=true&$top=2")).get_json()["@odata.nextLink"]
        path = link.removeprefix("https://graph.microsoft.com/v1.0").replace(group, other)
        assert refusal(ask(desk, path)) == (400, "BadRequest")

    def test_who_joins_or_leaves_between_two_pages_shifts_nobody(self, desk: Desk) -> None:
        members = people(desk, 4)
        group = found(desk, *members)
        link = ask(desk, cast(group, "$count=true&$top=2")).get_json()["@odata.nextLink"]
        desk.world.groups.put(Group(group, "", tuple(members[1:])))
        assert ids(ask(desk, link.removeprefix("https://graph.microsoft.com/v1.0"))) == members[2:]

    @pytest.mark.parametrize("top", ["0", "1000", "many"])
    def test_a_page_has_1_to_999_people(self, desk: Desk, top: str) -> None:
        group = found(desk)
        assert refusal(ask(desk, cast(group, f"$count=true&$top={top}"))) == (400, "Request_UnsupportedQuery")


class TestAdvancedQuery:
    @pytest.mark.parametrize(
        ("query", "headers"),
        [
            pytest.param("$count=true", {"Accept": "*/*"}, id="no header"),
            pytest.param("$count=true", {"ConsistencyLevel": "session"}, id="another level"),
            pytest.param("$select=id", EVENTUAL, id="no count"),
            pytest.param("$count=false", EVENTUAL, id="a count that is refused"),
        ],
    )
    def test_a_cast_needs_header_and_count(self, desk: Desk, query: str, headers: dict[str, str]) -> None:
        group = found(desk, *people(desk, 1))
        assert refusal(ask(desk, cast(group, query), **headers)) == (400, "Request_UnsupportedQuery")

    def test_a_part_of_a_batch_brings_its_own_header(self, desk: Desk) -> None:
        members = people(desk, 2)
        url = cast(found(desk, *members))
        parts = [
            {"id": "with", "method": "GET", "url": url, "headers": {"consistencylevel": "Eventual"}},
            {"id": "without", "method": "GET", "url": url},
        ]
        answer = desk.batch(*parts, roles=MEMBER_READ, ConsistencyLevel="eventual")
        answers = {part["id"]: part for part in answer.get_json()["responses"]}
        assert [user["id"] for user in answers["with"]["body"]["value"]] == members
        assert answers["without"]["status"] == 400

    def test_what_it_does_not_understand_it_refuses(self, desk: Desk) -> None:
        group = found(desk)
        assert ask(desk, cast(group, "$count=true&$orderby=displayName")).status_code == 400
        assert ask(desk, cast(group, "$count=true&$select=shoeSize")).status_code == 400


class TestWhoMay:
    @pytest.mark.parametrize(
        ("roles", "status"),
        [
            pytest.param(("User.Read.All",), 403, id="users alone"),
            pytest.param((), 403, id="nothing"),
            pytest.param(("GroupMember.Read.All",), 200, id="members"),
            pytest.param(("Group.Read.All",), 200, id="groups"),
            pytest.param(("Directory.Read.All",), 200, id="the directory"),
        ],
    )
    def test_members_are_listed_to_who_may_read_groups(
        self, desk: Desk, roles: tuple[str, ...], status: int
    ) -> None:
        group = found(desk, *people(desk, 1))
        assert ask(desk, cast(group), roles=roles).status_code == status

    @pytest.mark.parametrize(
        ("roles", "shown"),
        [
            pytest.param(("GroupMember.Read.All",), (None, None), id="may not read users"),
            pytest.param(
                ("GroupMember.Read.All", "User.ReadBasic.All"), ("ada@contoso.com", None), id="a little"
            ),
            pytest.param(MEMBER_READ, ("ada@contoso.com", True), id="may read them"),
            pytest.param(("Directory.Read.All",), ("ada@contoso.com", True), id="may read all"),
        ],
    )
    def test_what_an_application_may_not_see_of_a_member_is_null(
        self, desk: Desk, roles: tuple[str, ...], shown: tuple[object, object]
    ) -> None:
        person = desk.person()
        query = "$count=true&$select=id,userPrincipalName,accountEnabled"
        (user,) = ask(desk, cast(found(desk, person.id), query), roles=roles).get_json()["value"]
        assert (user["id"], user["userPrincipalName"], user["accountEnabled"]) == (person.id, *shown)

    def test_nobody_filters_by_what_they_may_not_see(self, desk: Desk) -> None:
        query = "$count=true&$filter=accountEnabled eq true"
        answer = ask(desk, cast(found(desk), query), roles=("GroupMember.Read.All",))
        assert refusal(answer) == (403, "Authorization_RequestDenied")

    def test_it_is_not_granted_unless_somebody_grants_it(self, call, admin: TenantClient) -> None:
        group = admin.found(*admin.add(count=2))
        url = f"https://graph.microsoft.com/v1.0{cast(group)}"
        assert call("GET", url, headers=EVENTUAL).status_code == 403
        admin.consent(graph=MEMBER_READ)
        assert len(call("GET", url, headers=EVENTUAL).json()["value"]) == 2

    @pytest.mark.parametrize(
        ("group", "expected"),
        [
            pytest.param(ABSENT, (404, "Request_ResourceNotFound"), id="no such group"),
            pytest.param("everybody", (400, "Request_BadRequest"), id="no id at all"),
        ],
    )
    def test_a_group_that_is_not_there(self, desk: Desk, group: str, expected: tuple[int, str]) -> None:
        assert refusal(ask(desk, cast(group))) == expected


def check(desk: Desk, user: str, *groups: str, roles: tuple[str, ...] = MEMBER_READ):
    return desk.call("POST", f"/users/{user}/checkMemberGroups", {"groupIds": [*groups]}, roles=roles)


class TestCheck:
    def test_it_answers_which_of_the_groups_somebody_is_in_nested_ones_too(self, desk: Desk) -> None:
        anna, bert = people(desk, 2)
        direct, other = found(desk, anna), found(desk, bert)
        around = found(desk, direct)
        answer = check(desk, anna, other, around, direct, ABSENT, direct.upper())
        assert answer.status_code == 200, answer.text
        assert answer.get_json() == {
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#Collection(Edm.String)",
            "value": [around, direct],
        }
        assert check(desk, "1@contoso.com", direct, other).get_json()["value"] == [other]

    def test_it_is_a_part_of_a_batch_too(self, desk: Desk) -> None:
        anna, bert = people(desk, 2)
        group = found(desk, anna)
        parts = [
            {
                "id": user,
                "method": "POST",
                "url": f"/users/{user}/checkMemberGroups",
                "body": {"groupIds": [group]},
                "headers": {"Content-Type": "application/json"},
            }
            for user in (anna, bert)
        ]
        answers = desk.batch(*parts, roles=MEMBER_READ).get_json()["responses"]
        assert {part["id"]: part["body"]["value"] for part in answers} == {anna: [group], bert: []}

    def test_twenty_groups_can_be_checked_at_once_and_no_more(self, desk: Desk) -> None:
        (anna,) = people(desk, 1)
        groups = [found(desk, anna) for _ in range(21)]
        assert check(desk, anna, *groups[:20]).get_json()["value"] == groups[:20]
        assert refusal(check(desk, anna, *groups)) == (400, "Request_BadRequest")

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param({"groupIds": []}, id="none"),
            pytest.param({"groupIds": "all"}, id="no array"),
            pytest.param({"groupIds": ["everybody"]}, id="no id"),
            pytest.param({"groupIds": [7]}, id="a number"),
            pytest.param({"ids": [ABSENT]}, id="another name"),
            pytest.param({"groupIds": [ABSENT], "more": 1}, id="one name too many"),
        ],
    )
    def test_what_is_no_list_of_ids_is_refused(self, desk: Desk, body: dict[str, object]) -> None:
        (anna,) = people(desk, 1)
        answer = desk.call("POST", f"/users/{anna}/checkMemberGroups", body, roles=MEMBER_READ)
        assert refusal(answer) == (400, "Request_BadRequest")

    def test_nobody_is_in_no_group(self, desk: Desk) -> None:
        assert refusal(check(desk, ABSENT, found(desk))) == (404, "Request_ResourceNotFound")

    @pytest.mark.parametrize(
        ("roles", "status"),
        [
            pytest.param(USER_READ, 403, id="users alone"),
            pytest.param(("GroupMember.Read.All",), 403, id="members alone"),
            pytest.param(
                ("GroupMember.Read.All", "User.ReadBasic.All"), 403, id="members and a little of users"
            ),
            pytest.param(("GroupMember.Read.All", "User.Read.All"), 200, id="members and users"),
            pytest.param(("Group.Read.All", "User.Read.All"), 200, id="groups and users"),
            pytest.param(("Directory.Read.All",), 200, id="the directory"),
        ],
    )
    def test_it_takes_permission_for_users_and_for_groups(
        self, desk: Desk, roles: tuple[str, ...], status: int
    ) -> None:
        (anna,) = people(desk, 1)
        assert check(desk, anna, found(desk, anna), roles=roles).status_code == status


class TestAdministrator:
    def test_a_group_is_founded_of_people_by_id_or_upn_and_of_groups(self, admin: TenantClient) -> None:
        anna, bert = admin.add(upn="anna@contoso.com") + admin.add(upn="bert@contoso.com")
        inner = admin.found("ANNA@contoso.com", name="Inner")
        outer = admin.found(bert, inner)
        assert admin.groups() == [
            {"id": inner, "name": "Inner", "members": [anna], "people": 1},
            {"id": outer, "name": "", "members": [bert, inner], "people": 2},
        ]

    def test_its_members_can_be_others_later(self, admin: TenantClient) -> None:
        anna, bert, carl = admin.add(count=3)
        group = admin.found(anna, bert, name="Staff")
        changed = admin.enrol(group, carl, bert)
        assert changed == {"id": group, "name": "Staff", "members": [carl, bert], "people": 2}
        admin.change(carl, gone=True)
        assert admin.groups()[0]["people"] == 1

    def test_who_is_not_there_joins_no_group(self, admin: TenantClient) -> None:
        group = admin.found()
        for act in (lambda: admin.found("nobody"), lambda: admin.enrol(group, "nobody")):
            with pytest.raises(AdminError, match="neither somebody living nor a group: nobody") as refused:
                act()
            assert refused.value.status == 404
        with pytest.raises(AdminError, match="no group has the id"):
            admin.enrol(ABSENT)
        assert [each["members"] for each in admin.groups()] == [[]]

    def test_a_reset_leaves_no_group(self, admin: TenantClient) -> None:
        admin.found()
        admin.reset()
        assert admin.groups() == []
