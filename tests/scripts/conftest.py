"""A tenant whose application has no permissions, and an Azure CLI with a signed-in administrator."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.tenant.admin.client import TenantClient
from local.tenant.tenant import Tenant
from scripts import grant
from tests.scripts.azure_cli import AzureCli
from tests.scripts.runs import Run


@pytest.fixture(scope="session")
def running_tenant() -> Iterator[Tenant]:
    with Tenant() as tenant:
        yield tenant


@pytest.fixture
def tenant(running_tenant: Tenant) -> Tenant:
    running_tenant.reset()
    for resource in ("graph", "sharepoint"):
        running_tenant.permissions.consent(resource, [])
    return running_tenant


@pytest.fixture
def admin(tenant: Tenant) -> Iterator[TenantClient]:
    with TenantClient(tenant.admin_url) as client:
        yield client


@pytest.fixture
def az(tenant: Tenant, admin: TenantClient, tmp_path: Path) -> AzureCli:
    """Azure CLI, with a Global Administrator signed in."""
    az = AzureCli(tmp_path, tenant.world.tenant_id)
    az.sign_in(admin.sign_in("Global Administrator"))
    return az


@pytest.fixture
def environ(tenant: Tenant, az: AzureCli) -> dict[str, str]:
    """What a shell sets on a machine with this Azure CLI, behind the tenant."""
    names = ("HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE")
    return {"PATH": f"{az.folder}:{os.defpath}", **{name: tenant.settings[name] for name in names}}


@pytest.fixture
def granted(tenant: Tenant) -> Callable[[], set[str]]:
    """Return the roles that the application has now, such as `graph User.Read.All`."""

    def granted() -> set[str]:
        resources = ("graph", "sharepoint")
        return {f"{each} {role}" for each in resources for role in tenant.permissions.roles(each)}

    return granted


@pytest.fixture
def run(tenant: Tenant, environ, capsys) -> Callable[..., Run]:
    """Run it for the tenant's application, without a wait."""

    def run(*arguments: str, identity: str = tenant.world.service_principal_id) -> Run:
        waits: list[float] = []
        status = grant.main(["--identity", identity, *arguments], environ, waits.append)
        shown = capsys.readouterr()
        return Run(status, shown.out, shown.err, waits)

    return run
