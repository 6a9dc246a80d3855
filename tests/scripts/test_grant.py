"""`scripts/grant.py` against the emulated Graph: what it changes, what it says, and what it refuses."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.tenant.tenant import Tenant
from scripts import grant
from tests.scripts.runs import DEFAULT

FILE = Path(grant.__file__)


def methods(tenant: Tenant) -> set[str]:
    return {each["method"] for each in tenant.history.entries(service="graph")}


# --- what it does ---


def test_without_yes_it_shows_every_role_and_changes_nothing(run, tenant, granted) -> None:
    shown = run()
    assert shown.status == grant.WOULD_CHANGE
    assert shown.out.count("\n  give ") == 3
    assert "--yes" in shown.out
    assert "Privileged Role Administrator" in shown.out
    assert methods(tenant) == {"GET"}
    assert granted() == set()


def test_a_second_run_changes_nothing(run, tenant, granted) -> None:
    first = run("--yes")
    assert (first.status, first.out.count("  given ")) == (0, 3)
    assert "24 hours" in first.out
    assert granted() == DEFAULT
    tenant.history.clear()

    second = run("--yes")

    assert second.status == 0
    assert "Nothing to do" in second.out
    assert methods(tenant) == {"GET"}
    assert granted() == DEFAULT


@pytest.mark.parametrize("role", grant.FILES_ROLES)
def test_options_choose_the_roles(run, granted, role) -> None:
    assert run("--yes", "--groups", "--files-role", role).status == 0
    assert granted() == {
        "graph User.Read.All",
        "graph GroupMember.ReadBasic.All",
        "sharepoint User.ReadWrite.All",
        f"sharepoint {role}",
    }


def test_revoke_leaves_nothing_that_it_could_ever_have_given(run, tenant, granted) -> None:
    tenant.permissions.consent("graph", [*grant.KNOWN[grant.GRAPH], "Directory.Read.All"])
    tenant.permissions.consent("sharepoint", grant.KNOWN[grant.SHAREPOINT])

    shown = run("--revoke")
    assert (shown.status, methods(tenant)) == (grant.WOULD_CHANGE, {"GET"})
    assert run("--revoke", "--yes").status == 0
    assert granted() == {"graph Directory.Read.All"}
    again = run("--revoke", "--yes")
    assert (again.status, "Nothing to do" in again.out) == (0, True)


def test_a_role_that_another_choice_replaces_is_named_with_the_command_that_removes_it(run, granted) -> None:
    run("--yes", "--groups")

    shown = run("--yes", "--files-role", "Sites.ReadWrite.All").out

    (command,) = [line for line in shown.splitlines() if "--revoke Sites.FullControl.All" in line]
    arguments = command.partition("grant.py --identity ")[2].split()
    assert "--revoke GroupMember.ReadBasic.All" in shown
    assert run(*arguments[1:], identity=arguments[0]).status == 0
    assert granted() == DEFAULT - {"sharepoint Sites.FullControl.All"} | {
        "sharepoint Sites.ReadWrite.All",
        "graph GroupMember.ReadBasic.All",
    }


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("Sites.Selected", "/permissions"),
        ("Lists.SelectedOperations.Selected", "/lists/"),
    ],
)
def test_a_role_that_opens_no_site_alone_comes_with_the_call_that_does(run, tenant, role, expected) -> None:
    shown = run("--yes", "--files-role", role)
    assert "POST https://graph.microsoft.com/v1.0/sites/" in shown.out
    assert expected in shown.out
    assert tenant.world.client_id in shown.out
    assert all("/sites" not in each["path"] for each in tenant.history.entries(service="graph"))


@pytest.mark.parametrize("key", ["service_principal_id", "client_id"])
def test_an_identity_is_found_by_either_id(run, tenant, granted, key) -> None:
    assert run("--yes", identity=getattr(tenant.world, key).upper()).status == 0
    assert granted() == DEFAULT


def test_an_identity_is_found_by_its_name(run, granted) -> None:
    assert run("--yes", identity="photo-sync").status == 0
    assert granted() == DEFAULT


# --- what it waits for ---


def test_a_new_identity_is_waited_for(run, admin, granted) -> None:
    unknown = {"service": "graph", "status": 404, "code": "Request_ResourceNotFound"}
    late = {
        "service": "graph",
        "status": 400,
        "body": '{"error": {"code": "Request_BadRequest", "message": "Not a valid reference update."}}',
    }
    admin.arm(unknown | {"path": "servicePrincipals", "next": 2}, late | {"method": "POST", "next": 1})
    shown = run("--yes")
    assert (shown.status, shown.waits) == (0, [10.0, 10.0])
    assert granted() == DEFAULT


def test_a_throttled_call_is_repeated_when_graph_says(run, admin, granted) -> None:
    admin.arm({"service": "graph", "method": "POST", "status": 429, "retry_after": 7, "next": 1})
    shown = run("--yes")
    assert (shown.status, shown.waits) == (0, [7.0])
    assert granted() == DEFAULT


def test_an_assignment_whose_answer_was_lost_is_done(run, admin, granted) -> None:
    admin.arm({"service": "graph", "method": "POST", "drop": True, "when": "after", "next": 1})
    assert run("--yes").status == 0
    assert granted() == DEFAULT


def test_an_assignment_that_another_administrator_removed_is_removed(run, admin, granted) -> None:
    run("--yes")
    admin.arm({"service": "graph", "method": "DELETE", "status": 404, "next": 1, "when": "after"})
    assert run("--yes", "--revoke").status == 0
    assert granted() == set()


# --- the file itself ---


def test_it_runs_alone_with_nothing_installed(tenant, environ, granted, tmp_path) -> None:
    alone = tmp_path / "uploaded.py"
    alone.write_text(FILE.read_text())
    command = [sys.executable, "-I", "-S", str(alone), "--identity", tenant.world.client_id, "--yes"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert granted() == DEFAULT


def test_wrong_arguments_have_a_status_of_their_own(environ) -> None:
    with pytest.raises(SystemExit, match="2"):
        grant.main(["--files-role", "Sites.Read.All"], environ)


def test_the_file_is_of_python_3_9_and_imports_no_package() -> None:
    tree = ast.parse(FILE.read_text(), feature_version=(3, 9))
    imported = {each.module or "" for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)}
    imported |= {a.name for each in ast.walk(tree) if isinstance(each, ast.Import) for a in each.names}
    assert {each.partition(".")[0] for each in imported} <= sys.stdlib_module_names


def test_no_role_is_named_by_an_id() -> None:
    ids = re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", FILE.read_text())
    assert set(ids) == {grant.GRAPH, grant.SHAREPOINT}
