"""The package that would be deployed runs from a folder that holds nothing else."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from tests.package.conftest import ROOT, SITE_PACKAGES, copy, copy_distribution

LIMIT = 60_000_000  # bytes


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Azure's worker process has of its own: protobuf, and the code that calls the worker library."""
    folder = tmp_path_factory.mktemp("worker")
    copy_distribution("protobuf", folder)
    modules = [ROOT / "local/__init__.py", ROOT / "local/host/__init__.py"]
    for source in (*modules, *(ROOT / "local/host/worker").glob("*.py")):
        copy(source, folder / source.relative_to(ROOT))
    return folder


def index(app: Path, *paths: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", Path(__file__).with_name("indexing.py"), app, *paths],
        cwd=app,
        env={},  # and no settings
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_worker_library_indexes_the_package_as_it_indexes_the_repository(
    package: Path, worker: Path
) -> None:
    deployed = index(package, package / SITE_PACKAGES, worker)
    repository = index(ROOT, Path(sysconfig.get_path("purelib")), ROOT)

    assert deployed["functions"] == repository["functions"]
    assert {"notifications", "sync_photo", "start_sweep", "status"} <= set(deployed["functions"])


def test_the_app_and_its_packages_are_imported_from_the_package_alone(package: Path, worker: Path) -> None:
    files = [Path(file) for file in index(package, package / SITE_PACKAGES, worker)["files"]]

    standard = Path(sysconfig.get_path("stdlib"))
    elsewhere = [
        file for file in files if not any(file.is_relative_to(each) for each in (package, worker, standard))
    ]
    assert package / "function_app.py" in files
    assert [file for file in elsewhere if file.name != "indexing.py"] == []
    assert {file.relative_to(worker).parts[0] for file in files if file.is_relative_to(worker)} == {
        "google",
        "local",
    }


def test_every_module_of_the_package_can_be_imported_from_it(package: Path) -> None:
    modules = [
        ".".join(path.relative_to(package).with_suffix("").parts) for path in package.glob("shared/**/*.py")
    ]
    script = (
        f"import importlib, sys\n"
        f"sys.path += {[str(package), str(package / SITE_PACKAGES)]!r}\n"
        f"for name in {modules!r}:\n"
        f"    importlib.import_module(name)\n"
    )

    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-B",
            "-c",
            f"{script}[importlib.import_module(each) for each in {modules!r}]",
        ],
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert len(modules) > 50
    assert done.returncode == 0, done.stderr


def test_the_package_is_smaller_than_60_mb_with_its_packages(package: Path) -> None:
    size = sum(path.stat().st_size for path in package.rglob("*") if path.is_file())

    assert LIMIT / 10 < size < LIMIT
