"""Each refusal of `scripts/grant.py` is one line that says what to do."""

from uuid import uuid4

import pytest

from scripts import grant
from tests.scripts.azure_cli import AzureCli
from tests.scripts.runs import DEFAULT, Run


def refused(shown: Run, *words: str, status: int = grant.REFUSED) -> bool:
    """Whether it ended with one line on standard error that has these words."""
    assert shown.status == status, shown
    assert shown.err.count("\n") == 1, shown.err
    assert shown.err.startswith("grant.py: ")
    assert all(word in shown.err for word in words), shown.err
    return True


@pytest.mark.parametrize("role", ["Member", "Cloud Application Administrator"])
def test_one_who_may_not_grant_is_told_which_role_it_takes(run, az, admin, granted, role) -> None:
    az.sign_in(admin.sign_in(role))
    assert run().status == grant.WOULD_CHANGE
    words = ("Authorization_RequestDenied", "Privileged Role Administrator", "Global Administrator")
    assert refused(run("--yes"), *words, status=grant.MAY_NOT)
    assert granted() == set()


def test_one_who_may_grant_sharepoints_roles_alone_completes_them(run, az, admin, tenant, granted) -> None:
    tenant.permissions.consent("graph", ["User.Read.All"])
    az.sign_in(admin.sign_in("Cloud Application Administrator"))
    assert run("--yes").status == 0
    assert granted() == DEFAULT


def test_an_unknown_id_is_refused_with_what_was_tried(run) -> None:
    unknown = str(uuid4())
    shown = run(identity=unknown)
    assert refused(shown, unknown, "object id", "client id", "az account show")
    assert sum(shown.waits) == 20


def test_an_unknown_or_ambiguous_name_is_refused(run, tenant) -> None:
    twins = [tenant.graph.principals.add("O'Neil & Co") for _ in range(2)]
    assert refused(run("--wait", "0", identity="O'Neil"), "O'Neil", "object id")
    assert refused(run(identity="O'Neil & Co"), *(each.id for each in twins))


def test_a_graph_that_stays_busy_is_given_up_after_two_minutes(run, admin) -> None:
    admin.arm({"service": "graph", "status": 429, "retry_after": 50})
    shown = run("--yes")
    assert refused(shown, "429", "50 s")
    assert sum(shown.waits) <= grant.PATIENCE


@pytest.mark.parametrize("mishap", ["drop", "truncate"])
def test_a_graph_that_does_not_answer_is_given_up(run, admin, mishap) -> None:
    admin.arm({"service": "graph", mishap: True})
    assert refused(run(), "graph.microsoft.com")


def test_a_resource_that_the_directory_lacks_is_refused_with_the_command_that_adds_it(run, tenant) -> None:
    tenant.graph.principals.remove("Office 365 SharePoint Online")
    assert refused(run(), "Office 365 SharePoint Online", f"az ad sp create --id {grant.SHAREPOINT}")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param({"status": 500, "code": "InternalServerError"}, ["500", "Internal"], id="an error"),
        pytest.param({"status": 401}, ["az login"], id="a rejected token"),
        pytest.param({"status": 403, "body": "<html>"}, ["no JSON"], id="a proxy's refusal"),
        pytest.param({"status": 200, "body": "<html>"}, ["JSON", "proxy"], id="a proxy's page"),
        pytest.param({"status": 302, "headers": {"Location": "https://a.example"}}, ["302"], id="a redirect"),
    ],
)  # fmt: skip
def test_any_other_answer_is_refused(run, admin, answer, words) -> None:
    admin.arm({"service": "graph", **answer})
    status = grant.MAY_NOT if answer["status"] == 403 else grant.REFUSED
    assert refused(run(), *words, status=status)


def test_a_role_that_the_directory_does_not_offer_is_refused(run, tenant, granted) -> None:
    resource = next(each for each in tenant.graph.principals.every() if each.resource == "sharepoint")
    role = resource.roles.pop("Sites.Selected")
    try:
        assert refused(run("--yes", "--files-role", "Sites.Selected"), "Sites.Selected")
    finally:
        resource.roles["Sites.Selected"] = role
    assert granted() == set()


def test_azure_cli_that_is_not_installed_is_refused(run, az: AzureCli) -> None:
    az.remove()
    assert refused(run(), "not installed", "Cloud Shell")


@pytest.mark.parametrize("text", ["Please run 'az login' to setup account.\nmore\n", ""])
def test_azure_cli_without_an_account_is_refused(run, az: AzureCli, text) -> None:
    az.fail(text or " ")
    assert refused(run(), "az login")


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"accessToken": ""}'])
def test_azure_cli_that_answers_something_else_is_refused(run, az: AzureCli, text) -> None:
    az.answer(text)
    assert refused(run(), "Azure CLI")


def test_another_directory_than_the_given_one_is_refused(run, tenant) -> None:
    other = str(uuid4())
    assert refused(run("--tenant", other), f"az login --tenant {other}")
    assert run("--tenant", tenant.world.tenant_id.upper()).status == grant.WOULD_CHANGE


def test_each_cloud_has_a_host_of_its_own(run, az: AzureCli) -> None:
    assert run("--cloud", "china").status == grant.REFUSED  # the tenant plays the global one
    assert "https://microsoftgraph.chinacloudapi.cn" in az.calls[-1]
