"""What a denied token's roles say about the refusal."""

import base64
import json

import pytest

from shared.errors import FILES, GRAPH, PROFILES
from shared.rest.roles import NOTE, Explanation, explain

USERS = "https://graph.microsoft.com/v1.0/$batch"
GROUP = "https://graph.microsoft.com/v1.0/groups/7/transitiveMembers/microsoft.graph.user"
LIBRARY = "https://contoso-my.sharepoint.com/_api/web"


def token(claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


@pytest.mark.parametrize(
    ("service", "url", "roles", "lacks"),
    [
        (GRAPH, USERS, [], "User.Read.All of Microsoft Graph"),
        (GRAPH, GROUP, ["User.Read.All"], "GroupMember.ReadBasic.All of Microsoft Graph"),
        (PROFILES, LIBRARY, ["User.Read.All"], "User.ReadWrite.All of SharePoint"),
        (FILES, LIBRARY, ["User.ReadWrite.All"], "Sites.FullControl.All of SharePoint"),
    ],
)
def test_a_missing_role_is_named_with_its_api(service: str, url: str, roles: list[str], lacks: str) -> None:
    found = explain(service, url, token({"roles": roles}))
    assert found.text.startswith(f"{NOTE}the token lacks the role {lacks}")
    assert found.lacking


def test_a_token_without_the_claim_has_no_role() -> None:
    assert "lacks the role User.Read.All" in explain(GRAPH, USERS, token({"aud": "x"})).text


@pytest.mark.parametrize(
    "role", ["Sites.ReadWrite.All", "Sites.Selected", "Lists.SelectedOperations.Selected"]
)
def test_a_refused_write_of_a_file_names_the_role_used_and_the_one_known_to_work(role: str) -> None:
    said = explain(FILES, LIBRARY, token({"roles": [role]}))

    assert said.text == f"{NOTE}the token has the role {role}, the one known to work is Sites.FullControl.All"
    assert not said.lacking


@pytest.mark.parametrize(
    ("service", "url", "role"),
    [
        (GRAPH, USERS, "User.Read.All"),
        (GRAPH, GROUP, "GroupMember.Read.All"),
        (PROFILES, LIBRARY, "User.ReadWrite.All"),
        (FILES, LIBRARY, "Sites.FullControl.All"),
    ],
)
def test_a_refusal_despite_the_role_has_another_cause(service: str, url: str, role: str) -> None:
    assert explain(service, url, token({"roles": [role]})) == Explanation()


@pytest.mark.parametrize(
    "unreadable", ["", "opaque", "a.b.c", "a.ÿ.c", token([]), token({"roles": "User.Read.All"}), token(None)]
)
def test_a_token_that_cannot_be_read_explains_nothing(unreadable: str) -> None:
    assert explain(GRAPH, USERS, unreadable) == Explanation()
