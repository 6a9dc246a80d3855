"""Service principals in Graph, and the assignment of app roles to the application."""

import uuid
from collections.abc import Callable

import jwt
import pytest
import requests

from local.tenant.admin.client import AdminError, TenantClient
from local.tenant.directory.principals import APP_IDS
from local.tenant.tenant import Tenant

GRAPH = "https://graph.microsoft.com/v1.0"
MEMBER = "Member"
ROLE = "User.Read.All"


class Administrator:
    """A person with a role in the directory, who calls Graph."""

    def __init__(self, call: Callable[..., requests.Response], tenant: Tenant, token: str) -> None:
        self._call = call
        self._token = token
        self.application = tenant.world.service_principal_id

    def ask(self, method: str, path: str, **how: object) -> requests.Response:
        url = path if path.startswith("https:") else f"{GRAPH}{path}"
        return self._call(method, url, token=self._token, **how)

    def resource(self, name: str) -> dict:
        return self.ask("GET", f"/servicePrincipals(appId='{APP_IDS[name]}')").json()

    def assign(self, name: str = "graph", role: str = ROLE, **changes: str) -> requests.Response:
        resource = self.resource(name)
        body = {
            "principalId": self.application,
            "resourceId": resource["id"],
            "appRoleId": role_id(resource, role),
        }
        return self.ask("POST", f"/servicePrincipals/{resource['id']}/appRoleAssignedTo", json=body | changes)

    def assigned(self) -> list[dict]:
        found, link = [], f"/servicePrincipals/{self.application}/appRoleAssignments"
        while link:
            page = self.ask("GET", link).json()
            found += page["value"]
            link = page.get("@odata.nextLink")
        return found


def role_id(resource: dict, value: str) -> str:
    (role,) = [
        each
        for each in resource["appRoles"]
        if each["value"] == value and each["isEnabled"] and "Application" in each["allowedMemberTypes"]
    ]
    return role["id"]


@pytest.fixture
def sign_in(tenant: Tenant, admin: TenantClient, call) -> Callable[[str], Administrator]:
    def sign_in(role: str = "Global Administrator") -> Administrator:
        return Administrator(call, tenant, admin.sign_in(role))

    return sign_in


@pytest.fixture
def administrator(sign_in, tenant: Tenant) -> Administrator:
    """One who may grant everything; the application has no permissions yet."""
    for resource in APP_IDS:
        tenant.permissions.consent(resource, [])
    return sign_in()


def test_an_assigned_role_is_a_permission_of_the_next_token(administrator, tenant) -> None:
    assert administrator.assign().status_code == 201
    assert administrator.assign("sharepoint", "User.ReadWrite.All").status_code == 201
    assert tenant.permissions.roles("graph") == {ROLE}
    assert tenant.permissions.roles("sharepoint") == {"User.ReadWrite.All"}


def test_a_removed_assignment_removes_the_permission(administrator, tenant) -> None:
    made = administrator.assign().json()
    path = f"/servicePrincipals/{made['resourceId']}/appRoleAssignedTo/{made['id']}"
    assert [administrator.ask("DELETE", path).status_code for _ in range(2)] == [204, 404]
    assert not tenant.permissions.roles("graph")


def test_what_was_consented_to_is_listed_as_assignments_on_pages(sign_in, tenant) -> None:
    shown = sign_in().assigned()
    resources = {each["resourceDisplayName"] for each in shown}
    assert len(shown) == 3
    assert resources == {"Microsoft Graph", "Office 365 SharePoint Online"}
    assert {each["principalId"] for each in shown} == {tenant.world.service_principal_id}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param({}, "already exists on the object", id="a duplicate"),
        pytest.param({"appRoleId": str(uuid.uuid4())}, "not found on application", id="an unknown role"),
        pytest.param({"principalId": str(uuid.uuid4())}, "reference update", id="an unknown principal"),
        pytest.param({"resourceId": str(uuid.uuid4())}, "are invalid", id="another resource"),
    ],
)
def test_an_assignment_that_cannot_be_made_is_a_bad_request(administrator, changes, text) -> None:
    administrator.assign()
    refused = administrator.assign(**changes)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "Request_BadRequest")
    assert text in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("role", "graph", "sharepoint"),
    [
        ("Privileged Role Administrator", 201, 201),
        ("Cloud Application Administrator", 403, 201),
        ("Application Administrator", 403, 201),
        (MEMBER, 403, 403),
    ],
)
@pytest.mark.usefixtures("administrator")
def test_who_may_assign_depends_on_the_resource(sign_in, role, graph, sharepoint) -> None:
    person = sign_in(role)
    answers = person.assign(), person.assign("sharepoint", "Sites.Selected")
    assert [each.status_code for each in answers] == [graph, sharepoint]
    assert {each.json()["error"]["code"] for each in answers if not each.ok} <= {
        "Authorization_RequestDenied"
    }


def test_a_role_without_a_name_in_the_directory_is_refused(admin) -> None:
    with pytest.raises(AdminError, match="Member"):
        admin.sign_in("King")


def test_an_application_needs_the_permissions_that_are_documented(tenant, call) -> None:
    url = f"{GRAPH}/servicePrincipals/{tenant.world.service_principal_id}"
    asked = [call("GET", url, roles=roles).status_code for roles in ([ROLE], ["Application.Read.All"])]
    assert asked == [403, 200]


def test_a_persons_token_opens_nothing_else(administrator) -> None:
    assert administrator.ask("GET", "/users").status_code == 403


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("displayName eq 'O''Neil'", 2),
        ("displayName eq 'Microsoft Graph'", 1),
        ("displayName eq 'unknown'", 0),
    ],
)
def test_service_principals_are_found_by_name(administrator, tenant, query, found) -> None:
    for _ in range(2):
        tenant.graph.principals.add("O'Neil")
    answer = administrator.ask("GET", "/servicePrincipals", params={"$filter": query, "$select": "id,appId"})
    assert len(answer.json()["value"]) == found


def test_other_filters_and_properties_are_refused(administrator) -> None:
    for query in ({"$filter": "startswith(displayName,'a')"}, {}, {"$top": "1"}):
        assert administrator.ask("GET", "/servicePrincipals", params=query).status_code == 400
    path = f"/servicePrincipals/{administrator.application}"
    assert administrator.ask("GET", path, params={"$select": "nonsense"}).status_code == 400
    assert administrator.ask("GET", path, params={"$select": "id"}).json()["id"] == administrator.application
    assert administrator.ask("GET", f"/servicePrincipals/{uuid.uuid4()}").status_code == 404


class TestTokenOfTheManagedIdentity:
    @pytest.fixture
    def roles(self, tenant: Tenant, session: requests.Session):
        """Return the roles in the token that the platform gives now."""
        settings = tenant.identity_settings

        def roles() -> list[str]:
            answer = session.get(
                settings["IDENTITY_ENDPOINT"],
                params={"api-version": "2019-08-01", "resource": "https://graph.microsoft.com"},
                headers={"X-IDENTITY-HEADER": settings["IDENTITY_HEADER"]},
                timeout=10,
            )
            token = answer.json()["access_token"]
            return jwt.decode(token, options={"verify_signature": False}).get("roles", [])

        return roles

    def test_it_lacks_a_new_role_for_a_day_if_it_was_given_before(self, administrator, admin, roles) -> None:
        assert roles() == []
        administrator.assign()
        admin.advance(86_000)
        assert roles() == []
        admin.advance(400)
        assert roles() == [ROLE]

    def test_it_has_a_role_that_was_assigned_before_the_first_token(self, administrator, roles) -> None:
        administrator.assign()
        assert roles() == [ROLE]

    def test_a_knob_says_how_long_it_is_kept(self, administrator, admin, roles) -> None:
        admin.turn(identity_token_kept=0.0)
        assert roles() == []
        administrator.assign()
        assert roles() == [ROLE]
