"""A deployment by azd, played on one machine: the hooks run as azd runs them, the app has a managed identity.

A file plays Azure CLI, and a restart of the host with other settings plays `azd provision`.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.azurite import Azurite
from local.stage import ROOT
from local.tenant.tenant import Tenant
from tests.e2e.apps import fast_app
from tests.e2e.story import SWEEPING, Story, playing, quiet_stage
from tests.scripts.azure_cli import AzureCli

DAY = 86_400.0  # seconds for which the platform keeps a managed identity's token
GO_LIVE = "To go live: azd env set DRY_RUN false && azd provision"


class Deployment:
    """The app as `azd up` leaves it, with no role granted yet, and the people around it."""

    def __init__(self, story: Story, folder: Path) -> None:
        self.story = story
        self.tenant = story.stage.tenant
        self.az = AzureCli(folder, self.tenant.world.tenant_id)

    def sign_in(self, role: str) -> None:
        """Let a person with this role use Azure CLI from now on."""
        self.az.sign_in(self.story.people.sign_in(role))

    def provision(self, *, dry_run: bool) -> str:
        """Give the app its settings, then run the hook, which may grant its roles; return its output."""
        self.story.restart(DRY_RUN=str(dry_run).lower())
        return self.run("postprovision.py")

    def deploy(self, *, dry_run: bool) -> str:
        """Run the hook that checks the app; return its output."""
        self.az.hold_keys(self.story.stage.key)
        return self.run("postdeploy.py", DRY_RUN=str(dry_run).lower())

    def run(self, script: str, *arguments: str, **settings: str) -> str:
        """Run one of the scripts; return its output."""
        names = ("HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE")
        environ = {
            "PATH": f"{self.az.folder}:{os.defpath}",
            **{name: self.tenant.settings[name] for name in names},
            "AZURE_TENANT_ID": self.tenant.world.tenant_id,
            "AZURE_RESOURCE_GROUP": "rg-photo-sync",
            "IDENTITY_PRINCIPAL_ID": self.tenant.world.service_principal_id,
            "FUNCTION_APP_NAME": "photo-sync",
            "FUNCTION_APP_URL": self.story.stage.url,
            "SCOPE": "members",
            "POSTDEPLOY_SECONDS": "20",
            **settings,
        }
        command = [sys.executable, "-s", str(ROOT / "scripts" / script), *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def forget_denials(self) -> None:
        """Let a quarter of an hour pass, after which the app calls a service again that denied it."""
        self.story.forget("photostate", "gate")
        self.story.restart(DRY_RUN="true")


@pytest.fixture(scope="module")
def shared_story(storage: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    app = fast_app(tmp_path_factory.mktemp("app"))
    with Tenant() as tenant:
        identity = {"CLIENT_CERTIFICATE": "", **tenant.identity_settings}
        settings = {"DRY_RUN": "true", **identity, **SWEEPING}
        with playing(quiet_stage(tenant=tenant, storage=storage, app=app, settings=settings)) as story:
            yield story


@pytest.fixture
def deployment(story: Story, tmp_path: Path) -> Deployment:
    """A new deployment: no role, no token, no subscription, no user."""
    story.remove_all_users()
    for subscription in story.people.subscriptions():
        story.people.lose(subscription["id"])
    story.people.turn(lost_refusal_seconds=0.0)
    story.stage.tenant.identity.reset()
    story.people.consent(graph=[], sharepoint=[])
    return Deployment(story, tmp_path)


def test_an_administrator_who_may_grant_has_a_dry_run_and_then_goes_live(deployment: Deployment) -> None:
    story = deployment.story
    user = story.add_user()
    deployment.sign_in("Privileged Role Administrator")

    assert deployment.provision(dry_run=True).count("  given ") == 3
    shown = deployment.deploy(dry_run=True)

    assert "not well" not in shown
    assert shown.splitlines()[-1] == GO_LIVE
    sweep = story.status()["sweep"]["id"]  # the new subscription wanted it
    assert story.ended(story.start_now(sweep))["changed"] == 1
    assert story.writes() == []
    assert story.shows_nothing(user)

    assert "Nothing to do" in deployment.provision(dry_run=False)
    assert GO_LIVE not in deployment.deploy(dry_run=False)
    story.ended(story.sweep())
    story.until(lambda: story.settled(user), user)
    assert story.shows_its_source(user)


def test_roles_that_another_administrator_grants_late_arrive_with_the_next_token(
    deployment: Deployment,
) -> None:
    story = deployment.story
    user = story.add_user()
    deployment.sign_in("Member")

    (line,) = re.findall(r"^  python3 grant\.py (.+)$", deployment.provision(dry_run=True), re.MULTILINE)
    assert f"python3 grant.py {line}" in deployment.deploy(dry_run=True)
    assert story.closed().keys() == {"graph"}
    (problem,) = story.status()["problems"]
    assert "lacks the role User.Read.All of Microsoft Graph" in problem

    deployment.sign_in("Global Administrator")
    assert deployment.run("grant.py", *shlex.split(line)).count("  given ") == 3
    assert "Nothing to do" in deployment.run("grant.py", *shlex.split(line))
    deployment.forget_denials()
    assert "python3 grant.py" in deployment.deploy(dry_run=True)  # the platform kept the old token

    story.people.advance(DAY)
    deployment.forget_denials()
    assert "not well" not in deployment.deploy(dry_run=True)
    assert story.stage.sync(user).json()["reason"].startswith("dry run")
    assert story.writes() == []
