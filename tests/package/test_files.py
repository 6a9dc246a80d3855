"""Exactly the app is deployed, whatever else lies in the working tree."""

from pathlib import Path, PurePosixPath

import pytest

from local.package.__main__ import describe_problems
from local.package.files import find_strays, list_deployed
from tests.package.conftest import ROOT, copy

APP = sorted(
    [
        *map(PurePosixPath, ("LICENSE", "function_app.py", "host.json", "requirements.txt")),
        *(PurePosixPath(path.relative_to(ROOT).as_posix()) for path in (ROOT / "shared").rglob("*.py")),
    ]
)
STRAYS = (
    ".DS_Store",
    ".azure/dev/.env",
    ".ci/run",
    ".devcontainer/devcontainer.json",
    ".env",
    ".env.local",
    ".funcignore",
    ".git/config",
    ".gitattributes",
    ".github/workflows/test.yml",
    ".gitignore",
    ".hypothesis/examples/1",
    ".idea/workspace.xml",
    ".mypy_cache/3.13/cache.json",
    ".npmrc",
    ".pytest_cache/README",
    ".python-version",
    ".ruff_cache/1",
    ".venv/bin/activate",
    ".vscode/settings.json",
    "CHANGELOG.md",
    "Makefile",
    "README.md",
    "__azurite_db_queue__.json",
    "__blobstorage__/1",
    "__pycache__/function_app.cpython-313.pyc",
    "__queuestorage__/1",
    "azure.yaml",
    "build/lib/shared/app.py",
    "certificate.key",
    "certificate.p12",
    "certificate.pem",
    "certificate.pfx",
    "docs/runbook.md",
    "infra/app/rbac.bicep",
    "infra/main.bicep",
    "local/host/__main__.py",
    "local.settings.json",
    "local.settings.sample.json",
    "node_modules/azurite/package.json",
    "out/photo-sync-0.0.0.zip",
    "package-lock.json",
    "package.json",
    "photo-sync_env/bin/python",
    "photo_sync.egg-info/PKG-INFO",
    "pyproject.toml",
    "requirements-dev.txt",
    "requirements-release.txt",
    "requirements.in",
    "scripts/grant.py",
    "scripts/requirements.txt",
    "shared/__pycache__/app.cpython-313.pyc",
    "shared/certificate.pem",
    "shared/pictures/__pycache__/formats.cpython-313.pyc",
    "tests/__init__.py",
    "tests/unit/test_settings.py",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A working tree of the app with all that may lie beside it."""
    for path in APP:
        copy(ROOT / path, tmp_path / path)
    for name in STRAYS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("stray")
    copy(ROOT / ".funcignore", tmp_path / ".funcignore")
    return tmp_path


def test_exactly_the_app_is_deployed_from_this_working_tree() -> None:
    assert list_deployed(ROOT) == APP


def test_exactly_the_app_is_deployed_whatever_lies_beside_it(tree: Path) -> None:
    assert list_deployed(tree) == APP
    assert find_strays(APP) == []


@pytest.mark.parametrize(
    ("line", "deployed"),
    [
        pytest.param("tests", ["tests/__init__.py", "tests/unit/test_settings.py"], id="tests"),
        pytest.param("infra", ["infra/app/rbac.bicep", "infra/main.bicep"], id="infrastructure"),
        pytest.param("*_env", ["photo-sync_env/bin/python"], id="the virtual environment of azd"),
        pytest.param("*.pem", ["certificate.pem", "shared/certificate.pem"], id="certificates"),
        pytest.param("requirements-*.txt", ["requirements-dev.txt", "requirements-release.txt"], id="tools"),
        pytest.param("build", ["build/lib/shared/app.py"], id="what pip builds"),
    ],
)
def test_a_line_that_is_missing_is_noticed(tree: Path, line: str, deployed: list[str]) -> None:
    lines = (tree / ".funcignore").read_text().splitlines()
    assert line in lines
    (tree / ".funcignore").write_text("\n".join(each for each in lines if each != line))

    assert [str(path) for path in find_strays(list_deployed(tree))] == deployed


def test_the_check_says_what_would_be_deployed_and_what_to_do(tree: Path) -> None:
    copy(ROOT / "requirements.in", tree / "requirements.in")
    with (tree / ".funcignore").open("a") as lines:
        lines.write("!scripts\n")

    assert describe_problems(tree) == [
        "scripts/grant.py would be deployed: name it in .funcignore",
        "scripts/requirements.txt would be deployed: name it in .funcignore",
    ]


def test_no_pattern_depends_on_how_a_star_matches_a_slash() -> None:
    patterns = (ROOT / ".funcignore").read_text().splitlines()

    assert [
        each for each in patterns if not each.startswith("#") and ("/" in each or each.startswith("!"))
    ] == []
