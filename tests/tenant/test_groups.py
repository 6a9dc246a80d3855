"""Groups: founded by the administrator, read through Graph by an application that may."""

import pytest

from local.tenant.admin.client import AdminError
from local.tenant.directory.groups import Group
from tests.tenant.graph_client import USER_READ, GraphClient, refusal

GROUPS = "GroupMember.ReadBasic.All"
MEMBER_READ = ("User.Read.All", GROUPS)
ABSENT = "00000000-0000-4000-8000-000000000000"
EVENTUAL = {"ConsistencyLevel": "eventual"}


def found(graph: GraphClient, *members: str) -> str:
    group = Group(graph.world.new_id(), "", members)
    graph.world.groups.put(group)
    return group.id


def people(graph: GraphClient, count: int) -> list[str]:
    return [graph.person(f"{n}@contoso.com").id for n in range(count)]


def cast(group: str, query: str = "$count=true&$select=id") -> str:
    return f"/groups/{group}/transitiveMembers/microsoft.graph.user?{query}"


def ask(graph: GraphClient, path: str, *, roles: tuple[str, ...] = MEMBER_READ, **headers: str):
    return graph.get(path, roles=roles, **(headers or EVENTUAL))


def ids(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [user["id"] for user in answer.get_json()["value"]]


class TestMembers:
    def test_all_users_in_a_group_and_its_nested_groups_are_listed_once(self, graph) -> None:
        anna, bert, carl, *others = people(graph, 5)
        inner = found(graph, bert, carl)
        outer = found(graph, anna, carl, found(graph, inner))
        assert ids(ask(graph, cast(outer))) == [anna, bert, carl]
        assert ids(ask(graph, cast(inner))) == [bert, carl]
        assert len(others) == 2

    def test_groups_in_a_circle_have_an_end(self, graph) -> None:
        anna, bert = people(graph, 2)
        inner = found(graph, anna)
        outer = found(graph, bert, inner)
        graph.world.groups.put(Group(inner, "", (anna, outer, inner)))
        assert ids(ask(graph, cast(inner))) == ids(ask(graph, cast(outer))) == [anna, bert]

    def test_a_deleted_user_is_not_listed(self, graph) -> None:
        anna, bert = people(graph, 2)
        group = found(graph, anna, bert)
        graph.world.remove(graph.world.people[anna])
        answer = ask(graph, cast(group))
        assert (ids(answer), answer.get_json()["@odata.count"]) == ([bert], 1)

    def test_a_change_of_members_shows_at_once_in_every_group_around(self, graph) -> None:
        anna, bert = people(graph, 2)
        inner = found(graph, anna)
        outer = found(graph, inner)
        assert ids(ask(graph, cast(outer))) == [anna]
        graph.world.groups.put(Group(inner, "", (bert,)))
        assert ids(ask(graph, cast(outer))) == [bert]


class TestPages:
    def test_pages_follow_each_other_and_only_the_first_tells_the_count(self, graph) -> None:
        strangers, members = people(graph, 3), [graph.person(f"m{n}@contoso.com").id for n in range(250)]
        group = found(graph, *reversed(members))
        answer = ask(graph, cast(group))
        counts, seen = [answer.get_json().get("@odata.count")], ids(answer)
        while link := answer.get_json().get("@odata.nextLink"):
            answer = ask(graph, link.removeprefix("https://graph.microsoft.com/v1.0"))
            counts.append(answer.get_json().get("@odata.count"))
            seen += ids(answer)
        assert counts == [250, None, None]
        assert seen == members
        assert not {*strangers} & {*seen}

    def test_the_next_page_needs_the_header_again(self, graph) -> None:
        group = found(graph, *people(graph, 3))
        link = ask(graph, cast(group, "$count=true&$top=2")).get_json()["@odata.nextLink"]
        path = link.removeprefix("https://graph.microsoft.com/v1.0")
        assert refusal(graph.get(path, roles=MEMBER_READ)) == (400, "Request_UnsupportedQuery")
        assert len(ids(ask(graph, path))) == 1


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
    def test_a_cast_needs_header_and_count(self, graph, query, headers) -> None:
        group = found(graph, *people(graph, 1))
        assert refusal(ask(graph, cast(group, query), **headers)) == (400, "Request_UnsupportedQuery")

    def test_a_part_of_a_batch_brings_its_own_header(self, graph) -> None:
        members = people(graph, 2)
        url = cast(found(graph, *members))
        parts = [
            {"id": "with", "method": "GET", "url": url, "headers": {"consistencylevel": "Eventual"}},
            {"id": "without", "method": "GET", "url": url},
        ]
        answer = graph.batch(*parts, roles=MEMBER_READ, ConsistencyLevel="eventual")
        answers = {part["id"]: part for part in answer.get_json()["responses"]}
        assert [user["id"] for user in answers["with"]["body"]["value"]] == members
        assert answers["without"]["status"] == 400


class TestPermissions:
    @pytest.mark.parametrize(
        ("roles", "status"), [(USER_READ, 403), ((GROUPS,), 200), (("Directory.Read.All",), 200)]
    )
    def test_listing_members_needs_a_permission_for_groups(self, graph, roles, status) -> None:
        group = found(graph, *people(graph, 1))
        assert ask(graph, cast(group), roles=roles).status_code == status

    @pytest.mark.parametrize(
        ("roles", "shown"),
        [
            pytest.param(("GroupMember.Read.All",), (None, None), id="may not read users"),
            pytest.param((GROUPS, "User.ReadBasic.All"), ("ada@contoso.com", None), id="a little"),
            pytest.param(MEMBER_READ, ("ada@contoso.com", True), id="may read them"),
            pytest.param(("Directory.Read.All",), ("ada@contoso.com", True), id="may read all"),
        ],
    )
    def test_properties_without_permission_are_null(self, graph, roles, shown) -> None:
        person = graph.person()
        query = "$count=true&$select=id,userPrincipalName,accountEnabled"
        (user,) = ask(graph, cast(found(graph, person.id), query), roles=roles).get_json()["value"]
        assert (user["id"], user["userPrincipalName"], user["accountEnabled"]) == (person.id, *shown)

    def test_the_permission_for_groups_is_not_granted_by_default(self, call, admin) -> None:
        group = admin.create_group(*admin.add(count=2))
        url = f"https://graph.microsoft.com/v1.0{cast(group)}"
        assert call("GET", url, headers=EVENTUAL).status_code == 403
        admin.consent(graph=MEMBER_READ)
        assert len(call("GET", url, headers=EVENTUAL).json()["value"]) == 2

    def test_an_unknown_group_is_refused(self, graph) -> None:
        assert refusal(ask(graph, cast(ABSENT))) == (404, "Request_ResourceNotFound")
        assert refusal(ask(graph, cast("not-an-id"))) == (400, "Request_BadRequest")


def check(graph: GraphClient, user: str, *groups: str, roles: tuple[str, ...] = MEMBER_READ):
    return graph.call("POST", f"/users/{user}/checkMemberGroups", {"groupIds": [*groups]}, roles=roles)


class TestCheck:
    def test_a_check_returns_the_users_groups_nested_ones_too(self, graph) -> None:
        anna, bert = people(graph, 2)
        direct, other = found(graph, anna), found(graph, bert)
        around = found(graph, direct)
        answer = check(graph, anna, other, around, direct, ABSENT, direct.upper())
        assert answer.status_code == 200, answer.text
        assert answer.get_json() == {
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#Collection(Edm.String)",
            "value": [around, direct],
        }
        assert check(graph, "1@contoso.com", direct, other).get_json()["value"] == [other]
        assert refusal(check(graph, ABSENT, direct)) == (404, "Request_ResourceNotFound")

    def test_twenty_groups_can_be_checked_at_once_and_no_more(self, graph) -> None:
        (anna,) = people(graph, 1)
        groups = [found(graph, anna) for _ in range(21)]
        assert check(graph, anna, *groups[:20]).get_json()["value"] == groups[:20]
        assert refusal(check(graph, anna, *groups)) == (400, "Request_BadRequest")

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param({"groupIds": []}, id="none"),
            pytest.param({"groupIds": "all"}, id="no array"),
            pytest.param({"groupIds": [7]}, id="a number"),
            pytest.param({"ids": [ABSENT]}, id="another name"),
            pytest.param({"groupIds": [ABSENT], "more": 1}, id="one name too many"),
        ],
    )
    def test_an_invalid_list_of_ids_is_refused(self, graph, body) -> None:
        (anna,) = people(graph, 1)
        answer = graph.call("POST", f"/users/{anna}/checkMemberGroups", body, roles=MEMBER_READ)
        assert refusal(answer) == (400, "Request_BadRequest")

    @pytest.mark.parametrize(
        ("roles", "status"),
        [
            pytest.param(USER_READ, 200, id="users"),
            pytest.param(("GroupMember.Read.All",), 403, id="members"),
            pytest.param((GROUPS, "User.ReadBasic.All"), 403, id="members and a little of users"),
            pytest.param(("Directory.Read.All",), 200, id="the directory"),
        ],
    )
    def test_a_check_needs_the_permission_for_users_alone(self, graph, roles, status) -> None:
        (anna,) = people(graph, 1)
        assert check(graph, anna, found(graph, anna), roles=roles).status_code == status


class TestAdministrator:
    def test_a_group_is_created_from_users_and_groups(self, admin) -> None:
        anna, bert = admin.add(upn="anna@contoso.com") + admin.add(upn="bert@contoso.com")
        inner = admin.create_group("ANNA@contoso.com", name="Inner")
        outer = admin.create_group(bert, inner)
        assert admin.groups() == [
            {"id": inner, "name": "Inner", "members": [anna], "people": 1},
            {"id": outer, "name": "", "members": [bert, inner], "people": 2},
        ]

    def test_members_can_be_replaced(self, admin) -> None:
        anna, bert, carl = admin.add(count=3)
        group = admin.create_group(anna, bert, name="Staff")
        changed = admin.set_members(group, carl, bert)
        assert changed == {"id": group, "name": "Staff", "members": [carl, bert], "people": 2}
        admin.change(carl, gone=True)
        assert admin.groups()[0]["people"] == 1

    def test_an_unknown_member_is_refused(self, admin) -> None:
        group = admin.create_group()
        for act in (lambda: admin.create_group("absent"), lambda: admin.set_members(group, "absent")):
            with pytest.raises(AdminError, match="neither a person nor a group: absent") as refused:
                act()
            assert refused.value.status == 404
        with pytest.raises(AdminError, match="no group has the id"):
            admin.set_members(ABSENT)
        assert [each["members"] for each in admin.groups()] == [[]]
