"""GitHub's workflows: valid, with least privilege, and with actions that cannot change."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.package.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTION = re.compile(r"uses: (?:\./\.github/workflows/\w+\.yml|[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)")
WRITES = {
    "deploy.yml": {("deploy", "id-token")},
    "release.yml": {("release", "attestations"), ("release", "contents"), ("release", "id-token")},
}


def parse(path: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = YAML(typ="safe").load(path)
    return parsed


def validate(schema: str, *paths: Path) -> int:
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", schema, *paths]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode


def test_the_workflows_and_the_updates_of_packages_are_valid() -> None:
    assert [path.stem for path in WORKFLOWS] == ["deploy", "infra", "release", "test"]
    assert validate("vendor.github-workflows", *WORKFLOWS) == 0
    assert validate("vendor.dependabot", ROOT / ".github/dependabot.yml") == 0


def test_a_workflow_with_an_unknown_key_is_not_valid(tmp_path: Path) -> None:
    text = (ROOT / ".github/workflows/test.yml").read_text()
    (tmp_path / "test.yml").write_text(text.replace("runs-on:", "run-on:"))

    assert validate("vendor.github-workflows", tmp_path / "test.yml") == 1


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_uses_actions_by_commit(path: Path) -> None:
    used = [line for line in path.read_text().splitlines() if "uses:" in line]

    assert used
    assert not [line.strip() for line in used if not ACTION.search(line)]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read_except_in_the_job_that_must_write(path: Path) -> None:
    workflow = parse(path)

    writes = {
        (job, scope)
        for job, content in workflow["jobs"].items()
        for scope, access in content.get("permissions", {}).items()
        if access != "read"
    }
    assert workflow["permissions"] == {"contents": "read"}
    assert writes == WRITES.get(path.name, set())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_script_of_a_workflow_is_made_of_values_from_outside(path: Path) -> None:
    steps = [step for job in parse(path)["jobs"].values() for step in job.get("steps", ())]

    assert not [step["run"] for step in steps if "${{" in step.get("run", "")]


def test_the_test_workflow_runs_what_must_pass_before_a_change_lands() -> None:
    local = [line for line in (ROOT / ".ci/run").read_text().splitlines() if line.startswith("make ")]
    steps = parse(ROOT / ".github/workflows/test.yml")["jobs"]["test"]["steps"]

    assert [step["run"] for step in steps if "run" in step] == local
