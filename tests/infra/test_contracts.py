"""What is deployed, what the code reads and what the documents say are the same."""

import re
from importlib.metadata import metadata as metadata_of
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from ruamel.yaml import YAML

from tests.infra import bicep
from tests.infra.conftest import ROOT, Plant
from tests.infra.contracts import parameter_problems, role_problems, settings_problems

OUTPUTS = {
    "AZURE_LOCATION",
    "AZURE_RESOURCE_GROUP",
    "AZURE_TENANT_ID",
    "DRY_RUN",
    "EXCLUDE_GROUP",
    "FILES_ROLE",
    "FUNCTION_APP_NAME",
    "FUNCTION_APP_URL",
    "GRANT_WITH_BICEP",
    "IDENTITY_CLIENT_ID",
    "IDENTITY_NAME",
    "IDENTITY_PRINCIPAL_ID",
    "SCOPE",
}


def problems(root: Path) -> list[str]:
    return [*settings_problems(root), *parameter_problems(root), *role_problems(root)]


def test_code_bicep_sample_and_readme_agree() -> None:
    assert problems(ROOT) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        pytest.param(
            "shared/settings.py",
            "        if read.problems:",
            '        read.raw("PLANTED")\n        if read.problems:',
            "PLANTED is read and not in infra",
            id="a setting in the code alone",
        ),
        pytest.param(
            "function_app.py",
            "%SWEEP_SCHEDULE%",
            "%PLANTED%",
            "SWEEP_SCHEDULE is in infra and not read",
            id="a schedule that the code does not have",
        ),
        pytest.param(
            "infra/main.bicep",
            "      COMPANY: company\n",
            "      COMPANY: company\n      PLANTED: company\n",
            "PLANTED is in infra and not read",
            id="a setting in Bicep alone",
        ),
        pytest.param(
            "infra/main.bicep",
            "      COMPANY: company\n",
            "      CLIENT_CERTIFICATE: company\n",
            "CLIENT_CERTIFICATE does not belong in infra",
            id="a second secret",
        ),
        pytest.param(
            "local.settings.sample.json",
            '"CLOUD"',
            '"PLANTED"',
            "CLOUD is read and not in local.settings.sample.json",
            id="a setting that the sample lacks",
        ),
        pytest.param(
            "README.md",
            "| `CLOUD` |",
            "| cloud |",
            "CLOUD is read and not in README.md",
            id="README lacks one",
        ),
        pytest.param(
            "infra/app/rbac.bicep",
            "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
            "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
            "is not the id of storageBlobDataOwner",
            id="the id of another role",
        ),
        pytest.param(
            "infra/app/rbac.bicep",
            "'Microsoft.Authorization/roleDefinitions', roles.keyVaultSecretsUser",
            "'Microsoft.Authorization/roleDefinitions', roles.storageBlobDataOwner",
            "keyVaultSecretsUser assigns",
            id="another role than the name says",
        ),
        pytest.param(
            "infra/app/grants.bicep",
            "00000003-0000-0ff1-ce00-000000000000",
            "00000003-0000-0000-c000-000000000000",
            "is not the id of sharePoint",
            id="the application of another service",
        ),
        pytest.param(
            "infra/main.parameters.json",
            '"cloud"',
            '"clouds"',
            "clouds is not both",
            id="a parameter that main.bicep does not have",
        ),
        pytest.param(
            "infra/main.parameters.json",
            "${DRY_RUN=true}",
            "${DRY_RUN=false}",
            "dryRun is ${DRY_RUN=false}",
            id="two defaults",
        ),
    ],
)
def test_a_planted_fault_is_found(plant: Plant, file: str, old: str, new: str, problem: str) -> None:
    found = problems(plant(file, old, new))
    assert any(problem in each for each in found), found


def test_azure_runs_the_python_of_the_tests_and_of_the_worker() -> None:
    python = (ROOT / ".python-version").read_text().strip()
    deployed = bicep.BicepFile(ROOT / "infra/app/function-app.bicep").symbols["pythonVersion"].value
    assert deployed is not None
    assert bicep.text(deployed) == f"'{python}'"
    pinned = re.search(r"(?m)^azure-functions-runtime==([\d.]+)", (ROOT / "requirements.txt").read_text())
    assert pinned is not None
    assert pinned[1] == version("azure-functions-runtime")
    assert python in SpecifierSet(metadata_of("azure-functions-runtime")["Requires-Python"])


def test_azd_finds_the_app_and_runs_both_scripts_on_every_system() -> None:
    project = YAML(typ="safe").load(ROOT / "azure.yaml")
    assert set(project) >= {"name", "metadata", "services", "hooks", "requiredVersions"}
    assert project["services"] == {"app": {"project": ".", "language": "python", "host": "function"}}
    assert "'azd-service-name': 'app'" in (ROOT / "infra/app/function-app.bicep").read_text()
    for hook in ("postprovision", "postdeploy"):
        posix, windows = project["hooks"][hook]["posix"], project["hooks"][hook]["windows"]
        assert (posix["shell"], posix["run"]) == ("sh", f"python3 scripts/{hook}.py")
        assert (windows["shell"], windows["run"]) == ("pwsh", f"python scripts/{hook}.py")


def test_the_scripts_find_what_they_need_in_the_outputs() -> None:
    main = bicep.BicepFile(ROOT / "infra/main.bicep")
    assert {each.name for each in main.symbols.values() if each.kind == "output"} == OUTPUTS
