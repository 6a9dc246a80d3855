"""A release has one version, and its changes in the changelog."""

import tomllib

import pytest

from local.package.release import NotReleasable, release_notes
from shared.settings import VERSION
from tests.package.conftest import ROOT

CHANGES = """# Changes

## Unreleased

- Later.

## [1.2.0] - 2026-12-01

### Added

- A sweep.

## 1.1.0

## 1.0.0 - 2026-11-01

- The first.
"""


@pytest.mark.parametrize(
    ("version", "notes"),
    [
        pytest.param("1.2.0", "### Added\n\n- A sweep.\n", id="between two sections"),
        pytest.param("1.0.0", "- The first.\n", id="the last section"),
    ],
)
def test_the_notes_of_a_release_are_its_section_of_the_changelog(version: str, notes: str) -> None:
    assert release_notes(f"v{version}", version, CHANGES) == notes


@pytest.mark.parametrize(
    ("tag", "version", "problem"),
    [
        pytest.param("v1.2.1", "1.2.0", "the tag v1.2.1 is not v1.2.0", id="another version"),
        pytest.param("1.2.0", "1.2.0", "the tag 1.2.0 is not v1.2.0", id="no v"),
        pytest.param("v1.3.0", "1.3.0", "no section '## 1.3.0'", id="not in the changelog"),
        pytest.param("v1.1.0", "1.1.0", "or it is empty", id="an empty section"),
        pytest.param("v1.2", "1.2", "no section '## 1.2'", id="the beginning of a version"),
    ],
)
def test_a_tag_without_its_version_or_changes_is_not_released(tag: str, version: str, problem: str) -> None:
    with pytest.raises(NotReleasable, match=problem):
        release_notes(tag, version, CHANGES)


def test_the_version_stands_in_the_settings_module_alone() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert "version" not in project["project"]
    assert {"version", "dependencies"} <= set(project["project"]["dynamic"])
    assert project["tool"]["setuptools"]["dynamic"] == {
        "version": {"attr": "shared.settings.VERSION"},
        "dependencies": {"file": "requirements.in"},
    }
    assert f'"{VERSION}"' not in (ROOT / "package.json").read_text()


def test_pip_installs_the_project_as_azd_does_without_looking_for_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert project["tool"]["setuptools"]["packages"] == []
